# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a run on one host, in their order: observe, plan, stage, commit; and restart, health check, put back.

Everything here raises HostError, whose text is one sentence for the user.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

from contextlib import contextmanager

from . import _chain, _contract, _convergence, _greeting, _transaction
from ._host import HostError
from ._servers import SERVER_TYPES
from ._servers.base import Rejected, is_main
from ._syntax import text


class NotEnforceable(HostError):
    """A server will not obey a value; ``result`` is what the run would have returned."""

    def __init__(self, message, result):
        super().__init__(message)
        self.result = result


def look(host, server_type):
    """Return what imap_settings_info returns: the chain on this host without a desired state. Changes nothing."""
    _must_be_root(host, "imap_settings_info")
    with _one_sentence("Nothing was changed"):
        chain = _chain.observe(host, server_type)
        record = _transaction.Record(host)
        picture = _convergence.compare(chain, None, record.servers, record.applied)
        result = _result(chain, picture)
        result["warnings"] = _chain.ways_past(host, chain)
        for name, entry in result["settings"].items():
            entry["takes"] = _takes(chain, name)
        del result["changes"]
        return result


def converge(host, desired, server_type, keep_going, check_mode):
    """Bring the servers of this host to the ``desired`` state (setting name to value) and return what imap_settings
    returns.

    ``keep_going`` is true where a value that a server will not obey is only reported.
    """
    _must_be_root(host, "imap_settings")
    if check_mode:
        return _converge(host, desired, server_type, keep_going, check_mode=True)
    with _transaction.lock(host):
        return _converge(host, desired, server_type, keep_going, check_mode=False)


def _must_be_root(host, module):
    if not host.is_root():
        raise HostError(f"{module} needs what belongs to root; set become to true for this task.")


def _converge(host, desired, server_type, keep_going, check_mode):
    with _one_sentence("Nothing was changed"):
        try:
            chain = _chain.observe(host, server_type)
        except _chain.NothingFound as problem:
            if not check_mode or server_type != "auto":
                raise
            return _nothing_yet(desired, str(problem))
        record = _transaction.Record(host)
        picture = _convergence.compare(chain, desired, record.servers, record.applied)
        result = _result(chain, picture)
        result["warnings"] = _contract.advice(desired, _convergence.effective(chain, desired), bool(chain[0].backends))
        result["warnings"] += [*dict.fromkeys(picture.remarks), *_chain.ways_past(host, chain)]
        result["changed"] = bool(picture.edits or picture.restart)
        result["diff"] = {
            "before": {
                name: {key: entry[key] for key in picture.after[name]} for name, entry in picture.settings.items()
            },
            "after": picture.after,
        }
        if picture.unenforceable and not keep_going:
            # Without the change, nothing but what was pending before needs a restart.
            pending = _restarts(_convergence.compare(chain, None, record.servers, record.applied))
            raise NotEnforceable(
                f"Nothing was changed: {'; '.join(picture.unenforceable)}.", {**result, **pending, "changed": False}
            )
        result["warnings"] += [f"{sentence}." for sentence in picture.unenforceable]
        files = {}
        for server in chain:
            edited, changes = server.edited([edit for member, edit in picture.edits if member is server])
            if edited:
                server.check(host, edited)
                for path in edited:
                    host.must_be_replaceable(path)
                files.update(edited)
                result["changes"] += [{"server_type": server.server_type, **_shown(change)} for change in changes]
        if not check_mode:
            if files:
                observed = {path: content for server in chain for path, content in server.files.items()}
                _transaction.commit(host, observed, files)
            elif all(map(_convergence.up_to_date, chain)):
                _transaction.confirm(host)
            _remember(record, chain)
            record.applied.update(
                {
                    name: value
                    for name, value in desired.items()
                    if picture.settings[name]["drift"] != "unenforceable"
                }
            )
            record.write()
        return result


def restart(host, services, max_wait, greet, check_mode):
    """Restart ``services`` in their order, and see that each of their servers greets again within ``max_wait`` seconds.

    ``greet(endpoint, max_wait)`` raises HostError where an Endpoint does not greet. Where a server does not come back,
    the configuration from before the last change is put back and the services are restarted with it, and HostError is
    raised all the same. Returns what imap_restart returns.
    """
    _must_be_root(host, "imap_restart")
    _greeting.check_max_wait(max_wait)
    if check_mode or not services:
        return {"changed": bool(services), "services": services}
    with _transaction.lock(host):
        servers = _found(host, services, "Nothing was restarted")
        _must_be_replaced(host, servers)
        endpoints = [endpoint for server in servers for endpoint in server.endpoints]
        failure = _bring_up(host, services, endpoints, max_wait, greet)
        if failure:
            raise HostError(_put_back(host, services, endpoints, max_wait, greet, failure))
        host.forget()
        back = f"{' and '.join(services)} came back"
        servers = _found(host, services, f"{back}, but cannot be looked at")
        for server in servers:
            if not _convergence.up_to_date(server):
                raise HostError(
                    f"{back}, but {server.server_type} is not served by a process that was started after its "
                    "configuration changed; find out what serves it, restart that and run again."
                )
        _transaction.confirm(host)
        record = _transaction.Record(host)
        _remember(record, servers)
        record.write()
        return {"changed": True, "services": services}


def _found(host, services, outcome):
    """Return the Servers that ``services`` belong to; one behind a front of this host answers where that front says."""
    with _one_sentence(outcome):
        try:
            servers = _chain.observe(host, "auto")
        except (HostError, Rejected, text.SyntaxProblem):
            servers = []
        found = {service: server for server in servers for service in server.services}
        for kind in SERVER_TYPES.values():
            if set(services) & set(kind.services) - set(found) and kind.present(host):
                server = kind(host)
                found.update(dict.fromkeys(server.services, server))
        unknown = [service for service in services if service not in found]
        if unknown:
            raise HostError(
                f"{outcome}: services names {', '.join(unknown)}, but no IMAP server that is set up on this host has such "
                "a service; use what imap_settings returned."
            )
        return list({id(found[service]): found[service] for service in services}.values())


