# Sourced by the checks that need a shop of their own: starts one, with a PostgreSQL and a Stripe simulator, and stops it.
# Its limits are off and its caps high, so that what is checked is the API and not how often it was asked.
# shellcheck shell=bash

shop_pid=
simulator_pid=
shop_folder=
shop_address=
# What events are signed with, for checks that send some themselves.
# shellcheck disable=SC2034 # used where this is sourced
webhook_secret=whsec_conformance0000000000000000000000

# start_shop [VARIABLE=value ...]: leaves its address in $shop_address, and its log in $shop_folder/log.
start_shop() {
    local programs=$root/${CARGO_TARGET_DIR:-target}/debug port stripe=
    case ${CARGO_TARGET_DIR:-} in /*) programs=$CARGO_TARGET_DIR/debug ;; esac
    cargo build --locked --quiet --manifest-path "$root/Cargo.toml" --package app --package stripe-simulator
    mkdir -p "$root/.data"
    shop_folder=$(mktemp -d "$root/.data/checked.XXXXXX")
    for _ in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 10000))
        # Nobody answers there.
        (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null || break
    done
    shop_address=http://127.0.0.1:$port
    "$programs/stripe-simulator" --port 0 --webhook-url "$shop_address/api/v1/webhooks/stripe" \
        --webhook-secret "$webhook_secret" > "$shop_folder/stripe" 2> "$shop_folder/stripe.log" &
    simulator_pid=$!
    for _ in $(seq 100); do
        stripe=$(head -n 1 "$shop_folder/stripe")
        [[ -z $stripe ]] || break
        sleep 0.1
    done
    (cd "$shop_folder" && exec env -u DATABASE_URL -u JWT_SECRET STRIPE_API_KEY=sk_test_conformance00000 \
        STRIPE_WEBHOOK_SECRET="$webhook_secret" APP__STRIPE__API_BASE="$stripe" \
        APP_ENV=development APP__SERVER__HOST=127.0.0.1 APP__SERVER__PORT="$port" \
        APP__SERVER__PUBLIC_URL="$shop_address" APP__RATE_LIMIT__ENABLED=false \
        APP__FRAUD__MAX_PENDING_ORDERS=10000 APP__FRAUD__MAX_DAILY_CANCELLATIONS=10000 \
        APP__FRAUD__MAX_DAILY_EXPIRIES=10000 RUST_LOG=warn "$@" "$programs/app" serve > out 2> log) &
    shop_pid=$!
    for _ in $(seq 600); do
        ! curl --silent --fail --max-time 2 --output /dev/null "$shop_address/health/ready" || return 0
        kill -0 "$shop_pid" 2> /dev/null || break
        sleep 0.1
    done
    printf 'The shop did not start:\n' >&2
    cat "$shop_folder/log" >&2
    return 1
}

stop_shop() {
    local pid
    for pid in $shop_pid $simulator_pid; do
        kill -TERM "$pid" 2> /dev/null || true
        wait "$pid" 2> /dev/null || true
    done
    shop_pid= simulator_pid=
    [[ -z $shop_folder ]] || rm -rf "$shop_folder"
}

# access_token <email> <password>
access_token() {
    curl --silent --fail --max-time 30 "$shop_address/api/v1/auth/login" --header 'Content-Type: application/json' \
        --data "{\"email\":\"$1\",\"password\":\"$2\"}" | sed -n 's/.*"accessToken":"\([^"]*\)".*/\1/p'
}

# fetch_node <folder>: what its package.json names, in exact versions, into .data/; leaves the place in $node_place.
fetch_node() {
    local from=$1 wanted
    node_place=$root/.data/conformance-$(basename "$from")
    wanted=$(cksum < "$from/package.json")
    if [[ ! -f $node_place/.installed || $(<"$node_place/.installed") != "$wanted" ]]; then
        mkdir -p "$node_place"
        cp "$from/package.json" "$node_place/package.json"
        npm_config_cache=$root/.data/npm-cache npm install --prefix "$node_place" --no-audit --no-fund \
            --no-package-lock --no-update-notifier --ignore-scripts --loglevel=error > /dev/null
        printf '%s' "$wanted" > "$node_place/.installed"
    fi
}
