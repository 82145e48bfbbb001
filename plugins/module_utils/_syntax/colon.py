# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cyrus' configuration language: lines of ``key: value``, with ``@include``.

Reading follows config_read_file() of Cyrus 3.6 to 3.12 (lib/libconfig.c): keys have letters, digits, ``-`` and ``_``
and no case, a line that ends in a backslash goes on in the next, and a comment takes a line of its own.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import re

from . import text

_LINE = re.compile(r"(?:[^\n]*\\\n)*[^\n]*(?:\n|\Z)")
# Only ASCII has blanks here: the bytes of other letters are not to be taken for some.
_OPTION = re.compile(r"\s*(@?[A-Za-z0-9_-]*)(:?)\s*(.*?)\s*\Z", re.DOTALL | re.ASCII)
_NOTHING = re.compile(r"\s*(?:#.*)?\Z", re.DOTALL | re.ASCII)
_LONGEST = 2**31 - 1


class Option:
    """One option: its ``key`` in lower case, its ``value``, and the offsets ``start`` and ``end`` of the value in the
    text.
    """

    def __init__(self, key, value, start, end):
        self.key = key
        self.value = value
        self.start = start
        self.end = end


class File:
    """One configuration file: its ``path``, its text ``source`` and its ``options``. Raises SyntaxProblem."""

    def __init__(self, path, source):
        self.path = path
        self.source = source
        self.options = list(self._read())

    def line(self, option):
        """Return the line number that the value of ``option`` starts on."""
        return text.line_number(self.source, option.start)

    def _read(self):
        for match in _LINE.finditer(self.source):
            line, offsets = _joined(match)
            if _NOTHING.match(line):
                continue
            option = _OPTION.match(line)
            if not option.group(2) or not option.group(3):
                number = text.line_number(self.source, match.start())
                raise text.SyntaxProblem(f'{self.path}:{number}: expected "key: value".')
            start, end = offsets[option.start(3)], offsets[option.end(3) - 1] + 1
            yield Option(option.group(1).lower(), option.group(3), start, end)


def _joined(match):
    """Return the line of a ``match`` with its continuations, and where in the text each of its characters stands.

    Cyrus forgets a line that goes on where the file ends.
    """
    line = match.group()
    if line.endswith("\\\n"):
        return "", []
    kept = [number for start, end in _pieces(line) for number in range(start, end)]
    return line.replace("\\\n", ""), [match.start() + number for number in kept]


def _pieces(line):
    """Yield the ``(start, end)`` of what stands between the continuations of ``line``."""
    start = 0
    for piece in line.split("\\\n"):
        yield start, start + len(piece)
        start += len(piece) + 2


def read_tree(main, read):
    """Return the list of Files that ``main`` is made of, in reading order; ``read(path)`` returns bytes. Raises
    SyntaxProblem.
    """
    files = []

    def include(path):
        if any(file.path == path for file in files):
            raise text.SyntaxProblem(f"{path}:1: expected a file that is included once.")
        file = File(path, text.decode(read(path)))
        files.append(file)
        for option in file.options:
            if option.key == "@include":
                include(text.path(option.value))

    include(main)
    return files


def seconds(written, unit):
    """Return the seconds (int) that ``written`` (text) stands for, or None where Cyrus would refuse it.

    A number without a unit counts in ``unit``, one of d, h, m and s; such parts add up, to 31 bits at most
    (config_parseduration() of Cyrus 3.6 to 3.12, lib/libconfig.c; 3.6 does not notice when there are more).
    """
    if written[-1:].isdigit():
        written += unit
    match = re.fullmatch(r"(-?)((?:[0-9]+[dhms])+)", written)
    if not match:
        return None
    weights = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    total = sum(int(number) * weights[letter] for number, letter in re.findall(r"([0-9]+)([dhms])", match.group(2)))
    if total > _LONGEST:
        return None
    return -total if match.group(1) else total


def integer(written):
    """Return the int that ``written`` (text) stands for, or None where Cyrus would refuse it or could not hold it.

    A leading 0x makes it hexadecimal, a leading 0 octal (config_read_file() of Cyrus 3.6 to 3.12, lib/libconfig.c, and
    measured).
    """
    match = re.fullmatch(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]*)|([1-9][0-9]*))", written, re.ASCII)
    if not match:
        return None
    sign, hexadecimal, octal, decimal = match.groups()
    if hexadecimal:
        number = int(hexadecimal, 16)
    else:
        number = int(decimal) if decimal else int(octal or "0", 8)
    if number > _LONGEST:
        return None
    return -number if sign == "-" else number
