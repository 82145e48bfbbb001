# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations that other people wrote: all are read or refused, and nginx' are changed; those of the other daemons
are changed in the tests of their languages.
"""

from __future__ import annotations

import re

import pytest

from ansible_collections.mailops.imap.plugins.module_utils._syntax import (
    colon,
    dovecot,
    nginx,
    sections,
    shell,
    text,
    words,
)
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.syntax_support import (
    TEMPLATE,
    changed_lines,
    corpus,
    corpus_kinds,
    own_files,
)

#: What a file of each kind is read by.
READERS = {
    "courier": shell.File,
    "cyrus-imapd": colon.File,
    "cyrus-master": sections.File,
    "dovecot": dovecot.File,
    "nginx-mail": nginx.File,
    "perdition": words.File,
}


def everything(directives):
    for directive in directives:
        yield directive
        yield from everything(directive.block or [])


def parse(source):
    return [(each.name, each.arguments) for each in everything(nginx.File("/x", source).directives)]


@pytest.mark.parametrize("kind", corpus_kinds())
def test_every_kind_of_file_has_a_reader(kind):
    assert kind in READERS


@pytest.mark.parametrize("kind", corpus_kinds() or READERS)
def test_what_cannot_be_read_is_a_template_and_is_refused_with_file_line_and_expectation(kind):
    """A template's own marks stand on the line that is refused."""
    counts = {"read": 0, "refused": 0}
    for parameter in corpus(kind):
        (path,) = parameter.values
        if path is None:
            pytest.skip("needs the corpus of real files")
        source = text.decode(path.read_bytes())
        try:
            READERS[kind](str(path), source)
        except text.SyntaxProblem as problem:
            place = re.match(re.escape(str(path)) + ":([0-9]+): expected .", str(problem))
            assert place, problem
            assert TEMPLATE.search(source.split("\n")[int(place.group(1)) - 1]), problem
            counts["refused"] += 1
        else:
            counts["read"] += 1
    assert counts["read"]
    print(kind, counts)


@pytest.mark.parametrize("path", own_files("nginx_") + corpus("nginx-mail"))
def test_nginx(path):
    """Every file comes back as it was; a new argument changes the lines of its directive, and is read."""
    content = path.read_bytes()
    source = text.decode(content)
    try:
        file = nginx.File("/x", source)
    except text.SyntaxProblem:
        assert TEMPLATE.search(source)
        return
    assert text.encode(text.splice(source, [])) == content
    found = list(everything(file.directives))
    assert found
    for number, directive in enumerate(found):
        for position, (start, end) in enumerate(directive.argument_spans):
            after = text.splice(source, [text.Splice(start, end, '"new"')])
            old, new = changed_lines(source, after)
            assert len(old) <= source.count("\n", start, end) + 1 and len(new) <= 1
            expected = [(each.name, list(each.arguments)) for each in found]
            expected[number][1][position] = "new"
            assert parse(after) == expected


@pytest.mark.parametrize(
    ("kind", "source", "quoted"),
    [
        ("nginx-mail", "a;\n\\\n", 'after "\\\\ ".'),
        ("nginx-mail", "a;\n" + "b" * 10000 + "}", 'after "b{80}\\.\\.\\.".'),
        ("nginx-mail", "a;\n'\u00fc\n\n\n' }", 'after "\u00fc ", not'),
        ("dovecot", "a = b\n\u00fc\t\x01\v\r c d\n", 'after "\u00fc".'),
        ("dovecot", "a = b\n" + "c" * 10000 + "\n", 'after "c{80}\\.\\.\\.".'),
        ("cyrus-master", "SERVICES {\n" + "a" * 4000 + "_b c=d\n", 'after "a{80}\\.\\.\\.".'),
    ],
)
def test_a_refusal_is_one_short_line_that_people_can_read(kind, source, quoted):
    with pytest.raises(text.SyntaxProblem) as caught:
        READERS[kind]("/x", text.decode(source.encode("utf-8")))
    assert re.fullmatch(f"/x:[0-9]: expected [^\n]*{quoted}[^\n]*", str(caught.value))
