#!/usr/bin/env bash
# Holds the API to its description: lints docs/openapi.json with Redocly, checks every example against its schema, and
# lets Schemathesis try all operations with all its checks, as nobody, as a customer and as an admin; then looks whether
# each of them was really tried as each.
#
#   conformance/api.sh [examples per operation] [seed]
#
# Needs cargo, python3 with venv, node, npm and curl, and a network for what is fetched into .data/. The shop that it
# starts is stopped by its process id.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
here=$root/conformance/api
examples=${1:-20}
# The same inputs each time, unless a seed says otherwise: what CI finds can be found again.
seed=${2:-1}
# shellcheck source=conformance/shop.sh
. "$root/conformance/shop.sh"
trap stop_shop EXIT

say() { printf '\n--- %s\n' "$*"; }

venv=$root/.data/conformance-api/venv
fetch_node "$here"
if [[ ! -f $venv/.installed || $(<"$venv/.installed") != "$(cksum < "$here/requirements.txt")" ]]; then
    python3 -m venv "$venv"
    PIP_CACHE_DIR=$root/.data/pip-cache "$venv/bin/pip" install --quiet --disable-pip-version-check \
        --requirement "$here/requirements.txt"
    cksum < "$here/requirements.txt" > "$venv/.installed"
fi

say 'Redocly lints the description'
REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true "$node_place/node_modules/.bin/redocly" lint \
    "$root/docs/openapi.json" --config "$here/redocly.yaml" --format=stylish

say 'Every example is what its schema says'
"$venv/bin/python" "$here/examples.py" "$root/docs/openapi.json"

say 'A shop opens'
start_shop APP__AUTH__ACCESS_TTL_SECONDS=86400
password='Corr3ct-horse'
for email in tester@example.com shopper@example.com; do
    curl --silent --fail --output /dev/null --max-time 30 "$shop_address/api/v1/auth/register" \
        --header 'Content-Type: application/json' --data "{\"email\":\"$email\",\"password\":\"$password\"}"
done
customer=$(access_token tester@example.com "$password")
admin_password='Demo-Passw0rd!'
admin=$(access_token admin@ironcart.example "$admin_password")
[[ -n $customer && -n $admin ]]

# Some orders to find, to pay, to cancel and to ship.
post() { curl --silent --fail --max-time 30 --header 'Content-Type: application/json' \
    --header "Authorization: Bearer $customer" --data "$2" "$shop_address/api/v1$1"; }
product=$(curl --silent --fail "$shop_address/api/v1/products?limit=1&inStock=true&sort=price" |
    sed -n 's/.*"id":"\([^"]*\)".*/\1/p')
for number in $(seq $((20 + examples / 5))); do
    post /cart/items "{\"productId\":\"$product\",\"quantity\":1}" > /dev/null
    checkout=$(post /orders '{"shippingAddress":"1 High Street, Leeds"}' |
        sed -n 's/.*"checkoutUrl":"\([^"]*\)".*/\1/p')
    ((number % 2)) || curl --silent --fail --output /dev/null --max-time 30 --request POST "$checkout/pay"
done

failures=0

# run_as nobody|customer|admin <token> <password>: keeps going after a failure, to show all of them.
run_as() {
    local answers=$shop_folder/answers.$1.json
    say "Schemathesis as $1: at least $examples examples per operation, all checks, seed $seed"
    (cd "$shop_folder" && API_ADDRESS=$shop_address API_TOKEN=$2 API_PASSWORD=$3 API_WEBHOOK_SECRET=$webhook_secret \
        API_ANSWERS=$answers SCHEMATHESIS_HOOKS=hooks PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 \
        "$venv/bin/schemathesis" --config-file "$here/schemathesis.toml" run "$shop_address/openapi.json" \
        --checks all --max-examples "$examples" --seed "$seed" --no-color) || failures=$((failures + 1))
    say "Whether all operations were tried as $1"
    "$venv/bin/python" "$here/answers.py" "$root/docs/openapi.json" "$answers" "$1" "$examples" ||
        failures=$((failures + 1))
    if [[ -n $2 ]] && ! curl --silent --fail --output /dev/null --max-time 30 "$shop_address/api/v1/users/me" \
        --header "Authorization: Bearer $2"; then
        printf 'The session ended on the way, so what came after was tried as nobody.\n'
        failures=$((failures + 1))
    fi
}

run_as nobody '' ''
run_as customer "$customer" "$password"
run_as admin "$admin" "$admin_password"

say 'What the shop logged as its own failures'
if grep -E 'internal_error|panicked' "$shop_folder/log"; then
    failures=$((failures + 1))
else
    printf 'nothing\n'
fi
if ((failures > 0)); then
    printf '\nThe API is not as described. Again: conformance/api.sh %s %s\n' "$examples" "$seed" >&2
    exit 1
fi
printf '\nThe API is as described.\n'
