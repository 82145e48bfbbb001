# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which IMAP server a host has: one, or a chain of a front and the backends behind it.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import ipaddress

from ._host import HostError
from ._servers import SERVER_TYPES
from ._servers.base import IMAP_PORTS
from ._servers.elsewhere import Elsewhere


_WILDCARDS = (ipaddress.ip_address("0.0.0.0"), ipaddress.ip_address("::"))


class NothingFound(HostError):
    """The host has no IMAP server of a supported type."""


def observe(host, server_type):
    """Return the Servers that clients of this host go through, the one that they talk to first.

    ``server_type`` is ``auto`` or a key of SERVER_TYPES.
    Raises NothingFound, HostError (more than one and no chain), SyntaxProblem and Rejected.
    """
    if server_type == "auto":
        present = {name: kind for name, kind in SERVER_TYPES.items() if kind.present(host)}
        if not present:
            raise NothingFound(
                f"No IMAP server of the types {', '.join(SERVER_TYPES)} is set up on this host; install one and run "
                "again."
            )
        first = next(iter(present))
    else:
        first = server_type
        if first not in SERVER_TYPES or not SERVER_TYPES[first].present(host):
            raise NothingFound(
                f"server_type is {server_type}, but no {server_type} is set up for IMAP on this host; install it or "
                "name another."
            )
        present = {first: SERVER_TYPES[first]}
    chain = [present[first](host)]
    if server_type != "auto" and chain[0].backends:
        present = {name: kind for name, kind in SERVER_TYPES.items() if name == first or kind.present(host)}
    # Server type to the types that clients are handed on by before they get there.
    before = {first: set()}
    for server in chain:
        passed = {server.server_type, *before[server.server_type]}
        candidates = {name: kind for name, kind in present.items() if name not in passed}
        for endpoint in server.backends:
            for backend in _add_backends(host, chain, server, endpoint, candidates):
                before.setdefault(backend, set()).update(passed)
    chain.sort(key=lambda server: len(before[server.server_type]))
    strangers = [name for name in present if name not in [server.server_type for server in chain]]
    if server_type == "auto" and not all(_is_off(host, present[name]) for name in strangers):
        raise HostError(
            f"server_type is auto, but this host has {' and '.join(present)}, which do not form a chain; set "
            "server_type to the one that is meant."
        )
    return chain


def _add_backends(host, chain, front, endpoint, candidates):
    """Add to ``chain`` the Server that answers at ``endpoint`` of ``front``, one of ``candidates`` (name to class) or one
    elsewhere; return the types (list of str) of those that may.
    """
    types = []
    name = _type_behind(host, endpoint, candidates)
    if name is not None:
        backend = next((server for server in chain if server.server_type == name), None)
        if backend is None:
            backend = candidates[name](host)
            chain.append(backend)
        backend.stand_behind(endpoint, front)
        types.append(name)
    if name is None or endpoint is None:
        # Where the front's configuration does not name its backend, one elsewhere may answer as well.
        chain.append(Elsewhere(endpoint, front))
        types.append(Elsewhere.server_type)
    return types


def ways_past(host, chain):
    """Return a warning (list of str) for each address on which clients reach a backend of ``chain`` without its front,
    or a process that is no part of it, such as a load balancer, which has time-outs of its own.

    Only IMAP's own ports tell; a listener on another port may serve anything.
    """
    names = {process.pid: process.name for process in host.processes()}
    # What systemd listens for, it hands on to the server.
    ours = {"systemd", *(name for server in chain for name in server.socket_holders)}
    links = " -> ".join(server.server_type for server in chain)
    warnings = []
    for listener in host.listeners():
        holders = {names[pid] for pid in listener.pids if pid in names}
        if listener.port not in IMAP_PORTS or ipaddress.ip_address(listener.address).is_loopback:
            continue
        where = f"listens on {listener.address} port {listener.port}"
        warnings += [
            f"{server.server_type} itself {where}; clients that connect there are past {chain[0].server_type} and its "
            "time-outs, so close that port to them."
            for server in chain[1:]
            if holders & set(server.socket_holders)
        ]
        if holders and not holders & ours:
            warnings.append(
                f"{' and '.join(sorted(holders))} {where} and is no part of {links}; what it makes of time-outs and "
                "limits is neither seen nor managed here."
            )
    return warnings


def _type_behind(host, endpoint, candidates):
    """Return the name among ``candidates`` of the server that answers at ``endpoint``, or None where it is not on this
    host.

    The process that listens there tells; where none does, or the address is not known, the only candidate is taken, but
    not for an address that is not known where it was switched off.
    """
    only = next(iter(candidates)) if len(candidates) == 1 else None
    if endpoint is None:
        return None if only is None or _is_off(host, candidates[only]) else only
    try:
        if not host.owns_address(endpoint.address):
            return None
    except ValueError:
        return None
    names = {process.pid: process.name for process in host.processes()}
    address = ipaddress.ip_address(endpoint.address)
    holders = [
        names.get(pid)
        for listener in host.listeners()
        if listener.port == endpoint.port and ipaddress.ip_address(listener.address) in (address, *_WILDCARDS)
        for pid in listener.pids
    ]
    for name, kind in candidates.items():
        if any(holder in kind.socket_holders for holder in holders):
            return name
    return None if holders else only


def _is_off(host, kind):
    """Whether no server of the class ``kind`` runs and systemd was told not to start one (systemctl(1), is-enabled)."""
    if any(process.name in kind.socket_holders for process in host.processes()):
        return False
    try:
        states = [host.run(["systemctl", "is-enabled", service]).words.split("\n")[-1] for service in kind.services]
    except HostError:
        return False
    return all(state in ("disabled", "masked", "masked-runtime") for state in states)
