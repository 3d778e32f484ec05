#!/usr/bin/env bash
# Buys something in a browser, by clicking through /docs, in a shop that this starts and stops.
#
#   conformance/docs.sh [folder for pictures of every step]
#
# Needs cargo, node 18 or later, npm, curl, and Chromium (CHROMIUM says where, if it is not in the PATH).
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
here=$root/conformance/docs
# shellcheck source=conformance/shop.sh
. "$root/conformance/shop.sh"
trap stop_shop EXIT

chromium=${CHROMIUM:-$(command -v chromium || command -v google-chrome || true)}
[[ -n $chromium ]] || { echo 'Chromium is missing. To do: install it, or say where it is: CHROMIUM=...' >&2; exit 1; }
pictures=
[[ -z ${1:-} ]] || { mkdir -p "$1" && pictures=$(cd "$1" && pwd); }

fetch_node "$here"
cp "$here/purchase.js" "$node_place/"
start_shop
node "$node_place/purchase.js" "$shop_address" "$chromium" $pictures
printf 'Somebody who knows nothing but /docs has bought something.\n'
