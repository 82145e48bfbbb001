# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dovecot's configuration language, 2.3 and 2.4: settings, blocks and filters, with their places in the text.

The text itself is never rebuilt: a statement knows the offsets that it stands at, and a change is a Splice of the text.
Reading follows config_parse_line(), config_parser_apply_line() and settings_include() of Dovecot 2.3.19.1 and 2.4.1
(src/config/config-parser.c). Which of the two languages a configuration is in, it says itself: 2.4 wants
``dovecot_config_version`` as the first setting of the main file, and 2.3 does not know it. Neither has here-documents.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import copy
import os
import posixpath
import re

from . import text

_BLANKS = {"2.3": " \t", "2.4": " \t\n\v\f\r"}
_FILTERS = ("protocol", "local", "local_name", "remote")
_CLIENTS = ("local_name", "local", "remote")
# settings_section_escape() of both: a name in a key with "/".
_SEPARATORS = {"s": "/", "e": "=", "_": " ", "+": ",", "\\": "\\"}
_UNITS = (
    (("secs", "seconds"), 1),
    (("mins", "minutes"), 60),
    (("hours",), 3600),
    (("days",), 86400),
    (("weeks",), 604800),
)
_MILLISECONDS = ("msecs", "mseconds", "millisecs", "milliseconds")
_LARGEST = 2**64 - 1


class Setting:
    """``key = value``.

    ``value`` is what Dovecot takes it for: without quotes and escapes, its lines joined. ``form`` says how it is
    written: ``plain``, ``quoted``, ``file`` (``key = <path``, where ``value`` is the path) or ``variable`` (with ``$``,
    where ``value`` is not expanded). ``start`` and ``end`` are the offsets of the whole statement, ``value_start`` and
    ``value_end`` those of the value as written.
    """

    def __init__(self, key, value, form, value_start, value_end):
        self.key = key
        self.value = value
        self.form = form
        self.value_start = value_start
        self.value_end = value_end
        self.start = self.end = 0


class Opening:
    """``key {``, ``key name {``, or ``group @key name {`` of 2.4, where ``group`` is true; ``name`` is empty where
    there is none."""

    def __init__(self, key, name, group=False):
        self.key = key
        self.name = name
        self.group = group
        self.start = self.end = 0


class Closing:
    """The ``}`` of a block; Dovecot wants it on a line of its own."""

    def __init__(self):
        self.start = self.end = 0


class Include:
    """``!include pattern``, or ``!include_try pattern``, where ``optional`` is true."""

    def __init__(self, pattern, optional):
        self.pattern = pattern
        self.optional = optional
        self.start = self.end = 0


class File:
    """One configuration file: its ``path``, its text ``source`` and its ``statements``. Raises SyntaxProblem.

    ``version`` is ``2.3`` or ``2.4``. A block may go on in another file, so that only a Tree can pair ``{`` and ``}``.
    """

    def __init__(self, path, source, version="2.3"):
        self.path = path
        self.source = source
        self.version = version
        self.statements = list(_read(self))

    def line(self, statement):
        """Return the line number that ``statement`` starts on."""
        return text.line_number(self.source, statement.start)

    def named(self, path):
        """Return the same File, with the same ``statements``, as it is found at another ``path``."""
        same = copy.copy(self)
        same.path = path
        return same

    def problem(self, offset, expected):
        """Return a SyntaxProblem for what should have stood at ``offset``."""
        return text.SyntaxProblem(f"{self.path}:{text.line_number(self.source, offset)}: expected {expected}.")


