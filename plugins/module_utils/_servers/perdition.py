# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Perdition 2.2: a front that takes both time-outs from 1 second up.

Facts: perdition/options.c, config_file.c and perdition.c of Perdition 2.2, the init script of Debian's 2.2-3.2 and
2.2-3.4, and what the daemon says and does, measured with both. What the backend sends starts the time-out of a client
that has logged in anew as well. Its connection_limit is not for use: the daemon ends when one client more connects
(libvanessa_socket/vanessa_socket_server.c of vanessa_socket 0.0.13, measured).

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import os.path
import re
from typing import NamedTuple, Optional

from .._host import HostError
from .._syntax import shell, text
from .._syntax import words as syntax
from . import base

_PROGRAM = "/usr/sbin/perdition"
_DEFAULTS = "/etc/default/perdition"
_INIT_SCRIPT = "/etc/init.d/perdition"
_UNITS = tuple(f"{folder}/systemd/system/perdition.service" for folder in ("/etc", "/lib", "/usr/lib"))
#: What the init script starts: its variable, and the name of the program, which is all that its process shows.
_INSTANCES = {
    "POP3": "perdition.pop3",
    "POP3S": "perdition.pop3s",
    "IMAP4": "perdition.imap4",
    "IMAP4S": "perdition.imaps",
    "MANAGESIEVE": "perdition.managesieve",
}
_ELSEWHAT = {"perdition.pop3", "perdition.pop3s", "perdition.managesieve"}
#: Setting name to the option's names.
_OPTIONS = {
    "authenticated_connection_timeout": ("timeout", "t"),
    "pre_authenticated_connection_timeout": ("authenticate_timeout",),
}
_LONGEST = 2147483647
_PORTS = {"imap": 143, "imaps": 993}
#: Options without a value, as popt needs to know them to tell options from values.
_SWITCHES = frozenset(
    "a authenticate_in B no_bind_banner C connection_logging c client_server_specification d debug h help i inetd_mode "
    "n no_lookup server_ok_line o server_resp_line U username_from_database q quiet login_disabled no_daemon "
    "tcp_keepalive "
    "ssl_ca_accept_self_signed ssl_cert_accept_expired ssl_cert_accept_not_yet_valid ssl_cert_accept_self_signed "
    "ssl_no_cert_verify ssl_no_client_cert_verify ssl_no_cn_verify ssl_listen_compression ssl_outgoing_compression "
    "ssl_no_cipher_server_preference".split()
)
#: Has Perdition say what it makes of its options and serve nobody: for one client, which is gone already, with all
#: messages on standard error. Its list of options is cut off at 4096 characters, hence the short capabilities.
_SAY = ["--debug", "--inetd_mode", "--log_facility", "+", "--capability", "x"]
_SAID = re.compile(
    r", authenticate_timeout=(?P<authenticate_timeout>-?[0-9]+), .*, "
    r"client_server_specification=(?P<client_server_specification>on|off), config_file=\"(?P<config_file>[^\"]*)\", "
    r".*, listen_port=\"(?P<listen_port>[^\"]*)\", .*, "
    r"map_library=\"(?P<map_library>[^\"]*)\", map_library_opt=\"(?P<map_library_opt>[^\"]*)\", .*, "
    r"outgoing_port=\"(?P<outgoing_port>[^\"]*)\", .*, timeout=(?P<timeout>-?[0-9]+), username="
)
#: Files without which a map answers nobody, so that outgoing_server is the only backend.
_MAPS = {"gdbm": "/etc/perdition/popmap.gdbm.db", "bdb": "/etc/perdition/popmap.bdb.db"}


class _Word(NamedTuple):
    """A word on an instance's command line: its text, and where it is written."""

    text: str
    assignment: shell.Assignment
    start: int
    end: int


