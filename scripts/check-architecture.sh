#!/usr/bin/env bash
# Holds the dependency table of docs/ARCHITECTURE.md: which crate must not reach which, and what app must not hold.
set -euo pipefail
cd "$(dirname "$0")/.."

failures=0

fail() {
    failures=$((failures + 1))
    printf 'FORBIDDEN  %s\n' "$1"
}

# forbid <crate> <pattern>...: none of the crates that <crate> is built from may match a pattern (shell globs).
forbid() {
    local crate=$1 built_from dependency pattern
    shift
    # Asked for as it is built by itself: features that other crates of the workspace switch on don't count.
    built_from=$(cargo tree --locked --quiet --package "$crate" --edges normal,build --target all --prefix none --format '{p}')
    built_from=$(printf '%s\n' "$built_from" | cut -d ' ' -f 1 | sort -u)
    for dependency in $built_from; do
        if [ "$dependency" = "$crate" ]; then
            continue
        fi
        for pattern in "$@"; do
            # shellcheck disable=SC2254 # the pattern is meant to be one
            case "$dependency" in
            $pattern)
                fail "$crate must not depend on $dependency, but does:"
                cargo tree --locked --quiet --package "$crate" --edges normal,build --target all --invert "$dependency" |
                    sed 's/^/           /' | head -20
                ;;
            esac
        done
    done
    printf 'checked    %s\n' "$crate"
}

# forbid_text <what> <pattern> <folder> [grep option]...: no line of the code there may match.
forbid_text() {
    local what=$1 pattern=$2 folder=$3 found
    shift 3
    found=$(grep --recursive --line-number --extended-regexp --include='*.rs' "$@" -- "$pattern" "$folder" || true)
    if [ -n "$found" ]; then
        fail "$what:"
        printf '%s\n' "$found" | sed 's/^/           /' | head -20
    fi
    printf 'checked    %s\n' "$what"
}

# No C library for TLS or for PostgreSQL, in nothing that is built.
everywhere=(openssl openssl-sys native-tls pq-sys)
web=('actix*' api-actix)
database=('diesel*' 'bb8*' 'tokio-postgres*' adapters-postgres)
provider=('async-stripe*' 'stripe*' adapters-stripe)

forbid domain "${everywhere[@]}" "${web[@]}" "${database[@]}" "${provider[@]}" \
    tokio serde 'serde_*' config 'hyper*' reqwest mio socket2 'adapters-*' app
forbid adapters-crypto "${everywhere[@]}" "${web[@]}" "${database[@]}" "${provider[@]}" app
forbid adapters-postgres "${everywhere[@]}" "${web[@]}" "${provider[@]}" adapters-crypto app
forbid adapters-stripe "${everywhere[@]}" "${web[@]}" "${database[@]}" adapters-crypto stripe-simulator app
forbid api-actix "${everywhere[@]}" "${database[@]}" "${provider[@]}" 'adapters-*' app
forbid stripe-simulator "${everywhere[@]}" "${database[@]}" "${provider[@]}" api-actix domain 'adapters-*' app
forbid app "${everywhere[@]}" ironcart-tests bench
forbid bench "${everywhere[@]}" ironcart-tests

# The private PostgreSQL is made with SQL of its own; it is no part of the shop.
forbid_text 'app holds no SQL' \
    'diesel::|sql_query|"[^"]*\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|ALTER TABLE|CREATE TABLE)\b' \
    crates/app/src --exclude-dir=dev_postgres
forbid_text 'app holds no route' '#\[(get|post|put|patch|delete)\(|web::(resource|scope|route)\(' crates/app/src
forbid_text 'domain is synchronous where it decides' 'async fn decide\b' crates/domain/src

if [ "$failures" -gt 0 ]; then
    printf '\n%d violation(s) of the architecture. See the table in docs/ARCHITECTURE.md.\n' "$failures"
    exit 1
fi
printf 'The architecture holds.\n'
