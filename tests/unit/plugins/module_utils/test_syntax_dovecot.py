# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import time

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.mailops.imap.plugins.module_utils._syntax import dovecot, text
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.syntax_support import (
    TEMPLATE,
    Folder,
    changed_lines,
    corpus,
    host,
    judge,
    own_files,
)

MAIN = "/etc/dovecot/dovecot.conf"
HEAD = {"2.3": "", "2.4": "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"}
PROBLEM = re.compile(r"/\S+:[0-9]+: expected .*\.\Z")
VERSIONS = pytest.mark.parametrize("version", ["2.3", "2.4"])

# Text made of what means something to Dovecot; "%" is left out, which the settings themselves give a meaning.
PIECES = ["a", "b c", " ", "\t", '"', "'", "\\", "#", " #", "=", "{", "}", "\\\\", '\\"', "\xe9", "\r", "\f", ",", "/"]
VALUES = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


def tree(main, **others):
    """The Tree of ``main`` (text) and ``others`` (name in the folder of the main file, without .conf, to text)."""
    files = {f"/etc/dovecot/{name}.conf": text.encode(source) for name, source in others.items()}
    folder = Folder({MAIN: text.encode(main), **files})
    return dovecot.Tree(MAIN, folder.read, folder.match)


def parse(source, version="2.3"):
    """The statements of ``source``, each as a tuple that is easy to compare."""
    found = []
    for statement in dovecot.File("/x", source, version).statements:
        if isinstance(statement, dovecot.Setting):
            found.append((statement.key, statement.form, statement.value))
        elif isinstance(statement, dovecot.Opening):
            found.append(
                ("group", "{", statement.key, statement.name) if statement.group else ("{", *header(statement))
            )
        elif isinstance(statement, dovecot.Include):
            found.append(("try" if statement.optional else "include", statement.pattern))
        else:
            found.append(("}",))
    return found


def header(opening):
    return opening.key, opening.name


def value(found):
    return None if found is None else found.setting.value


@VERSIONS
@pytest.mark.parametrize(
    "source, expected",
    [
        ("key = value", [("key", "plain", "value")]),
        ("\tkey=value \t", [("key", "plain", "value")]),
        ("key = two  words\r\n", [("key", "plain", "two  words")]),
        ("key =", [("key", "plain", "")]),
        ("key = # comment", [("key", "plain", "")]),
        ("key = a#b", [("key", "plain", "a")]),
        ('key = "a#b" # c', [("key", "quoted", "a#b")]),
        ("key = 'a\\'b'", [("key", "quoted", "a'b")]),
        ('key = "a\\\\"', [("key", "quoted", "a\\")]),
        ('key = "a" "b"', [("key", "quoted", 'a" "b')]),
        ('key = "a" b', [("key", "plain", '"a" b')]),
        ('key = "', [("key", "quoted", "")]),
        ("key = don't # comment", [("key", "plain", "don't # comment")]),
        ("key = <  path", [("key", "file", "path")]),
        ("key = $other more", [("key", "variable", "$other more")]),
        ('key = "$other"', [("key", "quoted", "$other")]),
        ("key = a \\\n\t b\\\nc", [("key", "plain", "a b c")]),
        ("key = a \\ # comment\nb", [("key", "plain", "a b")]),
        ("key = a # comment \\\nb = c", [("key", "plain", "a"), ("b", "plain", "c")]),
        ("key \\\n = \\\n a", [("key", "plain", "a")]),
        ("key = a \\\n# comment\nb = c", [("b", "plain", "c")]),
        ("key = a \\\n\nb = c", [("b", "plain", "c")]),
        ("\\\nkey = a", [("key", "plain", "a")]),
        ("block {\n}", [("{", "block", ""), ("}",)]),
        ('block "a b" { # c\n } # d', [("{", "block", "a b"), ("}",)]),
        ("block a\t{\n}", [("{", "block", "a"), ("}",)]),
        ('block "a"{\n}', [("{", "block", "a"), ("}",)]),
        ("!include conf.d/*.conf # c", [("include", "conf.d/*.conf")]),
        ('!include_try "a b"', [("try", '"a b"')]),
    ],
)
def test_reads(version, source, expected):
    assert parse(source, version) == expected


