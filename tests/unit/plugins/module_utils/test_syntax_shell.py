# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import shutil

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.mailops.imap.plugins.module_utils._syntax import shell, text
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.syntax_support import (
    changed_lines,
    corpus,
    judge,
    own_files,
)

PROBLEM = re.compile(r"/x:[0-9]+: expected .*\.\Z")
PIECES = [
    "a",
    "b c",
    " ",
    "\t",
    '"',
    "'",
    "\\",
    "\\\n",
    "#",
    " #",
    "=",
    "\xe9",
    "\r",
    "\n",
    ";",
    "$",
    "${B}",
    "~",
    "{",
    "*",
    ":",
]
VALUES = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)


def parse(source):
    return [(assignment.name, assignment.value) for assignment in shell.File("/x", source).assignments]


@pytest.mark.parametrize(
    "source, expected",
    [
        ("A=1", [("A", "1")]),
        (" A=1 # c\n", [("A", "1")]),
        ("A=1#c\n", [("A", "1#c")]),
        ("A=\n", [("A", "")]),
        ("A=''\n", [("A", "")]),
        ("A=1\r\n", [("A", "1\r")]),
        ("A=1 B=2;C=3\n", [("A", "1"), ("B", "2"), ("C", "3")]),
        ("A=1 \\\n B=2", [("A", "1"), ("B", "2")]),
        ('A=\'a\\\' B="a\\b\\"\\$"', [("A", "a\\"), ("B", 'a\\b"$')]),
        ("A=a\\\nb\\ c", [("A", "ab c")]),
        ('A="a\nb"', [("A", "a\nb")]),
        ("A=a'b'\"c\"d", [("A", "abcd")]),
        ("export A=1 B\nexport C", [("A", "1")]),
        ("A=$B", [("A", None)]),
        ('A="x ${B:-y} z"', [("A", None)]),
        ('A=`a "b" c`d', [("A", None)]),
        ("A=$(a b)", [("A", None)]),
        ("A='$B `c`'", [("A", "$B `c`")]),
        ("A=~/b", [("A", None)]),
        ("A='~'/b B=b~", [("A", "~/b"), ("B", "b~")]),
        ("A=b:~", [("A", None)]),
        ("A=*", [("A", "*")]),
        ("export A=*", [("A", None)]),
        ("A=100$", [("A", "100$")]),
    ],
)
def test_reads(source, expected):
    assert parse(source) == expected


@pytest.mark.parametrize(
    "source, line",
    [
        ("A=1\nls", 2),
        ("A=1 ls", 1),
        ("A =1", 1),
        ("; A=1", 1),
        ("A=1;;", 1),
        ("A=1 | B=2", 1),
        ("A=1|cat", 1),
        ("A=1 && B=2", 1),
        ("A=(1 2)", 1),
        ("\nA='1\n", 2),
        ('\nA="1\n', 2),
        ("A=1\\", 1),
        ("A=`a\n", 1),
        ("A=$(a (b))", 1),
        ("A=${B:-'c}'}", 1),
        ("A=$'a'", 1),
        ("if true; then A=1; fi", 1),
        (". /etc/default/courier", 1),
        ("1A=1", 1),
        ("A+=1", 1),
        ("export -p", 1),
        ("A=1\nB=\0", 2),
        ("\xef\xbb\xbfA=1", 1),
    ],
)
def test_refuses(source, line):
    with pytest.raises(text.SyntaxProblem, match=rf"/x:{line}: expected .*\.\Z"):
        shell.File("/x", source)


@given(st.one_of(st.binary(max_size=100), VALUES.map(lambda value: f"A={value}".encode("latin-1"))))
def test_any_bytes(content):
    source = text.decode(content)
    try:
        file = shell.File("/x", source)
    except text.SyntaxProblem as problem:
        assert PROBLEM.match(str(problem))
        return
    assert text.encode(text.splice(file.source, [])) == content
    end = 0
    for assignment in file.assignments:
        assert end < assignment.start <= assignment.end <= len(source)
        end = assignment.end


@settings(max_examples=300, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=4), VALUES, st.sampled_from(["", "\n"]), st.data())
def test_replace_and_read(values, new, last, data):
    source = "\n".join(f"A{number}={value}" for number, value in enumerate(values)) + last
    try:
        before = shell.File("/x", source)
    except text.SyntaxProblem:
        hypothesis.reject()
    at = data.draw(st.integers(0, len(before.assignments) - 1))
    if before.assignments[at].value is None:
        with pytest.raises(text.SyntaxProblem, match=r"/x:[0-9]+: expected a value without expansions after A"):
            before.replaced(before.assignments[at], new)
        return
    after = parse(text.splice(source, [before.replaced(before.assignments[at], new)]))
    expected = parse(source)
    expected[at] = (expected[at][0], new)
    assert after == expected


