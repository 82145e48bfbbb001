# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.mailops.imap.plugins.module_utils._syntax import colon, text
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.syntax_support import (
    TEMPLATE,
    Folder,
    changed_lines,
    corpus,
    host,
    judge,
    own_files,
)

PROBLEM = re.compile(r'/x:[0-9]+: expected "key: value"\.\Z')
PIECES = ["a", "b c", " ", "\t", '"', "\\", "\\\n", "#", ":", "\xe9", "\xa0", "\r", "\f", "\n"]
PLAIN = [piece for piece in PIECES if piece != "\n"]
VALUES = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=7).map("".join),
    st.lists(st.sampled_from(PLAIN), max_size=7).map(lambda pieces: "v" + "".join(pieces)),
)
FILES = st.lists(
    st.tuples(st.sampled_from(["k1: ", "k2:", " K3:\t", "# "]), VALUES).map("".join), min_size=1, max_size=4
)


def parse(source):
    return [(option.key, option.value) for option in colon.File("/x", source).options]


@pytest.mark.parametrize(
    "source, expected",
    [
        ("", []),
        ("timeout: 30\n", [("timeout", "30")]),
        ("timeout: 30", [("timeout", "30")]),
        ("\tTimeOut:30 \r\n", [("timeout", "30")]),
        ("a-b_c1:  x  y \n", [("a-b_c1", "x  y")]),
        ("a: b # no comment\n", [("a", "b # no comment")]),
        ("  # comment\n \n\na: b\n", [("a", "b")]),
        ("# goes on \\\na: b\nc: d\n", [("c", "d")]),
        ("a: b\\\n c\n", [("a", "b c")]),
        ("a: \\\n b\\\n \nc: d\n", [("a", "b"), ("c", "d")]),
        ("a: b\\\r\nc: d\n", [("a", "b\\"), ("c", "d")]),
        ("a: b\\", [("a", "b\\")]),
        ("a: b\nc: d\\\n", [("a", "b")]),
        ("a: voil\xc3\xa0\n", [("a", "voil\xc3\xa0")]),
        ("@include: /etc/x\n", [("@include", "/etc/x")]),
    ],
)
def test_reads(source, expected):
    assert parse(source) == expected


@pytest.mark.parametrize(
    "source, line",
    [
        ("a: b\nc\n", 2),
        ("a b\n", 1),
        ("a b: c\n", 1),
        ("a:\n", 1),
        ("\na: \t\n", 2),
        ("\xef\xbb\xbfa: b\n", 1),
        ("a = b\n", 1),
    ],
)
def test_refuses(source, line):
    with pytest.raises(text.SyntaxProblem, match=rf'/x:{line}: expected "key: value"\.\Z'):
        colon.File("/x", source)


@given(st.one_of(st.binary(max_size=100), FILES.map(lambda lines: "\n".join(lines).encode("latin-1"))))
def test_any_bytes(content):
    source = text.decode(content)
    try:
        file = colon.File("/x", source)
    except text.SyntaxProblem as problem:
        assert PROBLEM.match(str(problem))
        return
    assert text.encode(text.splice(file.source, [])) == content
    end = 0
    for option in file.options:
        assert end <= option.start < option.end <= len(source)
        end = option.end


@settings(max_examples=300, deadline=None)
@given(FILES, st.sampled_from(["30", "1800s", "a  b"]), st.sampled_from(["", "\n"]), st.data())
def test_replace_and_read(lines, new, last, data):
    source = "\n".join(lines) + last
    try:
        file = colon.File("/x", source)
    except text.SyntaxProblem:
        hypothesis.reject()
    if not file.options:
        hypothesis.reject()
    at = data.draw(st.integers(0, len(file.options) - 1))
    after = text.splice(source, [text.Splice(file.options[at].start, file.options[at].end, new)])
    expected = parse(source)
    expected[at] = (expected[at][0], new)
    assert parse(after) == expected


def test_tree():
    files = {"/etc/imapd.conf": b"a: b\n@include: /etc/more.conf\nc: d\n", "/etc/more.conf": b"e: f\n"}
    found = colon.read_tree("/etc/imapd.conf", Folder(files).read)
    assert [(file.path, [option.key for option in file.options]) for file in found] == [
        ("/etc/imapd.conf", ["a", "@include", "c"]),
        ("/etc/more.conf", ["e"]),
    ]
    files["/etc/more.conf"] += b"@include: /etc/imapd.conf\n"
    with pytest.raises(text.SyntaxProblem, match="/etc/imapd.conf:1: expected a file that is included once"):
        colon.read_tree("/etc/imapd.conf", Folder(files).read)