class _Found(NamedTuple):
    """An option and where its value is written: in a file of options, or from ``start`` to ``end`` in a variable that
    the init script puts on the command line.
    """

    value: str
    file: object
    item: object
    start: Optional[int] = None
    end: Optional[int] = None

    @property
    def line(self):
        return self.file.line(self.item)


class _Instance:
    """One of the daemons that the init script starts, with what it reads and what it says about it.

    ``defaults`` is the File of the init script's variables, ``read(path)`` returns that of options, and ``copy`` is the
    path of what Perdition reads in the place of the latter. Raises Rejected, SyntaxProblem and HostError.
    """

    def __init__(self, host, name, defaults, read, copy=None):
        self.name = name
        self.program = _INSTANCES[name]
        self._defaults = defaults
        self._words = [word for variable in ("FLAGS", f"{name}_FLAGS") for word in _words(defaults, variable)]
        self.said = _ask(host, self.program, [word.text for word in self._words], copy)
        path = self.said["config_file"]
        self.file = read(path) if path else None

    @property
    def serves_imap(self):
        return self.said["protocol"] in ("IMAP4", "IMAP4S")

    def given(self, *names):
        """Return the _Found of each time that an option is on the command line.

        Reading follows popt 1.19, as far as Perdition's own options need it.
        """
        words = list(self._words)
        while words:
            word = words.pop(0)
            if word.text.startswith("--"):
                key, equals, dummy = word.text[2:].partition("=")
                start = len(key) + 3 if equals else None
            else:
                letters = word.text[1:]
                clustered = len(letters) - len(letters.lstrip("".join(each for each in _SWITCHES if len(each) == 1)))
                key, start = letters[clustered : clustered + 1], clustered + 2
                start += word.text[start : start + 1] == "="
                start = start if start < len(word.text) else None
            if not key or key in _SWITCHES:
                continue
            if start is None:
                if not words:
                    return
                word, start = words.pop(0), 0
            if key in names:
                yield _Found(word.text[start:], self._defaults, word.assignment, word.start + start, word.end)

    def written(self, *names):
        """Return the _Found of each time that an option is written, the one that should count last: the command line
        overrules the file.
        """
        options = self.file.options if self.file else ()
        from_file = [_Found(option.value or "", self.file, option) for option in options if option.key in names]
        return from_file + list(self.given(*names))


