#!/usr/bin/env bash
# Walks through a purchase as a customer and an admin would, against a shop that it starts and stops, and shows every
# step. Exits non-zero as soon as an answer is not what docs/API.md promises. Needs cargo and curl.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v curl > /dev/null || { echo 'curl is missing. To do: install it.' >&2; exit 1; }

printf 'Building ...\n'
cargo build --locked --quiet --package app
binary=$PWD/${CARGO_TARGET_DIR:-target}/debug/app
case ${CARGO_TARGET_DIR:-} in /*) binary=$CARGO_TARGET_DIR/debug/app ;; esac

mkdir -p .data
folder=$(mktemp -d "$PWD/.data/demo.XXXXXX")
shop_pid=
# shellcheck disable=SC2329 # called by the trap
clean_up() {
    if [ -n "$shop_pid" ]; then
        kill -TERM "$shop_pid" 2> /dev/null || true
        wait "$shop_pid" 2> /dev/null || true
    fi
    rm -rf "$folder"
}
trap clean_up EXIT

# --- How steps are shown and checked -------------------------------------------------------------------------------

bold= plain=
if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { printf '   %s\n' "$*"; }

fail() {
    printf '\nNOT AS PROMISED: %s\n' "$*" >&2
    printf 'The last answer: %s %s\n' "$status" "$body" >&2
    printf 'The end of the log of the shop:\n' >&2
    tail -n 15 "$folder/log" >&2
    exit 1
}

# call <method> <path> [body]: asks as whoever $token belongs to; the answer is in $status and $body.
call() {
    local method=$1 path=$2 arguments=()
    if [ $# -gt 2 ]; then arguments+=(--header 'Content-Type: application/json' --data "$3"); fi
    if [ -n "$token" ]; then arguments+=(--header "Authorization: Bearer $token"); fi
    body=$(curl --silent --show-error --max-time 30 --request "$method" --write-out '\n%{http_code}' \
        ${arguments[@]+"${arguments[@]}"} "$api$path")
    status=${body##*$'\n'}
    body=${body%$'\n'*}
    show "$method $path -> $status"
}

# call_outside <path>: asks for what is not under /api/v1.
call_outside() {
    status=$(curl --silent --max-time 30 --output "$folder/page" --write-out '%{http_code}' "$address$1") || true
    show "GET $1 -> $status"
}

# expect <status>
expect() { [ "$status" = "$1" ] || fail "expected status $1"; }

# field <name>: the first field of that name in the last answer.
field() {
    local rest=${body#*\""$1"\":}
    [ "$rest" != "$body" ] || fail "expected a field $1"
    case $rest in
    \"*) rest=${rest#\"} && printf '%s' "${rest%%\"*}" ;;
    *) printf '%s' "${rest%%[,\}\]]*}" ;;
    esac
}

# expect_field <name> <value>
expect_field() {
    local found
    found=$(field "$1")
    [ "$found" = "$2" ] || fail "expected $1 to be $2, found $found"
    show "$1: $found"
}

# --- The shop ------------------------------------------------------------------------------------------------------

free_port() {
    local port
    for _ in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 10000))
        # Nobody answers there.
        (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null || break
    done
    printf '%s' "$port"
}

token= status= body=
port=$(free_port)
address=http://127.0.0.1:$port
api=$address/api/v1
say 'A shop opens, with a PostgreSQL and a Stripe simulator of its own'
(cd "$folder" && exec env -u DATABASE_URL -u STRIPE_API_KEY -u STRIPE_WEBHOOK_SECRET -u JWT_SECRET \
    APP_ENV=development APP__SERVER__HOST=127.0.0.1 APP__SERVER__PORT="$port" APP__SERVER__PUBLIC_URL="$address" \
    "$binary" serve > out 2> log) &
shop_pid=$!
for _ in $(seq 600); do
    ! curl --silent --fail --max-time 2 --output /dev/null "$address/health/ready" || break
    kill -0 "$shop_pid" 2> /dev/null || { cat "$folder/log" >&2 && exit 1; }
    sleep 0.1
done
call_outside /health/ready
expect 200

say 'Somebody registers and logs in'
credentials='{"email":"Ada@Example.com","password":"Corr3ct-horse"}'
call POST /auth/register "$credentials"
expect 201
expect_field email ada@example.com
expect_field role CUSTOMER
call POST /auth/login "$credentials"
expect 200
customer=$(field accessToken)

say 'They browse'
call GET '/products?limit=1&inStock=true&sort=price'
expect 200
product=$(field id)
price=$(field price)
stock=$(field stock)
show "$(field name), $price, $stock in stock"

say 'They fill the cart'
token=$customer
call POST /cart/items "{\"productId\":\"$product\",\"quantity\":2}"
expect 200
expect_field quantity 2
expect_field unitPrice "$price"
total=$(field total)

say 'They order; the stock is theirs from now on'
call POST /orders "{\"shippingAddress\":\"1 High Street, Leeds\",\"expectedTotal\":\"$total\"}"
expect 201
order=$(body=${body%%\"items\"*} && field id)
expect_field status PENDING
expect_field total "$total"
checkout=$(field checkoutUrl)
show "to be paid at $checkout"
call GET "/products/$product"
expect_field stock $((stock - 2))
call GET /cart
[[ $body == *'"items":[]'* ]] || fail 'expected an empty cart'

say 'They pay on the (simulated) page of Stripe'
paid=$(curl --silent --show-error --max-time 30 --output /dev/null --write-out '%{http_code} %{redirect_url}' \
    --request POST "$checkout/pay")
show "POST $checkout/pay -> $paid"
case $paid in
"303 $address/checkout/success?orderId=$order") ;;
*) fail "expected a redirect (303) to the shop's success page" ;;
esac
call_outside "/checkout/success?orderId=$order"
expect 200

say 'A signed webhook makes the order PAID'
for _ in $(seq 50); do
    call GET "/orders/$order"
    [ "$(field status)" = PENDING ] || break
    sleep 0.2
done
expect_field status PAID

say 'An admin ships and delivers it'
token=
call POST /auth/login '{"email":"admin@ironcart.example","password":"Demo-Passw0rd!"}'
expect 200
admin=$(field accessToken)
token=$admin
call PATCH "/admin/orders/$order" '{"status":"SHIPPED","trackingNumber":"JD0001"}'
expect 200
expect_field status SHIPPED
expect_field trackingNumber JD0001
call PATCH "/admin/orders/$order" '{"status":"DELIVERED"}'
expect 200
expect_field status DELIVERED

say 'What is delivered cannot be cancelled'
call POST "/orders/$order/cancel"
expect 409
expect_field code invalid_transition

say 'A second order is cancelled; its stock comes back once, however often one tries'
token=$customer
call POST /cart/items "{\"productId\":\"$product\",\"quantity\":3}"
expect 200
call POST /orders '{"shippingAddress":"1 High Street, Leeds"}'
expect 201
second=$(body=${body%%\"items\"*} && field id)
call POST "/orders/$second/cancel"
expect 200
expect_field status CANCELLED
call POST "/orders/$second/cancel"
expect 409
call GET "/products/$product"
expect_field stock $((stock - 2))

say 'The ledger of every product adds up to its stock'
(cd "$folder" && env -u DATABASE_URL APP_ENV=development "$binary" check-stock 2>> log) || fail 'expected check-stock to pass'

printf '\nEverything was as promised.\n'
