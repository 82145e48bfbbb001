# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dovecot 2.3 and 2.4: both time-outs are compiled in, the limits and the greeting are settings.

Facts, all measured with 2.3.19.1 and 2.4.1 as well:

* time-outs: CLIENT_IDLE_TIMEOUT_MSECS (src/imap/imap-common.h:5) and CLIENT_LOGIN_TIMEOUT_MSECS
  (src/login-common/client-common.h:33);
* connections: service_create() (src/master/service.c) lets each process of a service have ``client_limit`` clients, or
  fewer where it ends after fewer (``service_count``, 2.4: ``restart_request_count``), and lets there be
  ``process_limit`` processes. A client that has logged in takes one place in service imap, and with TLS one in service
  imap-login as well, for as long as it stays. Where service imap is full, the login is not answered; where service
  imap-login is full, a new client takes the place of the oldest that has not logged in, or is not greeted;
* a process that has had as many clients as it ends after takes no more, but keeps its place until the last of them
  leaves (measured: one of five that stays leaves no place for others);
* ``mail_max_userip_connections`` counts by user and address (src/login-common/sasl-server.c), and 0 is no limit. Logins
  at the same moment do not count one another (of twenty with a limit of three, all twenty got in), and it does not count
  for a client that a passdb hands on;
* ``imap_max_line_length`` bounds what follows the name of a command, with what literals hold, within 12 bytes;
* what Dovecot says to a client starts its time-out anew as well, and in service imap-hibernate there is none (measured
  with the constant made 20 seconds);
* a client in IDLE is told "Still here" every ``imap_idle_notify_interval``, the first time after a part of it that
  depends on the clock (imap_keepalive_interval_msecs(), src/lib-imap/imap-keepalive.c), and never where that is 0;