@pytest.mark.parametrize(
    "version, source, expected",
    [
        ("2.3", 'k"ey" = a', [('k"ey"', "plain", "a")]),
        ("2.4", '"k e=y" = a', [("k e=y", "plain", "a")]),
        ("2.4", '"key"{\n}', [("{", "key", ""), ("}",)]),
        ("2.3", "key = a\f", [("key", "plain", "a\f")]),
        ("2.4", "key = a\f", [("key", "plain", "a")]),
        ("2.4", "group @a b {\n}", [("group", "{", "@a", "b"), ("}",)]),
        ("2.4", "group {\n}", [("{", "group", ""), ("}",)]),
    ],
)
def test_reads_versions(version, source, expected):
    assert parse(source, version) == expected


@VERSIONS
@pytest.mark.parametrize(
    "source, line",
    [
        ("a = b\nkey", 2),
        ("key value", 1),
        ("block{", 1),
        ("block a b {", 1),
        ("block { a = b }", 1),
        ('block "a {', 1),
        ("} a", 1),
        ("\n= a", 2),
        ("a = b\n\nc = d \\", 3),
        ("a = b\nc\0 = d", 2),
        ("\xef\xbb\xbf\na = b", 1),
    ],
)
def test_refuses(version, source, line):
    with pytest.raises(text.SyntaxProblem, match=rf"/x:{line}: expected .*\.\Z"):
        dovecot.File("/x", source, version)


@given(st.binary(max_size=200), st.sampled_from(["2.3", "2.4"]))
def test_any_bytes(content, version):
    source = text.decode(content)
    try:
        file = dovecot.File("/x", source, version)
    except text.SyntaxProblem as problem:
        assert PROBLEM.match(str(problem))
        return
    assert text.encode(text.splice(file.source, [])) == content
    end = 0
    for statement in file.statements:
        assert end <= statement.start < statement.end <= len(source)
        end = statement.end


@VERSIONS
@settings(max_examples=300, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=4), VALUES, st.sampled_from(["\n", "\r\n"]), st.data())
def test_replace_and_read(version, values, new, ending, data):
    """Whatever a value is, another one takes its place, is read as what it is, and changes no other setting."""
    new = new.replace("\r", "").strip("\t\f ")
    lines = [f"{data.draw(st.sampled_from(['', '  ']))}key{n} ={value}" for n, value in enumerate(values)]
    source = HEAD[version] + ending.join(lines) + data.draw(st.sampled_from(["", ending]))
    try:
        before = tree(source)
    except text.SyntaxProblem:
        hypothesis.reject()
    at = data.draw(st.integers(0, len(before.assignments) - 1)) if before.assignments else hypothesis.reject()
    if before.assignments[at].path[0] in ("dovecot_config_version", "dovecot_storage_version"):
        hypothesis.reject()
    splice = before.replaced(before.assignments[at], new)
    after = tree(text.splice(source, [splice]))
    expected = [(each.path, each.setting.value) for each in before.assignments]
    expected[at] = (expected[at][0], new)
    assert [(each.path, each.setting.value) for each in after.assignments] == expected


@given(VALUES.map(lambda value: value.replace("\r", "").strip("\t\f ")))
def test_written(new):
    for version in ("2.3", "2.4"):
        ((dummy, form, read),) = parse(f"key = {dovecot.written(new)}", version)
        assert read == new
        assert form in ("plain", "quoted")


