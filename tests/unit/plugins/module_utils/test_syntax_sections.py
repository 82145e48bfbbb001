# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.mailops.imap.plugins.module_utils._syntax import sections, text
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.syntax_support import (
    TEMPLATE,
    changed_lines,
    corpus,
    host,
    judge,
    own_files,
)

PROBLEM = re.compile(r"/x:[0-9]+: expected .*\.\Z", re.DOTALL)


def services(source):
    return [
        (entry.name, [(each.key, each.value) for each in entry.arguments])
        for entry in sections.File("/x", source).sections["SERVICES"]
    ]


@pytest.mark.parametrize(
    "source, expected",
    [
        ("", []),
        ('SERVICES {\n\timap\t\tcmd="imapd -U 30" listen="imap"\n}\n',
         [("imap", [("cmd", "imapd -U 30"), ("listen", "imap")])]),
        ("SERVICES{\r\n imap cmd=imapd\r\n}\r\n", [("imap", [("cmd", "imapd")])]),
        ("SERVICES {\n imap cmd=imapd", [("imap", [("cmd", "imapd")])]),
        ("SErvices {\n a\n}", [("a", [])]),
        ("services {\n a\n}", []),
        ("SERVICESX {\n a\n}", []),
        ("SERVICES # {\n a\n}", []),
        ("SERVICES { # {\n # b c\n\n a x=1 # y=2\n}", [("a", [("x", "1")])]),
        ('SERVICES {\n a b="x"c="y" d= e=f"g\n}', [("a", [("b", "x"), ("c", "y"), ("d", ""), ("e", 'f"g')])]),
        ("SERVICES {\n a b=1 b=2\n}", [("a", [("b", "1"), ("b", "2")])]),
        ("SERVICES {\n a b=1}\n c\n}", [("a", [("b", "1}")]), ("c", [])]),
        ("SERVICES {\n =b=1\n}", [("", [("b", "1")])]),
        # What Cyrus passes over.
        ("SERVICES {\n a\n} b\nSERVICES {\n c\n}", [("a", [])]),
        ("SERVICES {\n a\n}\nSERVICES {\n c\n}", [("a", [])]),
        ("SERVICES { a\n b\n}", [("b", [])]),
        ("SERVICES\n{\n a\n}", []),
        ("SERVICES {{\n a\n}}", []),
        ("OTHER {\n SERVICES {\n a b\n}\n}", []),
        ("OTHER {\n}\nSERVICES {\n a\n}", [("a", [])]),
        ("OTHER\n}\nSERVICES {\n a\n}", []),
    ],
)  # fmt: skip
def test_reads(source, expected):
    assert services(source) == expected


@pytest.mark.parametrize(
    "source, line, expected",
    [
        ("SERVICES {\n a-b c=1\n}", 2, 'a blank after "a"'),
        ("SERVICES {\n a b\n}", 2, "key=value"),
        ("SERVICES {\n a b =1\n}", 2, "key=value"),
        ("SERVICES {\n a b=1 }\n}", 2, "key=value"),
        ('SERVICES {\n\n a b="1\n}', 3, "key=value"),
        ('SERVICES {\n a b="x#y"\n}', 2, "key=value"),
        ("SERVICES {\n - }\n}", 2, "key=value"),
        ("SERVICES {\n {{ a }}\n}", 2, "key=value"),
        ("START {\n a b\n}", 2, "key=value"),
        ("EVENTS {\n a b\n}", 2, "key=value"),
        ("DAEMON {\n a b\n}", 2, "key=value"),
        ("SERVICES {\n a" + " b=1" * 65 + "\n}", 2, "at most 64 arguments"),
        ("\n" + " " * 4095, 2, "a line of at most 4094 bytes"),
        ("\0", 1, "none of them zero"),
    ],
)
def test_refuses(source, line, expected):
    with pytest.raises(text.SyntaxProblem) as problem:
        sections.File("/x", source)
    assert str(problem.value).startswith(f"/x:{line}: expected ")
    assert expected in str(problem.value)


NAMES = st.sampled_from(["imap", "imaps", "a1", "x"])
VALUES = st.sampled_from(['"imapd -s"', "imapd", "3", '""', "", '" 2"', "1}", 'x"y', "\xe9"])
ENTRIES = st.tuples(NAMES, st.lists(st.tuples(st.sampled_from(["cmd", "maxchild", "listen"]), VALUES), max_size=3)).map(
    lambda pair: pair[0] + "".join(f" {key}={value}" for key, value in pair[1])
)
ODD = st.sampled_from(
    ["}", "{", "SERVICES {", "Services{", "services {", "START {", "OTHER", "# } {", "", " \t", "-", "=cmd=x", "a b",
     "a-b", 'a b="', "a }", "} a", "SERVICES", "SERVICES }{", "\r"]
)  # fmt: skip
FILES = st.lists(st.one_of(ENTRIES, ODD), max_size=9)
SENSIBLE = st.lists(st.one_of(ENTRIES, st.sampled_from(["# note", "", "\t", "} EVENTS {"])), max_size=6).map(
    lambda lines: ["SERVICES {", *lines, "}"]
)


