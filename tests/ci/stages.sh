#!/usr/bin/env bash
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs make targets one after the other, every one of them, and prints the time and result of each, with the last lines
# of those that failed. All that a target prints is kept in build/stages/TARGET.log.
# Usage: stages.sh TARGET ...

set -uo pipefail

logs=build/stages
rm -rf "$logs"
mkdir -p "$logs"

summary=()
failures=()
for target in "$@"; do
    printf '\n==== make %s\n' "$target"
    started=$SECONDS
    if make "$target" 2>&1 | tee "$logs/$target.log"; then
        result=passed
    else
        result=FAILED
        failures+=("$target")
    fi
    summary+=("$(printf '%-20s %-8s %5d s' "$target" "$result" $((SECONDS - started)))")
done

for target in "${failures[@]}"; do
    printf '\n==== last lines of make %s\n' "$target"
    tail -n 60 "$logs/$target.log"
done

printf '\n==== stages\n'
printf '%s\n' "${summary[@]}"
printf '%d passed, %d failed in %d s\n' $(($# - ${#failures[@]})) "${#failures[@]}" "$SECONDS"
[ "${#failures[@]}" -eq 0 ]
