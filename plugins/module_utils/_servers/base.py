# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every server type is: the few verbs that each file in this folder fills in.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple, Optional, Union

from .._host import HostError
from .._syntax import text

#: The ports that are registered for IMAP, without and with TLS from the first byte (RFC 9051, RFC 8314).
IMAP_PORTS = (143, 993)
_UNLIMITED = float("inf")
#: A command line in what systemctl shows of ExecStart.
_COMMAND_LINE = re.compile(r"argv\[\]=(.*?) ; ignore_errors=")


class Rejected(Exception):
    """The daemon's own parser refuses a configuration; the text says which, and gives the daemon's words."""


class Term(NamedTuple):
    """What a setting is on a server type: ``option`` is its name in the configuration, None where it is compiled in;
    ``effect`` says for the documentation what the server makes of it.
    """

    option: Optional[str]
    effect: str


class Place(NamedTuple):
    """One place where a server takes a setting from.

    ``configured`` is what the file says there, None where no file says anything; ``effective`` is what the server makes
    of it. Both are in the setting's unit, infinity for no limit. ``file`` and ``line`` are where it is written, or would
    be; ``overrides`` is true where it overrules a more general place; ``handle`` is the server type's own.
    """

    configured: Union[float, str, None]
    effective: Union[float, str]
    file: Optional[str] = None
    line: Optional[int] = None
    overrides: bool = False
    handle: object = None


class Value(NamedTuple):
    """One setting on one server: every Place that counts, the bounds that the server obeys, and why there are bounds.

    Bounds are None where there are none; where both are the same, the value cannot be changed. ``follows`` names the
    setting whose value this one takes, where it has none of its own. ``remark`` is a sentence that whoever asks for this
    setting must know, even where all is well.
    """

    places: tuple
    minimum: Union[float, str, None] = None
    maximum: Union[float, str, None] = None
    reason: Optional[str] = None
    follows: Optional[str] = None
    remark: Optional[str] = None

    @property
    def effective(self):
        return least([place.effective for place in self.places])

    @property
    def fixed(self):
        return self.minimum is not None and self.minimum == self.maximum

    @property
    def compiled_in(self):
        return self.fixed and self.follows is None and all(place.file is None for place in self.places)

    def takes(self, wanted, exactly):
        """Whether the server can be made to obey ``wanted``: to have it ``exactly``, or that or more."""
        if self.fixed or (self.maximum is not None and wanted > self.maximum):
            return False
        return not exactly or self.minimum is None or wanted >= self.minimum


class Edit(NamedTuple):
    """Write ``value`` for ``setting`` at a Place."""

    setting: str
    place: Place
    value: Union[int, str]


class Change(NamedTuple):
    """One line that an Edit replaces or adds: ``line`` is its number afterwards, ``before`` None for an added one."""

    file: str
    line: int
    before: Optional[str]
    after: str


class Serving(NamedTuple):
    """The process that serves now: when it read its configuration (seconds since the epoch), and its identity.

    ``identity`` is None where each connection's process reads the configuration anew, so that no single process stands
    for all; ``doubtful`` is true where this process may have got an older configuration than that of ``since``.
    """

    since: float
    identity: Optional[str]
    doubtful: bool = False


class Endpoint(NamedTuple):
    """An address that an IMAP server answers on; ``tls`` is true where TLS comes first, ``proxy_protocol`` where a
    PROXY header does.
    """

    address: str
    port: int
    tls: bool = False
    proxy_protocol: bool = False


class Server:
    """One IMAP server as it was found on the host. Subclasses fill in the attributes when they are made.

    Of the class: ``services`` are the systemd units that it may have, and ``socket_holders`` the names of the processes
    that hold its sockets; ``terms`` maps setting name to Term for each setting that the type has, and ``lacks`` setting
    name to the reason, where there is more to say than that the type has no such setting;
    ``counts_anew_for_backends`` is true for a front whose time-out after login starts anew when the server behind it
    sends something. Of the one found:
    ``services`` are those to restart on this host; ``version`` is text; ``values`` maps setting names to Value; ``files`` maps the
    paths that the server reads to their bytes; ``changed_at`` is when the youngest of them changed; ``serving`` is a
    Serving, or None where the server is not running; ``master`` is the Process that a restart has to replace, or None
    where there is no such single one; ``endpoints`` are where it answers; ``backends`` are the Endpoints
    that it hands its clients on to, with None for one that the configuration does not name.
    """

    server_type = ""
    services = ()
    socket_holders = ()
    terms = {}
    lacks = {}
    counts_anew_for_backends = False

    def __init__(self):
        self.version = ""
        self.values = {}
        self.files = {}
        self.changed_at = 0.0
        self.serving = None
        self.master = None
        self.endpoints = []
        self.backends = []
        self._reached_at = []

    @classmethod
    def present(cls, host):
        """Whether a server of this type is set up on the Host for IMAP."""
        raise NotImplementedError

    def remark(self, name, sentences):
        """Have ``sentences`` (text or None) told to whoever asks for the setting ``name``, which the server has."""
        self.values[name] = self.values[name]._replace(remark=sentences)

    def stand_behind(self, endpoint, front):
        """Take note of a ``front`` (Server) that hands its clients on to this server at ``endpoint`` (Endpoint, or None
        where the front's configuration does not name it): that is where it answers. It gets only those that log in, and
        without a PROXY header all of them come from the front's address, so that no limit for each address can be obeyed.
        """
        if endpoint is not None and endpoint not in self._reached_at:
            self._reached_at.append(endpoint)
            self.endpoints = self._reached_at
        value = self.values.get("max_connections_from_single_ip")
        if value and (endpoint is None or not endpoint.proxy_protocol):
            self.values["max_connections_from_single_ip"] = Value(
                tuple(place._replace(effective=_UNLIMITED) for place in value.places),
                _UNLIMITED,
                _UNLIMITED,
                "the proxy in front hands all clients on from its own address, so that "
                f"{self.terms['max_connections_from_single_ip'].option} would count them as one",
            )

    def check(self, host, files):
        """Have the daemon's own parser read its configuration with ``files`` (path to bytes) in the place of those on
        disk.

        Nothing on disk changes. Raises Rejected.
        """

    def edited(self, edits):
        """Return ``(files, changes)``: path to new bytes, and a Change for each line, once each Edit is made."""
        raise NotImplementedError