def _read(file):
    """Yield the statements of ``file``.

    A backslash at the end of a line goes on in the next; where that is empty or a comment, Dovecot forgets what came
    before, and so does this.
    """
    source = file.source
    blanks = _BLANKS[file.version]
    if "\0" in source:
        raise file.problem(source.index("\0"), "text, not a zero byte")
    pieces = []
    for match in re.finditer(r"[^\n]*\n|[^\n]+\Z", source):
        start, end = match.span()
        if source[end - 1] == "\n":
            end -= 1
        if source[start:end].endswith("\r"):
            end -= 1
        while start < end and source[start] in blanks:
            start += 1
        if start == end or source[start] == "#":
            pieces = []
            continue
        end = _before_blanks(source, start, _before_comment(source, start, end), blanks)
        if source[end - 1] == "\\":
            end = _before_blanks(source, start, end - 1, blanks)
            if start < end:
                pieces.append((start, end))
            continue
        yield _statement(file, [*pieces, (start, end)], blanks)
        pieces = []
    if pieces:
        raise file.problem(pieces[0][0], "a line after the backslash that ends the file")


def _before_blanks(source, start, end, blanks):
    while start < end and source[end - 1] in blanks:
        end -= 1
    return end


def _before_comment(source, start, end):
    """Return where the first ``#`` is that no quotes enclose, or ``end``; a quote that nothing closes hides the rest of
    the line."""
    offset = start
    while offset < end:
        character = source[offset]
        if character == "#":
            return offset
        if character in "'\"":
            offset += 1
            while offset < end and source[offset] != character:
                offset += 2 if source[offset] == "\\" and offset + 1 < end else 1
        offset += 1
    return end


def _unescaped(value):
    return re.sub(r"\\(.?)", r"\1", value, flags=re.DOTALL)


def _statement(file, pieces, blanks):
    """Return the statement that the ``(start, end)`` of ``pieces`` make up, which Dovecot joins with a blank."""
    line = " ".join(file.source[start:end] for start, end in pieces)
    offsets = []
    for start, end in pieces:
        offsets.extend(range(start, end + 1))
    statement = _Line(file, line, offsets, blanks).read()
    statement.start = pieces[0][0]
    statement.end = pieces[-1][1]
    return statement


class _Line:
    """One statement being read: ``line`` is its text, ``offsets`` the offset in the file of each of its characters."""

    def __init__(self, file, line, offsets, blanks):
        self.file = file
        self.line = line
        self.offsets = offsets
        self.blanks = blanks
        self.at = 0

    def problem(self, expected):
        return self.file.problem(self.offsets[self.at], expected)

    def skip_blanks(self):
        while self.at < len(self.line) and self.line[self.at] in self.blanks:
            self.at += 1

    def word(self, ends=""):
        start = self.at
        while self.at < len(self.line) and self.line[self.at] not in self.blanks and self.line[self.at] not in ends:
            self.at += 1
        return self.line[start : self.at]

    def read(self):
        if self.file.version == "2.4" and self.line[0] == '"':
            match = re.match(r'"((?:\\.|[^"])*)"?', self.line)
            key = match.group(1)
            self.at = match.end()
        else:
            key = self.word("=")
        self.skip_blanks()
        rest = self.line[self.at :]
        if key in ("!include", "!include_try"):
            return Include(rest, key == "!include_try")
        if rest.startswith("="):
            if not key:
                raise self.problem('a setting before the "="')
            return self.setting(key)
        if key == "}" and not rest:
            return Closing()
        return self.opening(key)

    def setting(self, key):
        self.at += 1
        self.skip_blanks()
        written = self.line[self.at :]
        start = self.offsets[self.at]
        if written.startswith("<"):
            form = "file"
            value = written[1:].lstrip(self.blanks)
        elif written[:1] not in ("'", '"'):
            form = "variable" if "$" in written else "plain"
            value = written
        elif written[-1] == written[0]:
            form = "quoted"
            value = _unescaped(written[1:-1])
        else:
            form = "plain"
            value = written
        return Setting(key, value, form, start, self.offsets[-1] if written else start)

    def opening(self, key):
        group = self.file.version == "2.4" and key == "group" and self.line[self.at :][:1] not in ("", "{")
        name = ""
        if group:
            key = self.word()
            self.skip_blanks()
            name = self.word()
            self.skip_blanks()
        elif self.line[self.at :][:1] == '"':
            closing = self.line.find('"', self.at + 1)
            if closing < 0:
                raise self.problem("a closing quote after the name of the block")
            name = _unescaped(self.line[self.at + 1 : closing])
            self.at = closing + 1
            self.skip_blanks()
        elif self.line[self.at :][:1] != "{":
            name = self.word()
            self.skip_blanks()
        if self.line[self.at :] != "{":
            if self.line[self.at :][:1] == "{":
                self.at += 1
                raise self.problem('nothing but a comment after the "{"')
            raise self.problem(f'a "=" or a "{{" after {text.quoted(key)}')
        return Opening(key, name, group)


