# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the configuration languages share: our own files, a corpus of real ones, and hosts to compare with.

The corpus is a folder with real configuration files: the one that MAILOPS_IMAP_CORPUS names, or ``shared/corpus`` in a
folder that the repository is in. Its ``MANIFEST.tsv`` has the columns ``file`` and ``kind``. It is no part of the
repository; without it the tests that want it are skipped.

MAILOPS_IMAP_BOOKWORM and MAILOPS_IMAP_TRIXIE are the words of a command that runs a shell, which reads a script from
its standard input, on a host of that Debian suite with the daemons installed: ``chroot FOLDER sh``, or ``ssh root@HOST
sh``.
"""

from __future__ import annotations

import base64
import csv
import fnmatch
import io
import os
import re
import shlex
import subprocess
import tarfile
from pathlib import Path, PurePosixPath

import pytest

#: Marks of templates in the corpus, of which a program makes configurations: Jinja, ERB, sed, autoconf, Python, Zimbra.
TEMPLATE = re.compile("{%|{{|<%|%%|@[A-Z_]+@|{[A-Z_]+}|!{")

OWN_FILES = Path(__file__).resolve().parents[2] / "files"


def _corpus_folder():
    named = os.environ.get("MAILOPS_IMAP_CORPUS")
    if named:
        return Path(named)
    for folder in Path(__file__).resolve().parents:
        candidate = folder / "shared" / "corpus"
        if (candidate / "MANIFEST.tsv").is_file():
            return candidate
    return None


def corpus(*kinds):
    """A list of pytest parameters: the path of each file of the corpus that is one of ``kinds``; a skipped one without
    the corpus."""
    folder = _corpus_folder()
    if folder is None:
        return [pytest.param(None, id="corpus", marks=pytest.mark.skip(reason="needs the corpus of real files"))]
    with open(folder / "MANIFEST.tsv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    found = [pytest.param(folder / row["file"], id=row["file"]) for row in rows if row["kind"] in kinds]
    assert found, f"the corpus has no file of the kind {kinds}"
    return found


def corpus_kinds():
    """The kinds of all files of the corpus, sorted; none without the corpus."""
    folder = _corpus_folder()
    if folder is None:
        return []
    with open(folder / "MANIFEST.tsv", encoding="utf-8", newline="") as stream:
        return sorted({row["kind"] for row in csv.DictReader(stream, delimiter="\t")})


def own_files(prefix):
    """A list of pytest parameters: the path of each of our own files whose name begins with ``prefix``."""
    found = sorted(path for path in OWN_FILES.glob(f"{prefix}*") if path.suffix != ".license")
    assert found, f"no file in {OWN_FILES} begins with {prefix}"
    return [pytest.param(path, id=path.name) for path in found]


class Folder:
    """Files in memory, path to bytes, with the ``read`` and ``match`` that the readers want."""

    def __init__(self, files):
        self.files = files

    def read(self, path):
        return self.files[path]

    def match(self, pattern):
        def fits(path):
            names, patterns = path.split("/"), pattern.split("/")
            return len(names) == len(patterns) and all(
                name == wanted or (fnmatch.fnmatchcase(name, wanted) and name.startswith(".") == wanted.startswith("."))
                for name, wanted in zip(names, patterns)
            )

        folders = {str(parent) for path in self.files for parent in PurePosixPath(path).parents}
        return sorted(path for path in {*self.files, *folders} if fits(path))


def changed_lines(before, after):
    """``(lines of before, lines of after)`` that differ, once what both begin and end with is taken off."""
    before, after = before.split("\n"), after.split("\n")
    while before and after and before[0] == after[0]:
        before, after = before[1:], after[1:]
    while before and after and before[-1] == after[-1]:
        before, after = before[:-1], after[:-1]
    return before, after


def host(suite):
    """The words that run a shell on a host of ``suite`` (``bookworm`` or ``trixie``); skips the test where there is
    none."""
    command = os.environ.get(f"MAILOPS_IMAP_{suite.upper()}")
    if not command:
        pytest.skip(f"needs a {suite} host in MAILOPS_IMAP_{suite.upper()}")
    return shlex.split(command)


def judge(shell, cases, script):
    """Run ``script`` in one folder for each case, all in one go; return a list of ``{name: bytes}`` of the folders
    afterwards.

    ``cases`` is a list of ``{name: bytes}``; ``shell`` comes from host().
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for number, files in enumerate(cases):
            for name, content in files.items():
                entry = tarfile.TarInfo(f"{number}/{name}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    whole = (
        "set -e; folder=$(mktemp -d); cd $folder\n"
        f"base64 -d <<END | tar -xz\n{base64.encodebytes(packed.getvalue()).decode()}END\n"
        f"for case in *; do (cd $case; set +e; exec >/dev/null 2>&1; {script}\n) </dev/null || :; done\n"
        "tar -cz . ; cd /; rm -rf $folder\n"
    )
    done = subprocess.run(shell, input=whole.encode(), capture_output=True, check=True, timeout=600)
    results = [{} for case in cases]
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for entry in archive:
            number, dummy, name = entry.name.removeprefix("./").partition("/")
            if entry.isfile():
                results[int(number)][name] = archive.extractfile(entry).read()
    return results
