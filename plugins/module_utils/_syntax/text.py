# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every configuration language shares: text that is changed by replacing spans of it, and nothing else.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import os
import posixpath
import re
from typing import NamedTuple


#: What makes a path of an include stand for any number of files.
WILDCARD = re.compile(r"[*?\[]")
#: How many characters of a text a sentence quotes.
_LONGEST = 80


class SyntaxProblem(Exception):
    """A file that cannot be understood; the text gives file, line and what was expected."""


class Splice(NamedTuple):
    """Put ``text`` in the place of ``source[start:end]``."""

    start: int
    end: int
    text: str


def decode(content):
    """Return bytes as text of one character a byte, so that every file comes back byte for byte."""
    return content.decode("latin-1")


def encode(source):
    """Return the bytes of text that came from decode()."""
    return source.encode("latin-1")


def path(source):
    """Return text that came from decode() as the path that it stands for."""
    return os.fsdecode(encode(source))


def shown(source):
    """Return text that came from decode() as people read it."""
    return encode(source).decode("utf-8", "replace")


def quoted(source):
    """Return text that came from decode() as a sentence quotes it: on one line, and without the end where it is long."""
    line = re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", shown(source))
    return f'"{line if len(line) <= _LONGEST else line[:_LONGEST] + "..."}"'


def folders(pattern, match):
    """Yield the folders in which a new entry may be one that ``pattern`` stands for: where the last ones do not exist,
    the one that they would be made in. ``match(pattern)`` returns the paths that exist.
    """
    folder = posixpath.dirname(pattern)
    while True:
        found = match(folder)
        yield from found
        if folder == "/" or (found and not WILDCARD.search(folder)):
            return
        folder = posixpath.dirname(folder)


def line_number(source, offset):
    """Return the line, counted from 1, that ``offset`` is in."""
    return source.count("\n", 0, offset) + 1


def newline(source):
    """Return the line ending that ``source`` uses."""
    return "\r\n" if "\r\n" in source else "\n"


def indentation(source, offset):
    """Return the blanks that the line of ``offset`` starts with."""
    start = source.rfind("\n", 0, offset) + 1
    end = start
    while end < len(source) and source[end] in " \t":
        end += 1
    return source[start:end]


def splice(source, splices):
    """Return ``source`` with every Splice done; they must not overlap."""
    for change in sorted(splices, reverse=True):
        source = source[: change.start] + change.text + source[change.end :]
    return source


def landed(splices):
    """Yield ``(Splice, offset)`` for each of ``splices`` in order: the offset that it starts at once all are done."""
    shift = 0
    for change in sorted(splices):
        yield change, change.start + shift
        shift += len(change.text) - (change.end - change.start)