class Block:
    """One block as it was read: its Opening ``opening`` in the File ``file``, inside the Block ``parent`` or None.

    ``closing`` is its Closing, and ``last`` the last statement inside it; both are None where there is none in the same
    file.
    """

    def __init__(self, opening, file, parent):
        self.opening = opening
        self.file = file
        self.parent = parent
        self.closing = None
        self.last = None

    @property
    def headers(self):
        """``(key, name)`` of each block from the outermost to this one."""
        outer = self.parent.headers if self.parent else ()
        return (*outer, (self.opening.key, self.opening.name))


class Assignment:
    """One Setting where Dovecot reads it: in the File ``file``, inside the Blocks ``blocks``, the outermost first.

    ``path`` is the tuple of words that names the setting however it is written, such as ``("service", "imap-login",
    "client_limit")``. ``filter`` maps ``protocol``, ``local_name``, ``local`` and ``remote`` to what limits the
    assignment, and is empty where nothing does. ``group`` is true inside a ``group`` of 2.4, which counts only where
    something includes it. ``rank`` orders filters as Dovecot does: of two assignments that both count, the one with the
    higher rank is in force.
    """

    def __init__(self, setting, file, blocks):
        self.setting = setting
        self.file = file
        self.blocks = blocks
        self.filter = _filter(blocks)
        self.group = any(block.opening.group for block in blocks)
        self.path = (*_sections(blocks), *_words(setting.key, blocks, file.version))
        self.rank = ()

    @property
    def line(self):
        """The line number that it starts on."""
        return self.file.line(self.setting)

    @property
    def clients(self):
        """What of ``filter`` makes it count for some clients only, as a tuple of ``(key, name)``."""
        return tuple((key, self.filter[key]) for key in _CLIENTS if key in self.filter)

    def serves(self, protocol):
        """Whether the ``protocol`` part of ``filter`` lets ``protocol`` (a name, or None outside of all) in."""
        wanted = self.filter.get("protocol")
        if wanted is None or protocol is None:
            return wanted is None
        return wanted[1:] != protocol if wanted.startswith("!") else wanted == protocol


def _filter(blocks):
    """Return the filter that ``blocks`` make up: an inner one of a kind is a narrower one."""
    parts = {block.opening.key: block.opening.name for block in blocks if block.opening.key in _FILTERS}
    if "local_name" in parts:
        parts["local_name"] = parts["local_name"].lower()
    return parts


def _sections(blocks):
    """Return the words that ``blocks`` put before the settings inside them."""
    words = []
    for block in blocks:
        if block.opening.key not in _FILTERS and not block.opening.group:
            words.extend(filter(None, (block.opening.key, block.opening.name)))
    return tuple(words)


def _words(key, blocks, version):
    """Return the words that ``key`` adds to its sections: ``/`` separates some, and 2.4 also takes ``service_key``
    inside of ``service``."""
    words = [re.sub(r"\\([se_+\\])", lambda escape: _SEPARATORS[escape.group(1)], word) for word in key.split("/")]
    sections = [block.opening.key for block in blocks if block.opening.key not in _FILTERS]
    if version == "2.4" and sections and words[0].startswith(f"{sections[-1]}_"):
        words[0] = words[0][len(sections[-1]) + 1 :]
    return words


def _bits(network):
    """Return how many bits of an address the name of a ``local`` or ``remote`` block fixes."""
    address, dummy, bits = network.partition("/")
    if bits.isdecimal():
        return int(bits)
    return 0 if not address else 128 if ":" in address else 32