@VERSIONS
def test_added(version):
    main = HEAD[version] + "a = b\r\nprotocol imap {\r\n\tc = d\r\n}"
    found = tree(main)
    file, splice = found.added((), "e", "f")
    assert text.splice(file.source, [splice]) == main + "\r\ne = f\r\n"
    file, splice = found.added((("protocol", "imap"),), "e", "f")
    assert text.splice(file.source, [splice]) == main.replace("c = d\r\n", "c = d\r\n\te = f\r\n")
    file, splice = found.added((("protocol", "imap"), ("service", "a b")), "e", "f g")
    assert text.splice(file.source, [splice]) == main.replace(
        "c = d\r\n", 'c = d\r\n\tservice "a b" {\r\n\t\te = f g\r\n\t}\r\n'
    )


def test_added_where_the_block_is():
    found = tree("!include a.conf\n", a="service imap-login {\n    inet_listener imap {\n    }\n}\n")
    file, splice = found.added((("service", "imap-login"), ("inet_listener", "imap")), "port", "1")
    assert file.path == "/etc/dovecot/a.conf"
    assert text.splice(file.source, [splice]) == (
        "service imap-login {\n    inet_listener imap {\n        port = 1\n    }\n}\n"
    )
    file, splice = tree("").added((("service", "imap"),), "client_limit", "1")
    assert text.splice("", [splice]) == "service imap {\n  client_limit = 1\n}\n"


def test_blocks_across_files():
    found = tree("!include a.conf\n b = c\n}\n", a="protocol imap {\n")
    assert [(each.path, each.filter) for each in found.assignments] == [(("b",), {"protocol": "imap"})]
    file, splice = found.added((("protocol", "imap"),), "d", "e")
    assert (file.path, text.splice(file.source, [splice])) == ("/etc/dovecot/a.conf", "protocol imap {\n  d = e\n")


def test_includes():
    found = tree(
        "a = 1\n!include [bc].conf\n!include_try none*\n!include {e,d}.conf\na = 3\n",
        b="a = b\n",
        c="a = c\n",
        d="a = d\n",
        e="a = e\n",
    )
    assert [each.setting.value for each in found.assignments] == ["1", "b", "c", "e", "d", "3"]
    assert list(found.files) == [MAIN] + [f"/etc/dovecot/{name}.conf" for name in "bced"]
    assert found.folders == {"/etc/dovecot"}
    assert found.inclusions("/etc/dovecot/b.conf") == 1


@pytest.mark.parametrize(
    "include, folders",
    [
        ("!include_try none/*.conf", {"/etc/dovecot"}),
        ("!include_try */a.conf", {"/etc/dovecot", "/etc/dovecot/d"}),
        ("!include_try none/at/all.conf", {"/etc/dovecot"}),
        ("!include_try d/a.conf", set()),
    ],
)
def test_folders_are_those_whose_entries_decide(include, folders):
    assert tree(f"{include}\n", **{"d/a": "a = b\n"}).folders - {MAIN} == folders


def test_a_service_is_a_filter_of_its_own_to_the_variables_of_2_4():
    service = (
        "default_process_limit = 5\nservice imap {\n process_limit = 3\n}\n"
        "service imap {\n process_limit = $SET:service_process_limit\n client_limit = $SET:default_process_limit\n}\n"
        "service/pop3/process_limit = $SET:default_process_limit\n"
    )
    found = tree(HEAD["2.4"] + service)
    known = {"default_process_limit": "100"}.get
    assert [found.expanded(each, known) for each in found.assignments[-3:]] == ["3", "100", "5"]
    found = tree(service.replace("$SET:", "$"))
    assert [found.expanded(each, known) for each in found.assignments[-2:]] == ["5", "5"]


def test_variables_are_the_settings_that_others_refer_to():
    source = 'a = $b x$c $ENV:d\ne = "$f"\nprotocol imap {\n g = x $b $h\n}\n'
    assert tree(source).variables() == ["b", "h"]
    assert tree(HEAD["2.4"] + source.replace("$h", "$SET:h")).variables() == ["h"]


