#!/usr/bin/env bash
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Installs the built collection alone, strips it to meta/ plugins/ roles/ playbooks/, and shows that it still works.
# Usage: stripped-collection.sh ARTIFACT FOLDER

set -euo pipefail

artifact=$1
folder=$2

rm -rf "$folder"
export ANSIBLE_COLLECTIONS_PATH=$folder
ansible-galaxy collection install --offline --collections-path "$folder" "$artifact" >/dev/null
ansible-galaxy collection verify --offline --collections-path "$folder" mailops.imap

collection=$folder/ansible_collections/mailops/imap
find "$collection" -mindepth 1 -maxdepth 1 \
    ! -name meta ! -name plugins ! -name roles ! -name playbooks -exec rm -rf {} +
ls "$collection"

export ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_INVENTORY_UNPARSED_WARNING=false

documented() {  # documented TYPE NAME: it is listed, and its documentation has a short description
    local listing documentation
    listing=$(ansible-doc --type "$1" --list --json mailops.imap)
    documentation=$(ansible-doc --type "$1" --json "mailops.imap.$2")
    grep --quiet "\"mailops.imap.$2\":" <<< "$listing" ||
        { echo "ansible-doc does not list the $1 $2." >&2; return 1; }
    grep --quiet '"short_description": ".' <<< "$documentation" ||
        { echo "ansible-doc has no short description of the $1 $2." >&2; return 1; }
    echo "documented: $1 $2"
}

for file in "$collection"/plugins/modules/[!_]*.py; do
    documented module "$(basename "$file" .py)"
done
for type in callback filter inventory lookup test vars; do
    for file in "$collection/plugins/$type"/[!_]*.py; do
        [ -e "$file" ] || continue
        documented "$type" "$(basename "$file" .py)"
    done
done
for role in "$collection"/roles/*/; do
    documented role "$(basename "$role")"
done

printf '[imap_servers]\nlocalhost ansible_connection=local ansible_python_interpreter=%s\n' \
    "$(command -v python)" > "$folder/inventory"
for playbook in "$collection"/playbooks/*.yml; do
    ansible-playbook --inventory "$folder/inventory" --syntax-check "mailops.imap.$(basename "$playbook" .yml)"
done

echo "imap_settings_validate accepts 8 s and refuses 0 s"
ansible localhost --inventory "$folder/inventory" --module-name mailops.imap.imap_settings_validate \
    --args authenticated_connection_timeout=8 >/dev/null
if answer=$(ansible localhost --inventory "$folder/inventory" --module-name mailops.imap.imap_settings_validate \
    --args authenticated_connection_timeout=0 2>&1); then
    echo "imap_settings_validate accepted 0 s." >&2
    exit 1
fi
grep --quiet authenticated_connection_timeout <<< "$answer"

echo "imap_probe runs, and says that nothing listens on port 1"
if answer=$(ansible localhost --inventory "$folder/inventory" --module-name mailops.imap.imap_probe \
    --args 'port=1 max_wait=0.5' 2>&1); then
    echo "imap_probe greeted a server that is not there." >&2
    exit 1
fi
grep --quiet '127.0.0.1' <<< "$answer"