class Tree:
    """A main file and all that it includes.

    ``main`` is the main file's path and ``version`` the language, ``2.3`` or ``2.4``; ``files`` maps path to File, in
    the order that Dovecot opens them, one for each path that links lead to the same file by; ``folders`` are those
    whose entries decide what an ``!include`` brings in, which has a pattern or names what is not there. ``blocks`` and
    ``assignments`` are all of them in reading order; those of a file that is included twice are there twice.
    """

    def __init__(self, main, read, match, resolve=posixpath.normpath):
        """Read the tree from the ``main`` path.

        ``read(path)`` returns bytes, ``match(pattern)`` a sorted list of the paths that exist, and ``resolve(path)``
        the path without symbolic links. Raises SyntaxProblem, and what ``read`` raises.
        """
        self.main = main
        self.files = {}
        self.folders = set()
        self.blocks = []
        self.assignments = []
        self._read = read
        self._match = match
        self._resolve = resolve
        self._real = {}
        self._inclusions = {}
        self._filters = {}
        self.version = _version(text.decode(read(main)))
        self.files[main] = self._open(main)
        open_blocks = self._walk(self.files[main], [], [main])
        if open_blocks:
            block = open_blocks[-1]
            raise block.file.problem(block.opening.start, 'a "}" that closes the block opened here')

    def _walk(self, file, blocks, above):
        """Read ``file`` inside of ``blocks``, and return the blocks that are open after it."""
        for statement in file.statements:
            if blocks and blocks[-1].file is file and not isinstance(statement, Closing):
                blocks[-1].last = statement
            if isinstance(statement, Opening):
                block = Block(statement, file, blocks[-1] if blocks else None)
                self.blocks.append(block)
                blocks = [*blocks, block]
                self._order(_filter(blocks), _sections(blocks))
            elif isinstance(statement, Closing):
                if not blocks:
                    raise file.problem(statement.start, 'a statement, not a "}" that closes nothing')
                *blocks, closed = blocks
                if closed.file is file:
                    closed.closing = statement
                    if blocks and blocks[-1].file is file:
                        blocks[-1].last = statement
            elif isinstance(statement, Include):
                for path in self.included(file, statement):
                    if path in above:
                        raise file.problem(statement.start, f"a file that does not include itself, not {path}")
                    if path not in self.files:
                        self.files[path] = self._open(path)
                    self._inclusions[path] = self._inclusions.get(path, 0) + 1
                    blocks = self._walk(self.files[path], blocks, [*above, path])
            else:
                assignment = Assignment(statement, file, tuple(blocks))
                assignment.rank = self._rank(assignment)
                self.assignments.append(assignment)
        return blocks

    def _open(self, path):
        """Return the File at ``path``; a relative include in it starts there, whatever path it was opened by before."""
        real = self._resolve(path)
        if real not in self._real:
            self._real[real] = File(path, text.decode(self._read(path)), self.version)
        return self._real[real].named(path)

    def paths(self, file):
        """Return the paths by which the File ``file`` was opened."""
        return [path for path, other in self.files.items() if other.statements is file.statements]

    def _order(self, filters, sections):
        """Return the place of a filter in the order that Dovecot first meets them in; the one that is empty comes
        before all."""
        if not filters and not sections:
            return 0
        return self._filters.setdefault((tuple(sorted(filters.items())), tuple(sections)), len(self._filters) + 1)

    def _rank(self, assignment):
        """Return the ``rank`` of ``assignment``.

        In 2.3 the most specific filter counts, and the first of two that are equal (config_filter_parser_cmp(),
        src/config/config-filter.c of 2.3.19.1); in 2.4 the one that was opened first last (config_parser_filter_cmp(),
        src/config/config-parser.c of 2.4.1).
        """
        filters = assignment.filter
        order = self._order(filters, assignment.path[:-1])
        if self.version == "2.4":
            return (order,)
        return (
            "local_name" in filters,
            _bits(filters.get("local", "")),
            _bits(filters.get("remote", "")),
            "protocol" in filters,
            -order,
        )

    def inclusions(self, path):
        """Return how many times the file at ``path`` is included."""
        return self._inclusions.get(path, 0)

    def included(self, file, include):
        """Return the paths that the Include ``include`` of the File ``file`` brings in, in Dovecot's order. Raises
        SyntaxProblem.

        A relative path starts at the folder of the including file; ``{a,b}`` stands for both (fix_relative_path() and
        settings_include()).
        """
        if not include.pattern or "\\" in include.pattern:
            raise file.problem(include.start, 'a path without "\\" after "!include"')
        paths = []
        for pattern in _alternatives(posixpath.join(posixpath.dirname(file.path), text.path(include.pattern))):
            found = self._match(pattern)
            if text.WILDCARD.search(pattern) or not found:
                self.folders.update(text.folders(pattern, self._match))
            paths.extend(found)
        if not paths and not include.optional:
            raise file.problem(include.start, f"a file to include, not {text.quoted(include.pattern)}, which matches none")
        return paths

    def in_force(self, path, protocol=None):
        """Return the Assignment that gives the setting ``path`` (tuple of words) its value, or None where the default
        counts.

        ``protocol`` is the one asked about, such as ``imap``, and None asks for what the master process itself sees,
        services and their limits for example. Blocks for some clients only do not count here: see exceptions(). Not for
        blocks without a name that stand for themselves (``passdb {`` of 2.3), nor for the ``key { name = yes }`` lists
        of 2.4, which add up. Raises SyntaxProblem where a ``group`` of 2.4 holds the setting.
        """
        return self._strongest(path, protocol).get(())

    def exceptions(self, path, protocol=None):
        """Return the Assignments that some clients get instead of in_force(): one for each set of clients, in reading
        order.

        2.3 gives a client no settings at all, with "Conflict in setting", where a filter for clients and another for a
        protocol both hold one (measured with 2.3.19.1, which does not notice it before).
        """
        strongest = self._strongest(path, protocol)
        general = strongest.pop((), None)
        found = filter(None, strongest.values())
        return [assignment for assignment in found if general is None or assignment.rank > general.rank]

    def _strongest(self, path, protocol):
        """Return ``clients`` to the Assignment of the highest rank for them, or None, in reading order."""
        strongest = {}
        for assignment in self.assignments:
            if assignment.path != tuple(path):
                continue
            if assignment.group:
                raise assignment.file.problem(assignment.setting.start, f"{assignment.setting.key} outside of a group")
            known = strongest.setdefault(assignment.clients)
            if assignment.serves(protocol) and (known is None or assignment.rank >= known.rank):
                strongest[assignment.clients] = assignment
        return strongest

    def expanded(self, assignment, default, deepest=100):
        """Return the value of ``assignment`` with its variables expanded, or None where the configuration alone does
        not tell it, or where more than ``deepest`` variables stand for each other.

        ``default(key)`` returns the text of the compiled-in value of a setting, or None. 2.3 writes ``$key``, and 2.4
        ``$SET:key`` (config_write_keyvariable()).
        """
        setting = assignment.setting
        if setting.form == "file":
            return None
        if setting.form != "variable":
            return setting.value
        mark = self._mark
        words = []
        for word in re.split(f" [{_BLANKS[self.version]}]*", setting.value):
            if word.startswith("$ENV:"):
                word = None
            elif word.startswith(mark):
                word = self._variable(word[len(mark) :], assignment, default, deepest - 1) if deepest else None
            if word is None:
                return None
            words.append(word)
        return " ".join(words)

    def variables(self):
        """Return the names of the settings that the values of others refer to."""
        values = [each.setting.value for each in self.assignments if each.setting.form == "variable"]
        named = re.compile(rf"(?<!\S){re.escape(self._mark)}(\w+)(?!\S)")
        return list(dict.fromkeys(name for value in values for name in named.findall(value)))

    @property
    def _mark(self):
        return "$SET:" if self.version == "2.4" else "$"

    def _variable(self, key, assignment, default, deepest):
        """Return the value of the setting ``key`` where ``assignment`` is read.

        Dovecot looks only into the filter that the assignment is in, unless the setting extends itself: then also into
        those around it. To 2.4 a block of a service is a filter as well.
        """
        before = self.assignments[: self.assignments.index(assignment)]
        blocks = list(assignment.blocks)
        while True:
            filters = _filter(blocks)
            path = (key,)
            if self.version == "2.4":
                path = (*_sections(blocks), *_words(key, blocks, self.version))
            for earlier in reversed(before):
                if earlier.path == path and earlier.filter == filters:
                    return self.expanded(earlier, default, deepest)
            if not blocks or key != assignment.setting.key:
                return default(key)
            blocks.pop()

    def replaced(self, assignment, value):
        """Return the Splice of ``assignment.file`` that gives ``assignment`` the value ``value`` (text, one line)."""
        setting = assignment.setting
        source = assignment.file.source
        lead = ""
        if setting.value_start == setting.value_end and source[: setting.value_start].endswith((" =", "\t=")):
            lead = " "
        return text.Splice(setting.value_start, setting.value_end, lead + written(value))

    def added(self, headers, key, value, anew=False):
        """Return ``(File, Splice)`` that adds ``key = value`` inside the blocks ``headers``: a tuple of ``(key,
        name)``, the outermost first.

        It goes to the end of the last such block, or of the one that has the most of them around it; what is missing is
        made there. Without any, and where ``anew`` is true, it goes to the end of the main file. It comes into force there if in_force() knows no
        assignment of higher rank.
        """
        inside = None
        for depth in range(0 if anew else len(headers), 0, -1):
            inside = next((block for block in reversed(self.blocks) if block.headers == tuple(headers[:depth])), None)
            if inside:
                headers = headers[depth:]
                break
        file = inside.file if inside else self.files[self.main]
        source = file.source
        unit = self._unit(file)
        margin = ""
        at = len(source)
        if inside:
            outer = text.indentation(source, inside.opening.start)
            margin = text.indentation(source, inside.last.start) if inside.last else outer + unit
            if inside.closing:
                at = source.rfind("\n", 0, inside.closing.start) + 1
            else:
                at = source.find("\n", inside.opening.end) + 1 or len(source)
        lines = [f"{unit * depth}{_header(*header)}" for depth, header in enumerate(headers)]
        lines.append(f"{unit * len(headers)}{key} = {written(value)}")
        lines.extend(f"{unit * depth}}}" for depth in reversed(range(len(headers))))
        ending = text.newline(source)
        lead = "" if at == 0 or source[at - 1] == "\n" else ending
        return file, text.Splice(at, at, lead + "".join(f"{margin}{line}{ending}" for line in lines))

    def added_before(self, block, key, value):
        """Return ``(File, Splice)`` that adds ``key = value`` on a line before the Block ``block``."""
        source = block.file.source
        at = source.rfind("\n", 0, block.opening.start) + 1
        margin, ending = text.indentation(source, block.opening.start), text.newline(source)
        return block.file, text.Splice(at, at, f"{margin}{key} = {written(value)}{ending}")

    def _unit(self, file):
        """Return the blanks by which ``file`` sets in the content of a block."""
        for block in self.blocks:
            if block.file is file and block.last:
                outer = text.indentation(file.source, block.opening.start)
                inner = text.indentation(file.source, block.last.start)
                if inner.startswith(outer) and inner != outer:
                    return inner[len(outer) :]
        return "  "


