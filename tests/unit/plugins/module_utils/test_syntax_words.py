# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.mailops.imap.plugins.module_utils._syntax import text, words
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.syntax_support import (
    changed_lines,
    host,
    judge,
    own_files,
)

PROBLEM = re.compile(r"/x:[0-9]+: expected .*\.\Z")
PIECES = ["a", "b c", " ", "\t", '"', "'", "\\", "\\\n", "#", " #", "=", "\xe9", "\r", "\n"]
VALUES = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)
FILES = st.lists(st.tuples(st.sampled_from(["k", "key", "long_key"]), VALUES).map(" ".join), min_size=1, max_size=4)


def parse(source):
    return [(option.key, option.value) for option in words.File("/x", source).options]


@pytest.mark.parametrize(
    "source, expected",
    [
        ("timeout 5\n", [("timeout", "5")]),
        ("timeout\t 5 \r\n", [("timeout", "5")]),
        ("timeout=5\n", [("timeout", "5")]),
        ("timeout 5# c\n", [("timeout", "5")]),
        ("# c\n \t\n  # d\ndebug\n", [("debug", None)]),
        ("debug # c\n", [("debug", None)]),
        ("debug#c\n", [("debug", None)]),
        ("a  b c  d \n", [("a", "b c  d")]),
        ('"a" "b "  \n', [("a", "b ")]),
        ("a ''\n", [("a", "")]),
        ('a \'b\\\' "c\\"#"\n', [("a", 'b\\ c"#')]),
        ("a b\\#c\\ \n", [("a", "b#c ")]),
        ("a b\\\n c\nd\n", [("a", "b c"), ("d", None)]),
        ("a b\\\r\nc\n", [("a", "b"), ("c", None)]),
        ("a 'b\nc'\n", [("a", "bc")]),
        ("# c \\\na b\nc d\n", [("c", "d")]),
        ("# it's\na b\n", [("a", "b")]),
        ("a b\n# c", [("a", "b")]),
    ],
)
def test_reads(source, expected):
    assert parse(source) == expected


@pytest.mark.parametrize(
    "source, line",
    [
        ("a b\n c d\n", 2),
        ("a b", 1),
        ("a b\nc", 2),
        ("a b\nc # d", 2),
        ("a b\n\nc 'd\ne f\n", 3),
        ("a b\\", 1),
        ("a=b c\n", 1),
        ("'' c\n", 1),
        ("a b\nc \0\n", 2),
        ("a " + "b" * 4094 + "\n", 1),
    ],
)
def test_refuses(source, line):
    with pytest.raises(text.SyntaxProblem, match=rf"/x:{line}: expected .*\.\Z"):
        words.File("/x", source)


@given(st.one_of(st.binary(max_size=100), FILES.map(lambda lines: "\n".join(lines).encode("latin-1") + b"\n")))
def test_any_bytes(content):
    source = text.decode(content)
    try:
        file = words.File("/x", source)
    except text.SyntaxProblem as problem:
        assert PROBLEM.match(str(problem))
        return
    assert text.encode(text.splice(file.source, [])) == content
    end = 0
    for option in file.options:
        assert end < option.start <= option.end <= len(source)
        end = option.end


@settings(max_examples=300, deadline=None)
@given(FILES, VALUES.map(lambda value: re.sub(r"[\r\n]", "", value)), st.data())
def test_replace_and_read(lines, new, data):
    source = "\n".join(lines) + "\n"
    try:
        expected = parse(source)
    except text.SyntaxProblem:
        hypothesis.reject()
    file = words.File("/x", source)
    at = data.draw(st.integers(0, len(file.options) - 1))
    after = text.splice(source, [file.replaced(file.options[at], new)])
    expected[at] = (expected[at][0], new)
    assert parse(after) == expected
    added = text.splice(after, [words.File("/x", after).added("more", new)])
    assert parse(added) == [*expected, ("more", new)]


