# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The language of cyrus.conf: sections in braces, with entries of a name and ``key=value`` arguments, one a line.

Reading follows masterconf_getsection(), process_section() and split_args() of Cyrus 3.6.1 and 3.10.2
(master/masterconf.c, the same in both). What they make of odd files was measured: the second section of a name is passed
over, as are an entry on the line that opens a section and a section whose brace is on the next line.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from . import text

_BLANK = " \t\r\n\v\f"
_SECTIONS = ("START", "SERVICES", "EVENTS", "DAEMON")
_NAME = re.compile("[A-Za-z0-9]*")
_ARGUMENT = re.compile(r'([A-Za-z0-9]*)=(?:"([^"]*)"|(?!")([^ \t\r\n\v\f]*))')
#: Cyrus reads 4095 bytes at a time, and takes what is left of a longer line for a line of its own.
_LONGEST = 4094
_MOST_ARGUMENTS = 64


class Argument(NamedTuple):
    """One argument: its ``key``, its ``value`` without quotes, and the offsets of the value in the text."""

    key: str
    value: str
    start: int
    end: int


class Entry:
    """One entry: its ``name``, the ``arguments`` as a list of Argument, its ``line`` number, and ``end``, the offset
    that one more argument may follow, after a blank.
    """

    def __init__(self, name, line, end):
        self.name = name
        self.line = line
        self.end = end
        self.arguments = []

    def argument(self, key):
        """Return the Argument of ``key`` that counts, which is the first, or None."""
        return next((argument for argument in self.arguments if argument.key == key), None)

    def value(self, key):
        """Return the value (text) of the argument ``key``, or None where there is none."""
        argument = self.argument(key)
        return None if argument is None else argument.value


class _Line(NamedTuple):
    """What a line says: without comment, and without the blanks that it starts with; ``start`` is its offset."""

    said: str
    start: int
    number: int


class File:
    """One configuration file: its ``path``, its text ``source``, and ``sections``, name to a list of Entry.

    Raises SyntaxProblem where Cyrus would not start with the file.
    """

    def __init__(self, path, source):
        self.path = path
        self.source = source
        self._lines = list(self._read_lines())
        self.sections = {name: list(self._section(name)) for name in _SECTIONS}

    def _problem(self, number, expected):
        return text.SyntaxProblem(f"{self.path}:{number}: expected {expected}.")

    def _read_lines(self):
        start = 0
        for number, line in enumerate(self.source.split("\n"), 1):
            if len(line) > _LONGEST or "\0" in line:
                raise self._problem(number, f"a line of at most {_LONGEST} bytes, none of them zero")
            said = line.lstrip(_BLANK)
            yield _Line(said.partition("#")[0], start + len(line) - len(said), number)
            start += len(line) + 1

    def _section(self, name):
        """Yield the entries of the section ``name``, which opens outside of all braces.

        Cyrus does not notice the brace that closes it, so that no other section of that name opens.
        """
        level = 0
        lines = iter(self._lines)
        for line in lines:
            if level == 0 and _opens(line.said, name):
                level = _depth(line.said)
                if level == 1:
                    yield from self._entries(lines)
            else:
                level += _depth(line.said)

    def _entries(self, lines):
        for line in lines:
            if line.said.startswith("}"):
                return
            if line.said:
                yield self._entry(line)

    def _entry(self, line):
        name = _NAME.match(line.said).group()
        rest = len(name)
        if rest < len(line.said):
            # Cyrus takes any character for the blank that ends an empty name.
            if name and line.said[rest] not in _BLANK:
                raise self._problem(line.number, f"a blank after {text.quoted(name)}")
            rest += 1
        entry = Entry(name, line.number, line.start + len(name))
        while line.said[rest:].strip(_BLANK):
            rest = len(line.said) - len(line.said[rest:].lstrip(_BLANK))
            match = _ARGUMENT.match(line.said, rest)
            if not match:
                raise self._problem(line.number, 'key=value or key="value" after what comes before')
            if len(entry.arguments) == _MOST_ARGUMENTS:
                raise self._problem(line.number, f"at most {_MOST_ARGUMENTS} arguments")
            group = 3 if match.group(2) is None else 2
            start, end = (line.start + offset for offset in match.span(group))
            entry.arguments.append(Argument(match.group(1), match.group(group), start, end))
            rest = match.end()
            entry.end = line.start + rest
        return entry


def _opens(said, name):
    """Whether a line opens the section ``name``: its first letter is a capital, the case of the others is free."""
    after = said[len(name) : len(name) + 1]
    return (
        said[:1] == name[:1]
        and said[: len(name)].upper() == name
        and not (after.isascii() and after.isalnum())
    )


def _depth(said):
    return said.count("{") - said.count("}")