def _version(source):
    """Return the language of the main file: 2.4 has ``dovecot_config_version`` first."""
    for line in source.split("\n"):
        line = line.strip(_BLANKS["2.4"])
        if line and not line.startswith("#"):
            return "2.4" if re.match(r'"?dovecot_config_version"?\s*=', line) else "2.3"
    return "2.3"


def _alternatives(pattern):
    """Return the patterns that ``{a,b}`` in ``pattern`` stands for, as glob() does with GLOB_BRACE."""
    begin = pattern.find("{")
    if begin < 0:
        return [pattern]
    depth = 0
    parts = []
    start = begin + 1
    for offset in range(start, len(pattern)):
        character = pattern[offset]
        if depth == 0 and character in ",}":
            parts.append(pattern[start:offset])
            start = offset + 1
            if character == "}":
                return [path for part in parts for path in _alternatives(pattern[:begin] + part + pattern[start:])]
        depth += {"{": 1, "}": -1}.get(character, 0)
    return [pattern]


def written(value):
    """Return ``value`` (text, one line) as it must be written to be read as that: in double quotes where Dovecot would
    change it otherwise."""
    if re.fullmatch(r"[^\s\"'#$<\\{}](?:[^\"'#$\\]*[^\s\"'#$\\])?", value):
        return value
    return '"' + re.sub(r'([\\"])', r"\\\1", value) + '"'