class Perdition(base.Server):
    """Perdition with at least one instance for IMAP. Raises SyntaxProblem, Rejected and HostError."""

    server_type = "perdition"
    services = ("perdition",)
    socket_holders = ("perdition", "perdition.imap4", "perdition.imaps")
    counts_anew_for_backends = True
    terms = {
        "authenticated_connection_timeout": base.Term(
            "timeout",
            "any value, counted anew whenever either side sends something, as Dovecot does every "
            "imap_idle_notify_interval to a client in IDLE; LOGIN alone gets through Perdition, AUTHENTICATE does not",
        ),
        "pre_authenticated_connection_timeout": base.Term(
            "authenticate_timeout", "any value, counted anew whenever the client sends something"
        ),
    }
    lacks = {
        "max_connections": "Perdition itself ends as soon as one client more than its connection_limit connects"
    }

    @classmethod
    def present(cls, host):
        if not host.is_executable(_PROGRAM):
            return False
        return bool(_running(host)) or any(name.startswith("IMAP") for name in _enabled(_defaults(host)))

    def __init__(self, host):
        super().__init__()
        running = _running(host)
        defaults = _defaults(host)
        enabled = _enabled(defaults)
        _started_by_init_script(host, running, enabled)
        self._files = {_DEFAULTS: defaults} if host.is_file(_DEFAULTS) else {}
        instances = _instances(host, enabled, defaults, lambda path: self._file(host, path))
        self._imap = [instance for instance in instances if instance.serves_imap]
        self._others = [instance for instance in instances if not instance.serves_imap]
        if not self._imap:
            raise HostError(
                f"{_DEFAULTS} has Perdition started for IMAP, but another protocol is among its options; set IMAP4 and "
                "IMAP4S to no there and run again."
            )
        self.version = next((instance.said["version"] for instance in self._imap), "")
        self.files = {path: text.encode(file.source) for path, file in self._files.items()}
        self.changed_at = max((host.changed_at(path) for path in self.files), default=0.0)
        serving = [running[instance.program] for instance in self._imap if instance.program in running]
        for process in serving:
            base.must_see(process, self.files, host)
        if serving:
            self.serving = base.Serving(
                min(process.started for process in serving), "+".join(process.identity for process in serving)
            )
        up = [instance for instance in self._imap if instance.program in running] or self._imap
        self.endpoints = [endpoint for instance in up for endpoint in _endpoints(instance)]
        self.backends = list(dict.fromkeys(backend for instance in self._imap for backend in _backends(host, instance)))
        self.values = {name: self._value(name) for name in _OPTIONS}

    def _file(self, host, path):
        if path not in self._files:
            self._files[path] = syntax.File(path, text.decode(host.read(path)))
        return self._files[path]

    def _value(self, name):
        places = tuple(dict.fromkeys(_place(instance, name) for instance in self._imap))
        remarks = [
            f"What {path} says there counts for {_list(instances)} as well."
            for path, instances in self._sharing(name).items()
        ]
        reason = f"Perdition takes from 1 to {_LONGEST} seconds"
        return base.Value(places, 1, _LONGEST, reason, remark=" ".join(remarks) or None)

    def _sharing(self, name):
        """Return path to the instances for other protocols that take the value of a setting from the same place."""
        sharing = {}
        ours = [(place.file, place.line) for place in (_place(instance, name) for instance in self._imap)]
        for instance in self._others:
            place = _place(instance, name)
            if place.file and (place.file, place.line) in ours:
                sharing.setdefault(place.file, []).append(instance)
        return sharing

    def edited(self, edits):
        splices = {}
        for edit in edits:
            file, found, names = edit.place.handle
            if file is None:
                raise HostError(
                    f"Perdition has no file of options where {names[0]} could be written; make an empty "
                    "/etc/perdition/perdition.conf and run again."
                )
            if found is None:
                splice = file.added(names[0], str(edit.value))
            elif found.start is None:
                splice = file.replaced(found.item, str(edit.value))
            else:
                splice = file.replaced_part(found.item, found.start, found.end, str(edit.value))
            splices.setdefault(file, {})[splice] = None
        files = {}
        changes = []
        for file, wanted in splices.items():
            result = text.splice(file.source, wanted)
            files[file.path] = text.encode(result)
            for splice, offset in text.landed(wanted):
                statement = splice.text.lstrip("\r\n")
                line = text.line_number(result, offset + len(splice.text) - len(statement))
                if statement.endswith("\n"):
                    changes.append(base.Change(file.path, line, None, statement.strip()))
                    continue
                start = file.source.rfind("\n", 0, splice.start) + 1
                end = (file.source.find("\n", splice.end) + 1 or len(file.source) + 1) - 1
                before = file.source[start:end]
                after = file.source[start : splice.start] + splice.text + file.source[splice.end : end]
                changes.append(base.Change(file.path, line, before.strip(), after.strip()))
        return files, changes

    def check(self, host, files):
        """Have Perdition say what it makes of a copy, and compare with what is written there."""
        defaults = self._files.get(_DEFAULTS)
        if _DEFAULTS in files:
            defaults = shell.File(_DEFAULTS, text.decode(files[_DEFAULTS]))
        with host.scratch_folder() as scratch:
            for number, instance in enumerate(self._imap):
                file = instance.file
                copy = None
                if file:
                    copy = os.path.join(scratch, f"{number}.conf")
                    file = syntax.File(file.path, text.decode(files.get(file.path, self.files[file.path])))
                    host.put(copy, text.encode(file.source))
                staged = _Instance(host, instance.name, defaults, lambda dummy, file=file: file, copy)
                for name, names in _OPTIONS.items():
                    place = _place(staged, name)
                    if place.configured is not None and place.configured != place.effective:
                        raise base.Rejected(
                            f"{instance.program} makes {place.effective:g} of the {place.configured:g} that "
                            f"{place.file}:{place.line} would say for {names[0]}."
                        )


