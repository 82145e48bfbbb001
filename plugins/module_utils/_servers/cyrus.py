# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cyrus 3.6 to 3.12: one time-out for every state, raised to 1800 seconds where it is smaller, and one of its own for
IDLE; limits for a service, an address and a user.

Facts: imap/imapd.c of Cyrus 3.6.1 (lines 987 and 3254), 3.10.2 (1191 and 3551) and 3.12.4 (1223); lib/libconfig.c;
lifetimes measured with 3.6.1 and 3.10.2. ``cyr_info conf-all`` prints the value as written, not the raised one, so the
effective value is worked out here.

Limits, measured with 3.6.1 and 3.10.2: maxchild counts the processes of one service, IPv4 and IPv6 apart, and 0 lets
nobody in (add_service() of master/master.c). maxlogins_per_host counts the connections of all services from an address,
logged in or not, the one that logs in included, so that of N only N - 1 can log in, and nobody where N wait before their
login, whom nothing refuses; maxlogins_per_user counts only those that have logged in, and of twenty logins at once it let
in one too many; 0 stands for no limit, and less lets nobody in (procusage_cb() and proc_checklimits() of imap/proc.c,
lib/proc.c since 3.10). Both count the files in proc_path, one for each process that has a client, and a process that is
killed leaves its own, which counts on, past a restart, too.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import os.path
import re

from .._syntax import colon as syntax
from .._syntax import sections, text
from . import base

_MASTERS = (
    "/usr/sbin/cyrmaster",
    "/usr/lib/cyrus/bin/master",
    "/usr/cyrus/bin/master",
    "/usr/libexec/cyrus-imapd/master",
)
_MASTER_NAMES = ("cyrmaster", "master")
_INFORMANTS = ("/usr/lib/cyrus/bin/cyr_info", "/usr/cyrus/bin/cyr_info", "/usr/libexec/cyrus-imapd/cyr_info")
#: Debian has the master in another package, which stays when another IMAP server takes the place of this.
_IMAPDS = ("/usr/lib/cyrus/bin/imapd", "/usr/cyrus/bin/imapd", "/usr/libexec/cyrus-imapd/imapd")
_MAIN = "/etc/imapd.conf"
_SERVICES = "/etc/cyrus.conf"
#: The options of the master's command line that take a value, besides -M.
_TAKING = "CLjlpr"
_DEFAULT = 1920
_DEFAULT_POLL = 60
_SMALLEST = 1800
_LONGEST = _LARGEST = 2147483647
_UNLIMITED = float("inf")
#: Addresses that stand for IPv4 and IPv6.
_BOTH_FAMILIES = ("", "*", "localhost")
#: Setting name to how many of the connections that its option counts are none that the limit is for.
_COUNTED_TOO = {"max_connections_from_single_ip": 1, "max_connections_per_user": 0}
_REMARKS_ON_LOGINS = {
    "max_connections_from_single_ip": "Cyrus refuses logins alone: connections that have not logged in are not limited, "
    "but count, so that as many of them from one address as max_connections_from_single_ip keep it from logging in."
}


