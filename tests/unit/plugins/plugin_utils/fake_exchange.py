# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Exchange server and the Windows below it, as far as the route sees them: cmdlets in, objects out, no protocol."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

from ansible_collections.mailops.imap.plugins.module_utils._host import HostError
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _options, _parameters, _route
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange._clixml import Bag
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange._session import Answer, Refused

CHANGED = datetime(2026, 1, 2, 12, 0, 0, tzinfo=timezone.utc)
BEFORE, AFTER = CHANGED - timedelta(hours=1), CHANGED + timedelta(hours=1)


class FakeExchange:
    """``settings`` are what Get-ImapSettings gives; ``services`` maps a service's name to when its process started, None
    where it is stopped; ``computer`` is where they are; ``calls`` are the cmdlets that ran, with what they were given;
    ``open`` counts sessions, and ``places`` are the Endpoints that were opened; ``bare`` are hosts without the services;
    ``fails`` maps a cmdlet to what it says; ``ignores`` are parameters that
    it takes and does not keep, ``hides`` properties that it does not tell; ``greeted`` are the Endpoints that were asked for their greeting, each with
    how long, and ``mute`` is why none of them greets.
    """

    def __init__(self, version="Version 15.2 (Build 1118.7)", **settings):
        self.version = version
        self.settings = {
            **{row.parameter: None for row in _parameters.PARAMETERS.values()},
            "Server": "EX01",
            "WhenChangedUTC": "2026-01-02T12:00:00Z",
            "AuthenticatedConnectionTimeout": "00:30:00",
            "PreAuthenticatedConnectionTimeout": "00:01:00",
            "MaxConnections": 2147483647,
            "MaxConnectionFromSingleIP": 2147483647,
            "MaxConnectionsPerUser": 16,
            "MaxCommandSize": 10240,
            "LoginType": "SecureLogin",
            "ExternalConnectionSettings": ["mail.example.com:993:SSL"],
            "LogPerFileSizeQuota": "2 MB (2,097,152 bytes)",
            **settings,
        }
        self.services = {"MSExchangeIMAP4": AFTER, "MSExchangeIMAP4BE": AFTER}
        self.computer = "EX01"
        self.servers = 1
        self.calls = []
        self.places = []
        self.open = 0
        self.fails = {}
        self.ignores = ()
        self.hides = ()
        self.bare = ()
        self.greeted = []
        self.mute = None

    def access(self, **more):
        exchange, windows = _options.endpoints({"host": "ex01.example.com"}, {}, "ex01")
        return _route.Access(exchange, windows, open=self.session, greet=self.greet, **more)

    def greet(self, endpoint, max_wait):
        assert not self.open, "a session is kept open while the greeting is waited for"
        self.greeted.append((endpoint, max_wait))
        if self.mute:
            raise HostError(self.mute)

    @contextmanager
    def session(self, place):
        self.places.append(place)
        self.open += 1
        try:
            yield self
        finally:
            self.open -= 1

    def invoke(self, cmdlet, **parameters):
        self.calls.append((cmdlet, parameters))
        if cmdlet in self.fails:
            raise Refused(self.fails[cmdlet])
        if cmdlet == "Get-ImapSettings":
            there = {name: value for name, value in self.settings.items() if name not in self.hides}
            return Answer([Bag("EX01\\1", there)] * self.servers, [])
        if cmdlet == "Get-ExchangeServer":
            row = {"Name": "EX01", "Fqdn": "ex01.example.com", "AdminDisplayVersion": self.version}
            return Answer([Bag("EX01", row)], [])
        if cmdlet == "Set-ImapSettings":
            taken = {name: value for name, value in parameters.items() if name not in ("Server", *self.ignores)}
            self.settings.update(taken)
            return Answer([], ["Restart the services."])
        if cmdlet == "Get-WmiObject":
            return Answer(self.rows(parameters["Query"]), [])
        if cmdlet in ("Restart-Service", "Add-PSSnapin"):
            return Answer([], [])
        raise AssertionError(cmdlet)

    def rows(self, query):
        if self.places[-1].host in self.bare:
            return []
        numbered = list(enumerate(self.services.items(), 1000))
        if "Win32_Service" in query:
            return [
                Bag(
                    None,
                    {
                        "Name": name,
                        "State": "Running" if since else "Stopped",
                        "ProcessId": number if since else 0,
                        "SystemName": self.computer,
                    },
                )
                for number, (name, since) in numbered
            ]
        return [
            Bag(None, {"ProcessId": number, "CreationDate": since and since.strftime("%Y%m%d%H%M%S.%f+000")})
            for number, (name, since) in numbered
        ]

    def did(self, cmdlet):
        """What each call of ``cmdlet`` was given."""
        return [parameters for name, parameters in self.calls if name == cmdlet]
