#!/usr/bin/env bash
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Checks style, metadata, changelog and licences of a copy of the tree; every check runs, whatever the others say.
# Usage: lint.sh COLLECTION_FOLDER

set -uo pipefail

cd "$1" || exit 1
export ANSIBLE_COLLECTIONS_PATH=${PWD%/ansible_collections/*}

failed=0
check() {
    echo "$*"
    "$@" || failed=1
}

check ansible-lint --profile production --offline --strict -q
check yamllint --strict .
check shellcheck .ci/run
check antsibull-changelog lint
check reuse lint --lines
exit "$failed"