def _must_be_replaced(host, servers):
    """Raise HostError where a restart would leave the process that serves alone, and maybe start another beside it."""
    for server in servers:
        master = server.master
        if master is None or host.unit(master.pid) in server.services or is_main(host, master, server.services[0]):
            continue
        raise HostError(
            f"Nothing was restarted: {server.server_type} (process {master.pid}) was not started by "
            f"{server.services[0]}.service, so that a restart of that would not reach it; restart it as it was "
            "started, or stop it and start that service, and run again."
        )


def _bring_up(host, services, endpoints, max_wait, greet):
    """Restart ``services``; return None when every Endpoint greets, else the text that says what failed."""
    for service in services:
        try:
            # systemd refuses a service that was started too often of late.
            host.run(["systemctl", "reset-failed", service])
            done = host.run(["systemctl", "restart", service], patience=max_wait + 90)
        except HostError as problem:
            return f"{service} did not start again: {problem} {_journal(host, service)}"
        if done.status:
            words = done.words.partition("\n")[0]
            return f"{service} did not start again: {words} {_journal(host, service)}"
    for endpoint in endpoints:
        try:
            greet(endpoint, max_wait)
        except HostError as problem:
            return f"{' and '.join(services)} did not come back: {problem} {_journal(host, services[-1])}"
    return None


def _put_back(host, services, endpoints, max_wait, greet, failure):
    """Put the old configuration back and restart with it; return the text that says all that happened."""
    try:
        restored, left = _transaction.restore(host)
    except HostError as problem:
        return f"{failure} The configuration from before could not be put back: {problem}"
    if left:
        failure = f"{failure} {' and '.join(left)} was changed by somebody else since, and was left as it is."
    if not restored:
        return (
            f"{failure} No change by this collection is waiting for this restart, so there is nothing to put back; "
            "look at the service."
        )
    record = _transaction.Record(host)
    record.applied.clear()
    record.write()
    put_back = f"{failure} The configuration from before was put back ({', '.join(restored)})"
    again = _bring_up(host, services, endpoints, max_wait, greet)
    if again:
        return f"{put_back}, but the server still does not answer: {again}"
    _transaction.confirm(host)
    return f"{put_back} and the server answers with it."


def _journal(host, service):
    """Return the last words of ``service``."""
    try:
        done = host.run(["journalctl", "--unit", service, "--lines", "8", "--output", "cat", "--no-pager", "--quiet"])
    except HostError as problem:
        return str(problem)
    return done.words.replace("\n", " | ") or "its journal says nothing."


def _remember(record, chain):
    for server in chain:
        record.saw(server, _convergence.running(server, record.servers.get(server.server_type, {})))


def _result(chain, picture):
    """Return the keys that imap_settings and imap_settings_info share."""
    return {
        "changed": False,
        "server_type": chain[0].server_type,
        "server_version": chain[0].version,
        "chain": [{"server_type": server.server_type, "server_version": server.version} for server in chain],
        "settings": picture.settings,
        "drift": picture.drift,
        "changes": [],
        **_restarts(picture),
        "warnings": [],
    }


def _restarts(picture):
    return {
        "restart_required": bool(picture.restart),
        "services": [service for server in picture.restart for service in server.services],
    }


def _shown(change):
    """Return a Change as modules return it."""
    lines = {"before": change.before and text.shown(change.before), "after": text.shown(change.after)}
    return {**change._asdict(), **lines}


def _nothing_yet(desired, why):
    """Return the result of check mode on a host that gets its IMAP server only in the run that is being checked."""
    entry = {"configured": None, "effective": None, "running": None}
    rest = {
        "in_sync": False,
        "drift": "missing",
        "cause": "intended",
        "reason": why.rstrip("."),
        "file": None,
        "line": None,
    }
    settings = {name: {"desired": value, **entry, **rest} for name, value in desired.items()}
    return {
        "changed": True,
        "server_type": None,
        "server_version": None,
        "chain": [],
        "settings": settings,
        "drift": [{"setting": name, **value} for name, value in settings.items()],
        "changes": [],
        "restart_required": False,
        "services": [],
        "warnings": [
            f"{why.rstrip('.')}; check mode cannot tell more before it is installed.",
            *_contract.advice(desired, {}, behind_front=False),
        ],
        "diff": {
            "before": {name: dict(entry) for name in desired},
            "after": {name: dict.fromkeys(entry, value) for name, value in desired.items()},
        },
    }


def _takes(chain, name):
    """Return ``minimum`` and ``maximum`` that the whole chain can be made to obey (None where there are no bounds), and
    why these.
    """
    values = [server.values[name] for server in _convergence.counting(chain, name)]
    bounded = [value for value in values if value.maximum is not None]
    narrowest = min(bounded, key=lambda value: value.maximum, default=values[0])
    return {
        "minimum": _contract.shown(values[0].minimum),
        "maximum": _contract.shown(narrowest.maximum),
        "reason": narrowest.reason,
    }


@contextmanager
def _one_sentence(outcome):
    """Turn what the layers below raise into a HostError that starts with ``outcome``."""
    try:
        yield
    except Rejected as problem:
        raise HostError(f"{outcome}, because {problem}") from problem
    except text.SyntaxProblem as problem:
        raise HostError(f"{outcome}, because a file is not understood: {problem}") from problem
