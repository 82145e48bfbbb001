# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx's configuration language: directives and blocks, with their places in the text.

The text itself is never rebuilt: a directive knows the offsets that it stands at, and a change is a Splice of the text.
Reading follows ngx_conf_read_token() of nginx 1.22.1 (src/core/ngx_conf_file.c).

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import posixpath
import re

from . import text

_BLANK = " \t\r\n"
_WEIGHTS = {"w": 604800000, "d": 86400000, "h": 3600000, "m": 60000, "s": 1000, " ": 1000, "ms": 1}
_LONGEST = 2**63 - 1
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n"}
_LUA_SKIP = re.compile(
    r"""--\[(=*)\[.*?\]\1\]|--[^\n]*|\[(=*)\[.*?\]\2\]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{}]""", re.DOTALL
)


class Directive:
    """One directive.

    ``name`` and ``arguments`` are without quotes; ``start`` and ``end`` are the offsets of its first character and of
    the one after its ``;`` or ``}``; ``argument_spans`` are ``(start, end)`` of the arguments as written. ``block`` is
    None, or the list of Directives between ``inside`` (after the ``{``) and ``inside_end`` (the ``}``).
    """

    def __init__(self, name, start):
        self.name = name
        self.start = start
        self.end = start
        self.arguments = []
        self.argument_spans = []
        self.block = None
        self.inside = None
        self.inside_end = None


class File:
    """One configuration file: its ``path``, its text ``source``, and its ``directives``.

    Raises SyntaxProblem where nginx itself could not read it.
    """

    def __init__(self, path, source):
        self.path = path
        self.source = source
        self.directives = _Reader(path, source).read()

    def line(self, directive):
        """Return the line number that ``directive`` starts on."""
        return text.line_number(self.source, directive.start)


class _Reader:
    def __init__(self, path, source):
        self.path = path
        self.source = source
        self.offset = 0

    def problem(self, offset, expected):
        return text.SyntaxProblem(f"{self.path}:{text.line_number(self.source, offset)}: expected {expected}.")

    def read(self):
        directives = self.block(opened=None)
        return directives

    def block(self, opened):
        """Read directives up to the ``}`` that closes the block opened at ``opened``, or to the end of the file."""
        directives = []
        while True:
            self.skip_blanks_and_comments()
            if self.offset >= len(self.source):
                if opened is not None:
                    raise self.problem(opened, 'a "}" that closes the block opened here')
                return directives
            if self.source[self.offset] == "}":
                if opened is None:
                    raise self.problem(self.offset, 'a directive, not "}"')
                return directives
            directives.append(self.directive())

    def skip_blanks_and_comments(self):
        source = self.source
        while self.offset < len(source):
            if source[self.offset] in _BLANK:
                self.offset += 1
            elif source[self.offset] == "#":
                end = source.find("\n", self.offset)
                self.offset = len(source) if end < 0 else end + 1
            else:
                return

    def directive(self):
        start = self.offset
        if self.source[start] in ";{":
            raise self.problem(start, f'a directive before "{self.source[start]}"')
        directive = Directive(self.token(), start)
        while True:
            self.skip_blanks_and_comments()
            if self.offset >= len(self.source):
                raise self.problem(start, f'a ";" or a "{{" after {text.quoted(directive.name)}')
            character = self.source[self.offset]
            if character == "}":
                raise self.problem(self.offset, f'a ";" after {text.quoted(directive.name)}, not "}}"')
            if character == ";":
                self.offset += 1
                break
            if character == "{":
                self.offset += 1
                directive.inside = self.offset
                if directive.name.endswith("_by_lua_block"):
                    directive.block = []
                    self.skip_lua(directive.inside)
                else:
                    directive.block = self.block(opened=directive.inside - 1)
                directive.inside_end = self.offset
                self.offset += 1
                break
            begin = self.offset
            directive.arguments.append(self.token())
            directive.argument_spans.append((begin, self.offset))
        directive.end = self.offset
        return directive

    def skip_lua(self, inside):
        """Pass over a block of Lua, whose braces count only outside of its strings and comments."""
        depth = 1
        for match in _LUA_SKIP.finditer(self.source, inside):
            depth += {"{": 1, "}": -1}.get(match.group(), 0)
            if depth == 0:
                self.offset = match.start()
                return
        raise self.problem(inside - 1, 'a "}" that closes the block opened here')

    def token(self):
        source = self.source
        quote = source[self.offset] if source[self.offset] in "\"'" else None
        start = self.offset
        if quote:
            self.offset += 1
        value = []
        while self.offset < len(source):
            character = source[self.offset]
            if character == "\\" and self.offset + 1 < len(source):
                escaped = source[self.offset + 1]
                value.append(_ESCAPES.get(escaped, escaped if escaped in "\"'\\" else "\\" + escaped))
                self.offset += 2
            elif quote:
                self.offset += 1
                if character == quote:
                    if self.offset < len(source) and source[self.offset] not in _BLANK + ";{)":
                        raise self.problem(self.offset, f'a blank, a ";" or a "{{" after the closing {quote}')
                    return "".join(value)
                value.append(character)
            elif character == "$" and source[self.offset + 1 : self.offset + 2] == "{":
                value.append("${")
                self.offset += 2
            elif character in _BLANK + ";{":
                return "".join(value)
            else:
                value.append(character)
                self.offset += 1
        if quote:
            raise self.problem(start, f"a closing {quote} for the one opened here")
        return "".join(value)


