# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The little of PowerShell's language that a runspace with language understands here: cmdlets, pipes and literals.

Guess: whatever else a script has, the simulator refuses it as PowerShell refuses what it cannot parse.
"""

from __future__ import annotations

import re

from .cmdlets import ErrorCategory, Terminated

_TOKENS = re.compile(
    r"""(?P<space>[ \t]+|`\r?\n) | (?P<end>[;\r\n]+) | (?P<pipe>\|) | (?P<comma>,) | (?P<open>@?\() | (?P<close>\))
    | '(?P<single>(?:[^']|'')*)' | "(?P<double>[^"$`]*)" | (?P<parameter>-[A-Za-z]\w*:?)
    | \$(?P<constant>true|false|null)\b | (?P<number>-?\d+)(?=[\s,;|)]|$) | (?P<word>[^\s;|,()'"$@{}&]+)""",
    re.VERBOSE | re.IGNORECASE,
)
_CONSTANTS = {"true": True, "false": False, "null": None}


def parse(text):
    """Statements of a script, [[(cmdlet name, [(parameter or None, argument)])]]; Terminated, if it has more."""
    statements, pipeline, position = [], [], 0
    tokens = []
    while position < len(text):
        match = _TOKENS.match(text, position)
        if not match:
            raise _refused(text[position:])
        position = match.end()
        if match.lastgroup != "space":
            tokens.append((match.lastgroup, match[match.lastgroup]))
    command = []
    for token in [*tokens, ("end", ";")]:
        if token[0] not in ("end", "pipe"):
            command.append(token)
            continue
        if command:
            pipeline.append(_command(command))
            command = []
        if token[0] == "end" and pipeline:
            statements.append(pipeline)
            pipeline = []
    return statements


def _command(tokens):
    kind, name = tokens[0]
    if kind != "word":
        raise _refused(name)
    arguments, index = [], 1
    while index < len(tokens):
        kind, text = tokens[index]
        if kind == "parameter":
            named, index = text.strip("-:"), index + 1
            if index < len(tokens) and tokens[index][0] != "parameter":
                value, index = _argument(tokens, index)
                arguments.append((named, value))
            else:
                arguments.append((named, True))
        else:
            value, index = _argument(tokens, index)
            arguments.append((None, value))
    return name, arguments


def _argument(tokens, index):
    """(value, index after it): one literal, or a list of them with commas between or in @( )."""
    opened = tokens[index][0] == "open"
    if opened:
        array, index = tokens[index][1].startswith("@"), index + 1
    items = []
    while index < len(tokens):
        kind, text = tokens[index]
        if kind not in ("single", "double", "constant", "number", "word"):
            break
        items.append(_literal(kind, text))
        index += 1
        if index < len(tokens) and tokens[index][0] == "comma":
            index += 1
            continue
        break
    if opened:
        if index >= len(tokens) or tokens[index][0] != "close":
            raise _refused("(")
        return (items if array or len(items) != 1 else items[0]), index + 1
    if not items:
        raise _refused(tokens[index][1])
    return (items if len(items) > 1 else items[0]), index


def _literal(kind, text):
    if kind == "single":
        return text.replace("''", "'")
    if kind == "constant":
        return _CONSTANTS[text.lower()]
    return int(text) if kind == "number" else text


def _refused(text):
    return Terminated(
        f"Unexpected token '{text.split()[0] if text.split() else text}' in expression or statement.",
        "UnexpectedToken",
        ErrorCategory.ParserError,
        "System.Management.Automation.ParseException",
    )