class Cyrus(base.Server):
    """Cyrus with at least one IMAP service. Raises SyntaxProblem, Rejected and HostError."""

    server_type = "cyrus"
    services = ("cyrus-imapd",)
    socket_holders = (*_MASTER_NAMES, "imapd")
    terms = {
        "authenticated_connection_timeout": base.Term(
            "timeout", "from 1800 seconds on, smaller ones are raised; imapidletimeout for IDLE"
        ),
        "pre_authenticated_connection_timeout": base.Term(
            None, "none of its own, timeout counts; 180 seconds for the handshake where TLS comes first"
        ),
        "max_connections": base.Term(
            "maxchild", "for each IMAP service in cyrus.conf, IPv4 and IPv6 apart; who is too many waits for a greeting"
        ),
        "max_connections_from_single_ip": base.Term(
            "maxlogins_per_host",
            "one more is written, because the login that is refused counts too, as do connections of other services "
            "and all that have not logged in, which themselves are not limited; not behind a proxy that hides the "
            "clients' addresses",
        ),
        "max_connections_per_user": base.Term(
            "maxlogins_per_user",
            "connections of other services count too; a login too many is refused, unless it comes at the same moment "
            "as others",
        ),
    }
    lacks = {
        "max_command_size": "Cyrus bounds words and literals of a command, and since 3.10 the arguments of some "
        "commands, but no command as a whole",
        "banner": "Cyrus' greeting has no text of one's own",
    }

    @classmethod
    def present(cls, host):
        return (
            all(any(map(host.is_executable, programs)) for programs in (_MASTERS, _IMAPDS))
            and host.is_file(_MAIN)
            and _names_imap(host, _serving_imap(host)[1])
        )

    def __init__(self, host):
        super().__init__()
        self._informant = next((program for program in _INFORMANTS if host.is_executable(program)), None)
        if self._informant:
            found = re.search(r"\b([0-9]+\.[0-9]+\.[0-9]+\S*)", host.run([self._informant, "version"]).words)
            self.version = found.group(1).split("-")[0] if found else ""
        # Before 3.10, cmd_idle() of imap/imapd.c looks at its deadline when it has polled (tags 3.4.0 to 3.12.0).
        self._polls = tuple(map(int, re.findall("[0-9]+", self.version)[:2])) < (3, 10)
        master, services_file = _serving_imap(host)
        self._master_file = sections.File(services_file, text.decode(host.read(services_file)))
        self._services = _imap_services(self._master_file)
        if not self._services:
            raise text.SyntaxProblem(f"{services_file}:1: expected a service whose cmd is imapd among the SERVICES.")
        self._complaints = self._lint(host, _MAIN, "as it is")
        self._files = syntax.read_tree(_MAIN, host.read)
        self.files = {file.path: text.encode(file.source) for file in self._files}
        self.changed_at = max(host.changed_at(path) for path in self.files)
        self.files[services_file] = text.encode(self._master_file.source)
        base.must_see(master, self.files, host)
        self.serving = _serving(host, master, services_file)
        self.master = master
        self.services = (base.unit(host, master, "cyrus-imapd"),)
        self.endpoints = [endpoint for entry in self._services.values() for endpoint in _endpoints(entry)]
        left_behind = self._left_behind(host)
        self.values = {
            **self._timeouts(),
            **{name: self._logins(name, left_behind) for name in _COUNTED_TOO},
            "max_connections": self._connections(),
        }

    # observing

    def _timeouts(self):
        places = tuple(dict.fromkeys(place for service in self._services for place in self._lifetimes(service)))
        timeout = min(self._raised(service).effective for service in self._services)
        poll = max(self._poll(service) for service in self._services)
        remark = (
            f"Cyrus {self.version} looks at the time-out of a client in IDLE only every {poll} seconds (imapidlepoll), so "
            "that its connection may live up to that much longer."
        )
        return {
            "authenticated_connection_timeout": base.Value(
                places,
                _SMALLEST,
                _LONGEST,
                f"Cyrus {self.version} silently uses 30 minutes ({_SMALLEST} seconds) instead of any smaller time-out",
                remark=remark if self._polls and poll > 1 else None,
            ),
            "pre_authenticated_connection_timeout": base.Value(
                (base.Place(None, timeout),),
                timeout,
                timeout,
                f"Cyrus {self.version} has no time-out of its own for this, the one for authenticated connections "
                f"({timeout} seconds) counts",
                follows="authenticated_connection_timeout",
            ),
        }

    def _left_behind(self, host):
        """Return the paths of the files in proc_path whose process has died: each counts as a connection."""
        folders = []
        for service in self._services:
            own, common = (self._option(service, key) for key in ("proc_path", "configdirectory"))
            if own or common:
                folders.append(text.path(own[0].value) if own else f"{text.path(common[0].value)}/proc")
        paths = [path for folder in dict.fromkeys(folders) for path in host.match(f"{folder}/[1-9]*")]
        dead = [path for path in paths if not host.is_file(f"/proc/{os.path.basename(path)}/stat")]
        # A process that ended meanwhile has taken its own away.
        return [path for path in dead if host.is_file(path)]

    def _logins(self, name, left_behind):
        """Return the Value of the limit ``name``, a key of _COUNTED_TOO; ``left_behind`` is of _left_behind()."""
        key = self.terms[name].option
        places = []
        for service in self._services:
            place = self._place(service, key, syntax.integer, "a number")
            if place is None:
                places.append(base.Place(None, _UNLIMITED, _MAIN, None, False, (key, None)))
            elif place.configured == 0:
                places.append(place._replace(configured=_UNLIMITED, effective=_UNLIMITED))
            else:
                places.append(place._replace(effective=max(0, place.configured - _COUNTED_TOO[name])))
        remarks = [_REMARKS_ON_LOGINS[name]] if name in _REMARKS_ON_LOGINS else []
        if left_behind:
            remarks.append(
                f"Processes that died have left files such as {left_behind[0]} ({len(left_behind)} in all), which Cyrus "
                "counts as connections until they are removed."
            )
        return base.Value(
            tuple(dict.fromkeys(places)), 1, _LARGEST - _COUNTED_TOO[name], remark=" ".join(remarks) or None
        )

    def _connections(self):
        """Return the Value of the limit of connections: a Place for each service."""
        places = []
        for entry in self._services.values():
            written = entry.value("maxchild")
            # atoi() takes what begins like a number for one, and anything else for 0.
            number = int((re.match(r"\s*[+-]?[0-9]+", written) or ["0"])[0]) if written is not None else -1
            limit = _UNLIMITED if number < 0 else number
            places.append(
                base.Place(None if written is None else limit, limit, self._master_file.path, entry.line, False, entry)
            )
        apart = sum(_families(entry) for entry in self._services.values())
        remark = (
            f"Cyrus counts the connections of each service ({', '.join(self._services)}) by themselves, and IPv4 and IPv6 "
            f"apart, so that all of them together take up to {apart} times max_connections."
        )
        return base.Value(tuple(places), 1, _LARGEST, remark=remark if apart > 1 else None)

    def _option(self, service, key):
        """Return ``(option, file)`` that gives ``key`` to ``service``: one with the service's name before it overrules
        the plain one. None where there is neither.
        """
        found = {}
        for file in self._files:
            for option in file.options:
                if option.key in found:
                    raise text.SyntaxProblem(f"{file.path}:{file.line(option)}: expected {option.key} only once.")
                if option.key in (key, f"{service}_{key}".lower()):
                    found[option.key] = (option, file)
        return found.get(f"{service}_{key}".lower()) or found.get(key)

    def _lifetimes(self, service):
        """Return the Places of the time-out of ``service``: the one for commands, and the one for IDLE, which is the
        same option where it has none of its own, but is not raised.
        """
        yield self._raised(service)
        poll = self._poll(service)
        idle = self._duration(service, "imapidletimeout")
        if idle is None or idle.configured <= 0:
            idle = self._duration(service, "timeout")
        if idle is None or poll <= 0:
            # With the default, or without IDLE.
            return
        if idle.configured <= 0:
            # 3.6 then never ends IDLE, later versions end it as they end everything.
            yield idle._replace(effective=_UNLIMITED)
        elif self._polls:
            yield idle._replace(effective=max(idle.effective, min(poll, _SMALLEST)))
        else:
            yield idle

    def _poll(self, service):
        """Return after how many seconds, again and again, imapd looks after a client in IDLE; 0 or less: no IDLE."""
        place = self._duration(service, "imapidlepoll", "s")
        return _DEFAULT_POLL if place is None else place.configured

    def _raised(self, service):
        place = self._duration(service, "timeout")
        if place is None:
            return base.Place(None, _DEFAULT, _MAIN, None, False, ("timeout", None))
        return place._replace(effective=max(_SMALLEST, place.effective))

    def _duration(self, service, key, unit="m"):
        return self._place(service, key, lambda written: syntax.seconds(written, unit), "a duration")

    def _place(self, service, key, read, expected):
        """Return the Place of the option ``key`` for ``service``, or None; ``read`` turns its text into a number, or
        into None where it is not what is ``expected``.
        """
        found = self._option(service, key)
        if found is None:
            return None
        option, file = found
        line = file.line(option)
        written = read(option.value)
        if written is None:
            raise text.SyntaxProblem(
                f"{file.path}:{line}: expected {expected} after {key}, not {text.quoted(option.value)}."
            )
        return base.Place(written, written, file.path, line, option.key != key, (option.key, option))

    # editing

    def edited(self, edits):
        files = {}
        changes = []
        services = [edit for edit in edits if edit.setting == "max_connections"]
        options = [edit for edit in edits if edit.setting != "max_connections"]
        for file in self._files:
            self._edit_options(file, [edit for edit in options if edit.place.file == file.path], files, changes)
        self._edit_services(services, files, changes)
        return files, changes

    def _edit_options(self, file, edits, files, changes):
        """Make ``edits`` of one File of imapd.conf: put its bytes into ``files``, and each Change into ``changes``."""
        replaced = {}
        added = {}
        for edit in edits:
            key, option = edit.place.handle
            if option is None:
                added[key] = _written(edit)
            else:
                replaced[text.Splice(option.start, option.end, _written(edit))] = key
        if not edits:
            return
        source = file.source
        for splice, key in sorted(replaced.items()):
            before = source[splice.start : splice.end]
            line = text.line_number(source, splice.start)
            changes.append(base.Change(file.path, line, f"{key}: {before}", f"{key}: {splice.text}"))
        ending = text.newline(source)
        lead = "" if not source or source.endswith("\n") else ending
        # A line that ends in a backslash would swallow the new one.
        lead += ending if (source + lead).endswith("\\\n") else ""
        first = text.line_number(source + lead, len(source + lead))
        lines = [f"{key}: {value}" for key, value in added.items()]
        changes += [base.Change(file.path, first + number, None, line) for number, line in enumerate(lines)]
        splices = list(replaced)
        if lines:
            splices.append(text.Splice(len(source), len(source), lead + "".join(line + ending for line in lines)))
        files[file.path] = text.encode(text.splice(source, splices))

    def _edit_services(self, edits, files, changes):
        """Make ``edits`` of cyrus.conf, as _edit_options() does."""
        splices = []
        for edit in edits:
            entry = edit.place.handle
            found = entry.argument("maxchild")
            written = str(edit.value)
            if found:
                splices.append(text.Splice(found.start, found.end, written))
            else:
                splices.append(text.Splice(entry.end, entry.end, f" maxchild={written}"))
            before = f"{entry.name} maxchild={found.value}" if found else None
            changes.append(base.Change(edit.place.file, entry.line, before, f"{entry.name} maxchild={written}"))
        if splices:
            file = self._master_file
            files[file.path] = text.encode(text.splice(file.source, splices))

    def check(self, host, files):
        """Run ``cyr_info conf-lint`` on a copy; only complaints that the files on disk do not cause already count.

        Of cyrus.conf there can be no such copy, so that it is read here once more.
        """
        if self._master_file.path in files:
            sections.File(self._master_file.path, text.decode(files[self._master_file.path]))
        with host.scratch_folder() as scratch:
            places = {file.path: os.path.join(scratch, f"{number}.conf") for number, file in enumerate(self._files)}
            for path, place in places.items():
                file = syntax.File(path, text.decode(files.get(path, self.files[path])))
                includes = [
                    text.Splice(option.start, option.end, places[text.path(option.value)])
                    for option in file.options
                    if option.key == "@include"
                ]
                host.put(place, text.encode(text.splice(file.source, includes)))
            complaints = self._lint(host, places[_MAIN], "with this change", places)
        added = [complaint for complaint in complaints if complaint not in self._complaints]
        if added:
            raise base.Rejected(f"cyr_info refuses the configuration with this change: {'; '.join(added)}.")

    def _lint(self, host, main, state, places=()):
        """Return what ``cyr_info conf-lint`` says, a list of lines; ``places`` maps real paths to those that it reads.

        Its status is 0 where it only finds options that it does not know, and where it cannot go on (status 78,
        measured with 3.6.1) no Cyrus process can. It reads ``main`` and its includes as root and cyrus.conf as the user
        cyrus (measured), so that the latter cannot be a copy. Raises Rejected.
        """
        if self._informant is None:
            return []
        done = host.run([self._informant, "-C", main, "-M", self._master_file.path, "conf-lint"])
        words = done.words
        for path in places:
            words = words.replace(places[path], path)
        lines = words.splitlines()
        if done.status:
            raise base.Rejected(f"cyr_info refuses the configuration {state}: {'; '.join(lines)}.")
        return lines


