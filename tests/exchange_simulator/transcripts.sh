#!/usr/bin/env bash
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Fetches pypsrp's recorded exchanges with Windows, which are in its source package and no part of this project.
# Usage: transcripts.sh PYTHON FOLDER

set -euo pipefail

python=$1
folder=$2
[ ! -e "$folder/.complete" ] || exit 0

version=$("$python" -c 'import importlib.metadata as metadata; print(metadata.version("pypsrp"))')
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
mkdir -p "$folder"
if ! "$python" -m pip download --quiet --quiet --disable-pip-version-check --no-input --no-deps --no-binary :all: \
    --dest "$download" "pypsrp==$version"; then
    echo "The source package of pypsrp $version cannot be had; its recordings are not compared." >&2
    exit 0
fi
"$python" - "$download"/pypsrp-*.tar.gz "$folder" <<'END'
import pathlib
import sys
import tarfile

with tarfile.open(sys.argv[1]) as package:
    for member in package:
        path = pathlib.PurePath(member.name)
        if member.isfile() and path.parent.name == "responses" and path.suffix == ".yml":
            pathlib.Path(sys.argv[2], path.name).write_bytes(package.extractfile(member).read())
END
touch "$folder/.complete"
