# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where Debian packages come from: the machine's own apt sources, read; and what a host's own should be.

Formats: sources.list(5) and apt-transport-mirror(1) of apt 2.6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from machine import LabError

SUITES = ("bookworm", "trixie")


@dataclass(frozen=True)
class Source:
    """One place of packages: an address (`http://host/path`, no slash at the end), a suite, its components."""

    uri: str
    suite: str
    components: tuple


@dataclass(frozen=True)
class Mirror:
    """Roots of the Debian archive and of its security archive, and the same as a plain-http proxy client sees them."""

    archive: str
    security: str

    def sources(self, suite):
        """Text of a host's /etc/apt/sources.list.d/debian.sources.

        Addresses are plain http so that the package cache can keep what passes; it goes on by https where the
        machine's own source does.
        """
        keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
        return "\n".join(
            f"Types: deb\nURIs: {plain(uri)}\nSuites: {suites}\nComponents: main\nSigned-By: {keyring}\n"
            for uri, suites in (
                (self.archive, f"{suite} {suite}-updates"),
                (self.security, f"{suite}-security"),
            )
        )


def plain(uri):
    """The address with http in place of https."""
    return re.sub(r"^https:", "http:", uri)


def parse_one_line(text):
    """Sources in a one-line-style file, in order."""
    found = []
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        match = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)", line)
        if match:
            found.append(Source(match[1].rstrip("/"), match[2], tuple(match[3].split())))
    return found


def parse_deb822(text):
    """Sources in a deb822-style file, in order, one for each address and suite; disabled stanzas are left out."""
    found = []
    for stanza in re.split(r"\n[ \t]*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = {}
        name = None
        for line in stanza.splitlines():
            if line[:1] in (" ", "\t") and name:
                fields[name].extend(line.split())
            elif ":" in line:
                name, _colon, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.split()
        if "deb" not in fields.get("types", []) or fields.get("enabled", ["yes"])[0].lower() in ("no", "false", "0"):
            continue
        found.extend(
            Source(uri.rstrip("/"), suite, tuple(fields.get("components", ())))
            for uri in fields.get("uris", ())
            for suite in fields.get("suites", ())
        )
    return found


def read_sources(folder=Path("/etc/apt")):
    """Every enabled source of a machine, lists of mirrors (`mirror+file:`) replaced by their first http(s) address."""
    found = []
    for path in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]:
        if path.suffix in (".list", ".sources") and path.is_file():
            parse = parse_one_line if path.suffix == ".list" else parse_deb822
            found.extend(parse(path.read_text(encoding="utf-8", errors="replace")))
    return [Source(_first_of_list(source.uri), source.suite, source.components) for source in found]


def _first_of_list(uri):
    if not uri.startswith("mirror+file:"):
        return uri
    path = Path(urlsplit(uri).path)
    words = path.read_text(encoding="utf-8").split() if path.is_file() else []
    return next((word.rstrip("/") for word in words if word.startswith(("http://", "https://"))), uri)


def find_mirror(sources):
    """The mirror among sources, whichever Debian suite they are for.

    An archive is a source with the component `main` and an address that ends in /debian (other vendors use Debian's
    suite names, not its path); the security archive likewise ends in /debian-security. Where there is only the first,
    the second is taken to stand beside it, as it does on Debian's own mirrors.
    Raises LabError when there is no archive.
    """

    def find(name):
        for source in sources:
            usable = source.uri.startswith(("http://", "https://")) and "main" in source.components
            if usable and urlsplit(source.uri).path.rpartition("/")[2] == name:
                return source.uri
        return None

    archive = find("debian")
    if archive is None:
        raise LabError(
            "No Debian archive (http or https, component main, address ending in /debian) was found in"
            " /etc/apt/sources.list and /etc/apt/sources.list.d: add one for any Debian suite."
        )
    return Mirror(archive, find("debian-security") or f"{archive}-security")
