# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Courier's configuration language: shell assignments, with their places in the text.
 /usr/lib/courier/imapd of Courier 5.0.13 (Debian 12) is a shell script that reads its configuration with ``.``, so that
the last assignment of a name wins. A file with anything but assignments and comments is refused here, and so is to
change a value that only a shell can tell. Reading follows "Shell Command Language" of POSIX.1-2017, measured with dash
0.5.12.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import re

from . import text

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])")
# Expansions that end where they seem to, because nothing inside them quotes or nests.
_EXPANSION = re.compile(r"""\$\{[A-Za-z_][^{}'"`$\\\n]*\}|\$\([^(){}'"`$\\#<;\n]*\)|`[^`\\]*`""")


class Assignment:
    """``NAME=value``: the ``value`` that the shell makes of it, or None where only a shell can tell.

    ``start`` and ``end`` are the offsets of the value as written.
    """

    def __init__(self, name, value, start, end):
        self.name = name
        self.value = value
        self.start = start
        self.end = end


class File:
    """One configuration file: its ``path``, its text ``source`` and its ``assignments`` in order. Raises
    SyntaxProblem."""

    def __init__(self, path, source):
        self.path = path
        self.source = source
        self.assignments = list(_Reader(self).read())

    def line(self, assignment):
        """Return the line number that the value of ``assignment`` starts on."""
        return text.line_number(self.source, assignment.start)

    def problem(self, offset, expected):
        """Return a SyntaxProblem for what should have stood at ``offset``."""
        return text.SyntaxProblem(f"{self.path}:{text.line_number(self.source, offset)}: expected {expected}.")

    def in_force(self, name):
        """Return the Assignment that gives ``name`` its value, or None."""
        return next((assignment for assignment in reversed(self.assignments) if assignment.name == name), None)

    def replaced(self, assignment, value):
        """Return the Splice that gives ``assignment`` the value ``value`` (text).

        Raises SyntaxProblem where only a shell can tell what the value is now.
        """
        if assignment.value is None:
            raise self.problem(assignment.start, f"a value without expansions after {assignment.name}=")
        return text.Splice(assignment.start, assignment.end, written(value))

    def replaced_part(self, assignment, start, end, part):
        """Return the Splice that puts ``part`` (text) in the place of ``value[start:end]`` of ``assignment``; the quotes
        around the value stay, where that is all that they are.

        Raises SyntaxProblem where only a shell can tell what the value is now.
        """
        raw, value = self.source[assignment.start : assignment.end], assignment.value
        if value is not None and raw in (value, f"'{value}'", f'"{value}"') and written(part) == part:
            first = assignment.start + (len(raw) - len(value)) // 2
            return text.Splice(first + start, first + end, part)
        return self.replaced(assignment, f"{(value or '')[:start]}{part}{(value or '')[end:]}")

    def added(self, name, value):
        """Return the Splice that adds ``name=value`` at the end of the file."""
        lead = "" if not self.source or self.source.endswith("\n") else "\n"
        return text.Splice(len(self.source), len(self.source), f"{lead}{name}={written(value)}\n")


class _Reader:
    def __init__(self, file):
        self.file = file
        self.source = file.source
        self.at = 0

    def peek(self):
        return self.source[self.at : self.at + 1]

    def read(self):
        """Yield the assignments of the file."""
        if "\0" in self.source:
            raise self.file.problem(self.source.index("\0"), "text, not a zero byte")
        command = ""
        while self.at < len(self.source):
            if self.source.startswith("\\\n", self.at):
                self.at += 2
            elif self.peek() in " \t":
                self.at += 1
            elif self.peek() == "#":
                self.at = (self.source.find("\n", self.at) + 1 or len(self.source) + 1) - 1
            elif self.peek() == "\n" or (self.peek() == ";" and command):
                self.at += 1
                command = ""
            else:
                start = self.at
                match = _NAME.match(self.source, start)
                name = match.group() if match else ""
                self.at += len(name)
                if name == "export" and not command and self.peek() in (" ", "\t"):
                    command = "export"
                elif name and self.peek() == "=":
                    self.at += 1
                    yield self.assignment(name, command == "export")
                    command = command or "assignment"
                elif not (name and command == "export" and self.peek() in ("", " ", "\t", "\n", ";")):
                    raise self.file.problem(start, "NAME=value, and no other command of a shell")

    def assignment(self, name, exported):
        start = self.at
        value = []
        known = True
        while self.peek() not in ("", " ", "\t", "\n", ";"):
            character = self.peek()
            if character in "|&<>()":
                raise self.file.problem(self.at, f'quotes around the "{character}"')
            if character in "'\"":
                part = self.quoted(character)
            elif character == "\\":
                part = self.escaped("")
            elif character in "$`":
                part = self.expansion("")
            else:
                self.at += 1
                tilde = character == "~" and (self.at == start + 1 or self.source[self.at - 2] == ":")
                part = None if tilde or (exported and character in "*?[") else character
            known = known and part is not None
            value.append(part or "")
        return Assignment(name, "".join(value) if known else None, start, self.at)

    def quoted(self, quote):
        """Read what ``quote`` encloses; return what it stands for, or None where only a shell can tell."""
        start = self.at
        self.at += 1
        value = []
        while self.peek() != quote:
            if not self.peek():
                raise self.file.problem(start, f"a closing {quote} for the one opened here")
            if quote == '"' and self.peek() == "\\":
                value.append(self.escaped('$`"\\'))
            elif quote == '"' and self.peek() in "$`":
                value.append(self.expansion('"'))
            else:
                value.append(self.peek())
                self.at += 1
        self.at += 1
        return None if None in value else "".join(value)

    def escaped(self, special):
        """Read a backslash and what follows; where ``special`` is not empty, it is a backslash itself before all
        else."""
        follower = self.source[self.at + 1 : self.at + 2]
        if not follower:
            raise self.file.problem(self.at, "a character after the backslash")
        if follower == "\n":
            self.at += 2
            return ""
        if special and follower not in special:
            self.at += 1
            return "\\"
        self.at += 2
        return follower

    def expansion(self, quote):
        """Read what begins with ``$`` or a backtick inside of ``quote``; return None, or "$" where it stands for
        itself."""
        match = _PARAMETER.match(self.source, self.at) or _EXPANSION.match(self.source, self.at)
        if match:
            self.at = match.end()
            return None
        follower = self.source[self.at + 1 : self.at + 2]
        if self.peek() == "`" or follower in ("{", "(", "\\") or (not quote and follower in ("'", '"')):
            raise self.file.problem(self.at, "an expansion without quotes and others inside it")
        self.at += 1
        return "$"


def written(value):
    """Return ``value`` (text) as it must be written for a shell to read it as that."""
    if re.fullmatch(r"[A-Za-z0-9_./:,@%+=-]*", value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"
