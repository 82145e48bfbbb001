# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a run against Exchange, in their order: read, compare, set the difference, read again; and restart, wait
for the greeting.

What can be known of a pending restart: the directory keeps when the settings' object was last changed (WhenChanged),
and Windows keeps when a service's process started. A running service that started before that change is taken to have
read older settings, so a lost restart is found on every later run, from any controller, and whoever made the change.
The limits of it: WhenChanged covers the whole object, so a change of a setting that the task does not name counts too;
it is the time of the domain controller that was asked, so replication and clocks that differ shift it; and where
either time cannot be seen, ``running`` is None, nothing but the run's own change is said to be pending, and a warning
says so.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import NamedTuple, Optional

from ansible_collections.mailops.imap.plugins.module_utils import _contract, _greeting
from ansible_collections.mailops.imap.plugins.module_utils._host import HostError
from ansible_collections.mailops.imap.plugins.module_utils._servers.base import Endpoint

from . import _parameters, _services, _values
from ._clixml import Bag
from ._session import Changed, ExchangeError, Refused, opened

SNAP_IN = "Microsoft.Exchange.Management.PowerShell.Admin"

#: Sources of the times that tell of a pending restart; the first of a type that has one counts.
_CHANGED = (("WhenChangedUTC", True), ("WhenChanged", False))


#: Seconds that a server has to greet again unless a task says otherwise; Exchange's services run for up to half a minute
#: before they listen.
MAX_WAIT = 60


class Access(NamedTuple):
    """How to get in: the Endpoints of Exchange and of Windows PowerShell; ``snap_in`` where Exchange's cmdlets are
    loaded into the latter (2007); ``look_at_services`` where the latter may be asked for the services; ``named`` where
    the user named the host of the services. ``open(endpoint)`` gives a Session, and ``greet(endpoint, max_wait)`` raises
    HostError where an IMAP server does not greet.
    """

    exchange: object
    windows: object
    snap_in: bool = False
    look_at_services: bool = True
    named: bool = False
    open: object = opened
    greet: object = _greeting.greet

    @contextmanager
    def cmdlets(self):
        """Yield a Session that has Exchange's cmdlets."""
        with self.open(self.windows if self.snap_in else self.exchange) as session:
            if self.snap_in:
                try:
                    session.invoke("Add-PSSnapin", Name=SNAP_IN)
                except ExchangeError as problem:
                    raise ExchangeError(
                        f"Exchange 2007's snap-in cannot be loaded on {self.windows.host}; use access: remoting for "
                        f"Exchange 2010 and newer, and install the management tools for 2007: {problem}"
                    ) from None
            try:
                yield session
            except Refused as problem:
                if self.snap_in and "Active Directory" in str(problem):
                    raise Refused(
                        "Exchange's cmdlets cannot log in to Active Directory from this session; in the option exchange "
                        f"set auth to credssp, or to basic with https: {problem}"
                    ) from None
                raise


class Health(NamedTuple):
    """Where a server must greet after a restart: ``address``, None for the host that its services are on, and ``port``;
    and within how many seconds, ``max_wait``.
    """

    address: Optional[str] = None
    port: int = 143
    max_wait: float = MAX_WAIT


class NotEnforceable(ExchangeError):
    """A server has no such setting or value; ``result`` is what the run would have returned."""

    def __init__(self, message, result):
        super().__init__(message)
        self.result = result


class Observation(NamedTuple):
    """What was found: the server's name, full name and Version; setting name to canonical value, and to why it is not
    understood for the others; when they were changed (datetime or None); the Services, or None where they were not
    looked at; and why they cannot be, where that was tried.
    """

    server: str
    fqdn: str
    version: object
    values: dict
    unread: dict
    changed_at: object
    services: object
    unseen: Optional[str] = None