def test_names_that_are_no_ascii():
    name = "/etc/dovecot/gr\udcfc\xdf.conf"
    folder = Folder({MAIN: b"!include gr\xfc\xc3\x9f.conf\n", name: b"a = <b\n"})
    found = dovecot.Tree(MAIN, folder.read, folder.match)
    assert [value(each) for each in found.assignments] == ["b"]
    places = {MAIN: "/tmp/0", name: "/tmp/gr\xfc\xdf"}
    assert dovecot.relocated(found, found.files[MAIN], places) == "!include /tmp/gr\xc3\xbc\xc3\x9f\n"


@pytest.mark.parametrize(
    "main, others, problem",
    [
        ("!include none*.conf\n", {}, r'dovecot.conf:1: expected a file to include, not "none\*.conf"'),
        ("!include none.conf\n", {}, 'dovecot.conf:1: expected a file to include, not "none.conf"'),
        (
            "!include a.conf\n",
            {"a": "b = c\n!include a.conf\n"},
            "a.conf:2: expected a file that does not include itself",
        ),
        ("!include\n", {}, "dovecot.conf:1: expected a path"),
        ("protocol imap {\n", {}, 'dovecot.conf:1: expected a "}" that closes'),
        ("protocol imap {\n}\n}\n", {}, 'dovecot.conf:3: expected a statement, not a "}"'),
    ],
)
def test_refuses_trees(main, others, problem):
    with pytest.raises(text.SyntaxProblem, match=problem):
        tree(main, **others)


def test_relocated():
    main = "!include {a,b}.conf # both\n!include_try none*\nssl_cert = <cert.pem\n!include \\\n a.conf # one\n"
    found = tree(main, a="", b="")
    places = {"/etc/dovecot/a.conf": "/tmp/1", "/etc/dovecot/b.conf": "/tmp/2", MAIN: "/tmp/0"}
    assert dovecot.relocated(found, found.files[MAIN], places) == (
        "!include /{tmp/1,tmp/2} # both\n#\nssl_cert = </etc/dovecot/cert.pem\n!include /tmp/1\n # one\n"
    )


def test_in_force_2_3():
    found = dovecot_own("dovecot_2.3.conf")
    limit = ("mail_max_userip_connections",)
    assert found.version == "2.3"
    assert value(found.in_force(limit)) == "15"
    assert value(found.in_force(limit, "imap")) == "20"
    assert value(found.in_force(limit, "pop3")) == "15"
    assert [(each.clients, value(each)) for each in found.exceptions(limit, "imap")] == [
        ((("remote", "10.0.0.0/8"),), "30"),
        ((("local_name", "mail.example.org"),), "50"),
    ]
    assert [value(each) for each in found.exceptions(limit)] == ["30", "50"]
    assert value(found.in_force(("imap_id_retain",), "imap")) == "yes"
    assert found.in_force(("imap_id_retain",), "pop3") is None
    assert found.in_force(("imap_id_retain",)) is None
    assert value(found.in_force(("service", "imap-login", "client_limit"))) == "12"
    assert value(found.in_force(("service", "imap-login", "inet_listener", "imap", "port"))) == "143"
    assert value(found.in_force(("plugin", "quota"))) == "maildir:User quota"
    assert found.in_force(("lda_original_recipient_header",)) is None
    assert value(found.in_force(("imap_logout_format",))) == "don't # no comment, since nothing closes the quote"
    assert value(found.in_force(("login_greeting",))) == 'It\'s "ready" # no comment'
    assert found.expanded(found.in_force(("mail_plugins",), "imap"), {"mail_plugins": ""}.get) == " quota"


def test_very_many_blocks_take_no_longer():
    blocks = [f"remote 10.{number}.0.0/16 {{\n  a = {number}\n}}\n" for number in range(10000)]
    found = tree("".join(blocks))
    began = time.monotonic()
    assert [value(each) for each in found.exceptions(("a",))] == [str(number) for number in range(10000)]
    assert time.monotonic() - began < 5


