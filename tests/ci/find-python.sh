#!/usr/bin/env bash
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Prints the first Python interpreter that really runs and is new enough.
# Usage: find-python.sh MINIMUM [NAME ...], for example: find-python.sh 3.11 python3 python3.13

set -u

minimum=$1
shift

for name in "$@"; do
    # A name on PATH proves nothing: a version manager's shim exists for versions that are switched off.
    if "$name" -c "import sys; sys.exit(sys.version_info < tuple(map(int, '$minimum'.split('.'))))" 2>/dev/null; then
        # The interpreter itself: a shim may choose differently in another folder, a virtual environment may be remade.
        "$name" -c 'import sys; print("%s/bin/python%d.%d" % (sys.base_prefix, *sys.version_info[:2]))'
        exit 0
    fi
done

echo "No Python $minimum or newer runs here (tried: $*); install one, or name it: make PYTHON=/path/to/python." >&2
exit 1