def look(access, identity=None):
    """Return what imap_settings_info returns for the Exchange server ``identity``, by default the one that answers."""
    with access.cmdlets() as session:
        seen = _observe(access, session, identity, only_look=True)
    result = _result(seen, {}, dict.fromkeys(seen.values))
    if seen.unread:
        told = _not_understood(seen.unread, seen.unread)
        result["warnings"].append(f"{' and '.join(seen.unread)} of {seen.server} are left out, because {told}.")
    for name, entry in result["settings"].items():
        bounds = _parameters.documented_range(seen.version.release, name)
        entry["takes"] = {
            "minimum": bounds[0] if bounds else None,
            "maximum": bounds[1] if bounds else None,
            "reason": f"what Microsoft documents for Exchange {seen.version.release}" if bounds else None,
        }
    del result["changes"], result["diff"]
    return result


def converge(access, desired, identity=None, keep_going=False, check_mode=False):
    """Bring an Exchange server to the ``desired`` state (setting name to value) and return what imap_settings returns.

    Only what differs is set, in one call of Set-ImapSettings. ``keep_going`` is true where what the server's version
    lacks is only reported. Raises ExchangeError, and NotEnforceable.
    """
    with access.cmdlets() as session:
        seen = _observe(access, session, identity)
        refused = _parameters.violations(seen.version.release, desired)
        unread = [name for name in seen.unread if name in desired]
        if unread:
            raise ExchangeError(
                f"Nothing was changed: {_not_understood(seen.unread, desired)}; leave out {' and '.join(unread)} for "
                f"{seen.server}."
            )
        wrong = {
            name: value
            for name, value in desired.items()
            if name not in refused and not _values.same(_kind(name), value, seen.values[name])
        }
        result = _result(seen, wrong, desired, refused)
        if refused and not keep_going:
            raise NotEnforceable(_contract.refusal(refused.values()), {**result, "changed": False, "changes": []})
        result["warnings"] = [
            *_contract.advice(desired, seen.values, behind_front=False),
            *_parameters.doubts(seen.version.release, desired),
            *(f"{text}." for text in refused.values()),
            *result["warnings"],
        ]
        if wrong and not check_mode:
            result["warnings"] += _set(session, seen, wrong)
    return result


def restart(access, services, identity=None, health=Health(), check_mode=False):
    """Restart those of ``services`` (names) that run on an Exchange server, see that it greets again as ``health`` (a
    Health) says, and return what imap_restart returns.

    ``identity`` is the server's name, as imap_settings returned it or as the user says it. Services that may not be
    looked at are not restarted either. Raises ExchangeError.
    """
    try:
        _greeting.check_max_wait(health.max_wait)
    except HostError as problem:
        raise ExchangeError(str(problem)) from None
    strange = [name for name in services if not _services.service(name)]
    if strange:
        raise ExchangeError(
            f"services names {', '.join(strange)}, but only {', '.join(_services.SERVICES)} can be restarted on "
            f"Exchange; "
            "use what imap_settings returned."
        )
    services = [_services.service(name) for name in services]
    if services and not access.look_at_services:
        warning = (
            f"{' and '.join(services)} were not restarted, because look_at_services is false in the option exchange; "
            "restart them by other means, for the settings to count."
        )
        return {"changed": False, "services": [], "warnings": [warning]}
    if not services or check_mode:
        return {"changed": bool(services), "services": services, "warnings": []}
    name, fqdn = _names(identity)
    with _at_services(access, name, fqdn) as (place, session, found):
        restarted, left = _services.restart(session, services, found)
    warnings = [f"{name} does not run, so it was not restarted." for name in left]
    if _services.FRONT in restarted:
        _wait_for_greeting(access, restarted, health._replace(address=health.address or place.host))
    elif restarted:
        warnings.append(
            f"No greeting was waited for, because clients are greeted by {_services.FRONT}, which was not restarted."
        )
    return {"changed": bool(restarted), "services": restarted, "warnings": warnings}


def _names(identity):
    """Return ``(name, full name)`` of a server by any name that Exchange takes; None for what that does not say."""
    # Of a distinguished name, CN=EX01,CN=Servers,..., and of a legacy one, /o=.../cn=EX01, the server's own part.
    common = re.match(r"CN=([^,]+)", identity or "", re.IGNORECASE) or re.search(r"/cn=([^/]+)$", identity or "", re.I)
    identity = common.group(1) if common else identity
    if not identity:
        return None, None
    return identity.partition(".")[0], identity if "." in identity else None