def test_in_force_2_4():
    found = dovecot_own("dovecot_2.4.conf")
    limit = ("mail_max_userip_connections",)
    assert found.version == "2.4"
    assert value(found.in_force(limit)) == "10"
    assert value(found.in_force(limit, "imap")) == "20"
    # The filter that was opened last wins, whatever it is about: no client gets the 30 of "remote" with IMAP.
    assert found.exceptions(limit, "imap") == []
    assert [value(each) for each in found.exceptions(limit, "pop3")] == ["30"]
    assert value(found.in_force(("service", "imap-login", "client_limit"))) == "11"
    assert value(found.in_force(("service", "imap-login", "process_limit"))) == "12"
    assert value(found.in_force(("service", "imap-login", "inet_listener", "imap", "port"))) == "10143"
    assert (
        found.expanded(found.in_force(("imap_logout_format",), "imap"), {"login_greeting": "hello"}.get) == "hello bye"
    )
    with pytest.raises(text.SyntaxProblem, match="expected imap_max_line_length outside of a group"):
        found.in_force(("imap_max_line_length",))


def test_narrower_filters():
    main = "remote 10.0.0.0/8 {\na = 1\nprotocol imap {\na = 2\n}\nprotocol pop3 {\na = 3\n}\n}\n"
    for version in ("2.3", "2.4"):
        found = tree(HEAD[version] + main)
        assert [value(each) for each in found.exceptions(("a",), "imap")] == ["2"]
        assert [value(each) for each in found.exceptions(("a",))] == ["1"]


def test_equal_filters_2_3():
    first = tree("protocol !pop3 {\na = 1\n}\nprotocol imap {\na = 2\n}\nprotocol !pop3 {\na = 3\n}\n")
    assert value(first.in_force(("a",), "imap")) == "3"


def test_variables():
    found = tree("a = 1\na = $a  2\nprotocol imap {\n a = $a 3\n b = $a 4\n c = $d 5\n e = $ENV:F\n}\n")
    known = {"d": "9"}.get
    assert [found.expanded(each, known) for each in found.assignments] == ["1", "1 2", "1 2 3", "1 2 3 4", "9 5", None]


@pytest.mark.parametrize(
    "written, expected",
    [
        ("0", 0),
        ("5", None),
        ("30 mins", 1800),
        ("30m", 1800),
        ("1800 secs", 1800),
        ("1800s", 1800),
        ("5000 ms", 5),
        ("5 milliseconds", None),
        ("2 Hours", 7200),
        ("1 day", 86400),
        ("1w", 604800),
        ("1 fortnight", None),
        ("-1s", None),
        ("", None),
        ("4294967295 s", 4294967295),
        ("4294967296 s", None),
        ("71582789 mins", None),
    ],
)
@VERSIONS
def test_seconds(version, written, expected):
    assert dovecot.seconds(written, version) == expected


def test_seconds_without_end():
    assert dovecot.seconds("infinite", "2.4") == dovecot.seconds("unlimited", "2.4") == float("inf")
    assert dovecot.seconds("infinite", "2.3") is None


@pytest.mark.parametrize(
    "written, expected",
    [
        ("64 k", 65536),
        ("64K", 65536),
        ("64 KiB", 65536),
        ("1 m", 1 << 20),
        ("1Gb", 1 << 30),
        ("2 t", 2 << 40),
        ("5 B", 5),
        ("5", 5),
        ("5 bb", None),
        ("5 x", None),
        ("k", None),
        ("16777216 t", None),
    ],
)
def test_size(written, expected):
    assert dovecot.size(written) == expected


def dovecot_own(name):
    (path,) = [parameter.values[0] for parameter in own_files(name)]
    return tree(text.decode(path.read_bytes()))