def _defaults(host):
    """Return the File of the init script's variables, an empty one where there is none."""
    source = text.decode(host.read(_DEFAULTS)) if host.is_file(_DEFAULTS) else ""
    return shell.File(_DEFAULTS, source)


def _variable(defaults, name):
    """Return the Assignment of a variable in force, or None. Raises SyntaxProblem where only a shell can tell."""
    assignment = defaults.in_force(name) if defaults else None
    if assignment is not None and assignment.value is None:
        raise defaults.problem(assignment.start, f"a value without expansions after {name}=")
    return assignment


def _enabled(defaults):
    """Return the names of the instances that the init script starts."""

    def says_yes(name, default):
        assignment = _variable(defaults, name)
        return (assignment.value if assignment and assignment.value else default) == "yes"

    return [name for name in _INSTANCES if says_yes("RUN_PERDITION", "no") and says_yes(name, "yes")]


def _words(defaults, variable):
    """Return the _Words that the init script makes of a variable: it splits its value at blanks."""
    assignment = _variable(defaults, variable)
    found = re.finditer(r"[^ \t\n]+", assignment.value) if assignment else ()
    return [_Word(word.group(), assignment, word.start(), word.end()) for word in found]


def _running(host):
    """Return program name to the Process of each daemon that may serve IMAP. Raises HostError where one runs twice."""
    titled = {}
    for process in host.processes():
        found = re.fullmatch(r"(?:.*/)?(perdition[^ /:]*): daemon", process.title)
        if found and found.group(1) not in _ELSEWHAT:
            titled[process] = found.group(1)
    running = {}
    for process in base.masters(titled):
        program = titled[process]
        if program in running:
            raise HostError(
                f"{program} runs more than once (processes {running[program].pid} and {process.pid}), and the options "
                f"of the one that {_INIT_SCRIPT} did not start cannot be seen; stop that one and run again."
            )
        running[program] = process
    return running


def _started_by_init_script(host, running, enabled):
    """Raise HostError where a daemon may run with options that cannot be seen: its process does not show them."""
    for path in _UNITS:
        if host.is_file(path):
            raise HostError(
                f"{path} starts Perdition with options of its own; remove it, so that {_INIT_SCRIPT} does, and run "
                "again."
            )
    for program, process in running.items():
        # Where a process is in no unit, nothing speaks against the init script.
        elsewhere = host.unit(process.pid) not in (None, "perdition")
        if elsewhere or program not in [_INSTANCES[name] for name in enabled]:
            raise HostError(
                f"{program} (process {process.pid}) was not started as {_DEFAULTS} says now, and its options cannot be "
                f"seen; stop it, or have {_INIT_SCRIPT} start it, and run again."
            )


def _instances(host, enabled, defaults, read):
    """Return an _Instance for each name in ``enabled``; those for other protocols that do not work are left out."""
    instances = []
    for name in enabled:
        try:
            instances.append(_Instance(host, name, defaults, read))
        except base.Rejected:
            if name.startswith("IMAP"):
                raise
    return instances