def _header(key, name):
    if not name:
        return f"{key} {{"
    if re.fullmatch(r"[^\s\"'#\\{]+", name):
        return f"{key} {name} {{"
    return '{} "{}" {{'.format(key, name.replace("\\", "\\\\"))


def _as_text(path):
    """Return a path as the text that decode() makes of it."""
    return text.decode(os.fsencode(path))


def relocated(tree, source, places):
    """Return the text of the File ``source`` with each ``!include`` naming the new places of its files.

    ``places`` maps old paths to new, absolute ones, in which ``*?[]{},`` and a backslash must not occur. Relative
    ``<path`` become absolute. Line numbers stay as they are. Paths that settings hold as a value stay too: 2.4 takes
    some of those from the folder of the file.
    """
    splices = []
    for statement in source.statements:
        if isinstance(statement, Include):
            paths = [_as_text(places[path]) for path in tree.included(source, statement)]
            # What does not start with "/" is relative.
            paths = "/{" + ",".join(path.lstrip("/") for path in paths) + "}" if len(paths) > 1 else "".join(paths)
            start, new = statement.start, f"!include {paths}" if paths else "#"
        elif isinstance(statement, Setting) and statement.form == "file":
            folder = _as_text(posixpath.dirname(source.path))
            start, new = statement.value_start, f"<{posixpath.join(folder, statement.value)}"
        else:
            continue
        lines = source.source.count("\n", start, statement.end)
        splices.append(text.Splice(start, statement.end, new + "\n" * lines))
    return text.splice(source.source, splices)


