# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A simulated server of Exchange, and the way in that a task would take."""

from __future__ import annotations

import contextlib
import datetime
import itertools

from exchange_simulator import VERSIONS, simulator

from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _options, _route

TIMEOUTS = {"authenticated_connection_timeout": 900, "pre_authenticated_connection_timeout": 90}


class Clock:
    """The time in UTC; it goes on by some seconds whenever it is looked at, so that no test has to wait."""

    def __init__(self):
        self.ticks = itertools.count()

    def __call__(self):
        begun = datetime.datetime(2026, 1, 2, 12, 0, 0, 500000, tzinfo=datetime.timezone.utc)
        return begun + datetime.timedelta(seconds=3 * next(self.ticks))


@contextlib.contextmanager
def exchange(version="2019", **options):
    """Run a simulator whose clock needs no waiting."""
    with simulator(version, clock=options.pop("clock", None) or Clock(), **options) as server:
        yield server


def way_in(server, variables=(), **options):
    """The Access to a simulator, from options of a task, the defaults of the rest, and variables of the host."""
    given = {
        "access": "remoting" if server.version.endpoint else "snap_in",
        "host": server.host,
        "user": server.user,
        "password": server.password,
        "auth": "ntlm",
        "path": "PowerShell",
        "protocol": "https" if server.tls else "http",
        "port": server.port,
        "services_protocol": "https" if server.tls else "http",
        "services_port": server.port,
        "look_at_services": True,
        "ca_cert": server.authority_file,
        **options,
    }
    endpoints = _options.endpoints(given, dict(variables), "ex01")
    return _route.Access(
        *endpoints,
        snap_in=given["access"] == "snap_in",
        look_at_services=given["look_at_services"],
        named=bool(given.get("services_host")),
    )


def restart(server, services, identity=None, access=None, **health):
    """Restart services of a simulator, and be greeted by it."""
    health = _route.Health(**{"port": server.imap_port, "max_wait": 5, **health})
    return _route.restart(access or way_in(server), services, identity, health)


def ran(server, cmdlet):
    """What each call of a cmdlet was given."""
    return [arguments for name, arguments in server.calls if name == cmdlet]


__all__ = ["TIMEOUTS", "VERSIONS", "Clock", "exchange", "ran", "restart", "way_in"]