def least(values):
    """Return the smallest of ``values``, or the first where they are text."""
    return values[0] if isinstance(values[0], str) else min(values)


def masters(processes):
    """Return those of ``processes`` that none of the others forked: a child has its parent's title at first."""
    pids = {process.pid for process in processes}
    return [process for process in processes if process.parent not in pids]


def must_be_one(program, serving):
    """Raise HostError where more than one of ``program`` serves IMAP: ``serving`` are the Processes that do."""
    if len(serving) > 1:
        pids = " and ".join(str(process.pid) for process in serving)
        raise HostError(
            f"More than one {program} serves IMAP on this host (processes {pids}); stop all but one and run again."
        )


def must_see(process, paths, host):
    """Raise HostError where ``process`` (Process or None) does not find at ``paths`` what the Host has there."""
    names = [name for path in paths for name in (path, host.resolve(path))]
    strange = process and host.strange_to(process.pid, names)
    if strange:
        raise HostError(
            f"{process.name} (process {process.pid}) does not see this host's {strange}, because its unit has mounts or "
            "a root directory of its own, such as BindPaths or RootDirectory of systemd.exec(5); let it see that "
            "file, restart it and run again."
        )


def started_as(host, unit):
    """Return the command lines (list of str) that systemd starts ``unit`` with, with its variables expanded; none where
    it has no such unit.
    """
    shown = _shown(host, unit)
    variables = _variables(host, shown)

    def expanded(match):
        return variables.get(match.group(1) or match.group(2), "")

    lines = _COMMAND_LINE.findall(shown)
    return [re.sub(r"\$(?:\{(\w+)\}|(\w+))", expanded, line) for line in lines]


def environment(host, unit):
    """Return name to value of the variables that systemd gives ``unit``: those of the files that it names overrule its
    own (systemd.exec(5)). A file that is not there counts for nothing.
    """
    return _variables(host, _shown(host, unit))


def _variables(host, shown):
    words = [word for line in re.findall("^Environment=(.*)", shown, re.MULTILINE) for word in _words(line)]
    variables = dict(word.partition("=")[::2] for word in words)
    for path in re.findall(r"^EnvironmentFiles=(/.*) \(ignore_errors=\w+\)$", shown, re.MULTILINE):
        if host.is_file(path):
            for line in text.decode(host.read(path)).splitlines():
                name, equals, value = line.partition("=")
                if equals and not name.lstrip().startswith(("#", ";")):
                    variables[name.strip()] = " ".join(_words(value))
    return variables


def _shown(host, unit):
    """Return what systemd says of how it starts ``unit``."""
    properties = [word for name in ("ExecStart", "Environment", "EnvironmentFiles") for word in ("--property", name)]
    try:
        return host.run(["systemctl", "show", *properties, f"{unit}.service"]).words
    except HostError:
        # Without systemd it is for somebody else to start it.
        return ""


def _words(line):
    try:
        return shlex.split(line)
    except ValueError:
        return []


def option(words, letter, others=""):
    """Return the value of the last ``-letter`` of a command line (list of str), or None where there is none; ``others``
    are the letters of the other options that take a value.
    """
    found = None
    rest = iter(words[1:])
    for word in rest:
        match = re.match(rf"-[^-{letter}{others}]*([{letter}{others}])(.*)", word)
        if match:
            value = match.group(2) or next(rest, None)
            found = value if match.group(1) == letter else found
    return found


def unit(host, process, usual):
    """Return the systemd unit, without its ``.service``, that ``process`` (Process or None) is the main process of; the
    ``usual`` one where there is none.
    """
    found = host.unit(process.pid) if process else None
    return found if found not in (None, usual) and is_main(host, process, found) else usual


def is_main(host, process, service):
    """Whether systemd takes ``process`` for the main process of the unit ``service``."""
    main = host.run(["systemctl", "show", "--property", "MainPID", "--value", f"{service}.service"])
    return main.words == str(process.pid)
