#!/usr/bin/env bash
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs make targets one after the other, every one of them, and prints the time and result of each.
# Usage: stages.sh TARGET ...

set -uo pipefail

summary=()
failed=0
for target in "$@"; do
    printf '\n==== make %s\n' "$target"
    started=$SECONDS
    if make "$target"; then
        result=passed
    else
        result=FAILED
        failed=$((failed + 1))
    fi
    summary+=("$(printf '%-20s %-8s %5d s' "$target" "$result" $((SECONDS - started)))")
done

printf '\n==== stages\n'
printf '%s\n' "${summary[@]}"
printf '%d passed, %d failed in %d s\n' $(($# - failed)) "$failed" "$SECONDS"
[ "$failed" -eq 0 ]
