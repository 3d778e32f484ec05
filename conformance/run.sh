#!/usr/bin/env bash
# Checks the Stripe simulator with Stripe's own programs: the Python SDK, the Node SDK and the CLI.
#
# One line per check; exits non-zero if any fails. Everything that is fetched goes to .data/conformance/, and the
# simulator it starts is stopped by its process id. Needs cargo, python3 with venv, node 18 or later, npm and curl.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
here=$root/conformance
data=$root/.data/conformance
mkdir -p "$data/home"

say() { printf '%s\n' "$*" >&2; }

# Fetches the pinned programs, unless those of the same pins are already there.
install_programs() {
    local wanted
    wanted=$(cat "$here/package.json" "$here/requirements.txt" | cksum)
    if [[ -f $data/.installed && $(<"$data/.installed") == "$wanted" ]]; then
        return
    fi
    say "Fetching Stripe's SDKs and CLI into .data/conformance/ …"
    rm -f "$data/.installed"
    python3 -m venv "$data/venv"
    PIP_CACHE_DIR=$data/pip-cache "$data/venv/bin/pip" install --quiet --disable-pip-version-check \
        --requirement "$here/requirements.txt"
    cp "$here/package.json" "$data/package.json"
    npm_config_cache=$data/npm-cache npm install --prefix "$data" --no-audit --no-fund --no-package-lock \
        --no-update-notifier --loglevel=error >/dev/null
    printf '%s' "$wanted" >"$data/.installed"
}

simulator_pid=
stop_simulator() {
    if [[ -n $simulator_pid ]]; then
        kill "$simulator_pid" 2>/dev/null || true
        wait "$simulator_pid" 2>/dev/null || true
    fi
}
trap stop_simulator EXIT

# Starts the simulator on a free port; its first line on stdout is its address.
start_simulator() {
    local program=${CARGO_TARGET_DIR:-$root/target}/debug/stripe-simulator
    cargo build --quiet --manifest-path "$root/Cargo.toml" -p stripe-simulator
    : >"$data/address"
    "$program" --port 0 >"$data/address" 2>"$data/simulator.log" &
    simulator_pid=$!
    for _ in $(seq 100); do
        base=$(head -n 1 "$data/address")
        [[ -n $base ]] && return
        sleep 0.1
    done
    say "The simulator did not start:"
    cat "$data/simulator.log" >&2
    exit 1
}

failures=0

# One trigger of the CLI: it must succeed, and the event it is named after must have happened.
check_trigger() {
    local event=$1 log=$data/trigger-$1.log
    if HOME=$data/home XDG_CONFIG_HOME=$data/home STRIPE_CLI_TELEMETRY_OPTOUT=1 STRIPE_API_KEY=sk_test_conformance00000 \
        timeout 60 "$data/node_modules/.bin/stripe" trigger "$event" --api-base "$base" >"$log" 2>&1 \
        && grep -q 'Trigger succeeded' "$log" \
        && curl --silent --fail "$base/_control/events" | grep -q "\"type\":\"$event\""; then
        printf 'ok    cli     stripe trigger %s\n' "$event"
    else
        printf 'FAIL  cli     stripe trigger %s\n' "$event"
        sed 's/^/      /' "$log"
        failures=$((failures + 1))
    fi
}

install_programs
start_simulator
reset() { curl --silent --fail --output /dev/null --request POST "$base/_control/reset"; }

"$data/venv/bin/python" "$here/checks.py" "$base" || failures=$((failures + 1))
reset
NODE_PATH=$data/node_modules node "$here/checks.cjs" "$base" || failures=$((failures + 1))
reset
check_trigger checkout.session.expired
check_trigger charge.refunded

if ((failures > 0)); then
    say "The simulator differs from Stripe."
    exit 1
fi
say "The simulator behaves as Stripe's own programs expect."
