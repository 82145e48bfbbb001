# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the unit tests, which check playbooks and roles on the controller too, under each ansible-core that is supported.

A core for which no Python is at hand is left out; one that has a Python and still cannot be installed is a failure.

Usage: unit_cores.py COLLECTION_FOLDER VENVS_FOLDER [PYTEST_OPTION ...]
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import interpreters

# pip requirement for ansible-core, and the Python versions that release supports on the controller, best first.
CORES = {
    "ansible-core ~= 2.16.0": ["3.11", "3.12", "3.10"],
    "ansible-core ~= 2.19.0": ["3.11", "3.12", "3.13"],
    "ansible-core >= 2.20": ["3.13", "3.14", "3.12"],
}


def main() -> None:
    folder, venvs, options = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3:]
    environment = {**os.environ, "PYTHONPATH": str(folder.parents[2])}
    results = []
    for core, versions in CORES.items():
        python = next(filter(None, map(interpreters.find, versions)), None)
        if not python:
            results.append((core, f"not run: none of Python {', '.join(versions)} is on this machine"))
            continue
        venv = venvs / core.split()[-1]
        installed = subprocess.run(
            ["bash", "tests/ci/make-venv.sh", str(venv), python, core, "tests/unit/requirements.txt"], check=False)
        if installed.returncode:
            results.append((core, "failed: it could not be installed"))
            continue
        version = subprocess.run([venv / "bin/python", "-c", "import ansible.release as r; print(r.__version__)"],
                                 check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        print(f"ansible-core {version} on {python}", flush=True)
        status = subprocess.run([venv / "bin/python", "-m", "pytest", "--quiet", "-n", "auto", "tests/unit", *options],
                                cwd=folder, env=environment, check=False).returncode
        results.append((f"{core} ({version}, {python})", "failed" if status else "passed"))
    for core, result in results:
        print(f"{core}: {result}")
    outcomes = {result.split(":")[0] for _core, result in results}
    sys.exit("failed" in outcomes or "passed" not in outcomes)


if __name__ == "__main__":
    main()
