# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Desired and observed state in, drift and edits out. Pure: no files, no processes.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from ._contract import SETTINGS, SMALLEST, UNLIMITED, said, shown
from ._servers.base import Edit, Server, Value, least


class Picture:
    """How a chain stands to what is desired.

    ``settings`` maps setting name to the dictionary that the modules return; ``after`` maps it to ``configured``,
    ``effective`` and ``running`` once ``edits`` (pairs of Server and Edit) are made and the Servers in ``restart``
    (backends first) are restarted; ``unenforceable`` is one text for each value that a server will not obey, and
    ``remarks`` one for each setting of which there is more to know.
    """

    def __init__(self):
        self.settings = {}
        self.after = {}
        self.edits = []
        self.restart = []
        self.unenforceable = []
        self.remarks = []

    @property
    def drift(self):
        return [{"setting": name, **entry} for name, entry in self.settings.items() if entry["drift"]]


class _Member(NamedTuple):
    """One Server of the chain as far as one setting goes.

    ``running`` is as running() returns it; ``wrong`` are the Places that do not hold what is desired; ``refused`` is
    true where the server will not obey what is desired; ``stale`` is true where the process that serves now does not
    have what is desired.
    """

    server: Server
    value: Value
    running: Optional[tuple]
    wrong: list
    refused: bool
    stale: bool

    @property
    def effective(self):
        effective = self.value.effective
        return self.wrong[0].effective if self.wrong and isinstance(effective, str) else effective

    @property
    def place(self):
        """The Place to tell of: of those that are wrong, or else of all, the one that is in force."""
        places = self.wrong or self.value.places
        smallest = least([place.effective for place in places])
        return next(place for place in places if place.effective == smallest)

    def report(self):
        place = self.place
        return {
            "server_type": self.server.server_type,
            "server_version": self.server.version,
            "configured": shown(place.configured),
            "effective": shown(self.value.effective),
            "running": shown(least(self.running)) if self.running else None,
            "file": place.file,
            "line": place.line,
        }


def running(server, record):
    """Return setting name to the tuple of values that the serving process was started with; None where that cannot be
    known.

    ``record`` is what an earlier run kept of this server: ``identity`` of the process that it saw, and the ``running``
    values. The same process still has the same values, whatever the files say now; another process has those of the
    files, if they are older than it and, where it is doubtful whether it read them, if they say what is recorded. What
    is compiled in needs no file.
    """
    recorded = {name: tuple(values) for name, values in record.get("running", {}).items()}
    known = dict.fromkeys(server.values)
    if server.serving is None:
        return known
    same_process = server.serving.identity is not None and record.get("identity") == server.serving.identity
    for name, value in server.values.items():
        written = tuple(place.effective for place in value.places)
        if same_process and name in recorded:
            known[name] = recorded[name]
        elif value.compiled_in:
            known[name] = written
        elif server.changed_at <= server.serving.since:
            known[name] = None if server.serving.doubtful and recorded.get(name) != written else written
    return known


def up_to_date(server):
    """Whether the process that serves now was surely started or reloaded after the configuration last changed."""
    serving = server.serving
    return serving is not None and not serving.doubtful and server.changed_at <= serving.since


def effective(chain, desired):
    """Return setting name to the value that is in force along ``chain``, for the settings that it has; one that follows
    another takes what is ``desired`` for that.
    """
    found = {
        name: [
            desired.get(server.values[name].follows, server.values[name].effective) for server in counting(chain, name)
        ]
        for name in SETTINGS
    }
    return {name: least(values) for name, values in found.items() if values}


def counting(chain, name):
    """Return the Servers of ``chain`` that count for the setting ``name``: the front, and those behind it for what the
    smallest value along the chain decides."""
    servers = chain if SETTINGS[name].scope == SMALLEST else chain[:1]
    return [server for server in servers if name in server.values]


def compare(chain, desired, records, applied):
    """Return the Picture of ``chain``, a list of Servers with the front first.

    ``desired`` maps setting name to value, and is None to look without a desired state; ``records`` maps server type
    to what running() takes; ``applied`` maps setting name to the value that the last run brought about.

    Of the servers that count for a setting, the first must have exactly what is desired, those behind it that or more.
    """
    picture = Picture()
    known = {server: running(server, records.get(server.server_type, {})) for server in chain}
    stale = set()
    for name in SETTINGS:
        if desired is not None and name not in desired:
            continue
        servers = counting(chain, name)
        if not servers:
            if desired is not None:
                _lack(picture, chain, name, desired[name])
            continue
        wanted = None if desired is None else desired[name]
        members = [
            _member(server, known[server][name], name, desired, exactly=server is servers[0]) for server in servers
        ]
        edits = [
            (member.server, Edit(name, place, wanted))
            for member in members
            if not member.refused and member.value.follows not in (desired or {})
            for place in member.wrong
        ]
        picture.edits += edits
        stale.update(chain.index(member.server) for member in members if member.stale and not member.refused)
        picture.settings[name] = _entry(name, members, wanted, applied.get(name))
        then = shown(least([_afterwards(member, wanted) for member in members]))
        picture.after[name] = {
            "configured": shown(wanted) if edits else picture.settings[name]["configured"],
            "effective": then,
            "running": then,
        }
        if wanted is not None:
            picture.remarks += [member.value.remark for member in members if member.value.remark]
        refused = next((member for member in members if member.refused), None)
        if refused:
            picture.unenforceable.append(
                f"{name} of {said(name, wanted)} cannot be enforced here, because {refused.value.reason}; "
                f"{_way_out(name, members, refused, wanted)}"
            )
    picture.restart = [chain[position] for position in sorted(stale, reverse=True)]
    return picture