def _serving_imap(host):
    """Return ``(master, services_file)``: the Process of the master that runs, or None, and the path of its cyrus.conf.

    Of several masters it is the one that has an IMAP service. Raises HostError where more than one has.
    """
    named = [found for found in host.processes() if found.name in _MASTER_NAMES and "cyr" in found.title]
    masters = base.masters(named)
    lines = [master.title for master in masters] or base.started_as(host, Cyrus.services[0])
    paths = [base.option(line.split(), "M", _TAKING) or _SERVICES for line in lines] or [_SERVICES]
    found = list(zip(masters or [None], paths))
    serving = [each for each in found if len(found) > 1 and _names_imap(host, each[1])]
    base.must_be_one("Cyrus", [master for master, dummy in serving])
    return (serving or found)[0]


def _names_imap(host, services_file):
    """Whether the cyrus.conf at ``services_file`` has an IMAP service. Raises SyntaxProblem."""
    return host.is_file(services_file) and bool(
        _imap_services(sections.File(services_file, text.decode(host.read(services_file))))
    )


def _imap_services(file):
    """Return service name to Entry for each service of cyrus.conf, a sections.File, whose command is imapd.

    Another program may start it, such as nice. Raises SyntaxProblem for one that reads another configuration, and for a
    name that is there twice.
    """
    services = {}
    for entry in file.sections["SERVICES"]:
        command = _imapd(entry)
        if not command:
            continue
        if base.option(command, "C", "TU") is not None:
            raise text.SyntaxProblem(
                f"{file.path}:{entry.line}: expected an imapd without -C, which names other settings."
            )
        if entry.name in services:
            raise text.SyntaxProblem(f"{file.path}:{entry.line}: expected a service {entry.name} only once.")
        services[entry.name] = entry
    return services