@pytest.mark.parametrize("path", own_files("dovecot_") + corpus("dovecot"))
def test_real_files(path):
    """Every file comes back as it was; a new value for a setting changes the lines of that setting, and is read."""
    content = path.read_bytes()
    source = text.decode(content)
    version = "2.4" if re.search(r"^dovecot_config_version", source, re.MULTILINE) else "2.3"
    try:
        file = dovecot.File("/x", source, version)
    except text.SyntaxProblem as problem:
        assert TEMPLATE.search(source), problem
        return
    assert text.encode(text.splice(source, [])) == content
    found = [statement for statement in file.statements if isinstance(statement, dovecot.Setting)]
    for number, setting in enumerate(found):
        splice = text.Splice(setting.value_start, setting.value_end, " 1 2 3")
        after = text.splice(source, [splice])
        old, new = changed_lines(source, after)
        assert len(old) <= source.count("\n", setting.start, setting.end) + 1 and len(new) <= 1
        again = [each for each in dovecot.File("/x", after, version).statements if isinstance(each, dovecot.Setting)]
        assert [each.value for each in again] == [
            "1 2 3" if position == number else each.value for position, each in enumerate(found)
        ]


# What follows compares with doveconf.

SUITES = {"2.3": "bookworm", "2.4": "trixie"}
KEYS = ("login_greeting", "imap_logout_format", "recipient_delimiter")
ASKED = {
    "2.3": "doveconf -x -h -c $PWD/main.conf",
    "2.4": "doveconf -x -c $PWD/main.conf",
}
CLIENT = "-f protocol=imap -f remote=10.1.1.1"
LIMIT = ("service", "imap-login", "client_limit")


def questions(version):
    keys = " ".join(KEYS)
    asked = ASKED[version]
    return (
        f"doveconf -n -x -c $PWD/main.conf >/dev/null 2>problem; {asked} {keys} >all; "
        f"{asked} -f protocol=imap {keys} >imap; {asked} -f protocol=pop3 {keys} >pop3; "
        f"{asked} {CLIENT} {keys} >client 2>conflict; {asked} {'/'.join(LIMIT)} >limit"
    )


def answers(output, version):
    """Key to value of what doveconf prints: 2.3 prints values alone, 2.4 settings and blocks."""
    source = text.decode(output)
    if version == "2.3":
        return dict(zip(KEYS, source.split("\n")))
    return dict(re.findall(r"^(\w+) = ([^\n]*)", source, re.MULTILINE))


def meanings(answer, version):
    """What ``answer`` may stand for: 2.4 puts some values in quotes, and prints those with quotes of their own as they are."""
    if version == "2.4" and len(answer) > 1 and answer[0] == answer[-1] == '"':
        return [answer, re.sub(r"\\(.)", r"\1", answer[1:-1])]
    return [answer]


def draw_values():
    plain = st.integers(0, 99).map("v{}".format)
    variables = st.sampled_from(["$login_greeting x", "$SET:login_greeting x", "$recipient_delimiter", "$none"])
    return st.one_of(VALUES, VALUES.map('"{}"'.format), plain, variables)


def draw_settings():
    equals = st.sampled_from([" = ", "=", "\t=\t", " = \\\n ", " \\\n = "])
    return st.builds(
        lambda *parts: "".join(parts), st.sampled_from(["", "  "]), st.sampled_from(KEYS), equals, draw_values()
    )


