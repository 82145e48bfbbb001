# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import glob
import os.path
import re
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ansible_collections.mailops.imap.plugins.module_utils._syntax import nginx, text
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.syntax_support import (
    TEMPLATE,
    corpus,
    own_files,
)


def read(source):
    return nginx.File("/etc/nginx/nginx.conf", source)


def shape(directives):
    """Directives as plain data."""
    return [(each.name, each.arguments, None if each.block is None else shape(each.block)) for each in directives]


def tree(files, main="/etc/nginx/nginx.conf", links=None):
    contents = {path: content.encode("latin-1") for path, content in files.items()}

    paths = {*contents, *(str(folder) for path in contents for folder in PurePosixPath(path).parents)}

    def match(pattern):
        return sorted(path for path in paths if re.fullmatch(re.escape(pattern).replace(r"\*", "[^/]*"), path))

    return nginx.Tree(main, contents.__getitem__, match, lambda path: (links or {}).get(path, path))


# reading


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", []),
        ("# only a comment", []),
        ("user www-data;", [("user", ["www-data"], None)]),
        ("a;b;", [("a", [], None), ("b", [], None)]),
        ("mail {}", [("mail", [], [])]),
        ("mail{server{listen 143;}}", [("mail", [], [("server", [], [("listen", ["143"], None)])])]),
        ("mail { # why\n timeout 5s; }", [("mail", [], [("timeout", ["5s"], None)])]),
        ("mail\r\n{\r\n\ttimeout\t5s ;\r\n}\r\n", [("mail", [], [("timeout", ["5s"], None)])]),
        ("a # comment ; {\n b;", [("a", ["b"], None)]),
        ('a "b c" \'d"e\';', [("a", ["b c", 'd"e'], None)]),
        (r'a "b\"c" b\;c d\ e;', [("a", ['b"c', r"b\;c", r"d\ e"], None)]),
        (r'a "\t\n\r\\\x";', [("a", ["\t\n\r\\\\x"], None)]),
        ("a ${b}c $d{", None),
        ("log_format x '${a}{b}';", [("log_format", ["x", "${a}{b}"], None)]),
        ("return 200 ${host}/x;", [("return", ["200", "${host}/x"], None)]),
        ('if ($x ~ "a") { b; }', [("if", ["($x", "~", "a", ")"], [("b", [], None)])]),
        ("a b#c;", [("a", ["b#c"], None)]),
        ("a }b;", None),
        ("a b}c;", [("a", ["b}c"], None)]),
        ('"a" b;', [("a", ["b"], None)]),
        ('a "";', [("a", [""], None)]),
        ("a\xa0b \xff;", [("a\xa0b", ["\xff"], None)]),
        ("\xef\xbb\xbfuser x;", [("\xef\xbb\xbfuser", ["x"], None)]),
        ("content_by_lua_block { s = '}' -- }\n t = {} }", [("content_by_lua_block", [], [])]),
        ("content_by_lua_block { s = [==[ } ]] ]==] } a;", [("content_by_lua_block", [], []), ("a", [], None)]),
    ],
)
def test_reading(source, expected):
    if expected is None:
        with pytest.raises(text.SyntaxProblem):
            read(source)
    else:
        assert shape(read(source).directives) == expected


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("a", 1, '";" or a "{"'),
        ("\n\nmail {\n a;\n", 3, "closes the block"),
        ("a;\n}\n", 2, 'a directive, not "}"'),
        ("a;\n;", 2, 'a directive before ";"'),
        ("{}", 1, 'a directive before "{"'),
        ("a;\n b 'c;\n", 2, "a closing '"),
        ('a "b"c;', 1, 'after the closing "'),
        ("mail {\n a }", 2, 'a ";" after "a"'),
        ("x_by_lua_block { {", 1, "closes the block"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(source, line, words):
    with pytest.raises(text.SyntaxProblem) as problem:
        read(source)
    assert str(problem.value).startswith(f"/etc/nginx/nginx.conf:{line}: expected ")
    assert words in str(problem.value)


@given(some.binary(max_size=60) | some.text(alphabet="ab ;{}\"'\\#$\n\r\t", max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused_and_come_back(content):
    source = text.decode(content)
    assert text.encode(source) == content
    try:
        file = read(source)
    except text.SyntaxProblem as problem:
        assert re.match(r"/etc/nginx/nginx\.conf:[0-9]+: expected ", str(problem))
        return
    check_spans(file.directives, source)


def check_spans(directives, source):
    position = 0
    for directive in directives:
        assert position <= directive.start < directive.end <= len(source)
        assert source[directive.end - 1] in ";}"
        for begin, end in directive.argument_spans:
            assert directive.start < begin < end < directive.end
        if directive.block is not None:
            assert source[directive.inside - 1] == "{" and source[directive.inside_end] == "}"
            check_spans(directive.block, source)
        position = directive.end


# reading like others do

BLANKS = some.sampled_from([" ", "  ", "\t", "\n", "\r\n", " # note ; } {\n"])
WORDS = some.text(alphabet="abz019._/:-=~*", min_size=1, max_size=6)
QUOTED = some.text(alphabet="ab ;{}#'", max_size=5).map(lambda value: f'"{value}"')


@some.composite
def configurations(draw, depth=2):
    parts = []
    for dummy in range(draw(some.integers(0, 3))):
        words = [draw(some.sampled_from(["timeout", "proxy_timeout", "server", "a1", "_x"]))]
        words += draw(some.lists(WORDS | QUOTED, max_size=2))
        # A word may follow another only after a blank.
        statement = draw(BLANKS).join(words) + draw(some.sampled_from(["", " "]))
        if depth and draw(some.booleans()):
            statement += "{" + draw(BLANKS) + draw(configurations(depth - 1)) + draw(BLANKS) + "}"
        else:
            statement += ";"
        parts.append(statement + draw(BLANKS))
    return "".join(parts)


def crossplane_shape(statements):
    return [
        (each["directive"], each["args"], crossplane_shape(each["block"]) if "block" in each else None)
        for each in statements
        if "comment" not in each
    ]


def parsed_by_crossplane(crossplane, path):
    result = crossplane.parse(str(path), single=True, comments=False, check_ctx=False, check_args=False)
    assert result["status"] == "ok", result
    return crossplane_shape(result["config"][0]["parsed"])


@given(source=configurations())
def test_crossplane_reads_the_same(tmp_path_factory, source):
    crossplane = pytest.importorskip("crossplane")
    path = tmp_path_factory.mktemp("crossplane") / "nginx.conf"
    path.write_bytes(source.encode())
    assert shape(read(source).directives) == parsed_by_crossplane(crossplane, path)


@pytest.mark.parametrize("path", own_files("nginx_") + corpus("nginx-mail"))
def test_crossplane_reads_real_files_the_same(tmp_path, path):
    crossplane = pytest.importorskip("crossplane")
    content = path.read_bytes()
    copy = tmp_path / "nginx.conf"
    copy.write_bytes(content)
    try:
        file = read(text.decode(content))
    except text.SyntaxProblem:
        # crossplane takes a template's marks for directives, nginx does not.
        assert TEMPLATE.search(text.decode(content))
        return
    assert shape(file.directives) == parsed_by_crossplane(crossplane, copy)


@some.composite
def trees(draw):
    """Paths below one folder to contents that include each other, the main file's first."""
    names = ["a.conf", "d/b.conf", "d/c.conf", "e/d.conf"]
    files = {"nginx.conf": draw(configurations())}
    for number, name in enumerate(names):
        files[name] = draw(configurations(1))
        includer = draw(some.sampled_from(["nginx.conf", *names[:number]]))
        wanted = draw(some.sampled_from([name, name[:-5] + "*", name[:-6] + "?.conf", "none/*.conf"]))
        lead = draw(some.sampled_from(["", "x { include {}; }"]))
        files[includer] = (lead or "include {};").replace("{};", f"{wanted};") + "\n" + files[includer]
    return files


def flat_shape(found, pairs):
    """Directives of a Tree as plain data, with what includes bring in in their place."""
    return [
        (
            each.name,
            each.arguments,
            None if each.block is None else flat_shape(found, found.flat(each.block, file)),
        )
        for each, file in pairs
    ]


@given(files=trees())
def test_crossplane_follows_includes_the_same(tmp_path_factory, files):
    crossplane = pytest.importorskip("crossplane")
    folder = tmp_path_factory.mktemp("crossplane")
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content.encode())
    main = str(folder / "nginx.conf")
    try:
        found = nginx.Tree(
            main, lambda path: Path(path).read_bytes(), lambda pattern: sorted(glob.glob(pattern)), os.path.realpath
        )
    except text.SyntaxProblem as problem:
        assert "does not include itself" in str(problem)
        return
    result = crossplane.parse(main, combine=True, comments=False, check_ctx=False, check_args=False)
    assert result["status"] == "ok", result
    assert flat_shape(found, found.top()) == crossplane_shape(result["config"][0]["parsed"])


# times

TIMES = [
    ("5", 5000), ("5s", 5000), ("00005", 5000), ("0", 0), ("5500ms", 5500), ("1m30s", 90000), ("1h", 3600000),
    ("1w1d1h1m1s1ms", 694861001), ("10s10ms", 10010),
    # What only nginx's own parser would take; each was asked with nginx -t.
    ("5s30", 35000), ("1m30", 90000), ("1h1", 3601000), ("d5", 5000), ("5dh", 432000000), ("5sms", 5000),
    ("1ms1", 1001),
    (" 5", 5000), ("5 ", 5000), ("1m 30", 90000), ("5 5", 10000), ("9223372036854775", 9223372036854775000),
    ("", None), ("m", None), ("abc", None), ("1.5h", None), ("-5", None), ("5S", None), ("1M", None), ("1y", None),
    ("1d1w", None), ("5m5m", None), ("1 m", None), ("5 s", None), ("5 ms", None), ("5msms", None), ("1e3", None),
    ('"5s"', None), ("5\\s", None), ("9223372036854775807", None), ("5\n", None), ("\u0665", None),
]  # fmt: skip


@pytest.mark.parametrize(("written", "milliseconds"), TIMES)
def test_times(written, milliseconds):
    assert nginx.milliseconds(written) == milliseconds


@given(some.lists(some.tuples(some.integers(0, 999), some.sampled_from(["w", "d", "h", "m", "s", "ms"]))))
def test_times_in_falling_order_add_up(parts):
    weights = {"w": 604800000, "d": 86400000, "h": 3600000, "m": 60000, "s": 1000, "ms": 1}
    units = [unit for dummy, unit in parts]
    written = "".join(f"{number}{unit}" for number, unit in parts)
    falling = all(weights[before] > weights[after] for before, after in zip(units, units[1:]))
    expected = sum(number * weights[unit] for number, unit in parts) if parts and falling else None
    assert nginx.milliseconds(written) == expected


# splices


@given(
    some.text(max_size=30),
    some.lists(some.tuples(some.integers(0, 30), some.integers(0, 30), some.text(max_size=3)), max_size=3),
)
def test_splices_change_nothing_but_their_spans(source, wanted):
    splices, position, expected = [], 0, ""
    for start, end, inserted in sorted(wanted):
        start, end = min(start, len(source)), min(end, len(source))
        if position <= start < end:
            splices.append(text.Splice(start, end, inserted))
            expected += source[position:start] + inserted
            position = end
    assert text.splice(source, splices) == expected + source[position:]


# trees


def test_includes_are_followed_in_order_relative_to_the_main_file():
    found = tree(
        {
            "/etc/nginx/nginx.conf": "a; include conf.d/*.conf; mail { include /srv/mail.conf; }",
            "/etc/nginx/conf.d/2.conf": "c;",
            "/etc/nginx/conf.d/1.conf": "b; include deep.conf;",
            "/etc/nginx/deep.conf": "d;",
            "/srv/mail.conf": "timeout 5s;",
        }
    )
    assert [directive.name for directive, dummy in found.top()] == ["a", "b", "d", "c", "mail"]
    assert found.folders == {"/etc/nginx/conf.d"}
    mail = found.files["/etc/nginx/nginx.conf"].directives[-1]
    assert [(each.name, file.path) for each, file in found.flat(mail.block, found.files[found.root])] == [
        ("timeout", "/srv/mail.conf")
    ]


@pytest.mark.parametrize(
    ("pattern", "folders"),
    [
        ("sites/*/*.conf", {"/etc/nginx/sites", "/etc/nginx/sites/a", "/etc/nginx/sites/b"}),
        ("sites/a/[m]*", {"/etc/nginx/sites/a"}),
        ("none/*.conf", {"/etc/nginx"}),
        ("none/more/*.conf", {"/etc/nginx"}),
        ("sites/*/none/*", {"/etc/nginx/sites", "/etc/nginx/sites/a", "/etc/nginx/sites/b"}),
        ("/srv/*", {"/"}),
    ],
)
def test_folders_are_those_whose_entries_decide(pattern, folders):
    files = {"/etc/nginx/nginx.conf": f"include {pattern};", "/etc/nginx/sites/a/m": "a;", "/etc/nginx/sites/b/x": "b;"}
    assert tree(files).folders - {"/etc/nginx/sites/a/m", "/etc/nginx/sites/b/x"} == folders


def test_a_pattern_may_match_nothing_but_a_plain_name_may_not():
    assert list(tree({"/etc/nginx/nginx.conf": "include none/*.conf;"}).top()) == []
    with pytest.raises(KeyError):
        tree({"/etc/nginx/nginx.conf": "include none.conf;"})


@pytest.mark.parametrize(
    "files",
    [
        {"/etc/nginx/nginx.conf": "include nginx.conf;"},
        {"/etc/nginx/nginx.conf": "include a.conf;", "/etc/nginx/a.conf": "include nginx.conf;"},
        {"/etc/nginx/nginx.conf": "include a.conf;", "/etc/nginx/a.conf": "http { include *.conf; }"},
    ],
)
def test_a_file_that_includes_itself_is_refused(files):
    with pytest.raises(text.SyntaxProblem, match="does not include itself"):
        tree(files)


def test_one_file_under_two_names_is_one_file():
    found = tree(
        {"/etc/nginx/nginx.conf": "a { include one.conf; } b { include two.conf; }", "/srv/shared.conf": "timeout 5s;"},
        links={"/etc/nginx/one.conf": "/srv/shared.conf", "/etc/nginx/two.conf": "/srv/shared.conf"},
    )
    assert list(found.files) == ["/etc/nginx/nginx.conf", "/srv/shared.conf"]
    assert found.names == {"/etc/nginx/nginx.conf", "/etc/nginx/one.conf", "/etc/nginx/two.conf"}
    assert found.inclusions("/srv/shared.conf") == 2
    shared = found.files["/srv/shared.conf"].directives[0]
    assert [around[-1].name for around in found.uses(shared)] == ["a", "b"]


def test_uses_count_through_nested_includes():
    found = tree(
        {
            "/etc/nginx/nginx.conf": "a { include outer.conf; } b { include outer.conf; }",
            "/etc/nginx/outer.conf": "include inner.conf;",
            "/etc/nginx/inner.conf": "timeout 5s;",
        }
    )
    assert found.inclusions("/etc/nginx/inner.conf") == 2
    assert len(found.uses(found.files["/etc/nginx/inner.conf"].directives[0])) == 2


def test_a_relocated_tree_names_its_copies_and_keeps_its_lines():
    found = tree(
        {
            "/etc/nginx/nginx.conf": "# include no.conf;\ninclude\n  conf.d/*.conf; # all\n"
            "include none/*;\nload_module x;\n",
            "/etc/nginx/conf.d/a b.conf": "a;",
            "/etc/nginx/conf.d/c.conf": "c;",
        }
    )
    places = {path: f"/scratch/{number}.conf" for number, path in enumerate(found.files)}
    copy = nginx.File("x", found.files[found.root].source)
    assert nginx.relocated(found, copy, places) == (
        '# include no.conf;\ninclude "/scratch/1.conf"; include "/scratch/2.conf";\n # all\n\nload_module x;\n'
    )


def test_names_that_are_no_ascii_are_paths_as_the_system_writes_them():
    found = tree({"/etc/nginx/nginx.conf": "include \xc3\xa9.conf;", "/etc/nginx/\u00e9.conf": "a;"})
    assert "/etc/nginx/\u00e9.conf" in found.files