def seconds(value, version):
    """Return the seconds that the duration ``value`` (text) stands for, or None where Dovecot would refuse it; infinity
    is ``float("inf")``.

    A number wants a unit, unless it is 0; only 2.4 knows ``infinite`` and ``unlimited`` (settings_get_time() of
    2.3.19.1, src/lib-settings/settings-parser.c; str_parse_get_interval() of 2.4.1, src/lib/str-parse.c).
    """
    if version == "2.4" and value in ("infinite", "unlimited"):
        return float("inf")
    match = re.fullmatch(r"([0-9]+) *([A-Za-z]*)", value)
    if not match or int(match.group(1)) > _LARGEST:
        return None
    number = int(match.group(1))
    unit = match.group(2).lower()
    if not unit:
        return 0 if number == 0 else None
    for names, weight in _UNITS:
        if any(name.startswith(unit) for name in names):
            return number * weight if number * weight <= 0xFFFFFFFF else None
    if any(name.startswith(unit) for name in _MILLISECONDS) and number % 1000 == 0:
        return number // 1000 if number // 1000 <= 0xFFFFFFFF else None
    return None


def size(value):
    """Return the bytes that ``value`` (text) stands for, or None where Dovecot would refuse it; units are powers of
    1024.

    Source: settings_get_size() of 2.3.19.1 and str_parse_get_size() of 2.4.1.
    """
    match = re.fullmatch(r"([0-9]+) *(?:(b?)|([kmgt])i?b?)", value, re.IGNORECASE)
    if not match:
        return None
    weight = 1024 ** " kmgt".index((match.group(3) or " ").lower())
    number = int(match.group(1)) * weight
    return number if number <= _LARGEST else None