def _wait_for_greeting(access, restarted, health):
    # Before anything else Exchange speaks TLS on the port that is registered for it, RFC 8314.
    endpoint = Endpoint(health.address, health.port, tls=health.port == 993)
    try:
        access.greet(endpoint, health.max_wait)
    except HostError as problem:
        raise Changed(
            f"{' and '.join(restarted)} came back, but {str(problem).rstrip('.')}; look at the server's event log, "
            "at its IMAP4 bindings and at the firewall between, or set health_address and health_port."
        ) from None


# what there is


def _observe(access, session, identity, only_look=False):
    """Return the Observation. Nothing may be set where services cannot be looked at; ``only_look`` is true where nothing
    will be.
    """
    settings = _one(session, "Get-ImapSettings", {"Server": identity} if identity else {})
    server = _text(settings.get("Server")) or identity
    if not server:
        raise ExchangeError(
            "Get-ImapSettings does not say which server it speaks of; name it with the option identity."
        )
    server = server.rpartition("/")[2]
    about = _one(session, "Get-ExchangeServer", {"Identity": server})
    try:
        version = _parameters.version(about.get("AdminDisplayVersion"))
    except ValueError as problem:
        raise ExchangeError(f"The version of {server} is not understood: {problem}.") from None
    name, fqdn = _text(about.get("Name")) or server, _text(about.get("Fqdn")) or server
    if identity and _names(identity)[0].casefold() != name.casefold():
        raise ExchangeError(
            f"{identity} was asked for, but {name} answered, so nothing was changed; set identity to the name or full "
            "name of the server that is meant."
        )
    services, unseen = None, None
    try:
        if access.look_at_services:
            services = _seen_services(access, session, name, fqdn)
    except ExchangeError as problem:
        if not only_look:
            raise ExchangeError(
                f"The IMAP4 services of {name} cannot be looked at, so nothing was set; mend that, or set "
                "look_at_services to false in the option exchange, with which no pending restart is found and nothing "
                f"is restarted, so that you have to: {problem}"
            ) from None
        unseen = str(problem)
    return Observation(server, fqdn, version, *_canonical(settings, version), _changed_at(settings), services, unseen)


def _one(session, cmdlet, parameters):
    objects = session.invoke(cmdlet, **parameters).objects
    objects = [entry for entry in objects if isinstance(entry, Bag)]
    if len(objects) != 1:
        named = " ".join(f"-{name} {value}" for name, value in parameters.items())
        raise ExchangeError(
            f"{cmdlet} {named}".rstrip()
            + f" gave {len(objects)} objects instead of one; check the option identity, and that the server has IMAP4."
        )
    return objects[0].properties


def _text(wire):
    text = wire.text if isinstance(wire, Bag) else wire
    return text if isinstance(text, str) else None


def _kind(name):
    return _parameters.PARAMETERS[name].kind


def _canonical(settings, version):
    """Return ``(values, unread)`` of the settings that a Version has: setting name to canonical value, and setting name
    to why it is not understood.
    """
    values, unread = {}, {}
    for name, row in _parameters.PARAMETERS.items():
        if not _parameters.has(version.release, name):
            continue
        if row.parameter not in settings:
            unread[name] = f"it has no {row.parameter}"
            continue
        try:
            values[name] = _values.read(row.kind, settings[row.parameter], row.choices)
        except (ValueError, TypeError, OverflowError) as problem:
            unread[name] = f"{row.parameter}: {problem}"
    return values, unread


def _not_understood(unread, wanted):
    texts = [text for name, text in unread.items() if name in wanted]
    return f"what Get-ImapSettings says is not understood: {'; '.join(texts)}"


def _changed_at(settings):
    times = (_services.instant(settings.get(name), utc) for name, utc in _CHANGED)
    return next((time for time in times if time), None)


def _seen_services(access, session, server, fqdn):
    """Return the Services of a server by its names; ``session`` has Exchange's cmdlets. Raises ExchangeError."""
    if access.snap_in and not access.named:
        services = _services.observe(session)
        if services and _is_on(services, server):
            return services
    with _at_services(access, server, fqdn) as (_place, _session, services):
        return services


