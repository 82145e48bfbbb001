# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Windows services behind IMAP4: which are there, which run and since when; and their restart.

They are asked for by WMI, which every PowerShell on an Exchange server has, 2.0 included. Only cmdlets are called, no
script is sent.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone
from typing import NamedTuple, Optional

from ansible_collections.mailops.imap.plugins.module_utils._exchange import SERVICES, service

from ._clixml import Bag
from ._session import Changed, ExchangeError, Refused

#: The service that clients connect to, and that greets them.
FRONT = SERVICES[0]

#: What Win32_Service tells of a service in State, in every language of Windows.
_STATES = ("Running", "Stopped", "Paused", "Start Pending", "Stop Pending", "Continue Pending", "Pause Pending", "Unknown")

#: A time as WMI writes it (DMTF DSP0004, 5.2.4): its last part is the distance from UTC in minutes.
_WMI_TIME = re.compile(r"(\d{14})\.(\d{6})([+-]\d{3})")

#: A time as PowerShell writes it, <DT>; seven digits of a second, and no zone where none is known.
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)?")

#: Active Directory keeps whole seconds of a change (whenChanged, MS-ADA3 2.371, is a GeneralizedTime).
_GRAIN = timedelta(seconds=1)


class Service(NamedTuple):
    """A service that exists: its name, its state in Windows' words, when its process started (None where it has none or
    that cannot be seen), and the name of the computer that it is on.
    """

    name: str
    state: str
    since: Optional[datetime] = None
    computer: Optional[str] = None

    @property
    def runs(self):
        return self.state == "Running"


def observe(session):
    """Return a Service for each one that exists, in the order of SERVICES. Raises ExchangeError."""
    try:
        return _observe(session)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise ExchangeError(f"What Windows says of the IMAP4 services is not understood: {problem!r}.") from None


def _observe(session):
    names = " OR ".join(f"Name = '{name}'" for name in SERVICES)
    rows = _query(session, f"SELECT Name, State, ProcessId, SystemName FROM Win32_Service WHERE {names}")
    processes = [int(row["ProcessId"]) for row in rows if row.get("ProcessId")]
    started = {}
    if processes:
        wanted = " OR ".join(f"ProcessId = {process}" for process in processes)
        for row in _query(session, f"SELECT ProcessId, CreationDate FROM Win32_Process WHERE {wanted}"):
            started[int(row["ProcessId"])] = instant(row.get("CreationDate"))
    found = {}
    for row in rows:
        name, process = service(_text(row.get("Name"))), int(row.get("ProcessId") or 0)
        state, computer = _text(row.get("State")).title(), _text(row.get("SystemName"))
        if name is None or state not in _STATES:
            raise ValueError(f"Name {_text(row.get('Name'))}, State {state}")
        found[name] = Service(name, state, started.get(process), computer.partition(".")[0] or None)
    return [found[name] for name in SERVICES if name in found]


def _text(wire):
    wire = (wire.value or wire.text) if isinstance(wire, Bag) else wire
    return "" if wire is None else str(wire)


def _query(session, query):
    return [row.properties for row in session.invoke("Get-WmiObject", Query=query).objects]


def restart(session, names, found):
    """Restart those of ``names`` that run, in the order of SERVICES; return ``(restarted, left)``, lists of names.

    ``found`` are the Services as they were just observed.
    Raises Changed where one does not come back, with what was done so far.
    """
    running = [service.name for service in found if service.runs]
    restarted = []
    # Started within the second of the change, a service would count as older than it for good.
    time.sleep(_GRAIN.total_seconds())
    for name in SERVICES:
        if name in names and name in running:
            try:
                session.invoke("Restart-Service", Name=name)
            except Refused as problem:
                raise Changed(f"{name} was not restarted and may be down{_so_far(restarted)}: {problem}") from None
            except ExchangeError as problem:
                raise Changed(f"It is not known whether {name} was restarted{_so_far(restarted)}: {problem}") from None
            restarted.append(name)
    try:
        running = [service.name for service in observe(session) if service.runs] if restarted else []
    except ExchangeError as problem:
        raise Changed(f"{' and '.join(restarted)} restarted, but cannot be looked at: {problem}") from None
    down = [name for name in restarted if name not in running]
    if down:
        raise Changed(f"{' and '.join(down)} did not come back after the restart; look at the server's event log.")
    return restarted, [name for name in names if name not in restarted]


def _so_far(restarted):
    return f", but {' and '.join(restarted)} was restarted" if restarted else ""


def instant(wire, utc=False):
    """Return the datetime, with its zone, that a time on the wire stands for; None where that cannot be told.

    ``utc`` is true for a time that is known to be in UTC even where it does not say so.
    """
    try:
        return _instant(_text(wire).strip(), utc)
    except ValueError:
        # Of the form of a time, but with a 13th month or the like.
        return None


def _instant(text, utc):
    match = _WMI_TIME.fullmatch(text)
    if match:
        zone = timezone(timedelta(minutes=int(match.group(3))))
        return datetime.strptime(match.group(1), "%Y%m%d%H%M%S").replace(microsecond=int(match.group(2)), tzinfo=zone)
    match = _TIME.fullmatch(text)
    if match:
        zone = match.group(2) or ("Z" if utc else None)
        if zone:
            return datetime.fromisoformat(match.group(1) + zone.replace("Z", "+00:00"))
    return None


def older(services, changed_at):
    """Return those of ``services`` that run and may have read their settings before ``changed_at`` (a datetime).

    Exchange reads the settings when a service starts. A service that started within the second of the change counts as
    older, because the directory keeps no fractions.
    """
    return [service for service in services if service.runs and service.since and service.since < changed_at + _GRAIN]


def unknown(services):
    """Return those of ``services`` that run without its being known since when."""
    return [service for service in services if service.runs and service.since is None]
