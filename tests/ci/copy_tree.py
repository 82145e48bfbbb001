# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copy the files that git knows or does not ignore into a folder, as ansible-test and the build want to see them.

Usage: copy_tree.py DESTINATION STAMP

Files that went away are removed from the copy; STAMP is touched only when something changed.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path


def listed_files() -> set[Path]:
    """Files of the work tree, tracked or not, that git does not ignore and that still exist."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode().split("\0")
    return {Path(name) for name in names if name and os.path.lexists(name)}


def same(source: Path, target: Path) -> bool:
    """Whether the copy is up to date: same kind, same mode, same content or same link."""
    if not os.path.lexists(target) or source.is_symlink() != target.is_symlink():
        return False
    if source.is_symlink():
        return os.readlink(source) == os.readlink(target)
    return source.stat().st_mode == target.stat().st_mode and filecmp.cmp(source, target, shallow=False)


def main() -> None:
    destination, stamp = Path(sys.argv[1]), Path(sys.argv[2])
    wanted = listed_files()
    changed = not stamp.exists()
    # Tools ask git what belongs to the collection, and would find the ignored folder of the outer repository.
    if not (destination / ".git").exists():
        subprocess.run(["git", "init", "--quiet", str(destination)], check=True)
    for folder, _folders, names in os.walk(destination, topdown=False):
        if Path(folder).relative_to(destination).parts[:1] == (".git",):
            continue
        for name in names:
            path = Path(folder, name)
            if path.relative_to(destination) not in wanted:
                changed = changed or path.suffix != ".pyc"
                path.unlink()
        if not os.listdir(folder):
            os.rmdir(folder)
    for source in sorted(wanted):
        target = destination / source
        if not same(source, target):
            changed = True
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    if changed:
        subprocess.run(["git", "-C", str(destination), "add", "--all"], check=True)
        stamp.touch()


if __name__ == "__main__":
    main()
