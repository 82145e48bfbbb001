# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot a Debian 12 and a Debian 13 host with the daemons, and compare our reading of their configurations with theirs.

Needs the copy that ``make tree`` makes. Takes arguments for pytest. Fails where a comparison is skipped for lack of a
host. The hosts with the daemons are kept as images of the lab, so all but the first run start at once.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

import images  # noqa: E402

LAB = ROOT / "tests" / "lab" / "lab.py"
TREE = ROOT / "build" / "tree"
COLLECTION = TREE / "ansible_collections" / "mailops" / "imap"
NAME = "syntax"
PACKAGES = {
    "bookworm": "dovecot-imapd dovecot-pop3d dovecot-lmtpd cyrus-common perdition",
    "trixie": "dovecot-imapd dovecot-pop3d dovecot-lmtpd cyrus-common",
}
INSTALL = (
    "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && "
    "apt-get -qq update && "
    "DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install {} >/dev/null"
)


def lab(*arguments):
    subprocess.run([sys.executable, LAB, *arguments], check=True)


def image(suite):
    """The name of the image with the packages of a suite, another one whenever what goes into it changes."""
    recipe = f"{images.recipe()} {INSTALL} {PACKAGES[suite]}"
    return f"{suite}+syntax-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def shell(suite):
    """The words of an ssh command that runs a shell on the host of a suite."""
    inventory = yaml.safe_load((ROOT / "build" / "lab" / NAME / "inventory.yml").read_text(encoding="utf-8"))
    variables = inventory["imap_servers"]["hosts"][f"{NAME}-{suite}"]
    return (
        f"ssh -q -F none -i {variables['ansible_ssh_private_key_file']} {variables['ansible_ssh_common_args']} "
        f"root@{variables['ansible_host']} sh"
    )


def install(suite):
    subprocess.run(shell(suite).split(), check=True, input=INSTALL.format(PACKAGES[suite]), text=True)
    lab("freeze", NAME, f"{NAME}-{suite}", image(suite).partition("+")[2])


def make_images():
    """Make the images that are not there, all at once, and forget those of other packages."""
    present = images.images()
    missing = [suite for suite in PACKAGES if image(suite) not in present]
    for name in present:
        if "+syntax-" in name and name not in map(image, PACKAGES):
            lab("forget", name)
    if missing:
        lab("up", NAME, *(f"{NAME}-{suite}={suite}" for suite in missing))
        with ThreadPoolExecutor() as pool:
            list(pool.map(install, missing))
        lab("down", NAME)


def main():
    lab("down", NAME)
    try:
        make_images()
        lab("up", NAME, *(f"{NAME}-{suite}={image(suite)}" for suite in PACKAGES))
        environment = {**os.environ, "PYTHONPATH": str(TREE)}
        environment.update({f"MAILOPS_IMAP_{suite.upper()}": shell(suite) for suite in PACKAGES})
        folder = COLLECTION / "tests" / "unit" / "plugins" / "module_utils"
        tests = [*sorted(folder.glob("test_syntax_*.py")), folder / "test_servers_dovecot.py"]
        chosen = "doveconf or cyrus_generated or perdition"
        command = [sys.executable, "-m", "pytest", "-rs", "-n", "auto", "-k", chosen, *tests, *sys.argv[1:]]
        done = subprocess.run(command, env=environment, check=False, cwd=COLLECTION, stdout=subprocess.PIPE, text=True)
        print(done.stdout)
        sys.exit(done.returncode or ("needs a " in done.stdout))
    finally:
        lab("down", NAME)


if __name__ == "__main__":
    main()
