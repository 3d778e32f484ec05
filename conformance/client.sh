#!/usr/bin/env bash
# Generates a TypeScript client from docs/openapi.json, compiles a purchase with it under the strictest types, and lets
# it buy something in a shop that this starts and stops. Needs cargo, node 18 or later, npm and curl.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
here=$root/conformance/client
# shellcheck source=conformance/shop.sh
. "$root/conformance/shop.sh"
trap stop_shop EXIT

fetch_node "$here"
cp "$here/purchase.ts" "$here/tsconfig.json" "$node_place/"
cd "$node_place"
node_modules/.bin/openapi-typescript "$root/docs/openapi.json" --output api.d.ts > /dev/null
node_modules/.bin/tsc --project tsconfig.json
start_shop
node built/purchase.js "$shop_address"
printf 'A client that was generated from the description has bought something.\n'
