#!/usr/bin/env bash
# Runs every command of docs/API.md, in its order, against a shop that this starts and stops: what the guide says works.
# Needs cargo, curl and jq.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=conformance/shop.sh
. "$root/conformance/shop.sh"
trap stop_shop EXIT

command -v jq > /dev/null || { echo 'jq is missing. To do: install it.' >&2; exit 1; }

# With the limits that a shop has unless told otherwise: the guide shows their headers.
start_shop APP__RATE_LIMIT__ENABLED=true APP__RATE_LIMIT__GLOBAL=1000/15m
{
    printf 'set -euo pipefail\nPS4="   + "\nset -x\n'
    sed -n '/^```sh$/,/^```$/{/^```/d;p;}' "$root/docs/API.md"
} > "$shop_folder/guide.sh"
blocks=$(grep -c '^```sh$' "$root/docs/API.md")
if ! (cd "$shop_folder" && SHOP=$shop_address bash guide.sh > said 2>&1); then
    tail -n 20 "$shop_folder/said" >&2
    printf '\ndocs/API.md says what is not so: the last command above.\n' >&2
    exit 1
fi
printf 'All %s blocks of docs/API.md work.\n' "$blocks"