def _lack(picture, chain, name, wanted):
    """Note in ``picture`` that no Server that counts for the setting ``name`` has it."""
    reason = chain[0].lacks.get(name, f"{' -> '.join(server.server_type for server in chain)} has no such setting")
    nothing = {"configured": None, "effective": None, "running": None}
    picture.settings[name] = {
        "desired": shown(wanted),
        **nothing,
        "in_sync": False,
        "drift": "unenforceable",
        "cause": "intended",
        "reason": reason,
        "file": None,
        "line": None,
    }
    picture.after[name] = nothing
    picture.unenforceable.append(f"{name} cannot be set here, because {reason}; leave it out for this host")


def _member(server, now, name, desired, exactly):
    """Return the _Member for the setting ``name``: it must have ``exactly`` what is desired, or that or more."""
    value = server.values[name]
    if desired is None:
        stale = now != tuple(place.effective for place in value.places)
        return _Member(server, value, now, [], False, stale)
    wanted = desired[name]

    def holds(found):
        return found == wanted or (not exactly and found > wanted)

    wrong = [place for place in value.places if not holds(place.effective)]
    if value.follows in desired:
        leader = server.values[value.follows]
        refused = desired[value.follows] != wanted or (bool(wrong) and not leader.takes(wanted, exactly))
    else:
        refused = bool(wrong) and not value.takes(wanted, exactly)
    stale = now is None or not all(holds(found) for found in now)
    return _Member(server, value, now, wrong, refused, stale)


def _entry(name, members, wanted, applied):
    """Return the dictionary that the modules return for the setting ``name``."""
    refused = next((member for member in members if member.refused), None)
    wrong = next((member for member in members if member.wrong and not member.refused), None)
    stale = next((member for member in members if member.stale), None)
    place = (wrong or members[0]).report()
    if refused:
        drift, reason = "unenforceable", refused.value.reason
    elif wrong:
        drift, reason = _wrong_value(name, wrong.server, wrong.place)
    elif stale:
        drift, reason = "restart_pending", _pending(stale.server)
    else:
        drift, reason = None, None
    cause = None
    if drift and wanted is not None:
        cause = "corrective" if applied == wanted and drift != "restart_pending" else "intended"
    unknown = any(member.running is None for member in members)
    entry = {
        "desired": shown(wanted),
        "configured": place["configured"],
        "effective": shown(least([member.effective for member in members])),
        "running": None if unknown else shown(least([least(member.running) for member in members])),
        "in_sync": drift is None,
        "drift": drift,
        "cause": cause,
        "reason": reason,
        "file": place["file"],
        "line": place["line"],
    }
    if len(members) > 1:
        entry["members"] = [member.report() for member in members]
    return entry


def _wrong_value(name, server, place):
    """Return ``(drift, reason)`` for a Place that does not hold what is desired."""
    if place.configured is None:
        return (
            "missing",
            f"no file says it, so the default of {server.server_type}, {said(name, place.effective)}, counts",
        )
    if place.overrides:
        return "override", f"{place.file}:{place.line} overrules a more general value"
    if place.effective != place.configured:
        return (
            "value",
            f"{server.server_type} makes {said(name, place.effective)} of the {said(name, place.configured)} that are "
            "written",
        )
    return "value", f"{place.file}:{place.line} says {said(name, place.configured)}"


def _way_out(name, members, refused, wanted):
    """Return what a user can do about a value that a _Member of ``members`` refuses."""
    value = refused.value
    if len(members) == 1 and SETTINGS[name].kind == "duration":
        return "the role mailops.imap.imap_proxy puts a mail proxy before this server that obeys both time-outs"
    if value.fixed or value.maximum is None or wanted > value.maximum:
        bound = value.maximum
        return "leave it out for this host" if bound in (None, UNLIMITED) else f"ask for at most {said(name, bound)}"
    return f"ask for at least {said(name, value.minimum)}"


def _pending(server):
    if server.serving is None:
        return f"{server.server_type} is not running"
    return f"{server.server_type} has not been restarted since its configuration changed"


def _afterwards(member, wanted):
    """Return the effective value of a _Member once its edits are made."""
    if member.refused:
        return member.value.effective
    return least([wanted if place in member.wrong else place.effective for place in member.value.places])
