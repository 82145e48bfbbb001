# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Courier 5: both time-outs are compiled in, the numbers of connections are not.

Facts: alarm(60) in imap/imaplogin.C and read_timeout(30 * 60) in imap/mainloop.C of courier-libs; the start scripts
/usr/lib/courier/imapd and imapd-ssl of Debian's courier-imap 5.0.13 and 5.2.11; what couriertcpd (tcpd/tcpd.c) does
with its options, measured with both. couriertls waits for a TLS handshake without end, and only then is imaplogin
started, whose alarm ends connections (measured: open after 1000 seconds; TLS_TIMEOUT is not implemented, says imapd-ssl).

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import os.path
import re
from typing import NamedTuple

from .._host import HostError
from .._syntax import shell as syntax
from .._syntax import text
from . import base

_LOGIN = "/usr/lib/courier/courier/imaplogin"
_IMAPD = "/usr/bin/imapd"
_PLAIN = "/etc/courier/imapd"
_TLS = "/etc/courier/imapd-ssl"
_ACCESS = "/etc/courier/imapaccess"
#: Addresses that stand for all, and the one of them that this host reaches itself at.
_ANY = {"": "127.0.0.1", "0": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
_PORTS = {"imap": 143, "imap2": 143, "imaps": 993}
#: Setting name to the seconds that connections live in each state. While the client waits in IDLE it is the same time
#: (measured: 1801.8 seconds, because IDLE looks at the clock every IMAP_IDLE_TIMEOUT seconds), but with a mailbox
#: selected 5.2.11 never ends it (measured with the constant made 20 seconds: open after 240).
_COMPILED_IN = {"authenticated_connection_timeout": 1800, "pre_authenticated_connection_timeout": 60}
#: Setting name to the variable, couriertcpd's option, and the largest number that it starts with on Debian: it reserves
#: memory for each connection, within IMAP_ULIMITD (measured: 1000000 starts, 99999999 does not).
_NUMBERS = {
    "max_connections": ("MAXDAEMONS", "maxprocs", 1000000),
    "max_connections_from_single_ip": ("MAXPERIP", "maxperip", 2147483647),
}
#: What sh reads of staged files, in the order of a start script.
_SCRIPT = '. "$1"; . "$2"; printf "%s|%s|%s" "$MAXDAEMONS" "$MAXPERIP" "$TCPDOPTS"'


class _Daemon(NamedTuple):
    """One of Courier's two IMAP daemons: its unit, and the files that its start script reads, the last one counting.

    The shell that reads them in that order puts MAXDAEMONS, MAXPERIP and TCPDOPTS on couriertcpd's command line; the
    reverse order further down in the scripts is for variables that imapd itself reads from its environment (measured).
    """

    unit: str
    files: tuple
    tls: bool
    address: str
    port: str


_DAEMONS = (
    _Daemon("courier-imap", (_TLS, _PLAIN), False, "ADDRESS", "PORT"),
    _Daemon("courier-imap-ssl", (_PLAIN, _TLS), True, "SSLADDRESS", "SSLPORT"),
)


class _Found(NamedTuple):
    """Where a number is written: ``start`` and ``end`` are its offsets in the value of ``assignment`` in ``file``."""

    file: syntax.File
    assignment: syntax.Assignment
    start: int
    end: int
    number: int
    overrides: bool

    @property
    def line(self):
        return self.file.line(self.assignment)


class Courier(base.Server):
    """Courier's IMAP daemons. Raises SyntaxProblem, Rejected and HostError."""

    server_type = "courier"
    services = tuple(daemon.unit for daemon in _DAEMONS)
    socket_holders = ("couriertcpd",)
    terms = {
        "authenticated_connection_timeout": base.Term(
            None, "compiled in, 1800 seconds; IDLE counts as idle, but not with a mailbox selected in 5.2"
        ),
        "pre_authenticated_connection_timeout": base.Term(
            None,
            "compiled in, 60 seconds, counted from the connection on, with TLS from the end of the handshake on, for "
            "which Courier waits without end",
        ),
        "max_connections": base.Term(
            "MAXDAEMONS", "counted by courier-imap and courier-imap-ssl on their own; further clients wait"
        ),
        "max_connections_from_single_ip": base.Term(
            "MAXPERIP",
            "counted by courier-imap and courier-imap-ssl on their own; further clients are turned away; not behind a "
            "proxy that hides the clients' addresses",
        ),
    }
    lacks = {
        "max_command_size": "Courier bounds no command, only each string in it, at 8192 bytes, which is compiled in",
        "banner": "Courier's greeting is compiled in",
    }

    @classmethod
    def present(cls, host):
        return host.is_file(_LOGIN) and host.is_file(_PLAIN) and bool(_daemons(host))

    def __init__(self, host):
        super().__init__()
        self._running, self._daemons = _processes(host), _daemons(host)
        self.services = tuple(daemon.unit for daemon in self._daemons)
        found = re.search(r"Courier-IMAP ([0-9.]+)", host.run([_IMAPD, "--version"]).words)
        self.version = found.group(1) if found else ""
        self.files = {path: host.read(path) for path in (_PLAIN, _TLS)}
        for process in self._running.values():
            base.must_see(process, self.files, host)
        self.changed_at = max(host.changed_at(path) for path in self.files)
        self._tree = _tree(self.files)
        self.serving = self._serving()
        self.endpoints = [endpoint for daemon in self._daemons for endpoint in _endpoints(self._tree, daemon)]
        self.values = {
            name: base.Value(
                (base.Place(None, seconds),),
                seconds,
                seconds,
                f"Courier {self.version} closes such a connection after {seconds} seconds, which is compiled in",
            )
            for name, seconds in _COMPILED_IN.items()
        }
        self.values.update({name: self._value(host, name) for name in _NUMBERS})
        if tuple(map(int, re.findall("[0-9]+", self.version)[:2])) > (5, 0):
            self.remark(
                "authenticated_connection_timeout",
                f"Courier {self.version} closes an idle connection after 1800 seconds, but never while its client waits "
                "in IDLE with a mailbox selected; the role mailops.imap.imap_proxy puts a mail proxy before it that does.",
            )
        if any(_begins_tls(self._tree, daemon) for daemon in self._daemons):
            self.remark(
                "pre_authenticated_connection_timeout",
                "Courier counts its 60 seconds from the end of a TLS handshake on, and never closes a client that is "
                "silent during the handshake; the role mailops.imap.imap_proxy puts a mail proxy before it that does.",
            )

    def stand_behind(self, endpoint, front):
        super().stand_behind(endpoint, front)
        # Clients have their handshakes with the front, which closes those in IDLE, because Courier says nothing to them.
        for name in _COMPILED_IN:
            self.remark(name, None)

    def _value(self, host, name):
        variable, option, largest = _NUMBERS[name]
        reason = f"couriertcpd takes {variable} from 1 to {largest}"
        places = []
        for daemon in self._daemons:
            found = _number(self._tree, daemon, variable, option)
            effective = found.number
            network = _in_options(self._tree, daemon, "maxperc")
            if network is not None and name == "max_connections_from_single_ip" and network.number < largest:
                largest = network.number
                reason = (
                    f"-maxperc={largest} in {network.file.path}:{network.line} lets a network of 256 addresses have no "
                    "more connections together"
                )
            if network is not None and name == "max_connections_from_single_ip":
                effective = min(effective, network.number)
            places.append(base.Place(found.number, effective, found.file.path, found.line, found.overrides, found))
            self._compare_with_running(daemon, option, found)
        remarks = []
        if len(self._daemons) > 1:
            remarks.append(f"Each of {' and '.join(self.services)} counts its own connections, up to {variable}.")
        if name == "max_connections_from_single_ip":
            remarks += [f"Addresses with MAXCPERIP in {path} keep that." for path in _exceptions(host, self._tree)]
        return base.Value(tuple(dict.fromkeys(places)), 1, largest, reason, remark=" ".join(remarks) or None)

    def _compare_with_running(self, daemon, option, found):
        """Raise HostError where couriertcpd was started after the files changed, but not with what they say."""
        process = self._running.get(daemon.unit)
        if process is None or process.started < self.changed_at:
            return
        given = re.findall(rf" -{option}=([0-9]+)", process.title)
        if given and int(given[-1]) != found.number:
            raise HostError(
                f"couriertcpd (process {process.pid}) runs with -{option}={given[-1]}, but "
                f"{found.file.path}:{found.line} says {found.number}; have it started by {daemon.unit} and run again."
            )

    def _serving(self):
        running = [self._running.get(daemon.unit) for daemon in self._daemons]
        if not running or None in running:
            return None
        return base.Serving(
            min(process.started for process in running), "+".join(process.identity for process in running)
        )

    def edited(self, edits):
        splices = {}
        for edit in edits:
            found = edit.place.handle
            splice = found.file.replaced_part(found.assignment, found.start, found.end, str(edit.value))
            splices.setdefault(found.file, {})[splice] = found.assignment
        files = {}
        changes = []
        for file, wanted in splices.items():
            files[file.path] = text.encode(text.splice(file.source, wanted))
            for splice, assignment in sorted(wanted.items()):
                before, after = _around(file.source, assignment, splice)
                changes.append(base.Change(file.path, file.line(assignment), before, after))
        return files, changes

    def check(self, host, files):
        """Have a shell read copies of both files as the start scripts do, and compare with what was understood.

        Where a file runs commands nothing is run here.
        """
        contents = {path: files.get(path, content) for path, content in self.files.items()}
        tree = _tree(contents)
        if any(mark in content for content in contents.values() for mark in (b"$(", b"`")):
            return
        with host.scratch_folder() as scratch:
            copies = {path: os.path.join(scratch, os.path.basename(path)) for path in contents}
            for path, content in contents.items():
                host.put(copies[path], content)
            for daemon in self._daemons:
                read = [copies[path] for path in daemon.files]
                done = host.run(["/usr/bin/env", "-i", "/bin/sh", "-c", _SCRIPT, "sh", *read])
                names = ("MAXDAEMONS", "MAXPERIP", "TCPDOPTS")
                understood = [_last(tree, daemon, name) for name in names]
                expected = "|".join(pair[1].value if pair else "" for pair in understood)
                if done.status or done.words != expected.strip():
                    raise base.Rejected(
                        f"a shell reads the configuration with this change as {' '.join(done.words.split())}, not as "
                        f"{expected}."
                    )


def _processes(host):
    """Return unit to the Process of couriertcpd for each IMAP daemon that runs."""
    found = {}
    for process in host.processes():
        if process.name == "couriertcpd" and "/imaplogin " in process.title:
            found[_DAEMONS[" -tcpd " in process.title].unit] = process
    return found


def _daemons(host):
    """Return the _Daemons that run; where none does, those that systemd would start."""
    running = _processes(host)
    return [daemon for daemon in _DAEMONS if daemon.unit in running] or [
        daemon for daemon in _DAEMONS if host.match(f"/etc/systemd/system/*.wants/{daemon.unit}.service")
    ]


def _tree(contents):
    """Return path to File for ``contents`` (path to bytes). Raises SyntaxProblem."""
    return {path: syntax.File(path, text.decode(content)) for path, content in contents.items()}


def _last(tree, daemon, name):
    """Return ``(file, assignment)`` that gives ``name`` to ``daemon``, or None.

    Raises SyntaxProblem where only a shell can tell its value.
    """
    for path in reversed(daemon.files):
        assignment = tree[path].in_force(name)
        if assignment is not None:
            if assignment.value is None:
                raise tree[path].problem(assignment.start, f"a value without expansions after {name}=")
            return tree[path], assignment
    return None


def _begins_tls(tree, daemon):
    """Whether clients have TLS from ``daemon``, by STARTTLS at least, which IMAPDSTARTTLS allows."""
    starttls = tree[_TLS].in_force("IMAPDSTARTTLS")
    return daemon.tls or (starttls is not None and (starttls.value is None or starttls.value[:1] in ("y", "Y")))


def _in_options(tree, daemon, option):
    """Return the _Found of couriertcpd's ``option`` in TCPDOPTS, or None."""
    pair = _last(tree, daemon, "TCPDOPTS")
    words = list(re.finditer(rf"(?<!\S)-{option}=(\S*)", pair[1].value)) if pair else []
    if not words:
        return None
    written = words[-1].group(1)
    return _Found(*pair, *words[-1].span(1), _positive(*pair, f"-{option}=", written), True)


def _number(tree, daemon, variable, option):
    """Return the _Found in force: the one in TCPDOPTS, which comes last on the command line, or the variable."""
    pair = _last(tree, daemon, variable)
    if pair is None:
        path = daemon.files[-1]
        raise text.SyntaxProblem(f"{path}: expected a line {variable}=, without which couriertcpd does not start.")
    assignments = [each for path in daemon.files for each in tree[path].assignments if each.name == variable]
    written = pair[1].value.rstrip(" \t")
    plain = _Found(*pair, 0, len(written), _positive(*pair, f"{variable}=", written), len(assignments) > 1)
    return _in_options(tree, daemon, option) or plain


def _positive(file, assignment, name, written):
    if not re.fullmatch(r"0*[1-9][0-9]*", written):
        raise file.problem(assignment.start, f"a number from 1 after {name}, not {text.quoted(written)}")
    return int(written)


def _around(source, assignment, splice):
    """Return the assignment as it is written before and after ``splice``."""
    start = assignment.start - len(assignment.name) - 1
    return (
        source[start : assignment.end],
        source[start : splice.start] + splice.text + source[splice.end : assignment.end],
    )


def _endpoints(tree, daemon):
    """Return the Endpoints of ``daemon``: PORT is a list of ports, each with an address before it or without."""
    address, port = (_last(tree, daemon, name) for name in (daemon.address, daemon.port))
    behind = _wanting_header(tree, daemon)
    endpoints = []
    for written in port[1].value.split(",") if port else ():
        host, dummy, number = written.strip().rpartition(".")
        host = host or (address[1].value if address else "0")
        number = _PORTS.get(number, number)
        if str(number).isdecimal():
            local = _ANY.get(host, host)
            header = any(own in (*_ANY, host, local) and wanted in ("", int(number)) for own, wanted in behind)
            endpoints.append(base.Endpoint(local, int(number), daemon.tls, header))
    return endpoints


def _wanting_header(tree, daemon):
    """Return ``(address, port)`` for each port on which ``daemon`` wants a PROXY header, empty ones standing for all.

    ``-haproxy`` of courier-imap 5.2.11 is a list, each with seconds, /port=[ADDRESS.]PORT or both; without a value, it
    does nothing (couriertcpd(1), measured).
    """
    pair = _last(tree, daemon, "TCPDOPTS")
    given = re.findall(r"(?<!\S)-haproxy=(\S+)", pair[1].value) if pair else []
    wanting = []
    for each in given[-1].split(",") if given else ():
        address, dummy, port = each.partition("/port=")[2].rpartition(".")
        number = str(_PORTS.get(port, port))
        if number.isdecimal() or not port:
            wanting.append((address, number and int(number)))
    return wanting


def _exceptions(host, tree):
    """Return the paths of access files that give an address a number of connections of its own, which counts instead of
    MAXPERIP (measured)."""
    try:
        pair = _last(tree, _DAEMONS[0], "IMAPACCESSFILE")
    except text.SyntaxProblem:
        # Only a shell can tell where it is, and no setting depends on it.
        return []
    access = pair[1].value if pair else _ACCESS
    if not access:
        return []
    paths = [path for path in [access, *host.match(f"{access}/*")] if host.is_file(path)]
    return [path for path in paths if re.search(rb"^[^#\n]*\bMAXCPERIP=", host.read(path), re.MULTILINE)]
