#!/usr/bin/env bash
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Makes or completes a virtual environment from requirements files; does nothing when it is already complete.
# Usage: make-venv.sh FOLDER PYTHON REQUIREMENT ..., where a REQUIREMENT is a file or a pip requirement.

set -euo pipefail

folder=$1
python=$2
shift 2

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    bash "$(dirname "$0")/install-packages.sh" "$package"
fi

arguments=()
for requirement in "$@"; do
    if [ -f "$requirement" ]; then
        arguments+=(--requirement "$requirement")
    else
        arguments+=("$requirement")
    fi
done

# A requirement, or what stands in a file of them and in those that it includes.
contents() {
    if [ ! -f "$1" ]; then
        echo "$1"
        return
    fi
    cat "$1"
    sed -n 's/^-r //p' "$1" | while read -r included; do
        contents "$(dirname "$1")/$included"
    done
}

# The stamp remembers what was installed and for which Python, so a changed file or interpreter is noticed.
wanted=$("$python" --version; for requirement in "$@"; do contents "$requirement"; done)
stamp=$folder/.complete-$(printf '%s\n' "$@" | cksum | cut -d ' ' -f 1)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && "$folder/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

echo "Installing into $folder: $*"
if [ "$("$folder/bin/python" --version 2>/dev/null)" != "$("$python" --version)" ]; then
    "$python" -m venv --clear "$folder"
fi
"$folder/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --no-input "${arguments[@]}"
echo "$wanted" > "$stamp"
