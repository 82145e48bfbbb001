# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from machine import LabError
from sources import Mirror, Source, find_mirror, parse_deb822, parse_one_line, read_sources

ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb http://mirror.example/debian/ bookworm main contrib # why
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://security.example/debian-security bookworm-security main
deb-src http://mirror.example/debian bookworm main

nonsense
"""

DEB822 = """\
# A comment
Types: deb deb-src
URIs: https://mirror.example/debian/
Suites: trixie
# within a stanza
 trixie-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 Comment: URIs: http://key.example/debian
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://disabled.example/debian
Suites: trixie
Components: main
Enabled: no

Types: deb-src
URIs: http://source.example/debian
Suites: trixie
Components: main
"""


def test_one_line_style():
    assert parse_one_line(ONE_LINE) == [
        Source("http://mirror.example/debian", "bookworm", ("main", "contrib")),
        Source("https://security.example/debian-security", "bookworm-security", ("main",)),
    ]


def test_deb822_style():
    assert parse_deb822(DEB822) == [
        Source("https://mirror.example/debian", "trixie", ("main",)),
        Source("https://mirror.example/debian", "trixie-updates", ("main",)),
    ]


def test_both_styles_and_mirror_lists_are_read_from_a_machine(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "list-of-mirrors").write_text("\nhttps://first.example/debian/\nhttps://second.example/debian\n")
    (tmp_path / "sources.list").write_text("deb http://plain.example/debian bookworm main\n")
    (tmp_path / "sources.list.d/cloud.sources").write_text(
        f"Types: deb\nURIs: mirror+file:{tmp_path}/list-of-mirrors\nSuites: bookworm\nComponents: main\n"
    )
    (tmp_path / "sources.list.d/off.sources.disabled").write_text(
        "Types: deb\nURIs: http://off.example/debian\nSuites: x\n"
    )
    assert [source.uri for source in read_sources(tmp_path)] == [
        "http://plain.example/debian",
        "https://first.example/debian",
    ]


def test_a_machine_without_sources_has_none(tmp_path):
    assert read_sources(tmp_path) == []


def test_the_mirror_serves_suites_the_machine_has_not():
    mirror = find_mirror(parse_one_line(ONE_LINE))
    assert mirror == Mirror("http://mirror.example/debian", "https://security.example/debian-security")
    assert mirror.sources("trixie") == (
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie trixie-updates\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
        "Types: deb\nURIs: http://security.example/debian-security\nSuites: trixie-security\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


def test_the_security_archive_stands_beside_the_archive_when_the_machine_names_none():
    assert find_mirror([Source("http://mirror.example/debian", "bookworm", ("main",))]) == Mirror(
        "http://mirror.example/debian", "http://mirror.example/debian-security"
    )


@pytest.mark.parametrize(
    "source",
    [
        Source("https://vendor.example/linux/debian", "bookworm", ("stable",)),
        Source("https://vendor.example/apt", "stable", ("main",)),
        Source("cdrom://disk/debian", "bookworm", ("main",)),
    ],
)
def test_other_vendors_and_disks_are_no_mirror(source):
    mirror = Source("http://mirror.example/debian", "bookworm", ("main",))
    assert find_mirror([source, mirror]).archive == mirror.uri
    with pytest.raises(LabError, match="No Debian archive"):
        find_mirror([source])
