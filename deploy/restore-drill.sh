#!/usr/bin/env bash
# Shows that the backup can be restored: dumps the database of DATABASE_URL, restores the dump into a database of its own
# beside it, compares what is in both, has `app check-stock` prove every product's stock there, and drops it again.
# Nothing of the shop's own database is changed.
#
#   DATABASE_URL=postgres://... deploy/restore-drill.sh [dump file to keep]
#
# Needs pg_dump, pg_restore and psql of the server's version or newer, the role's right to make a database, and the
# binary: $APP, by default `app` from the path.
set -euo pipefail

: "${DATABASE_URL:?set it to the database to back up}"
app=${APP:-app}
work=$(mktemp -d)
dump=${1:-$work/ironcart.dump}
copy=ironcart_restore_drill_$$
# The same server, another database: what comes after the last slash, up to a question mark.
base=${DATABASE_URL%%\?*}
query=${DATABASE_URL#"$base"}
copy_url=${base%/*}/$copy$query

clean_up() {
    psql --quiet --no-psqlrc "$DATABASE_URL" --command "DROP DATABASE IF EXISTS $copy WITH (FORCE)" > /dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

echo '1. Dumping ...'
pg_dump --format=custom --no-owner --no-privileges --file="$dump" "$DATABASE_URL"
echo "   $(du -h "$dump" | cut -f 1) in $dump"

echo '2. Restoring into a database of its own ...'
psql --quiet --no-psqlrc "$DATABASE_URL" --command "CREATE DATABASE $copy"
pg_restore --exit-on-error --no-owner --no-privileges --dbname="$copy_url" "$dump"

echo '3. Comparing ...'
# While the shop goes on selling, the copy may have less than the shop has by now, and never more.
for table in users products stock_movements orders order_lines checkout_attempts receipts refunds tasks provider_events; do
    count="SELECT count(*) FROM $table"
    there=$(psql --no-psqlrc --tuples-only --no-align "$copy_url" --command "$count")
    here=$(psql --no-psqlrc --tuples-only --no-align "$DATABASE_URL" --command "$count")
    printf '   %-18s %8s restored, %8s now\n' "$table" "$there" "$here"
    [ "$there" -le "$here" ] || { echo "error: $table has more rows than the shop" >&2; exit 1; }
done

echo '4. Checking the stock of the copy ...'
env DATABASE_URL="$copy_url" "$app" check-stock
echo 'The backup can be restored.'
