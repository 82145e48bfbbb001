# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the Python interpreters of this machine that really run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def candidates(version: str) -> list[str]:
    """Paths that may be Python `version` ("3.12"): the name on PATH first, then what pyenv keeps off PATH."""
    found = [path for path in (shutil.which(f"python{version}"), shutil.which(f"/usr/bin/python{version}")) if path]
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False).stdout.strip()
        found += sorted(str(path) for path in Path(root, "versions").glob(f"{version}.*/bin/python{version}"))
    return found


def find(version: str) -> str | None:
    """The interpreter of Python `version`, or None; a shim on PATH proves nothing, so each candidate is run.

    Debian has what makes virtual environments in a package of its own, which is installed where it is missing. Raises
    CalledProcessError when it cannot be.
    """
    script = "import sys; print('%d.%d' % sys.version_info[:2], sys.base_prefix)"
    for path in candidates(version):
        answer = subprocess.run([path, "-c", script], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.split()[0] == version:
            interpreter = f"{answer.stdout.split(maxsplit=1)[1].strip()}/bin/python{version}"
            complete = subprocess.run([interpreter, "-c", "import ensurepip, venv"], capture_output=True, check=False)
            if complete.returncode:
                installer = Path(__file__).with_name("install-packages.sh")
                subprocess.run(["bash", installer, f"python{version}-venv"], check=True)
            return interpreter
    return None
