#!/usr/bin/env bash
# Checks the alerts with Prometheus' own promtool: that they can be read, and that each fires when it should and is
# silent while all is well. promtool is taken from the machine, else installed if that is allowed.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v promtool > /dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        echo 'promtool is missing: installing the package "prometheus" ...'
        apt-get update -qq > /dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus > /dev/null
    else
        echo 'NOT CHECKED: the alerts, since promtool is missing.'
        echo 'To do: install your system'"'"'s package "prometheus", which brings promtool.'
        # Where it must not be passed over, such as in CI.
        [ "${REQUIRE_PROMTOOL:-false}" = true ] && exit 1
        exit 0
    fi
fi

promtool check rules alerts.yml
promtool check config prometheus.yml
promtool test rules alerts_test.yml

# An alert that nobody fired on purpose, or that nobody explained, is none.
status=0
while read -r alert; do
    grep -q "name: $alert fires" alerts_test.yml || { echo "$alert has no test that fires it"; status=1; }
    grep -qx "### $alert" ../../docs/OPERATIONS.md || { echo "$alert is not explained in docs/OPERATIONS.md"; status=1; }
done < <(sed -n 's/^ *- alert: //p' alerts.yml)
exit $status
