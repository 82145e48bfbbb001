# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run every test of `ansible-test sanity` on the clean copy of the tree; a test that could not run is a failure.

Usage: sanity.py COLLECTION_FOLDER HOME_FOLDER [ANSIBLE_TEST_OPTION ...]

HOME_FOLDER becomes the home of ansible-test, which keeps its virtual environments and its pip installer there.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import interpreters
from ansible_test._internal.python_requirements import get_venv_packages
from ansible_test._util.target.common.constants import CONTROLLER_PYTHON_VERSIONS, REMOTE_ONLY_PYTHON_VERSIONS

# What stands in for the get-pip.py that ansible-test would download: the pip that Python itself brings along
# installs the release that ansible-test asks for.
PIP_INSTALLER = """\
import subprocess
import sys

wanted = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
subprocess.check_call([sys.executable, "-m", "ensurepip", "--upgrade", "--default-pip"], stdout=subprocess.DEVNULL)
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", *wanted])
"""

# Plugins that run on servers support these and newer (see tests/config.yml).
OLDEST_PYTHON = (3, 8)

# What ansible-test prints when it leaves a test out for lack of a tool or an interpreter.
LEFT_OUT = re.compile(r"^WARNING: (?:Skipping sanity test|Required program|All targets skipped|Skipping tests disabled).*", re.M)


def prepare_home(home: Path, interpreters_by_version: dict[str, str]) -> None:
    """Fill the home folder: interpreters, the pip installer under each name asked for, and the caller's pip settings."""
    cache, programs = home / ".ansible/test/cache", home / "bin"
    cache.mkdir(parents=True, exist_ok=True)
    programs.mkdir(exist_ok=True)
    for version, interpreter in interpreters_by_version.items():
        pip = get_venv_packages(SimpleNamespace(version=version))["pip"]
        (cache / f"get_pip_{pip.replace('.', '_')}.py").write_text(PIP_INSTALLER)
        # ansible-test makes virtual environments with the pythonX.Y that comes first on PATH.
        (programs / f"python{version}").unlink(missing_ok=True)
        (programs / f"python{version}").symlink_to(interpreter)

    # ansible-test hands on neither HOME's pip settings, when HOME changes, nor PIP_* variables.
    settings = configparser.RawConfigParser()
    settings.read([Path.home() / ".pip/pip.conf", Path.home() / ".config/pip/pip.conf"])
    variables = {name[4:].lower().replace("_", "-"): value for name, value in os.environ.items() if name[:4] == "PIP_"}
    settings.read_dict({"global": {"quiet": "2", **variables}})
    (home / ".config/pip").mkdir(parents=True, exist_ok=True)
    with (home / ".config/pip/pip.conf").open("w") as stream:
        settings.write(stream)


def run(command: list[str], folder: Path, home: Path) -> tuple[int, str]:
    """Run a command, show what it prints while it runs, and return its status and output."""
    path = os.pathsep.join([str(Path(sys.executable).parent), str(home / "bin"), os.environ["PATH"]])
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, "HOME": str(home), "PATH": path},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    return process.wait(), "".join(lines)


def main() -> None:
    folder, home, options = Path(sys.argv[1]), Path(sys.argv[2]).resolve(), sys.argv[3:]
    ansible_test = str(Path(sys.executable).parent / "ansible-test")
    controller = "%d.%d" % sys.version_info[:2]

    targets = {}
    for version in REMOTE_ONLY_PYTHON_VERSIONS + CONTROLLER_PYTHON_VERSIONS:
        if tuple(map(int, version.split("."))) >= OLDEST_PYTHON:
            targets[version] = sys.executable if version == controller else interpreters.find(version)
    present = {version: path for version, path in targets.items() if path}
    absent = [version for version, path in targets.items() if not path]
    print(f"Python versions for compile and import: {', '.join(present)}"
          + (f" (not on this machine: {', '.join(absent)})" if absent else ""), flush=True)

    prepare_home(home, present)
    listing = subprocess.run([ansible_test, "sanity", "--list-tests", "--allow-disabled"], cwd=folder, check=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout.split()
    command = [ansible_test, "sanity", "--color", "no", "--allow-disabled",
               "--controller", f"origin:python={controller}"]
    for version in present:
        command += ["--target-python", version]
    status, output = run(command + options, folder, home)

    left_out = LEFT_OUT.findall(output)
    ran = set(re.findall(r'Running sanity test "([^"]+)"', output))
    if not options:
        left_out += [f"Sanity test {name} did not run." for name in sorted(set(listing) - ran)]
    ignores = sorted(folder.glob("tests/sanity/ignore*.txt"))
    left_out += [f"{path.relative_to(folder)} is there, but nothing may be ignored." for path in ignores]
    if left_out:
        print("Not every sanity test was on:", *left_out, sep="\n  ", file=sys.stderr)
    else:
        print(f"{len(ran)} sanity tests ran, none was left out")
    sys.exit(status or bool(left_out))


if __name__ == "__main__":
    main()