@given(st.one_of(st.binary(max_size=80), FILES.map(lambda lines: "\n".join(lines).encode("latin-1"))))
def test_any_bytes(content):
    source = text.decode(content)
    assert text.encode(text.splice(source, [])) == content
    try:
        file = sections.File("/x", source)
    except text.SyntaxProblem as problem:
        assert PROBLEM.match(str(problem))
        return
    for entries in file.sections.values():
        position = 0
        for entry in entries:
            assert position <= entry.end <= len(source)
            for each in entry.arguments:
                assert position <= each.start <= each.end <= entry.end
                assert source[each.start : each.end] == each.value
                position = each.end


@settings(max_examples=300, deadline=None)
@given(SENSIBLE, st.sampled_from(["\n", "\r\n", "\n\t"]), st.data())
def test_replace_or_add_and_read(lines, between, data):
    source = between.join(lines)
    file = sections.File("/x", source)
    entries = file.sections["SERVICES"]
    if not entries:
        hypothesis.reject()
    at = data.draw(st.integers(0, len(entries) - 1))
    expected = services(source)
    found = entries[at].argument("maxchild")
    if found:
        splice = text.Splice(found.start, found.end, "7")
        position = [each.key for each in entries[at].arguments].index("maxchild")
        expected[at][1][position] = ("maxchild", "7")
    else:
        splice = text.Splice(entries[at].end, entries[at].end, " maxchild=7")
        expected[at][1].append(("maxchild", "7"))
    after = text.splice(source, [splice])
    old, new = changed_lines(source, after)
    assert len(old) == len(new) == 1
    assert services(after) == expected


@pytest.mark.parametrize("path", own_files("cyrus.conf") + corpus("cyrus-master"))
def test_real_files(path):
    content = path.read_bytes()
    source = text.decode(content)
    assert text.encode(text.splice(source, [])) == content
    try:
        file = sections.File("/x", source)
    except text.SyntaxProblem:
        assert TEMPLATE.search(source)
        return
    assert file.sections["SERVICES"]
    for name, entries in file.sections.items():
        for number, entry in enumerate(entries):
            found = entry.argument("maxchild")
            splice = (
                text.Splice(found.start, found.end, "7")
                if found
                else text.Splice(entry.end, entry.end, " maxchild=7")
            )
            after = text.splice(source, [splice])
            changed = sections.File("/x", after).sections
            assert changed[name][number].value("maxchild") == "7"
            old, new = changed_lines(source, after)
            assert len(old) == len(new) <= 1


def test_own_file():
    (path,) = [parameter.values[0] for parameter in own_files("cyrus.conf")]
    found = dict(services(text.decode(path.read_bytes())))
    assert found["imap"] == [("cmd", "imapd -U 30"), ("listen", "127.0.0.1:imap"), ("maxchild", "40")]
    assert found["imaps"] == [("cmd", "/usr/lib/cyrus/bin/imapd -s"), ("listen", "imaps"), ("prefork", "2")]
    assert "old" not in found


# What follows compares with cyr_info, which has no complaint about a known option with the name of a service before it.

KEYS = ["imap", "imaps", "a1", "x"]
HEAD = "configdirectory: /tmp\ndefaultpartition: default\npartition-default: /tmp\n"


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_cyrus_generated_services(suite):
    shell = host(suite)
    counts = {"accepted": 0, "refused": 0, "services": 0}
    options = (HEAD + "".join(f"{key}_timeout: 1h\n" for key in KEYS)).encode()

    @settings(
        max_examples=3,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @given(st.lists(st.one_of(FILES, SENSIBLE, FILES.map(lambda lines: ["SERVICES {", *lines])), min_size=60, max_size=60))
    def compare(cases):
        sources = ["\n".join(lines) + "\n" for lines in cases]
        packed = [{"imapd.conf": options, "cyrus.conf": text.encode(source)} for source in sources]
        asked = (
            "install -m 644 cyrus.conf /tmp/judged.conf; "
            "/usr/lib/cyrus/bin/cyr_info -C imapd.conf -M /tmp/judged.conf conf-lint >found 2>problem; echo $? >status"
        )
        for source, result in zip(sources, judge(shell, packed, asked)):
            refused = result["status"].strip() != b"0"
            try:
                file = sections.File("/x", source)
            except text.SyntaxProblem:
                # cyr_info reads no other section.
                if refused:
                    counts["refused"] += 1
                else:
                    assert re.search("START|EVENTS", source), source
                continue
            assert not refused, (source, result["problem"])
            counts["accepted"] += 1
            unknown = set(re.findall(rb"^(\w+)_timeout", result["found"], re.MULTILINE))
            ours = {entry.name for entry in file.sections["SERVICES"]}
            assert {key for key in KEYS if key.encode() not in unknown} == ours & set(KEYS), source
            counts["services"] += len(ours)

    compare()
    assert all(counts.values())
    print(counts)
