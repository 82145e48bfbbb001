#!/bin/sh
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Installs what the lab needs on this machine, only what is missing.

set -eu

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "prepare: The lab needs a Debian machine: there is no apt-get here." >&2
    exit 1
fi

missing=
for package in apt-cacher-ng debian-archive-keyring debootstrap iproute2 openssh-client systemd-container; do
    if ! dpkg-query --show --showformat='${Status}\n' "$package" 2>/dev/null | grep -q ' installed$'; then
        missing="$missing $package"
    fi
done
if [ -z "$missing" ]; then
    exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
    echo "prepare: Installing packages takes root: run as root, or install them yourself:$missing." >&2
    exit 1
fi

# The lab runs a package cache of its own. A service that comes with a package starts neither now nor at boot; one that
# was here before is left as it is.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
fi

echo "Installing on this machine with apt-get:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
install_missing() {
    # shellcheck disable=SC2086 # one word for each package
    apt-get -y -q --no-install-recommends install $missing
}
# Package lists may be missing or old: fetch them only then.
if ! install_missing >"$log" 2>&1 && ! { apt-get -q update && install_missing; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    echo "prepare: apt-get could not install$missing: its last words are above." >&2
    exit 1
fi
rm -f "$log"
case "$missing " in
    *" apt-cacher-ng "*) systemctl disable apt-cacher-ng.service >/dev/null 2>&1 || update-rc.d apt-cacher-ng disable ;;
esac