def _ask(host, program, words, copy=None):
    """Return what ``program`` says with ``words`` on its command line, and with ``copy`` for its file of options:
    option name to text, besides ``version``, ``protocol`` and ``ssl_mode``.

    A line in a file that it does not understand ends its reading of that file without ending the daemon (measured), so
    that a complaint counts as a rejection. Raises Rejected.
    """
    instead = ["--config_file", copy] if copy else []
    done = host.run([os.path.join(os.path.dirname(_PROGRAM), program), *words, *instead, *_SAY])
    before, dummy, after = done.words.partition("Starting perdition version=")
    stamp = re.compile(r"[A-Z][a-z]{2} .*\[[0-9]+\]:")
    complaints = [line for line in before.splitlines() if not stamp.fullmatch(line.strip())]
    said = _SAID.search(after)
    if complaints or said is None:
        sentence = "; ".join(line.strip() for line in complaints[:2] or done.words.splitlines()[:2])
        raise base.Rejected(f"{program} does not take its options: {sentence.rstrip('.')}.")
    first = re.match(r"(\S+) protocol=(\S+)", after)
    mode = re.search(r' ssl_mode="([^"]*)"', after)
    return {
        **said.groupdict(),
        "version": first.group(1),
        "protocol": first.group(2),
        "ssl_mode": mode.group(1) if mode else "",
    }


def _place(instance, name):
    """Return the Place of a setting for one _Instance."""
    names = _OPTIONS[name]
    effective = _seconds(instance.said[names[0]])
    found = instance.written(*names)
    if not found:
        path = instance.file.path if instance.file else None
        return base.Place(None, effective, path, None, False, (instance.file, None, names))
    last = found[-1]
    configured = _seconds(last.value)
    return base.Place(configured, effective, last.file.path, last.line, len(found) > 1, (last.file, last, names))


def _seconds(written):
    """Return the seconds that digits stand for, infinity where they stand for no time-out."""
    return int(written or 0) or float("inf")


def _list(instances):
    return " and ".join(instance.program for instance in instances)


def _endpoints(instance):
    """Return the Endpoints that an _Instance listens on, those with a name for an address left out."""
    mode = instance.said["ssl_mode"]
    tls = bool({"ssl_listen", "ssl_all"} & set(mode.split(","))) or (not mode and instance.said["protocol"] == "IMAP4S")
    endpoints = []
    for address, port in _servers(instance, "bind_address", "b") or [("0.0.0.0", "")]:
        port = _port(port or instance.said["listen_port"])
        if port:
            local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
            endpoints.append(base.Endpoint(local, port, tls))
    return endpoints


def _backends(host, instance):
    """Return the Endpoints that an _Instance hands its clients on to, with None where a map may name others."""
    mode = instance.said["ssl_mode"]
    tls = bool({"ssl_outgoing", "ssl_all"} & set(mode.split(","))) or (
        not mode and instance.said["protocol"] == "IMAP4S"
    )
    backends = []
    for address, port in _servers(instance, "outgoing_server", "s"):
        port = _port(port or instance.said["outgoing_port"])
        backends.append(base.Endpoint(address, port, tls) if port else None)
    kind = re.search(r"libperditiondb_([a-z]+)\.", instance.said["map_library"])
    known = _MAPS.get(kind.group(1)) if kind else None
    answers = host.is_file(instance.said["map_library_opt"] or known) if known else bool(instance.said["map_library"])
    chosen_by_client = instance.said["client_server_specification"] == "on"
    return backends + [None] * (answers or chosen_by_client)


def _servers(instance, *names):
    """Return ``(address, port)`` for each server in the value of an option: [user@]address[:port], commas between.

    In these options the file overrules the command line (options_set_mask() in options.c, measured).
    """
    found = instance.written(*names)
    from_file = [each for each in found if each.start is None]
    value = (from_file or found)[-1].value if found else ""
    servers = []
    for written in filter(None, value.split(",")):
        match = re.fullmatch(r"(?:.*@)?(?:\[([^\]]*)\]|([^:]*))(?::(.*))?", written)
        address = (match.group(1) or match.group(2)) if match else written
        servers.append(({"localhost": "127.0.0.1"}.get(address, address), (match and match.group(3)) or ""))
    return servers


def _port(name):
    return _PORTS.get(name) or (int(name) if name.isdecimal() else None)
