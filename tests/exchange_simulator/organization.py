# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An Exchange organisation in memory: its servers, their IMAP4 settings and their Windows services."""

from __future__ import annotations

import datetime
import itertools
from dataclasses import dataclass, field

from .versions import VERSIONS, Version

#: The service that clients connect to.
FRONT = "MSExchangeIMAP4"
DISPLAY_NAMES = {"MSExchangeIMAP4": "Microsoft Exchange IMAP4", "MSExchangeIMAP4BE": "Microsoft Exchange IMAP4 Backend"}
FOLDERS = {"2007": "", "2007-sp1": "", "2010": "V14"}
_process_ids = itertools.count(4100, 4)


def utc_now():
    """The time, in UTC and with a time zone."""
    return datetime.datetime.now(datetime.timezone.utc)


@dataclass
class Service:
    """A Windows service. `started` is when its process began, None while it is stopped; `watchers` are called with the
    service whenever it was started or stopped.
    """

    name: str
    status: str = "Running"
    started: datetime.datetime | None = None
    process_id: int = 0
    starts: int = 0
    watchers: list = field(default_factory=list)

    @property
    def display_name(self):
        return DISPLAY_NAMES.get(self.name, self.name)

    def start(self, now):
        self.status, self.started, self.process_id = "Running", now, next(_process_ids)
        self.starts += 1
        self._tell()

    def stop(self):
        self.status, self.started, self.process_id = "Stopped", None, 0
        self._tell()

    def _tell(self):
        for watcher in self.watchers:
            watcher(self)


@dataclass
class ExchangeServer:
    """One server of the organisation: its names, its version, its settings {parameter name: value} and services."""

    name: str
    version: Version
    domain: str
    now: object = utc_now
    settings: dict = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    changed: datetime.datetime | None = None

    def __post_init__(self):
        # Guess: the object in the directory is made by setup, long before the services were last started.
        self.created = self.now().replace(microsecond=0) - datetime.timedelta(days=2)
        self.changed = self.changed or self.created
        for name in self.version.services:
            self.services[name] = Service(name)
            self.services[name].start(self.now() - datetime.timedelta(days=1))
            self.services[name].starts = 0
        folder = FOLDERS.get(self.version.name, "V15")
        for name, parameter in self.version.parameters.items():
            self.settings.setdefault(name, _filled(parameter.default, self.fqdn, folder))

    @property
    def fqdn(self):
        return f"{self.name.lower()}.{self.domain}"

    @property
    def distinguished_name(self):
        root = ",".join(f"DC={part}" for part in self.domain.split("."))
        return (
            f"CN={self.name},CN=Servers,CN=Exchange Administrative Group (FYDIBOHF23SPDLT),CN=Administrative Groups,"
            f"CN=First Organization,CN=Microsoft Exchange,CN=Services,CN=Configuration,{root}"
        )

    @property
    def legacy_dn(self):
        return (
            "/o=First Organization/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Configuration/cn=Servers"
            f"/cn={self.name}"
        )

    def has_name(self, name):
        """Whether a text names this server. Reference of -Server: by name, FQDN, DN or legacy DN."""
        return str(name).lower() in {
            text.lower() for text in (self.name, self.fqdn, self.distinguished_name, self.legacy_dn)
        }

    def write(self, changes):
        """Write settings into the directory, which keeps the second of the last change (whenChanged)."""
        self.settings.update(changes)
        self.changed = self.now().replace(microsecond=0)


def _filled(default, fqdn, folder):
    if isinstance(default, str):
        return default.replace("{fqdn}", fqdn).replace("\\{folder}", f"\\{folder}" if folder else "")
    return [_filled(item, fqdn, folder) for item in default] if isinstance(default, tuple) else default


class Organization:
    """The servers of one Active Directory, which each of their endpoints can read and change.

    versions: {name of a server: key of VERSIONS}. now: gives the time, in UTC.
    """

    def __init__(self, versions, domain="example.test", now=utc_now):
        self.domain = domain
        self.servers = [ExchangeServer(name, VERSIONS[version], domain, now) for name, version in versions.items()]

    @property
    def local(self):
        """The first server: that of the simulator which made the organisation."""
        return self.servers[0]

    def find(self, name):
        """The server that a text names, or None."""
        return next((server for server in self.servers if server.has_name(name)), None)