* ``%`` in the greeting begins a variable in 2.3, and ``%{`` in 2.4; one that Dovecot does not know ends every login;
* another service whose ``executable`` is imap-login is one more like service imap-login, with limits of its own;
* after a login that a passdb hands on (``proxy``), nothing ends the connection but the client and the server behind
  (docs/core/admin/timeouts.md of Dovecot's documentation);
* ``$ENV:NAME`` is a variable of the environment that Dovecot itself was started with;
* settings in ``service NAME { }`` are in force in 2.4 for that service alone, which doveconf does not tell.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import collections
import difflib
import ipaddress
import os.path
import re
from typing import NamedTuple, Optional

from .._host import HostError, Process
from .._syntax import dovecot as syntax
from .._syntax import text
from . import base

_PROGRAM = "/usr/sbin/dovecot"
_MAIN = "/etc/dovecot/dovecot.conf"
#: The options of its command line that take a value, besides -c.
_TAKING = "io"
_IMAP = ("/usr/lib/dovecot/imap", "/usr/libexec/dovecot/imap")
_LARGEST = 2**32 - 1
#: Setting name to the seconds after which Dovecot closes an idle connection.
_COMPILED_IN = {"authenticated_connection_timeout": 1800, "pre_authenticated_connection_timeout": 180}
#: Setting name to Dovecot's, and the service whose processes obey it.
_PLAIN = {
    "max_connections_per_user": ("mail_max_userip_connections", "imap-login"),
    "max_command_size": ("imap_max_line_length", "imap"),
    "banner": ("login_greeting", "imap-login"),
}
_SERVICES = ("imap-login", "imap")
#: What a process ends after, in either language.
_LIFETIME = {"2.3": "service_count", "2.4": "restart_request_count"}
#: A file that the master makes when it takes up a configuration, and holds for as long as it keeps to it
#: (service_monitor_start(), src/master/service-monitor.c).
_MARK = "/login-master-notify"
#: Seconds between the moment when the master reads its configuration again and the one when it makes that file.
_READING = 1.0
#: A field of a passdb that hands clients on, whether it is given in the configuration or selected in a query there.
_PROXY = re.compile(r"(?<![\w/.-])proxy(_maybe)?(?![\w/.-])")
#: A line's number in what doveconf says.
_LINE = re.compile(r"(?<= line )[0-9]+|(?<=:)[0-9]+(?=:)")
_TOO_LOW = re.compile(r"service (\S+) \{ client_limit=([0-9]+) \} is lower than required under max\. load \(([0-9]+)\)")


class Dovecot(base.Server):
    """Dovecot with its IMAP service. Raises SyntaxProblem, Rejected and HostError."""

    server_type = "dovecot"
    services = ("dovecot",)
    socket_holders = ("dovecot", "imap-login")
    terms = {
        "authenticated_connection_timeout": base.Term(
            None,
            "compiled in: 1800 seconds, and never while a client waits in IDLE, unless imap_idle_notify_interval is 0 or "
            "above 1800 seconds and imap_hibernate_timeout is not set",
        ),
        "pre_authenticated_connection_timeout": base.Term(None, "compiled in: 180 seconds after the connection"),
        "max_connections": base.Term(
            "process_limit, client_limit",
            "of service imap-login for clients that are about to log in, have TLS or are handed on by a passdb, of "
            "service imap for those that have logged in",
        ),
        "max_connections_per_user": base.Term(
            "mail_max_userip_connections",
            "for each user from each address; logins at the same moment do not count one another",
        ),
        "max_command_size": base.Term(
            "imap_max_line_length",
            "of the arguments of a command, without its tag and name, once a client has logged in",
        ),
        "banner": base.Term("login_greeting", "after the capabilities"),
    }

    lacks = {
        "max_connections_from_single_ip": (
            "Dovecot counts connections by user and address together, not by address alone"
        )
    }

    @classmethod
    def present(cls, host):
        return host.once(_find) is not None

    def __init__(self, host):
        super().__init__()
        self._installed = host.once(_find)
        self.master = self._installed.master
        self.services = (base.unit(host, self.master, "dovecot"),)
        done = self._installed.doveconf(host, "-n", "-x")
        if done.status:
            raise base.Rejected(f"Dovecot refuses its configuration as it is: {_sentence(done.words)}")
        self.version = re.sub(r"\A# ([0-9.]+).*", r"\1", done.words, flags=re.DOTALL)
        self._complaints = _complaints(done.words)
        self._others = [protocol for protocol in self._installed.protocols if protocol != "imap"]
        self._match, self._resolve, self._read_file = host.match, host.resolve, host.read
        self._tree = syntax.Tree(self._installed.main, host.read, host.match, host.resolve)
        self.files = {path: text.encode(file.source) for path, file in self._tree.files.items()}
        services = _services(self._tree)
        self._keys = _keys(self._tree.version, services)
        variables = [(name,) for name in self._tree.variables() if (name,) not in self._keys]
        self._defaults = self._installed.values(host, [*self._keys[:-1], *variables, self._keys[-1]], defaults=True)
        self._reading = self._read(host, self._tree, self._installed)
        paths = [*self.files, *self._tree.folders, *self._reading.value_files]
        base.must_see(self.master, paths, host)
        self.changed_at = max(host.changed_at(path) for path in paths)
        self.serving = _serving(host, self._installed.master)
        if services != _SERVICES:
            self._installed = self._installed.asked(host, [service for service in services if service != "imap"])
        self.endpoints = _endpoints(self._installed.printed)
        for name, seconds in _COMPILED_IN.items():
            self.values[name] = base.Value(
                (base.Place(None, seconds),),
                seconds,
                seconds,
                f"Dovecot {self.version} closes such a connection after {seconds} seconds, which is compiled in",
            )
        for name, places in self._reading.places.items():
            self.values[name] = base.Value(places) if name == "banner" else base.Value(places, 1, _LARGEST)
        self._kept_alive_by = None
        proxying = _proxying(self._tree)
        whom = proxying and f"another server ({proxying.file.path}:{proxying.line})"
        self._handing_on = proxying and (
            f"Dovecot hands clients on to {whom}, which alone ends the connections of those that have logged in; it is "
            "taken to keep idle ones for 1800 seconds, as RFC 9051 (section 5.4) asks."
        )
        self._handed_on = proxying and f"Clients that Dovecot hands on to {whom} are not limited so."
        self.remark("authenticated_connection_timeout", self._handing_on or self._speaking_in_idle())
        self.remark("max_connections", " ".join(self._places_lost_and_shared()) or None)
        self.remark("max_connections_per_user", self._counting_users())
        self.remark("max_command_size", self._handed_on)

    def _read(self, host, tree, installed):
        """Return the _Reading of ``tree``, which is the configuration of the _Installed. Raises Rejected."""

        def tell(clients):
            return installed.values(host, self._keys, clients)

        return _Reading(tree, self._defaults, tell, host.read)

    def stand_behind(self, endpoint, front):
        super().stand_behind(endpoint, front)
        self._kept_alive_by = self._kept_alive_by or (front.counts_anew_for_backends and front.server_type)
        self.remark("authenticated_connection_timeout", self._handing_on or self._keeping_alive())
        if endpoint is None or not endpoint.proxy_protocol:
            self.remark(
                "max_connections_per_user",
                self._counting_users(
                    ", and does not learn the address of clients that come through the proxy before it (PROXY "
                    "protocol), so all those of a user count together"
                ),
            )

    def _counting_users(self, more=""):
        """Return what to know of the limit for each user, with ``more`` about addresses."""
        remark = f"Dovecot counts the connections of a user from each address alone{more}."
        return f"{remark} {self._handed_on}" if self._handed_on else remark

    def _places_lost_and_shared(self):
        """Yield what to know of services that may take fewer clients than the limit of connections, or more."""
        key = _LIFETIME[self._tree.version]
        for service in _services(self._tree):
            capacity = self._reading.capacity(service)
            if capacity.lifetime < float("inf") and min(capacity.clients, capacity.lifetime) > 1:
                yield (
                    f"A process of service {service} that has had {capacity.lifetime} clients ({key}) takes no more, "
                    "and keeps its places until the last of them leaves, so that fewer than max_connections may get in."
                )
        if self._hibernating < float("inf"):
            yield (
                "Dovecot's imap_hibernate_timeout is set, so a client that waits in IDLE gives its place in service "
                "imap to others, and more than max_connections may have logged in."
            )

    @property
    def _interval(self):
        """The seconds between two times that Dovecot speaks to a client in IDLE, infinity for never."""
        return self._seconds("imap_idle_notify_interval")

    @property
    def _hibernating(self):
        """The seconds in IDLE after which service imap-hibernate takes a client over, infinity for never."""
        return self._seconds("imap_hibernate_timeout")

    def _seconds(self, key):
        return syntax.seconds(self._reading.told[(key,)], self._tree.version) or float("inf")

    def _speaking_in_idle(self):
        """Return what to know of clients in IDLE that no front has, or None where they are closed as all others are."""
        seconds = _COMPILED_IN["authenticated_connection_timeout"]
        if self._hibernating >= seconds and self._interval == float("inf"):
            return None
        if self._hibernating >= seconds and self._interval > seconds:
            return (
                f"Dovecot closes an idle connection after {seconds} seconds, counted anew when it says "
                f'"Still here" to a client in IDLE, every {self._interval} seconds (imap_idle_notify_interval): that one '
                "lives up to twice as long."
            )
        return (
            f"Dovecot closes an idle connection after {seconds} seconds, but never while its client waits in IDLE; the "
            "role mailops.imap.imap_proxy puts a mail proxy before it that does."
        )

    def _keeping_alive(self):
        """Return what to know of a front that does not end IDLE on time because Dovecot speaks then, or None."""
        interval = self._interval
        if not self._kept_alive_by or interval == float("inf"):
            return None
        return (
            f'{self._kept_alive_by} counts its time-out anew whenever Dovecot says "Still here" to a client in IDLE, every '
            f"{interval} seconds: such a connection lives up to twice as long as it should, and for ever from {interval} "
            "seconds on; set imap_idle_notify_interval to 0 in Dovecot's configuration to have it closed on time."
        )

    # changing it

    def edited(self, edits):
        tree = self._tree
        for edit in edits:
            tree = self._with(edit, tree)
        reading = _Reading(tree, self._defaults, read=self._read_file)
        for name in dict.fromkeys(edit.setting for edit in edits):
            wanted = {place.handle: place.effective for place in self._reading.places[name]}
            wanted.update({edit.place.handle: edit.value for edit in edits if edit.setting == name})
            now = {place.handle: place.effective for place in reading.places[name]}
            # What some clients have may be what all have now.
            wrong = [handle for handle, value in wanted.items() if now.get(handle, now.get(_Handle())) != value]
            if wrong:
                of_whom = "".join(f" of {key} {client}" for handle in wrong for key, client in handle.clients)
                raise HostError(
                    f"Nothing was changed, because {name} cannot be brought into force without a change for other "
                    f"clients{of_whom}; write it into {self._installed.main} by hand and run again."
                )
        sources = {path: file.source for path, file in tree.files.items() if path == tree.paths(file)[0]}
        files = {path: text.encode(source) for path, source in sources.items()}
        files = {path: content for path, content in files.items() if content != self.files[path]}
        changes = [change for path in files for change in _changes(path, self._tree.files[path].source, sources[path])]
        return files, changes

    def _with(self, edit, tree):
        """Return the Tree that ``tree`` is with ``edit`` made. Raises HostError."""
        handle = edit.place.handle
        if handle.problem:
            raise HostError(f"Nothing was changed, because {handle.problem}.")
        if handle.service:
            reading = _Reading(tree, self._defaults, read=self._read_file)
            key, number = reading.capacity(handle.service).shared(edit.setting, edit.value)
            headers, value = (("service", handle.service),), str(number)
            assignment = tree.in_force(("service", handle.service, key))
        else:
            key, service = _PLAIN[edit.setting]
            headers, value = self._blocks(tree, key, handle.clients), _written(edit, tree.version)
            assignment = _in_force(tree, key, service, handle.clients)
            if handle.clients and assignment is None:
                return tree
        if assignment is not None and self._only_imap_obeys(tree, assignment):
            file, splice = assignment.file, tree.replaced(assignment, value)
        elif headers:
            file, splice = tree.added(headers, key, value, _comes_before(tree, headers, assignment))
        else:
            # 2.3 warns of a general setting that comes after one for some clients.
            first = next(each for each in tree.assignments if each.path == (key,) and each.clients)
            file, splice = tree.added_before(first.blocks[0], key, value)
        sources = {path: each.source for path, each in tree.files.items()}
        sources.update(dict.fromkeys(tree.paths(file), text.splice(file.source, [splice])))
        return self._tree_of({path: text.encode(source) for path, source in sources.items()})

    def _blocks(self, tree, key, clients):
        """Return key and name of the blocks that a new ``key`` for IMAP, and for ``clients``, goes into.

        2.3 does not let a protocol have a setting of its own that some clients have, too.
        """
        alone = key.startswith("imap_") or not self._others
        if tree.version == "2.3" and alone and not clients and tree.exceptions((key,), "imap"):
            return ()
        return (*clients, ("protocol", "imap"))

    def _tree_of(self, files):
        """Return the Tree with ``files`` (path to bytes) in the place of those on disk."""
        return syntax.Tree(self._installed.main, {**self.files, **files}.__getitem__, self._match, self._resolve)

    def _only_imap_obeys(self, tree, assignment):
        """Whether ``assignment`` counts for nothing but IMAP, and for nobody else where its file is included again."""
        for other in tree.assignments:
            if other.setting is assignment.setting and (other.path, other.filter) != (assignment.path, assignment.filter):
                return False
        if assignment.path[0] == "service" or assignment.path[-1].startswith("imap_"):
            return True
        return not any(assignment.serves(protocol) for protocol in self._others)

    # checking

    def check(self, host, files):
        """Run ``doveconf -n -x`` on a copy of the whole tree, and compare what it reads there with what we do.

        A change that asks more of service auth or anvil than they take is refused: it is for the administrator to say
        what else may depend on those.
        Only complaints that the files on disk do not cause already, on whatever line, count, and the master's about a
        ``client_limit`` that does not suffice only where it would have to be higher than before
        (master_settings_verify(), 2.4: master_settings_ext_check(), src/master/master-settings.c, which doveconf runs
        as well).
        """
        tree = self._tree_of(files)
        with host.scratch_folder() as scratch:
            places = _mirror(host, scratch, list(tree.files))
            for path, place in places.items():
                host.put(place, text.encode(syntax.relocated(tree, tree.files[path], places)))
            staged = self._installed._replace(main=places[tree.main], places=places)
            done = staged.doveconf(host, "-n", "-x")
            added = _more(_complaints(done.words), self._complaints)
            lacking = {
                service: (limit, needed)
                for service, (limit, needed) in _too_low(added).items()
                if needed > _too_low(self._complaints).get(service, (0, 0))[1]
            }
            if lacking:
                raise base.Rejected(_lacking(lacking))
            added = [complaint for complaint in added if not _TOO_LOW.search(complaint)]
            if added or done.status:
                words = "; ".join(added).rstrip(".") + "." if added else _sentence(done.words)
                raise base.Rejected(f"Dovecot refuses the configuration with this change: {words}")
            reading = self._read(host, tree, staged)
            if len(reading.problems) > len(self._reading.problems):
                raise base.Rejected(
                    f"doveconf does not read this change as it is meant: {reading.problems[-1]}; make it by hand and run "
                    "again."
                )


def _mirror(host, scratch, paths):
    """Make the folders of ``paths`` again below ``scratch``, with links to all that is in them, and return a map of
    paths to where a copy of each has its place there.

    Dovecot 2.4 takes the relative paths that some settings hold from the folder of the file.
    """
    folders = list(dict.fromkeys(os.path.dirname(path) for path in paths))
    for folder in folders:
        mirror = scratch + folder
        host.make_folder(mirror)
        for entry in host.entries(folder):
            path = os.path.join(folder, entry)
            if path not in paths and not any(other == path or other.startswith(f"{path}/") for other in folders):
                host.link(path, os.path.join(mirror, entry))
    return {path: scratch + path for path in paths}


def _services(tree):
    """Return the names of the services that IMAP clients go through."""
    paths = dict.fromkeys(assignment.path for assignment in tree.assignments if assignment.path[-1] == "executable")
    found = filter(None, [tree.in_force(path) for path in paths if len(path) == 3])
    programs = {assignment.path[1]: assignment.setting.value.split() for assignment in found}
    logins = [name for name, words in programs.items() if words and os.path.basename(words[0]) == "imap-login"]
    return (*_SERVICES, *(name for name in logins if name not in _SERVICES))


def _proxying(tree):
    """Return the first Assignment by which a passdb may hand clients on to another server, or None."""
    passdb = (each for each in tree.assignments if each.path[0] == "passdb")
    return next((each for each in passdb if _PROXY.search(f"{each.path[-1]} = {each.setting.value}")), None)


def _keys(version, services):
    """Return the paths of every setting that is asked of doveconf; the first and the last always have a value."""
    limits = [
        ("service", service, key)
        for service in services
        for key in ("process_limit", "client_limit", _LIFETIME[version])
    ]
    plain = [(key,) for key, dummy in _PLAIN.values()]
    idle = [("imap_hibernate_timeout",), ("imap_idle_notify_interval",)]
    return [("default_client_limit",), *plain, *idle, *limits, ("default_process_limit",)]


# what is in force


class _Handle(NamedTuple):
    """Which Place it is: that of ``service``, or of the ``clients`` (key and name of their blocks) of a setting.

    ``problem`` says why nothing can be written there, or is None.
    """

    service: str = ""
    clients: tuple = ()
    problem: Optional[str] = None


class _Capacity(NamedTuple):
    """How many clients a service takes: ``processes`` at most, each with ``clients``, or with ``lifetime`` if that is
    less. ``assignment`` is one that says so, or None where all are defaults."""

    service: str
    processes: float
    clients: float
    lifetime: float
    assignment: object

    @property
    def total(self):
        return self.processes * min(self.clients, self.lifetime)

    def shared(self, setting, total):
        """Return ``(key, number)`` that makes it take ``total`` clients. Raises HostError."""
        each = min(self.clients, self.lifetime)
        if not each or not self.processes:
            raise HostError(
                f"Nothing was changed, because service {self.service} takes no clients at all; set its process_limit and "
                "client_limit above 0 and run again."
            )
        if total % each == 0:
            return "process_limit", int(total // each)
        if total % self.processes == 0 and total // self.processes <= self.lifetime:
            return "client_limit", int(total // self.processes)
        most = self.processes * self.lifetime
        also = f", or of {self.processes:g} up to {most:g}" if most < float("inf") else f" or of {self.processes:g}"
        raise HostError(
            f"Nothing was changed, because {setting} of {total} cannot be shared out evenly: service {self.service} "
            f"has at most {self.processes:g} processes (process_limit) of {each:g} clients (client_limit); ask for a "
            f"multiple of {each:g}{also}."
        )


class _Reading:
    """What a Tree makes of the settings.

    ``places`` maps setting name to the Places that count; ``problems`` are sentences about what doveconf reads
    otherwise; ``value_files`` are the paths of the files that hold values. ``defaults`` maps the paths of settings to
    text, and ``tell(clients)`` returns such a map of what doveconf says for ``clients``; without it our reading alone
    counts. Raises SyntaxProblem.
    """

    def __init__(self, tree, defaults, tell=None, read=None):
        self.tree = tree
        self.problems = []
        self.value_files = []
        self.told = tell(()) if tell else None
        self._tell = tell
        self._read = read
        self._defaults = defaults
        self.places = {"max_connections": tuple(self._service(service) for service in _services(tree))}
        for name in _PLAIN:
            self.places[name] = tuple(self._plain(name))

    def _plain(self, name):
        """Yield the Places of a plain setting: the one for all clients first."""
        key, service = _PLAIN[name]
        try:
            assignment = _in_force(self.tree, key, service)
            exceptions = self.tree.exceptions((key,), "imap")
        except text.SyntaxProblem as problem:
            yield self._unknown(name, key, str(problem).rstrip("."))
            return
        alone = assignment is not None and assignment.path[0] == "service"
        yield self._place(name, key, assignment, (), None if alone else self.told)
        for exception in exceptions:
            # Of blocks for clients doveconf 2.4 does not tell the truth where a protocol is inside.
            tells = self._tell and self.tree.version == "2.3"
            told = self._tell(exception.clients) if tells else None
            yield self._place(name, key, exception, exception.clients, told)

    def _unknown(self, name, key, problem):
        """Return the Place of a setting that is read here by doveconf alone, because of ``problem``."""
        value = _value(name, _meaning(self.told[(key,)]), self.tree.version) if self.told else None
        return base.Place(value, value, self.tree.main, None, False, _Handle(problem=problem))

    def _place(self, name, key, assignment, clients, told):
        """Return the Place of ``assignment``, None for the default; ``told`` is what doveconf says, if it says the
        truth.
        """
        if _of_environment(assignment):
            # doveconf has another environment here than Dovecot.
            told = None
        ours = self._text(key, assignment)
        theirs = told[(key,)] if told else None
        if ours is None:
            ours = theirs
        problem = self._differs(name, assignment, key, ours, theirs) if told else None
        value = _value(name, _meaning(theirs) if problem else ours, self.tree.version)
        if _of_environment(assignment) and name == "banner":
            value = f"{text.shown(assignment.setting.value)} (with variables)"
        if value is None and (self._tell or ours is not None):
            raise _not_understood(assignment, key, assignment.setting.value if ours is None else ours)
        handle = _Handle("", clients, problem)
        if assignment is None:
            file = self.tree.added((("protocol", "imap"),), key, "0")[0].path
            return base.Place(None, value, file, None, False, handle)
        overrides = bool(clients) or assignment.rank > self._least_rank(key)
        return base.Place(value, value, assignment.file.path, assignment.line, overrides, handle)

    def _least_rank(self, key):
        """Return the rank of the most general of the assignments of ``key``."""
        return min(each.rank for each in self.tree.assignments if each.path[-1] == key)

    def _text(self, key, assignment):
        """Return the text that ``assignment`` gives ``key``, None where that cannot be told from here."""
        if assignment is None:
            return self._defaults[(key,)]
        if assignment.setting.form == "file" and self._read:
            folder = os.path.dirname(assignment.file.path)
            path = os.path.join(folder, text.path(assignment.setting.value))
            self.value_files.append(path)
            return text.decode(self._read(path)).rstrip("\r\n")
        return self.tree.expanded(assignment, lambda other: self._defaults.get((other,)))

    def _differs(self, name, assignment, key, ours, theirs):
        """Return a sentence where doveconf does not read ``ours`` as well, else None."""
        if assignment is not None and assignment.setting.form == "file":
            return None
        for meaning in (theirs, _meaning(theirs)):
            if ours is not None and _value(name, ours, self.tree.version) == _value(name, meaning, self.tree.version):
                return None
        where = f"{assignment.file.path}:{assignment.line}" if assignment else self.tree.main
        says = "nothing" if ours is None else text.quoted(ours)
        self.problems.append(f"{where} seems to say {key} = {says}, but doveconf says {text.quoted(theirs)}")
        return self.problems[-1]

    def _service(self, service):
        """Return the Place of what ``service`` takes."""
        capacity = self.capacity(service)
        problem = None
        for key in ("process_limit", "client_limit", _LIFETIME[self.tree.version]):
            path = ("service", service, key)
            assignment = self.tree.in_force(path)
            if self.told and assignment is not None:
                ours = self.tree.expanded(assignment, lambda other: self._defaults.get((other,)))
                problem = problem or self._differs("max_connections", assignment, key, ours, self.told[path])
        if capacity.assignment is None:
            file = self.tree.added((("service", service),), "process_limit", "0")[0].path
            return base.Place(None, capacity.total, file, None, False, _Handle(service, (), problem))
        file, line = capacity.assignment.file.path, capacity.assignment.line
        return base.Place(capacity.total, capacity.total, file, line, False, _Handle(service, (), problem))

    def capacity(self, service):
        """Return the _Capacity of ``service``."""
        saying = []

        def number(*path):
            assignment = self.tree.in_force(path)
            if assignment is None:
                return _number(self._defaults[path])
            saying.append(assignment)
            written = self.tree.expanded(assignment, lambda other: self._defaults.get((other,)))
            value = _number(written)
            if value is None:
                raise _not_understood(assignment, path[-1], assignment.setting.value if written is None else written)
            return value

        processes = number("service", service, "process_limit") or number("default_process_limit")
        clients = number("service", service, "client_limit") or number("default_client_limit")
        lifetime = number("service", service, _LIFETIME[self.tree.version]) or float("inf")
        return _Capacity(service, processes, clients, lifetime, saying[0] if saying else None)


def _of_environment(assignment):
    """Whether the value of ``assignment``, an Assignment or None, has a variable of Dovecot's environment."""
    variable = assignment is not None and assignment.setting.form == "variable"
    return variable and re.search(r"(?<!\S)\$ENV:", assignment.setting.value) is not None


def _in_force(tree, key, service, clients=()):
    """Return the Assignment that gives ``key`` its value for IMAP, for ``clients`` or in general; None where there is
    none. Raises SyntaxProblem."""
    if clients:
        return next((found for found in tree.exceptions((key,), "imap") if found.clients == clients), None)
    found = [tree.in_force((key,), "imap")]
    if tree.version == "2.4":
        found.append(tree.in_force(("service", service, key), "imap"))
    return max(filter(None, found), key=lambda assignment: assignment.rank, default=None)


def _meaning(told):
    """Return what doveconf prints without the quotes that 2.4 puts around some values."""
    return re.sub(r"\\(.)", r"\1", told[1:-1]) if len(told) > 1 and told[0] == told[-1] == '"' else told


def _comes_before(tree, headers, assignment):
    """Whether the last of the blocks ``headers`` ends before ``assignment``, which a setting inside is to overrule.

    Dovecot 2.3 warns where a block comes before a general setting that does not change what is in it.
    """
    if assignment is None:
        return False
    block = next((block for block in reversed(tree.blocks) if block.headers == tuple(headers)), None)
    return not any(block in later.blocks for later in tree.assignments[tree.assignments.index(assignment) :])


def _not_understood(assignment, key, written):
    where = f"{assignment.file.path}:{assignment.line}: " if assignment else ""
    if "%{" in written or "$ENV:" in written:
        return text.SyntaxProblem(f"{where}expected a value for {key} without variables, not {text.quoted(written)}.")
    return text.SyntaxProblem(f"{where}expected a value for {key} that Dovecot takes, not {text.quoted(written)}.")


def _number(written):
    """Return the number that Dovecot reads, None where it would refuse it or where ``written`` is empty."""
    if written == "unlimited":
        return float("inf")
    return int(written) if re.fullmatch(r"[0-9]+", written or "") else None


def _value(name, written, version):
    """Return the value of a setting that ``written`` stands for, or None."""
    if written is None:
        return None
    if name == "banner":
        return _greeting(written, version)
    if name == "max_command_size":
        return float("inf") if written == "unlimited" else syntax.size(written)
    number = _number(written)
    return float("inf") if number == 0 and name == "max_connections_per_user" else number


def _greeting(written, version):
    """Return what clients read for the text ``written`` of the greeting; with variables, the text says so."""
    if version == "2.4":
        variables = re.search(r"(?<!%)%\{", written)
        shown = written.replace("%%{", "%{")
    else:
        variables = re.search(r"%", written.replace("%%", ""))
        shown = written.replace("%%", "%")
    if variables:
        shown = f"{written} (with variables)"
    return text.shown(shown)


def _written(edit, version):
    """Return the text to write for an Edit of a plain setting. Raises HostError."""
    if edit.setting != "banner":
        return str(edit.value)
    wrong = re.search(r"[\x00-\x1f\x7f]", edit.value) or (version == "2.4" and "%%{" in edit.value)
    if wrong:
        raise HostError(
            f"Nothing was changed, because banner is {edit.value!r}, but must be one line"
            f"{' without %%{' if version == '2.4' else ''} for Dovecot; change it and run again."
        )
    percent = ("%{", "%%{") if version == "2.4" else ("%", "%%")
    return text.decode(edit.value.replace(*percent).encode("utf-8"))


def _changes(path, before, after):
    """Return a Change for each line of ``after`` that ``before`` does not have in that place."""
    before, after = before.splitlines(), after.splitlines()
    # What is the same before the first change and after the last would take difflib long where lines are repeated.
    head = len(os.path.commonprefix([before, after]))
    tail = len(os.path.commonprefix([before[head:][::-1], after[head:][::-1]]))
    middles = before[head : len(before) - tail], after[head : len(after) - tail]
    changes = []
    for kind, *offsets in difflib.SequenceMatcher(None, *middles, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        begin, end, first, last = (head + offset for offset in offsets)
        old = " ".join(line.strip() for line in before[begin:end]) or None
        for number in range(first, last):
            changes.append(base.Change(path, number + 1, old if number == first else None, after[number].strip()))
    return changes


# finding and asking Dovecot


class _Installed(NamedTuple):
    """A Dovecot: its program, its ``main`` file and its ``master`` (a Process, or None where it does not run).

    ``printed`` is a Tree of what doveconf prints of the services for IMAP. ``places`` maps real paths to those that
    doveconf reads instead.
    """

    program: str
    main: str
    master: Optional[Process]
    printed: Optional[syntax.Tree] = None
    places: Optional[dict] = None

    @property
    def protocols(self):
        return _list(self.printed, "protocols")

    def doveconf(self, host, *words):
        """Run doveconf with ``words`` and return a Finished."""
        prefix = os.path.dirname(os.path.dirname(self.program))
        done = host.run([os.path.join(prefix, "bin", "doveconf"), "-c", self.main, *words])
        output = done.words
        for path, place in (self.places or {}).items():
            output = output.replace(place, path)
        return done._replace(words=output)

    def values(self, host, keys, clients=(), defaults=False):
        """Return path to text of the settings ``keys``, as doveconf says that they are for IMAP, and for ``clients``.

        Raises Rejected where it refuses.
        """
        filters = [f"-f{'lname' if key == 'local_name' else key}={name}" for key, name in clients]
        asked = ["-d"] if defaults else ["-fprotocol=imap", *filters]
        done = self.doveconf(host, "-h", "-x", *asked, *("/".join(path) for path in keys))
        if done.status:
            of_whom = " of " + ", ".join(f"{key} {name}" for key, name in clients) if clients else ""
            raise base.Rejected(f"Dovecot has no settings for clients{of_whom}: {_sentence(done.words)}")
        lines = [line for line in done.words.split("\n") if not line.startswith("doveconf: ")]
        if len(lines) != len(keys) and len(keys) > 1:
            # What a file holds may be many lines.
            return {key: self.values(host, [key], clients, defaults)[key] for key in keys}
        told = lines if len(keys) > 1 else ["\n".join(lines)]
        return dict(zip(keys, (text.decode(value.encode("utf-8")) for value in told)))

    def asked(self, host, services=("imap-login",)):
        """Return it with ``printed``, which has the ``services``. Raises Rejected."""
        names = ["protocols", "listen", "ssl", "haproxy_trusted_networks", *(f"service/{name}" for name in services)]
        done = self.doveconf(host, "-x", *names)
        if done.status:
            raise base.Rejected(f"Dovecot refuses its configuration as it is: {_sentence(done.words)}")
        output = "".join(f"{line}\n" for line in done.words.split("\n") if not line.startswith("doveconf: "))
        read = {"doveconf": output.encode("utf-8", "replace")}.__getitem__
        return self._replace(printed=syntax.Tree("doveconf", read, lambda pattern: []))


def _find(host):
    """Return the _Installed that serves IMAP, or None. Raises Rejected and HostError.

    That is the running one; where none that runs serves IMAP, it is the one that systemd would start.
    """
    named = [process for process in host.processes() if process.name == "dovecot"]
    found = [_command(host, master) for master in base.masters(named)]
    serving = [installed for installed in (each.asked(host) for each in found) if "imap" in installed.protocols]
    base.must_be_one("Dovecot", [installed.master for installed in serving])
    if serving:
        return serving[0]
    if not host.is_executable(_PROGRAM) or not any(host.is_executable(program) for program in _IMAP):
        return None
    main = _main_of_unit(host)
    if main in [installed.main for installed in found] or not host.is_file(main):
        return None
    installed = _Installed(_PROGRAM, main, None).asked(host)
    return installed if "imap" in installed.protocols else None


def _main_of_unit(host):
    """Return the path of the main file that systemd starts Dovecot with."""
    given = [base.option(line.split(), "c", _TAKING) for line in base.started_as(host, "dovecot")]
    return next(filter(None, given), None) or base.environment(host, "dovecot").get("CONFIG_FILE", _MAIN)


def _command(host, master):
    """Return the _Installed that a master was started as. Raises HostError.

    The master leaves a link to its main file in its base_dir, as doveconf knows as well (create_config_symlink(),
    src/master/main.c, and check_wrong_config(), src/config/doveconf.c, of 2.3.19.1 and 2.4.1).
    """
    words = master.title.split()
    program = words[0] if words and words[0].startswith("/") else _PROGRAM
    if base.option(words, "o", "ci"):
        raise HostError(
            f"Dovecot (process {master.pid}) takes settings from its command line, {master.title}; move them to its "
            "main file and run again."
        )
    folders = [name.partition(_MARK)[0] for name, dummy in host.open_files(master.pid) if _MARK in name]
    left = next(filter(None, (host.link_target(f"{folder}/dovecot.conf") for folder in folders)), None)
    main = left or base.option(words, "c", _TAKING) or _MAIN
    if not main.startswith("/"):
        raise HostError(
            f"Dovecot (process {master.pid}) runs as {master.title}, which does not tell where its main file is; start "
            "it with an absolute path after -c and run again."
        )
    return _Installed(program, main, master)


def _serving(host, master):
    """Return the Serving of ``master``, or None where there is none.

    A reload (SIGHUP) keeps the master and replaces all others. Measured with 2.3.19.1 and 2.4.1: a new file of _MARK
    and a new log process tell when the master last took up a configuration; if only one is new, it kept the old one.
    """
    if master is None:
        return None
    marks = [changed for name, changed in host.open_files(master.pid) if _MARK in name]
    logs = [found.started for found in host.processes() if found.parent == master.pid and found.name == "log"]
    if not marks or not logs:
        return base.Serving(master.started, None)
    since = max(master.started, min(max(marks), max(logs)) - _READING)
    return base.Serving(since, f"{master.identity}:{max(marks):.6f}")


def _list(printed, key):
    """Return the words of a setting that is a list, in either language."""
    words = []
    for assignment in printed.assignments:
        value = assignment.setting.value
        if assignment.path == (key,):
            words += re.split("[ ,]+", value.strip())
        elif assignment.path[0] == key and value == "yes":
            words.append(assignment.path[-1].strip('"'))
    return [word for word in words if word]


def _endpoints(printed):
    """Return the Endpoints that Dovecot's IMAP service listens on (service_create_inet_listeners(),
    src/master/service.c), but for those that want a PROXY header and do not trust this host to send one, and those
    with variables, which the master of 2.4 expands with its own environment (measured with 2.4.1)."""
    listeners = {}
    for assignment in printed.assignments:
        if assignment.path[::2][:2] == ("service", "inet_listener") and len(assignment.path) == 5:
            listeners.setdefault(assignment.path[1:4], {})[assignment.path[4]] = assignment.setting.value
    without_tls = _list(printed, "ssl") == ["no"]
    trusted = _list(printed, "haproxy_trusted_networks")
    endpoints = []
    for listener in listeners.values():
        port, tls, behind = listener.get("port", "0"), listener.get("ssl") == "yes", listener.get("haproxy") == "yes"
        own = re.split("[ ,]+", (listener.get("address") or listener.get("listen") or "").strip())
        addresses = own if own != [""] else _list(printed, "listen")
        if port == "0" or (tls and without_tls) or any("%{" in value for value in [*listener.values(), *addresses]):
            continue
        for address in _addresses(addresses):
            if not behind or any(_holds(network, address) for network in trusted):
                endpoints.append(base.Endpoint(address, int(port), tls, behind))
    return endpoints


def _holds(network, address):
    """Whether ``network`` holds ``address``, from which this host connects to itself."""
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _addresses(listen):
    """Return where to reach a server that listens on ``listen``."""
    addresses = [address.strip("[]") for address in listen]
    if "*" in addresses or "0.0.0.0" in addresses:
        # Dovecot does without IPv6 where the host does.
        addresses = [address for address in addresses if address not in ("*", "0.0.0.0", "::")]
        addresses.insert(0, "127.0.0.1")
    return [{"::": "::1", "localhost": "127.0.0.1"}.get(address, address) for address in addresses]


# what Dovecot says


def _complaints(words):
    """Return what doveconf complains of, a list of lines."""
    return [line[len("doveconf: ") :] for line in words.split("\n") if line.startswith("doveconf: ")]


def _more(complaints, before):
    """Return those of ``complaints`` (list of str) that were not made ``before``; on which line does not matter."""
    known = collections.Counter(_LINE.sub("", complaint) for complaint in before)
    added = []
    for complaint in complaints:
        words = _LINE.sub("", complaint)
        if not known[words]:
            added.append(complaint)
        known[words] -= bool(known[words])
    return added


def _sentence(words):
    """Return what doveconf says where it fails."""
    fatal = [complaint for complaint in _complaints(words) if not complaint.startswith("Warning: ")]
    return "; ".join(dict.fromkeys(fatal)).rstrip(".") + "." if fatal else f"{words.strip()}."


def _too_low(complaints):
    """Return service to ``(limit, needed)`` for each that the master says takes too few clients."""
    found = (_TOO_LOW.search(complaint) for complaint in complaints)
    return {match.group(1): (int(match.group(2)), int(match.group(3))) for match in found if match}


def _lacking(lacking):
    """Return the text for services that would have to take more clients."""
    return "; ".join(
        f"service {service} takes at most {limit} clients (client_limit), but needs to take {needed} with this change"
        for service, (limit, needed) in lacking.items()
    ) + "; write that as client_limit into its service block and run again."