def draw_lines():
    settings_and_more = st.one_of(
        draw_settings(),
        draw_settings(),
        st.sampled_from(["#c", "", "\\", "# x \\", "!include b.conf", "!include {c,b}.conf"]),
    )
    names = st.sampled_from(
        ["protocol imap", "protocol pop3", "protocol !pop3", 'protocol "imap"', "remote 10.0.0.0/8"]
    )
    openings = st.sampled_from([" {", " { # c", "\t{", " \\\n {"])
    blocks = st.tuples(names, openings, st.lists(draw_settings(), max_size=2)).map(
        lambda block: "\n".join([block[0] + block[1], *block[2], " }"])
    )
    services = st.integers(1, 99).flatmap(
        lambda limit: st.sampled_from(
            [f"service imap-login {{\n client_limit={limit}\n}}", f"service/imap-login/client_limit = {limit}"]
        )
    )
    broken = st.sampled_from(["}", "protocol imap {", "protocol imap{", "key", "} x", "remote 10.0.0.0/8 { a = b }"])
    usual = st.one_of(settings_and_more, settings_and_more, blocks, services)
    return st.one_of(usual, usual, usual, usual, usual, usual, usual, broken)


def draw_cases():
    def included(lines):
        return [line for line in lines if not line.startswith("!include")]

    some = st.lists(draw_lines(), max_size=8)
    return st.tuples(some, some.map(included), some.map(included), st.sampled_from(["", "\n"]))