def _imapd(entry):
    """Return the words of the command of a service from imapd on, none where there is no imapd."""
    words = (entry.value("cmd") or "").split()
    return words[next((at for at, word in enumerate(words) if os.path.basename(word) == "imapd"), len(words)) :]


def _endpoints(entry):
    """Return the Endpoints of a service: one, or none where it has no TCP port."""
    address, dummy, port = (entry.value("listen") or "").rpartition(":")
    port = {"imap": "143", "imaps": "993"}.get(port, port)
    if not port.isdecimal():
        return []
    loopback = "::1" if entry.value("proto") == "tcp6" or address == "[::]" else "127.0.0.1"
    address = loopback if address in (*_BOTH_FAMILIES, "0.0.0.0", "[::]") else address.strip("[]")
    command = _imapd(entry)
    return [base.Endpoint(address, int(port), "-s" in command, "-H" in command)]


def _families(entry):
    """Return for how many address families the master listens, and counts, for a service."""
    listen = entry.value("listen") or ""
    both = listen.rpartition(":")[0] in _BOTH_FAMILIES and not listen.startswith("/")
    return 2 if both and entry.value("proto") in (None, "tcp") else 1


def _written(edit):
    """Return the text that makes an Edit of an option of imapd.conf."""
    counted_too = _COUNTED_TOO.get(edit.setting)
    return f"{edit.value}s" if counted_too is None else str(edit.value + counted_too)


def _serving(host, master, services_file):
    """Return the Serving of the oldest imapd: each reads the configuration when it starts, and lives on for many
    connections. None where there is no ``master``.

    Where none waits for a connection, the next one will read the files of now. Where the services changed after the
    master started, it cannot be known under which names its services read them.
    """
    if master is None:
        return None
    if host.changed_at(services_file) > master.started:
        return base.Serving(float("-inf"), None)
    processes = [found for found in host.processes() if found.name == "imapd" and found.parent == master.pid]
    return base.Serving(min((found.started for found in processes), default=float("inf")), None)