@contextmanager
def _at_services(access, server, fqdn):
    """Yield the Endpoint of Windows PowerShell on ``server``, a Session there, and the Services: at the host itself, or
    else at its full name.

    The name of the computer that answers is compared, so that behind a load balancer, or with an ``identity`` other
    than the host, no other server's services are taken for this one's.
    """
    places = [access.windows]
    if fqdn and not access.named and fqdn.casefold() != access.windows.host.casefold():
        places.append(replace(access.windows, host=fqdn))
    answered = []
    for place in places:
        with ExitStack() as stack:
            try:
                session = stack.enter_context(access.open(place))
                services = _services.observe(session)
            except ExchangeError as problem:
                if not answered:
                    raise
                raise ExchangeError(
                    f"{_others(server, answered)}, because its full name does not lead there either: {problem}"
                ) from None
            # A computer without the services does not tell its name.
            if server is None or (_is_on(services, server) and (services or place is places[-1])):
                yield place, session, services
                return
            answered += sorted({service.computer for service in services})
    raise ExchangeError(f"{_others(server, answered)}.")


def _others(server, answered):
    names = " and ".join(dict.fromkeys(answered))
    return f"The IMAP4 services of {server} were asked for, but {names} answered; set services_host in the option exchange"


def _is_on(services, server):
    """Whether ``services`` are those of a server; a computer's short name has at most 15 characters."""
    return all(
        service.computer is None or service.computer.casefold()[:15] == server.casefold()[:15] for service in services
    )


# what follows from it


def _result(seen, wrong, desired, refused=()):
    """Return the keys that imap_settings and imap_settings_info share.

    ``wrong`` are the values to set, ``refused`` the settings that the server's version cannot be given.
    """
    services = seen.services or []
    old = _services.older(services, seen.changed_at) if seen.changed_at else []
    running = [service.name for service in services if service.runs]
    must_restart = _parameters.services(seen.version.release) if seen.services is None else running
    known = bool(running) and seen.changed_at is not None and not _services.unknown(services) and not old
    entries = {
        name: (
            _lacking(value, refused[name], seen.values.get(name))
            if name in refused
            else _entry(seen, name, value, name in wrong, old, known)
        )
        for name, value in desired.items()
    }
    pending = bool(wrong or old) and bool(must_restart)
    after = {}
    for name in entries:
        value = _values.shown(wrong.get(name, seen.values.get(name)))
        after[name] = {"configured": value, "effective": value, "running": value if known or pending else None}
    return {
        "changed": bool(wrong or old),
        "diff": {
            "before": {name: {key: entry[key] for key in after[name]} for name, entry in entries.items()},
            "after": after,
        },
        "server_type": "exchange",
        "server_version": seen.version.text,
        "identity": seen.fqdn,
        "chain": [{"server_type": "exchange", "server_version": seen.version.text}],
        "settings": entries,
        "drift": [{"setting": name, **entry} for name, entry in entries.items() if entry["drift"]],
        "changes": [_change(seen, name, value) for name, value in wrong.items()],
        "restart_required": pending,
        "services": must_restart if pending else [],
        "warnings": _warnings(seen, running, wrong),
    }


def _entry(seen, name, wanted, is_wrong, old, known):
    found = _values.shown(seen.values[name])
    drift, reason = None, None
    if is_wrong:
        drift, reason = "value", f"{seen.server} has {_said(seen.values[name])}"
    elif old:
        drift = "restart_pending"
        reason = (
            f"{' and '.join(service.name for service in old)} started before the IMAP4 settings of {seen.server} were "
            f"last changed, {seen.changed_at:%Y-%m-%d %H:%M:%S %Z}"
        )
    return {
        "desired": _values.shown(wanted),
        "configured": found,
        "effective": found,
        "running": found if known else None,
        "in_sync": drift is None,
        "drift": drift,
        "cause": None,
        "reason": reason,
        "file": None,
        "line": None,
    }


def _lacking(wanted, reason, found):
    """Return the dictionary for a setting that the server's version cannot be given."""
    found = _values.shown(found)
    return {
        "desired": _values.shown(wanted),
        "configured": found,
        "effective": found,
        "running": None,
        "in_sync": False,
        "drift": "unenforceable",
        "cause": None,
        "reason": reason,
        "file": None,
        "line": None,
    }