@pytest.mark.parametrize(
    "written, expected",
    [
        ("30", 1800),
        ("30m", 1800),
        ("1h30m", 5400),
        ("1d", 86400),
        ("10s", 10),
        ("1m30", 1860),
        ("-5s", -5),
        ("0", 0),
        ("2147483647s", 2147483647),
        ("2147483648s", None),
        ("", None),
        ("m", None),
        ("5 m", None),
        ("5w", None),
        ("\xb2", None),
    ],
)
def test_seconds(written, expected):
    assert colon.seconds(written, "m") == expected


@pytest.mark.parametrize(
    "written, expected",
    [
        ("0", 0), ("12", 12), ("+12", 12), ("-1", -1), ("010", 8), ("0x1F", 31), ("-0x1", -1), ("00", 0),
        ("2147483647", 2147483647), ("2147483648", None), ("08", None), ("0x", None), ("1 2", None), ("", None),
        ("1k", None), ("--1", None), ("\xb2", None), ("1\n", None),
    ],
)  # fmt: skip
def test_integer(written, expected):
    assert colon.integer(written) == expected


@pytest.mark.parametrize("path", own_files("cyrus_") + corpus("cyrus-imapd"))
def test_real_files(path):
    content = path.read_bytes()
    source = text.decode(content)
    try:
        file = colon.File("/x", source)
    except text.SyntaxProblem:
        assert TEMPLATE.search(source)
        return
    assert text.encode(text.splice(source, [])) == content
    assert file.options
    for number, option in enumerate(file.options):
        after = text.splice(source, [text.Splice(option.start, option.end, "1 2")])
        old, new = changed_lines(source, after)
        assert len(old) <= source.count("\n", option.start, option.end) + 1 and len(new) <= 1
        expected = [(each.key, each.value) for each in file.options]
        expected[number] = (option.key, "1 2")
        assert parse(after) == expected


def test_own_file():
    (path,) = [parameter.values[0] for parameter in own_files("cyrus_")]
    options = dict(parse(text.decode(path.read_bytes())))
    assert options["timeout"] == "1h30m"
    assert options["imapidletimeout"] == "10s"
    assert options["servername"] == "mail # no comment"
    assert options["admins"] == "cyrus  root"
    assert "sasl_pwcheck_method" not in options


# What follows compares with cyr_info, which takes options that Cyrus does not know too, and prints "key: value".

HEAD = "configdirectory: /tmp\ndefaultpartition: default\npartition-default: /tmp\n"


def printed(output):
    return dict(re.findall(r"^([a-z0-9_-]+): (.*)$", text.decode(output), re.MULTILINE))


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_cyrus_generated(suite):
    shell = host(suite)
    counts = {"accepted": 0, "refused": 0, "values": 0}

    @settings(
        max_examples=3,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @given(st.lists(FILES, min_size=60, max_size=60))
    def compare(cases):
        sources = [HEAD + "\n".join(lines) + "\n" for lines in cases]
        # Of two backslashes, Cyrus takes the first for one at the end of an empty line that follows.
        sources = [source for source in sources if "\\\\\n\n" not in source]
        packed = [{"imapd.conf": text.encode(source)} for source in sources]
        asked = "/usr/lib/cyrus/bin/cyr_info -C imapd.conf conf >found 2>problem; echo $? >status"
        for source, result in zip(sources, judge(shell, packed, asked)):
            refused = result["status"].strip() != b"0"
            try:
                ours = parse(source)
            except text.SyntaxProblem:
                assert refused, source
                counts["refused"] += 1
                continue
            if refused:
                keys = [key for key, value in ours]
                # Cyrus 3.10 ends with an assertion where the key is empty.
                assert len(keys) != len(set(keys)) or "" in keys, (source, result["problem"])
                continue
            counts["accepted"] += 1
            theirs = printed(result["found"])
            for key, value in ours:
                if key in ("k1", "k2", "k3"):
                    assert theirs[key] == value, (source, key)
                    counts["values"] += 1

    compare()
    assert all(counts.values())
    print(counts)