class Tree:
    """A main file and all that it includes.

    ``main`` is the main file's path and ``root`` the same without symbolic links; ``files`` maps path, without symbolic
    links, to File, in the order that nginx reads them; ``names`` are the paths as the configuration names them;
    ``folders`` are those whose entries decide what an ``include`` with a pattern brings in.
    """

    def __init__(self, main, read, match, resolve):
        """Read the tree from the ``main`` path.

        ``read(path)`` returns bytes, ``match(pattern)`` a sorted list of paths (a path without a pattern is
        there or not), and ``resolve(path)`` the path without
        symbolic links. Raises SyntaxProblem, and what ``read`` raises.
        """
        self.main = main
        self.root = resolve(main)
        self.files = {}
        self.names = {main}
        self.folders = set()
        self._included = {}
        self._inclusions = {}
        self._uses = {}
        self._read = read
        self._match = match
        self._resolve = resolve
        self._include(self.root, [])
        self._follow(self.files[self.root].directives, ())

    def _include(self, path, above):
        if path in above:
            raise text.SyntaxProblem(f"{path}:1: expected a file that does not include itself.")
        if path in self.files:
            return
        source = self.files[path] = File(path, text.decode(self._read(path)))
        for directive in _everything(source.directives):
            for included in self.included(directive):
                self._include(included, [*above, path])

    def _follow(self, directives, around):
        """Note where ``directives`` and the files that they include take effect."""
        for directive in directives:
            self._uses.setdefault(directive, []).append(around)
            for path in self.included(directive):
                self._inclusions[path] = self._inclusions.get(path, 0) + 1
                self._follow(self.files[path].directives, around)
            self._follow(directive.block or [], (*around, directive))

    def inclusions(self, path):
        """Return how many times includes bring in the file at ``path``."""
        return self._inclusions.get(path, 0)

    def directives(self, name):
        """Return each directive called ``name``, wherever it counts."""
        return [directive for directive in self._uses if directive.name == name]

    def uses(self, directive):
        """Return the blocks (tuple of Directives, the outermost first) around each place where ``directive`` counts."""
        return self._uses[directive]

    @staticmethod
    def is_pattern(directive):
        """Whether the ``include`` that ``directive`` is may bring in any number of files."""
        return text.WILDCARD.search(directive.arguments[0]) is not None

    def included(self, directive):
        """Return the paths that ``directive`` includes: none for one that is no ``include``.

        A relative path starts at the folder of the main file (ngx_conf_include() of nginx 1.22.1).
        """
        if not is_include(directive):
            return []
        pattern = posixpath.join(posixpath.dirname(self.main), text.path(directive.arguments[0]))
        if pattern not in self._included:
            names = [pattern]
            if self.is_pattern(directive):
                self.folders.update(text.folders(pattern, self._match))
                names = self._match(pattern)
            self.names.update(names)
            self._included[pattern] = [self._resolve(name) for name in names]
        return self._included[pattern]

    def flat(self, directives, source):
        """Yield ``(directive, File)`` for ``directives`` of the File ``source``, with includes replaced by what they
        include.
        """
        for directive in directives:
            if is_include(directive):
                for path in self.included(directive):
                    yield from self.flat(self.files[path].directives, self.files[path])
            else:
                yield directive, source

    def top(self):
        """Yield ``(directive, File)`` for the outermost level of the configuration."""
        main = self.files[self.root]
        return self.flat(main.directives, main)


def is_include(directive):
    """Whether ``directive`` brings in other files."""
    return directive.name == "include" and directive.block is None and len(directive.arguments) == 1


def _everything(directives):
    for directive in directives:
        yield directive
        if directive.block:
            yield from _everything(directive.block)


def relocated(tree, source, places):
    """Return the text of the File ``source`` with each ``include`` naming the new places of its files.

    ``places`` maps old paths to new ones. Line numbers stay as they are.
    """
    splices = []
    for directive in _everything(source.directives):
        if is_include(directive):
            includes = " ".join(f'include "{places[path]}";' for path in tree.included(directive))
            lines = source.source.count("\n", directive.start, directive.end)
            splices.append(text.Splice(directive.start, directive.end, includes + "\n" * lines))
    return text.splice(source.source, splices)


def milliseconds(written):
    """Return the milliseconds that ``written`` (text) stands for, or None where nginx would refuse it.

    Units are w, d, h, m, s and ms, from large to small; a unit without a number counts nothing, a blank ends seconds,
    and what comes last without a unit is seconds once more. Years and months belong to directives that count in seconds
    (ngx_parse_time() of nginx 1.22.1, src/core/ngx_parse.c, and ``nginx -t``).
    """
    total = 0
    largest = float("inf")
    rest = written
    while True:
        match = re.match(r"([0-9]*)(ms|[wdhms ]) *", rest)
        if not match:
            break
        weight = _WEIGHTS[match.group(2)]
        if weight >= largest:
            return None
        # After a blank only milliseconds are left, as after seconds, but not even they may follow.
        largest = 0 if match.group(2) == " " else weight
        total += int(match.group(1) or 0) * weight
        rest = rest[match.end() :]
    if not re.fullmatch("[0-9]*", rest) or not re.search("[0-9]", written):
        return None
    total += int(rest or 0) * 1000
    return total if total <= _LONGEST else None