def _said(value):
    if value in (None, "", []):
        return "nothing"
    return ", ".join(value) if isinstance(value, list) else str(_values.shown(value))


def _change(seen, name, value):
    row = _parameters.PARAMETERS[name]
    return {
        "server_type": "exchange",
        "file": None,
        "line": None,
        "before": f"{row.parameter}: {_said(_values.write(row.kind, seen.values[name]))}",
        "after": f"{row.parameter}: {_said(_values.write(row.kind, value))}",
    }


def _warnings(seen, running, wrong):
    if seen.services is None and wrong:
        return [
            f"The IMAP4 services of {seen.server} were not looked at; they must be restarted by other means, for the "
            "settings to count."
        ]
    if seen.services is None:
        when = f", {seen.changed_at:%Y-%m-%d %H:%M:%S %Z}" if seen.changed_at else ""
        unknown = f"so it is not known whether they have been restarted since the settings were last changed{when}"
        services = f"The IMAP4 services of {seen.server}"
        if not seen.unseen:
            return [f"{services} were not looked at, {unknown}."]
        return [
            f"{services} cannot be looked at, {unknown}; mend that, or set look_at_services to false in the option "
            f"exchange: {seen.unseen}"
        ]
    warnings = [
        f"{service.name} on {seen.server} is not running ({service.state}); it takes the settings when it starts."
        for service in seen.services
        if not service.runs
    ]
    if not seen.services:
        warnings.append(
            f"{seen.server} has none of the services {' and '.join(_services.SERVICES)}; nobody obeys the settings."
        )
    hidden = [service.name for service in _services.unknown(seen.services)]
    if hidden:
        warnings.append(
            f"It cannot be seen when {' and '.join(hidden)} on {seen.server} started, so it is not known whether the "
            "settings have been changed since."
        )
    if running and seen.changed_at is None:
        warnings.append(
            f"{seen.server} does not say when its IMAP4 settings were changed, so it is not known whether its "
            "services have been restarted since."
        )
    return warnings


def _set(session, seen, wrong):
    """Set ``wrong`` (setting name to value) in one call, see that it was taken, and return the server's warnings.

    Raises Refused where nothing was set, and Changed where something was or may have been.
    """
    rows = {name: _parameters.PARAMETERS[name] for name in wrong}
    parameters = {row.parameter: _values.write(row.kind, wrong[name]) for name, row in rows.items()}
    try:
        answer = session.invoke("Set-ImapSettings", Server=seen.server, **parameters)
    except Refused as problem:
        try:
            made = _made(session, seen, wrong)
        except ExchangeError:
            raise Changed(
                f"It is not known whether any setting of {seen.server} was set, which the next run finds out: {problem}"
            ) from None
        if made:
            raise Changed(f"{' and '.join(made)} of {seen.server} changed although {problem}") from None
        raise
    except ExchangeError as problem:
        raise Changed(
            f"It is not known whether the settings of {seen.server} were set, which the next run finds out: {problem}"
        ) from None
    try:
        values, unread = _canonical(_one(session, "Get-ImapSettings", {"Server": seen.server}), seen.version)
        if set(wrong) & set(unread):
            raise ExchangeError(f"{_not_understood(unread, wrong)}.")
    except ExchangeError as problem:
        raise Changed(
            f"The settings of {seen.server} were set, but cannot be read again, which the next run does: {problem}"
        ) from None
    ignored = [
        f"{name} of {_said(wrong[name])} was accepted, but is {_said(values.get(name))} afterwards"
        for name in wrong
        if not _values.same(_kind(name), wrong[name], values.get(name))
    ]
    if ignored:
        warned = f"; it warned: {' and '.join(answer.warnings)}" if answer.warnings else "."
        raise Changed(f"{seen.server} does not obey: {'; '.join(ignored)}{warned}")
    return answer.warnings


def _made(session, seen, wrong):
    """Return the names of ``wrong`` whose values a Set-ImapSettings that failed has changed. Raises ExchangeError."""
    values, dummy = _canonical(_one(session, "Get-ImapSettings", {"Server": seen.server}), seen.version)
    return [name for name in wrong if name in values and not _values.same(_kind(name), values[name], seen.values[name])]
