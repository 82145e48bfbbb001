# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Perdition's configuration language: lines of ``key value``, with their places in the text.
 Reading follows vanessa_config_file_read_fd() of vanessa_adt 0.0.9 (libvanessa_adt/config_file.c), which Perdition 2.2
hands its file to and whose words it then takes for command line options: the last of the same name wins. That function
loses a line that no newline ends, and takes an indented one for no option at all: both are refused here.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import re

from . import text

_LONGEST = 4093


class Option:
    """One option: its ``key``, and its ``value``, which is None where there is none.

    ``start`` and ``end`` are the offsets of the value as written; without one, of where it would stand.
    """

    def __init__(self, key, value, start, end):
        self.key = key
        self.value = value
        self.start = start
        self.end = end


class File:
    """One configuration file: its ``path``, its text ``source`` and its ``options`` in order. Raises SyntaxProblem."""

    def __init__(self, path, source):
        self.path = path
        self.source = source
        reader = _Reader(self)
        self.options = list(reader.read())
        self._ends_in_comment = reader.in_comment

    def line(self, option):
        """Return the line number that the value of ``option`` starts on."""
        return text.line_number(self.source, option.start)

    def problem(self, offset, expected):
        """Return a SyntaxProblem for what should have stood at ``offset``."""
        return text.SyntaxProblem(f"{self.path}:{text.line_number(self.source, offset)}: expected {expected}.")

    def in_force(self, *keys):
        """Return the Option that gives ``keys`` its value, the names of one option, long or of one letter; or None."""
        return next((option for option in reversed(self.options) if option.key in keys), None)

    def replaced(self, option, value):
        """Return the Splice that gives ``option`` the value ``value`` (text, one line)."""
        new = written(value)
        if option.value is None:
            new = f" {new}"
        elif self.source[option.start - 1] == "=" and new.startswith('"'):
            # What stands after "=" loses its last blanks in spite of quotes.
            return text.Splice(option.start - 1, option.end, f" {new}")
        return text.Splice(option.start, option.end, new)

    def added(self, key, value):
        """Return the Splice that adds ``key value`` at the end of the file."""
        ending = text.newline(self.source)
        lead = ending if self._ends_in_comment or self.source[-1:] not in ("", "\r", "\n") else ""
        if self.source.endswith("\\"):
            lead += ending
        return text.Splice(len(self.source), len(self.source), f"{lead}{key} {written(value)}{ending}")


class _Reader:
    def __init__(self, file):
        self.file = file
        self.source = file.source
        self.at = 0
        self.in_comment = False

    def peek(self):
        return self.source[self.at : self.at + 1]

    def read(self):
        """Yield the options of the file."""
        if "\0" in self.source:
            raise self.file.problem(self.source.index("\0"), "text, not a zero byte")
        while self.peek():
            if self.peek() in "\r\n":
                self.at += 1
            elif self.peek() == "#":
                self.skip_comment()
            elif self.peek() in " \t":
                self.skip_blanks()
                if self.peek() not in ("", "\r", "\n", "#"):
                    raise self.file.problem(self.at, "an option at the very start of the line")
            else:
                yield self.option()

    def skip_blanks(self):
        while self.peek() in (" ", "\t"):
            self.at += 1

    def skip_comment(self):
        """Pass over a comment, which goes on in the next line after a backslash."""
        while self.peek() not in ("", "\r", "\n"):
            self.at += 2 if self.peek() == "\\" else 1
        self.in_comment = not self.peek()

    def option(self):
        start = self.at
        key, end, equals = self.word(" \t")
        if not key or key[0] == "=" or key[-1] in " \t":
            raise self.file.problem(start, "the name of an option without blanks")
        if "=" in key and (equals is None or re.search(r"[\"'\\]", self.source[start:equals])):
            raise self.file.problem(start, 'no quotes before or around the "="')
        self.skip_blanks()
        if self.peek() not in ("", "\r", "\n", "#"):
            if equals:
                raise self.file.problem(self.at, f"one value for {text.quoted(key.partition('=')[0])}")
            start = self.at
            value, end, dummy = self.word("")
            option = Option(key, value, start, end)
        elif equals:
            key, dummy, value = key.partition("=")
            option = Option(key, value, equals, end)
        else:
            option = Option(key, None, end, end)
        if self.peek() == "#":
            self.skip_comment()
        if not self.peek():
            raise self.file.problem(start, "a newline after the last line, which Perdition does not see without")
        return option

    def word(self, ends):
        """Read up to one of ``ends``, a comment or the end of the line.

        Return the word without blanks after it, the offset where it ends, and the one after its first "=" or None.
        """
        start = end = self.at
        quote = ""
        value = []
        kept = 0
        equals = None
        while quote or self.peek() not in ("", "\r", "\n", "#", *ends):
            character = self.peek()
            if not character:
                raise self.file.problem(start, f"a closing {quote} for the one opened here")
            self.at += 1
            if character in "'\"" and quote in ("", character):
                quote = "" if quote else character
                kept = len(value)
            elif character == "\\" and quote != "'":
                character = self.peek()
                if not character:
                    raise self.file.problem(self.at - 1, "a character after the backslash")
                self.at += 1
                kept = len(value) + 1
                if character not in "\r\n":
                    value.append(character)
            elif character not in "\r\n":
                value.append(character)
                if character == "=" and equals is None and not quote:
                    equals = self.at
                if character in " \t" and not quote:
                    continue
            end = self.at
        while len(value) > kept and value[-1] in " \t":
            value.pop()
        if len(value) > _LONGEST:
            raise self.file.problem(start, f"at most {_LONGEST} characters")
        return "".join(value), end, equals


def written(value):
    """Return ``value`` (text, one line) as it must be written for Perdition to read it as that."""
    if re.fullmatch(r"[^\s\"'#\\]+", value):
        return value
    return '"' + re.sub(r'([\\"])', r"\\\1", value) + '"'