def test_added():
    assert text.splice("", [shell.File("/x", "").added("A", "1")]) == "A=1\n"
    assert text.splice("# c", [shell.File("/x", "# c").added("A", "it's")]) == "# c\nA='it'\\''s'\n"


def test_in_force():
    file = own()
    assert file.in_force("MAXDAEMONS").value == "80"
    assert file.in_force("MAXPERIP").value == "20"
    assert file.in_force("TCPDOPTS").value == "-nodnslookup -noidentlookup"
    assert file.in_force("HEADERFROM").value == "X Yz$Aa#b"
    assert file.in_force("IMAP_CAPABILITY_TLS").value is None
    assert file.in_force("NONE") is None
    assert file.line(file.in_force("MAXPERIP")) == 7


def own():
    (path,) = [parameter.values[0] for parameter in own_files("courier_")]
    return shell.File(str(path), text.decode(path.read_bytes()))


@pytest.mark.parametrize("path", own_files("courier_") + corpus("courier"))
def test_real_files(path):
    content = path.read_bytes()
    source = text.decode(content)
    file = shell.File("/x", source)
    assert text.encode(text.splice(source, [])) == content
    assert file.assignments
    for number, assignment in enumerate(file.assignments):
        if assignment.value is None:
            continue
        after = text.splice(source, [file.replaced(assignment, "1 2")])
        old, new = changed_lines(source, after)
        assert len(old) <= source.count("\n", assignment.start, assignment.end) + 1 and len(new) <= 1
        expected = [(each.name, each.value) for each in file.assignments]
        expected[number] = (assignment.name, "1 2")
        assert parse(after) == expected


def taken(source):
    """Whether we take ``source``; only such are run, since anything else may be a command."""
    try:
        return bool(shell.File("/x", source))
    except text.SyntaxProblem:
        return False


def compare(sources):
    """Assert that /bin/sh gives every variable the value that we read; return how many files and values that were."""
    sources = list(filter(taken, sources))
    names = sorted({name for source in sources for name in re.findall(r"\b[A-Z][A-Z0-9_]*(?==)", source)})
    values = "; ".join(f'printf "%s\\0" "{name}=${{{name}-unset}}"' for name in names)
    script = f"env -i sh -c '. ./file; {{ {values}; }} >values'"
    results = judge(["sh"], [{"file": text.encode(source)} for source in sources], script)
    compared = 0
    for source, result in zip(sources, results):
        file = shell.File("/x", source)
        theirs = dict(item.split("=", 1) for item in text.decode(result["values"]).split("\0")[:-1])
        for name in names:
            ours = file.in_force(name)
            if ours is None or ours.value is not None:
                assert theirs[name] == ("unset" if ours is None else ours.value), (source, name)
                compared += 1
    return len(sources), compared


@pytest.mark.skipif(not shutil.which("sh"), reason="needs sh")
def test_sh_generated():
    counts = [0, 0]

    @settings(
        max_examples=4,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @given(st.lists(st.lists(VALUES, min_size=1, max_size=4), min_size=100, max_size=100))
    def run(cases):
        some = compare(["".join(f"{name}={value}\n" for name, value in zip("ABCD", values)) for values in cases])
        counts[:] = [total + more for total, more in zip(counts, some)]

    run()
    assert all(counts)
    print(f"{counts[0]} files, {counts[1]} values")


@pytest.mark.skipif(not shutil.which("sh"), reason="needs sh")
def test_sh_files():
    paths = [parameter.values[0] for parameter in own_files("courier_") + corpus("courier")]
    accepted, compared = compare([text.decode(path.read_bytes()) for path in paths if path])
    assert accepted == len([path for path in paths if path])
    assert compared


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("-a5", "-a9"),
        ("'-x -a5 -y'", "'-x -a9 -y'"),
        ('"-x -a5 -y"', '"-x -a9 -y"'),
        ('-x\\ "-a5" # why', "'-x -a9' # why"),
    ],
)
def test_a_part_of_a_value_is_replaced_between_the_quotes_that_are_there(written, expected):
    file = shell.File("x", f"A={written}\n")
    value = file.assignments[0].value
    start = value.index("5")
    change = file.replaced_part(file.assignments[0], start, start + 1, "9")
    assert text.splice(file.source, [change]) == f"A={expected}\n"


def test_a_part_that_needs_quotes_gets_them():
    file = shell.File("x", "A=-a5\n")
    change = file.replaced_part(file.assignments[0], 2, 3, "9 $B")
    assert text.splice(file.source, [change]) == "A='-a9 $B'\n"
