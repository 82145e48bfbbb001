#!/usr/bin/env bash
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs every molecule scenario, or those that are named; each runs whatever the others say.
# Usage: molecule.sh [SCENARIO ...]
#
# Two run at a time: a scenario mostly waits, for packages, restarts and time-outs. What one says is shown when it ends,
# and what went wrong in those that failed once more at the very end.

set -uo pipefail

scenarios=("$@")
if [ $# -eq 0 ]; then
    for file in extensions/molecule/*/molecule.yml; do
        scenarios+=("$(basename "$(dirname "$file")")")
    done
fi
if [ "${#scenarios[@]}" -eq 1 ]; then
    exec molecule test --scenario-name "${scenarios[0]}" --no-command-borders
fi

logs=build/molecule
rm -rf "$logs"
mkdir -p "$logs"

run_scenario() {  # run_scenario SCENARIO
    local started=$SECONDS result=passed
    echo "scenario $1: started"
    molecule test --scenario-name "$1" --no-command-borders >"$logs/$1.log" 2>&1 </dev/null || result=FAILED
    cat "$logs/$1.log"
    echo "$result after $((SECONDS - started)) s" >"$logs/$1.result"
    echo "scenario $1: $(cat "$logs/$1.result")"
}

for scenario in "${scenarios[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
        wait -n
    done
    run_scenario "$scenario" &
done
wait

failed=()
for scenario in "${scenarios[@]}"; do
    printf '%-20s %s\n' "$scenario" "$(cat "$logs/$scenario.result")"
    grep --quiet passed "$logs/$scenario.result" || failed+=("$scenario")
done
for scenario in "${failed[@]}"; do
    printf '\n==== what failed in %s\n' "$scenario"
    sed 's/\x1b\[[0-9;]*m//g' "$logs/$scenario.log" |
        grep --before-context 3 --after-context 9 --extended-regexp \
            '^(fatal|failed|\[?ERROR|Traceback)|: (FAILED|UNREACHABLE)!' | cut --characters 1-2000 | head -n 40
done
[ "${#failed[@]}" -eq 0 ]