@VERSIONS
def test_doveconf_generated(version):
    """What Dovecot takes, we take and read as the same; what its parser refuses, we refuse."""
    shell = host(SUITES[version])
    counts = {"accepted": 0, "refused": 0, "values": 0}

    @settings(
        max_examples=3,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @given(st.lists(draw_cases(), min_size=40, max_size=40))
    def compare(cases):
        packed = [{"main.conf": text.encode(HEAD[version])}]
        for main, second, third, last in cases:
            sources = {
                "main": HEAD[version] + "\n".join(main) + last,
                "b": "\n".join(second) + "\n",
                "c": "\n".join(third) + "\n",
            }
            packed.append({f"{name}.conf": text.encode(source) for name, source in sources.items()})
        defaults, *results = judge(shell, packed, questions(version))
        default = {key: meanings(answer, version)[-1] for key, answer in answers(defaults["all"], version).items()}
        for files, result in zip(packed[1:], results):
            compare_one(files, result, default, version, counts)

    compare()
    assert all(counts.values())
    print(counts)


def compare_one(files, result, default, version, counts):
    folder = Folder({f"/t/{name}": content for name, content in files.items()})
    problem = text.decode(result["problem"])
    refused = "Error in configuration file" in problem
    try:
        found = dovecot.Tree("/t/main.conf", folder.read, folder.match)
    except text.SyntaxProblem as complaint:
        assert refused or "backslash that ends the file" in str(complaint), (complaint, files)
        counts["refused"] += 1
        return
    assert not re.search(r"Expecting '\{'|Garbage after|Unexpected '}'|Missing '}'|No matches", problem), (
        problem,
        files,
    )
    if refused:
        return
    counts["accepted"] += 1
    for key in KEYS:
        for asked, protocol in (("all", None), ("imap", "imap"), ("pop3", "pop3"), ("client", "imap")):
            ours = found.in_force((key,), protocol)
            if asked == "client":
                if b"Conflict in setting" in result["conflict"]:
                    continue
                ours = next(iter(found.exceptions((key,), protocol)), ours)
            ours = default[key] if ours is None else found.expanded(ours, default.get)
            theirs = meanings(answers(result[asked], version)[key], version)
            assert ours in theirs, (key, asked, files)
            counts["values"] += 1
    limit = found.in_force(LIMIT)
    if limit is not None:
        assert re.search(r"([0-9]+)\s*(?:}|\Z)", text.decode(result["limit"])).group(1) == limit.setting.value, files


@VERSIONS
@pytest.mark.parametrize("kind", ["own", "corpus"])
def test_doveconf_files(version, kind):
    """What doveconf makes of each file by itself is what we do."""
    shell = host(SUITES[version])
    parameters = own_files(f"dovecot_{version}") if kind == "own" else corpus("dovecot")
    paths = [parameter.values[0] for parameter in parameters]
    if paths == [None]:
        pytest.skip("needs the corpus of real files")
    cases = [{"main.conf": path.read_bytes()} for path in paths]
    results = judge(shell, cases, "doveconf -n -P -c $PWD/main.conf >all 2>problem")
    accepted = compared = 0
    for path, files, result in zip(paths, cases, results):
        folder = Folder({f"/t/{name}": content for name, content in files.items()})
        refused = re.search(r"(?:Error|Fatal): .*", text.decode(result["problem"]))
        try:
            ours = dovecot.Tree("/t/main.conf", folder.read, folder.match)
        except text.SyntaxProblem as problem:
            assert refused, (path, problem)
            continue
        if refused:
            continue
        accepted += 1
        printed = Folder({"/t/main.conf": result["all"]})
        theirs = dovecot.Tree("/t/main.conf", printed.read, printed.match)
        for assignment in theirs.assignments:
            compared += same_in_file(path, ours, assignment)
    assert accepted and compared
    print(f"{len(paths)} files, {accepted} accepted by doveconf {version}, {compared} values the same")


def same_in_file(path, ours, theirs):
    """Assert that what doveconf prints as ``theirs`` is what we read; return whether there was something to compare."""
    nameless = [block for block in theirs.blocks if not block.opening.name and block.opening.key != "plugin"]
    if theirs.clients or theirs.group or (ours.version == "2.3" and nameless):
        return False
    mine = ours.in_force(theirs.path, theirs.filter.get("protocol"))
    if mine is None or mine.setting.form == "variable" or mine.filter != theirs.filter:
        return False
    written, printed = mine.setting.value, theirs.setting.value
    same = written == printed or written.lower() == printed.lower()
    for measure in (lambda value: dovecot.seconds(value, ours.version), dovecot.size):
        same = same or (measure(written) is not None and measure(written) == measure(printed))
    assert same, (path, theirs.path, written, printed)
    return True


@VERSIONS
def test_doveconf_relocated(version):
    """A staged copy, with all files elsewhere, is the same configuration to Dovecot."""
    shell = host(SUITES[version])
    files = {
        "main.conf": HEAD[version]
        + "!include conf.d/*.conf # both\n!include_try none*\nprotocol imap {\n!include more\n}\n",
        "conf.d/1.conf": "login_greeting = <greeting\nimap_logout_format = a\n!include_try ../[no]*.x\n",
        "conf.d/2.conf": "recipient_delimiter = b\n!include ../{o,p}.x\n",
        "more": "imap_logout_format = c",
        "o.x": "imap_max_line_length = 5 k\n",
        "p.x": "recipient_delimiter = c\n",
    }
    folder = Folder({f"/HERE/{name}": text.encode(source) for name, source in files.items()})
    found = dovecot.Tree(
        "/HERE/main.conf", lambda path: folder.read(normal(path)), lambda pattern: folder.match(normal(pattern))
    )
    assert len(found.files) == len(files)
    places = {path: f"/HERE/staged/{number}" for number, path in enumerate(found.files)}
    staged = {places[path][6:]: dovecot.relocated(found, file, places) for path, file in found.files.items()}
    case = {name: text.encode(source) for name, source in {**files, **staged, "conf.d/greeting": "hello"}.items()}
    ask = (
        'sed -i "s|/HERE|$PWD|g; s|HERE/|${PWD#/}/|g" staged/*; '
        "doveconf -n -x -c $PWD/main.conf >before 2>&1; doveconf -n -x -c $PWD/staged/0 >after 2>&1"
    )
    (result,) = judge(shell, [case], ask)
    before, after = (text.decode(result[name]).split("\n", 1)[1] for name in ("before", "after"))
    assert before == after
    for line in (
        "login_greeting = hello",
        "imap_logout_format = c",
        "recipient_delimiter = c",
        "imap_max_line_length = 5 k",
    ):
        assert line in after


def normal(path):
    """``path`` without "..", as a file system sees it."""
    return re.sub(r"/[^/]+/\.\./", "/", path)