@pytest.mark.parametrize(
    "source, expected",
    [
        ("", "timeout 5\n"),
        ("a b\r\n# c", "a b\r\n# c\r\ntimeout 5\r\n"),
        ("a b\n  ", "a b\n  \ntimeout 5\n"),
        ("# goes on \\\n", "# goes on \\\n\ntimeout 5\n"),
        ("# goes on \\", "# goes on \\\n\ntimeout 5\n"),
    ],
)
def test_added(source, expected):
    assert text.splice(source, [words.File("/x", source).added("timeout", "5")]) == expected
    assert parse(expected)[-1] == ("timeout", "5")


def test_in_force():
    (path,) = [parameter.values[0] for parameter in own_files("perdition")]
    file = words.File(str(path), text.decode(path.read_bytes()))
    assert file.in_force("timeout").value == "300"
    assert file.in_force("t", "timeout").value == "600"
    assert file.in_force("authenticate_timeout").value == "60"
    assert file.in_force("connection_limit").value == "200"
    assert file.in_force("ok_line").value == 'It\'s "ready" # no comment'
    assert file.in_force("banner_full").value is None
    assert file.in_force("outgoing_server").value == "a#b, c  d"
    assert file.in_force("none") is None
    assert file.line(file.in_force("timeout")) == 6


@pytest.mark.parametrize("path", own_files("perdition"))
def test_real_files(path):
    content = path.read_bytes()
    source = text.decode(content)
    file = words.File("/x", source)
    assert text.encode(text.splice(source, [])) == content
    for number, option in enumerate(file.options):
        after = text.splice(source, [file.replaced(option, "1 2")])
        old, new = changed_lines(source, after)
        assert len(old) <= source.count("\n", option.start, option.end) + 1 and len(new) <= 1
        expected = [(each.key, each.value) for each in file.options]
        expected[number] = (option.key, "1 2")
        assert parse(after) == expected


# Perdition hands its file to this function, and the words that it returns to its parser of command line options.
ASK = """
import ctypes
library = ctypes.CDLL("libvanessa_adt.so.1")
library.vanessa_config_file_read.restype = ctypes.c_void_p
library.vanessa_dynamic_array_get_element.restype = ctypes.c_char_p
library.vanessa_dynamic_array_get_element.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
library.vanessa_dynamic_array_get_count.argtypes = [ctypes.c_void_p]
library.vanessa_dynamic_array_get_count.restype = ctypes.c_size_t
found = library.vanessa_config_file_read(b"file", 0)
count = library.vanessa_dynamic_array_get_count(found)
words = [library.vanessa_dynamic_array_get_element(found, number) for number in range(1, count)]
open("words", "wb").write(b"".join(word + b"\\0" for word in words))
"""


def options_of(source):
    """The words that ``source`` comes to, as we read it."""
    for option in words.File("/x", source).options:
        name, equals, value = option.key, "", option.value
        if option.value is not None and source[option.start - 1] == "=":
            equals = f"={value}"
        yield ("-" if len(name) == 1 and not equals else "--") + name + equals
        if value is not None and not equals:
            yield value


def test_perdition_generated():
    shell = host("bookworm")
    counts = {"files": 0, "words": 0}

    @settings(
        max_examples=3,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @given(st.lists(FILES, min_size=80, max_size=80))
    def compare(cases):
        sources = []
        for lines in cases:
            try:
                words.File("/x", "\n".join(lines) + "\n")
            except text.SyntaxProblem:
                continue
            sources.append("\n".join(lines) + "\n")
        same_words(shell, sources, counts)

    compare()
    print(counts)


def test_perdition_files():
    counts = {"files": 0, "words": 0}
    same_words(host("bookworm"), [text.decode(item.values[0].read_bytes()) for item in own_files("perdition")], counts)
    assert counts["words"]


def same_words(shell, sources, counts):
    cases = [{"file": text.encode(source), "ask.py": ASK.encode()} for source in sources]
    for source, result in zip(sources, judge(shell, cases, "python3 ask.py")):
        theirs = text.decode(result["words"]).split("\0")[:-1]
        assert list(options_of(source)) == theirs, source
        counts["files"] += 1
        counts["words"] += len(theirs)
