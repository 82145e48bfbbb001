# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx as a mail proxy: a front that takes both time-outs from 1 ms up.

Facts: ngx_mail_core_module.c and ngx_mail_proxy_module.c of nginx 1.22.1 (directives, defaults of 60 seconds and 24
hours), and lifetimes measured with nginx 1.22.1 and 1.26.3. A worker's connections (ngx_event_core_module, 512 by
default) are those with clients, with backends and with auth_http, and its listening sockets: of 30, 24 were there for
clients before their login, and 11 of those got through it (measured with both, one worker).

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import os.path
import re
import time
from typing import NamedTuple, Optional

from .._host import HostError, Process
from .._syntax import nginx as syntax
from .._syntax import text
from . import base

_PROGRAM = "/usr/sbin/nginx"
_MAIN = "/etc/nginx/nginx.conf"
_MASTER = "nginx: master process "
#: Configuration among the words that nginx was started with.
_GIVEN = re.compile(r" -g ?(?:.*[;}\s])?(?:include\s|mail\s*{)")
#: Setting name to seconds that count where no file says it.
_DEFAULTS = {"authenticated_connection_timeout": 86400, "pre_authenticated_connection_timeout": 60}
#: Where a mail server has no ``protocol``, the first of its ``listen`` with one of these ports decides
#: (ngx_mail_core_listen() of nginx 1.22.1, measured).
_PROTOCOLS = {143: "imap", 993: "imap", 110: "pop3", 995: "pop3", 25: "smtp", 465: "smtp", 587: "smtp"}
#: The longest that nginx's timers take in this collection: a signed 32-bit number of milliseconds.
_LONGEST = 2147483
#: Seconds within which a start or reload has started all its workers.
_TOGETHER = 1
_LISTEN = re.compile(r"(?:(\[[^\]]*\]|[^:\[\]]*):)?([0-9]+)(?:-[0-9]+)?")
#: Directives that have a request answered by something else than the location of its path: of a server, of a location.
_IN_SERVER = ("if", "rewrite", "return")
_IN_LOCATION = ("rewrite", "try_files")
#: A location's modifier, which may stand with its path in one word, and the path.
_MODIFIED = re.compile(r"(=|~\*|~|\^~|)(.*)", re.DOTALL)
_STAMP = re.compile(r"^[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8} (\[[a-z]+\]) [0-9]+#[0-9]+: (?:\*[0-9]+ )?|^nginx: (?=\[)")


class _Found(NamedTuple):
    """A directive and the File that it is written in."""

    directive: syntax.Directive
    file: syntax.File


class _Block:
    """A ``mail`` or ``server`` block with the directives that are in it once includes are followed."""

    def __init__(self, tree, found, outer=None):
        self.found = found
        self.outer = outer
        self.content = [_Found(*pair) for pair in tree.flat(found.directive.block or [], found.file)]

    def own(self, name):
        """Return the last ``name`` directive of this very block as a _Found, or None."""
        return next((found for found in reversed(self.content) if found.directive.name == name), None)

    def in_force(self, name):
        """Return the ``name`` directive that counts here, or None: the block's own, or the outer block's."""
        return self.own(name) or (self.outer.own(name) if self.outer else None)

    def argument(self, name):
        found = self.in_force(name)
        return found.directive.arguments[0] if found and found.directive.arguments else None


class Nginx(base.Server):
    """nginx with at least one mail server for IMAP. Raises SyntaxProblem, Rejected and HostError."""

    server_type = "nginx"
    services = ("nginx",)
    socket_holders = ("nginx",)
    terms = {
        "authenticated_connection_timeout": base.Term("proxy_timeout", "any value; IDLE counts as idle"),
        "pre_authenticated_connection_timeout": base.Term(
            "timeout",
            "any value, counted from the connection on, and once more where a client says nothing after STARTTLS; it "
            "bounds the login at the backend too",
        ),
    }
    # Measured with 1.22.1 and 1.26.3: a longer line is answered "BAD invalid command" before the login, and passed on
    # after it.
    lacks = {
        "max_connections": "nginx's worker_connections also counts web clients and the connections to backends",
        "max_command_size": "nginx's imap_client_buffer bounds no literal, and nothing once the user has logged in",
        "banner": "the greeting of nginx's mail proxy is compiled in",
    }

    @classmethod
    def present(cls, host):
        return host.once(_find) is not None

    def __init__(self, host):
        super().__init__()
        found = host.once(_find)
        self._command, self._tree = found.command, found.tree
        began = time.monotonic()
        done = host.run([*self._command, "-v", "-t", "-c", self._tree.main])
        reading = time.monotonic() - began
        version, dummy, words = done.words.partition("\n")
        if done.status:
            raise base.Rejected(f"nginx refuses its configuration as it is: {_sentence(words)}")
        self.version = version.partition("/")[2].split(" ")[0]
        self.files = {path: text.encode(file.source) for path, file in self._tree.files.items()}
        paths = [*self._tree.names, *self._tree.folders]
        base.must_see(found.master, paths, host)
        self.changed_at = max(host.changed_at(path) for path in paths)
        self.serving = _serving(host, found.master, self.changed_at, reading)
        self.master = found.master
        self.services = (base.unit(host, self.master, "nginx"),)
        self._all = _mail_servers(self._tree)
        self._imap = _imap_servers(self._all)
        self.values = {name: self._value(name) for name in self.terms}
        self.endpoints = [endpoint for server in self._imap for endpoint in _endpoints(server)]
        self.backends = list(dict.fromkeys(_backend(self._tree, server) for server in self._imap))

    def check(self, host, files):
        """Run ``nginx -t`` on a copy of the whole tree.

        The main file's folder is mirrored by links, because nginx starts relative paths there.
        """
        with host.scratch_folder() as scratch:
            folder, name = os.path.split(self._tree.main)
            mirror = os.path.join(scratch, "mirror")
            host.make_folder(mirror)
            for entry in host.entries(folder):
                if entry != name:
                    host.link(os.path.join(folder, entry), os.path.join(mirror, entry))
            places = {path: os.path.join(scratch, f"{number}.conf") for number, path in enumerate(self._tree.files)}
            places[self._tree.root] = os.path.join(mirror, name)
            for path, place in places.items():
                copy = syntax.File(path, text.decode(files.get(path, self.files[path])))
                host.put(place, text.encode(syntax.relocated(self._tree, copy, places)))
            done = host.run([*self._command, "-t", "-c", places[self._tree.root]])
            if done.status:
                words = done.words
                for path, place in places.items():
                    words = words.replace(place, path)
                raise base.Rejected(f"nginx refuses the configuration with this change: {_sentence(words)}")

    def _value(self, name):
        directive, default = self.terms[name].option, _DEFAULTS[name]
        places = []
        for server in self._imap:
            found = server.in_force(directive)
            if found is None:
                places.append(base.Place(None, default, server.found.file.path, None, handle=server))
                continue
            written = " ".join(found.directive.arguments)
            milliseconds = syntax.milliseconds(written)
            line = found.file.line(found.directive)
            if milliseconds is None:
                raise text.SyntaxProblem(
                    f"{found.file.path}:{line}: expected a time after {directive}, not {text.quoted(written)}."
                )
            seconds = milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000
            overrides = server.own(directive) is not None and server.outer.own(directive) is not None
            places.append(base.Place(seconds, seconds, found.file.path, line, overrides, server))
        return base.Value(tuple(places), 0.001, _LONGEST)

    # editing

    def edited(self, edits):
        splices = {}
        for edit in edits:
            path, splice, directive = self._splice(edit)
            splices.setdefault(path, {})[splice] = directive
        files = {}
        changes = []
        for path, wanted in splices.items():
            source = self._tree.files[path].source
            result = text.splice(source, wanted)
            files[path] = text.encode(result)
            for splice, offset in text.landed(wanted):
                directive = wanted[splice]
                if directive is None:
                    line = text.line_number(result, offset) + splice.text.startswith(("\n", "\r"))
                    changes.append(base.Change(path, line, None, splice.text.strip()))
                else:
                    line = text.line_number(result, directive.start + offset - splice.start)
                    before = source[directive.start : directive.end]
                    after = source[directive.start : splice.start] + splice.text + source[splice.end : directive.end]
                    changes.append(base.Change(path, line, before, after))
        return files, changes

    def _splice(self, edit):
        """Return ``(path, Splice, directive)`` that makes ``edit``; there is no directive where one is added."""
        name = self.terms[edit.setting].option
        statement = f"{name} {edit.value}s;"
        server = edit.place.handle
        found = server.in_force(name)
        if found is not None and self._only_imap_obeys(found.directive, name):
            return found.file.path, text.Splice(*found.directive.argument_spans[0], f"{edit.value}s"), found.directive
        if server.own(name) is not None:
            raise HostError(
                f"Nothing was changed, because the {name} at {found.file.path}:{found.file.line(found.directive)} counts "
                "for something else as well; write one into each server block for IMAP and run again."
            )
        if found is None and self._only_imap_inherits(name):
            return (*self._added(server.outer, statement), None)
        return (*self._added(server, statement), None)

    def _only_imap_inherits(self, name):
        """Whether each mail server without a ``name`` directive of its own is one for IMAP."""
        return all(server in self._imap for server in self._all if server.own(name) is None)

    def _only_imap_obeys(self, directive, name):
        """Whether ``directive`` counts for nothing but IMAP servers, wherever includes bring it in."""
        blocks = [server.found.directive for server in self._imap]
        if self._only_imap_inherits(name):
            blocks.append(self._imap[0].outer.found.directive)
        return all(around and around[-1] in blocks for around in self._tree.uses(directive))

    def _added(self, block, statement):
        """Return ``(path, Splice)`` that adds ``statement``: beside the other time-out, or in the file kept for it, or
        first in ``block``.
        """
        for term in self.terms.values():
            sibling = block.own(term.option)
            if sibling is not None and len(self._tree.uses(sibling.directive)) == 1:
                return sibling.file.path, _beside(sibling, statement)
        for directive in block.found.directive.block:
            for path in self._tree.included(directive):
                file = self._tree.files[path]
                if not file.directives and not self._tree.is_pattern(directive) and self._tree.inclusions(path) == 1:
                    end, newline = len(file.source), text.newline(file.source)
                    whole = not end or file.source.endswith("\n")
                    return path, text.Splice(end, end, statement + newline if whole else newline + statement)
        return block.found.file.path, _first_in(block.found, statement)


#: What may stand between a directive and the end of its line.
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?\r?(\n|\Z)")


def _beside(found, statement):
    """Return the Splice that puts ``statement`` on a line of its own below the directive of ``found``, or beside it
    where more follows there.
    """
    source, directive = found.file.source, found.directive
    rest = _REST.match(source, directive.end)
    if rest is None:
        return text.Splice(directive.end, directive.end, f" {statement}")
    line = text.indentation(source, directive.start) + statement
    newline = text.newline(source)
    return text.Splice(rest.end(), rest.end(), line + newline if rest.group(1) else newline + line)


def _first_in(found, statement):
    """Return the Splice that puts ``statement`` first into the block of ``found``, on a line of its own where the block
    is so written.
    """
    source, directive = found.file.source, found.directive
    rest = _REST.match(source, directive.inside)
    if rest is None:
        return text.Splice(directive.inside, directive.inside, f" {statement}")
    if directive.block:
        lead = text.indentation(source, directive.block[0].start)
    else:
        lead = text.indentation(source, directive.start) + "    "
    return text.Splice(rest.end(), rest.end(), f"{lead}{statement}{text.newline(source)}")


# finding things


class _Instance(NamedTuple):
    """An nginx: the ``command`` (list of str) that starts it but for its main file, its master (a Process, or None
    where it does not run), and its Tree.
    """

    command: list
    master: Optional[Process]
    tree: syntax.Tree


def _find(host):
    """Return the _Instance that has IMAP servers, or None. Raises Rejected, SyntaxProblem and HostError.

    That is the running one; where none that runs has any, it is the one that systemd would start as nginx.service.
    """
    titled = [process for process in host.processes() if process.title.startswith(_MASTER)]
    running = []
    for master in base.masters(titled):
        command, main = _command(master.title[len(_MASTER) :], f"nginx (process {master.pid})")
        running.append(_Instance(command, master, _tree(host, command, main)))
    serving = [instance for instance in running if _serves_imap(instance.tree)]
    base.must_be_one("nginx", [instance.master for instance in serving])
    if serving:
        return serving[0]
    _must_explain_ports(host, [instance.tree for instance in running])
    if not host.is_executable(_PROGRAM):
        return None
    command, main = _of_unit(host)
    if main in [instance.tree.main for instance in running] or not host.is_file(main):
        return None
    tree = _tree(host, command, main)
    return _Instance(command, None, tree) if _serves_imap(tree) else None


def _command(started, name):
    """Return ``(command, main)`` for the command line that an nginx called ``name`` was ``started`` with: the command
    (list of str) but for its main file, and the path of that.

    A relative main file starts at the prefix (ngx_process_options() of nginx 1.22.1). Raises HostError where the
    command line does not tell from which files the configuration comes.
    """
    words = started.split()
    program = words[0] if words and words[0].startswith("/") else _PROGRAM
    prefix = re.search(r" -p ?(\S+)", started)
    given = re.search(r" -c ?(\S+)", started)
    main = given.group(1) if given else _MAIN if program == _PROGRAM else ""
    if prefix and main:
        main = os.path.join(prefix.group(1), main)
    if not main.startswith("/"):
        raise HostError(
            f"{name} runs as {' '.join(words)}, which does not tell its main file; start it with -c and an absolute "
            "path and run again."
        )
    if _GIVEN.search(started):
        raise HostError(
            f"{name} takes configuration from its command line, {' '.join(words)}; move it to {main} and run again."
        )
    return [program, "-p", prefix.group(1)] if prefix else [program], main


def _of_unit(host):
    """Return what _command() does for the nginx that systemd would start. Raises HostError."""
    started = (line for line in base.started_as(host, "nginx") if line.partition(" ")[0].endswith("/nginx"))
    return _command(next(started, _PROGRAM), "nginx.service")


def _tree(host, command, main):
    """Return the Tree of ``main``. Raises Rejected, with nginx's own words, where nginx refuses it and no IMAP server
    can be seen in it: the name of its mail block may have a byte order mark before it, for one.
    """
    try:
        tree = syntax.Tree(main, host.read, host.match, host.resolve)
    except (text.SyntaxProblem, HostError):
        _must_be_taken(host, command, main)
        raise
    if not _serves_imap(tree) and any(directive.name.endswith("mail") for directive, dummy in tree.top()):
        _must_be_taken(host, command, main)
    return tree


def _must_be_taken(host, command, main):
    """Raise Rejected, with nginx's own words, where nginx refuses ``main``."""
    done = host.run([*command, "-t", "-c", main])
    if done.status:
        raise base.Rejected(f"nginx refuses its configuration as it is: {_sentence(done.words)}")


def _must_explain_ports(host, trees):
    """Raise HostError where an nginx that runs listens on a port of IMAP that none of ``trees`` names: it still has an
    older configuration, or runs without a master process.
    """
    pids = {process.pid for process in host.processes() if process.name == "nginx"}
    if not pids:
        return
    named = {_port(directive) for tree in trees for directive in tree.directives("listen")}
    for listener in host.listeners():
        if listener.port in base.IMAP_PORTS and listener.port not in named and pids & set(listener.pids):
            raise HostError(
                f"nginx (process {min(pids & set(listener.pids))}) listens on port {listener.port}, but no "
                "configuration that nginx's master processes read says so; restart nginx, with master_process on, and "
                "run again."
            )


def _sentence(words):
    """Return what nginx says about a configuration, without times and process numbers."""
    lines = [_STAMP.sub(lambda stamp: f"{stamp[1]} " if stamp[1] else "", line) for line in words.splitlines()]
    complaints = [line for line in lines if line.startswith("[")] or lines
    return "; ".join(dict.fromkeys(complaints)).rstrip(".") + "."


def _serving(host, master, changed_at, reading):
    """Return the Serving of the workers that take new connections.

    A reload starts new workers and retitles the old ones; the oldest of the new ones counts, because a worker that
    crashed is replaced without reading the configuration again (src/os/unix/ngx_process_cycle.c of nginx 1.22.1). A
    worker without another may be such a replacement, and so may the oldest of workers that did not start together.

    The master reads the configuration before it starts workers, and not before it was started itself. ``reading`` is how
    many seconds nginx took just now to start, read it and end; that and two ticks of the kernel's clock are allowed for.
    """
    workers = [
        process
        for process in host.processes()
        if master and process.parent == master.pid and process.title == "nginx: worker process"
    ]
    if not workers:
        return None
    oldest = min(workers, key=lambda process: (process.started, process.pid))
    together = len(workers) > 1 and max(process.started for process in workers) - oldest.started <= _TOGETHER
    doubtful = not together and master.started < changed_at
    since = max(master.started, oldest.started - reading - 0.02)
    return base.Serving(since, oldest.identity, doubtful)


def _mail_servers(tree):
    """Return every ``server`` block of the ``mail`` block as _Block."""
    servers = []
    for pair in tree.top():
        if pair[0].name == "mail" and pair[0].block is not None:
            mail = _Block(tree, _Found(*pair))
            servers += [
                _Block(tree, found, mail)
                for found in mail.content
                if found.directive.name == "server" and found.directive.block is not None
            ]
    return servers


def _serves_imap(tree):
    return bool(_imap_servers(_mail_servers(tree)))


def _imap_servers(servers):
    return [server for server in servers if _is_imap(server)]


def _is_imap(server):
    protocol = server.argument("protocol")
    if protocol is None:
        known = (_PROTOCOLS.get(_port(found.directive)) for found in server.content if found.directive.name == "listen")
        protocol = next(filter(None, known), None)
    return protocol == "imap"


def _port(directive):
    """Return the port of a ``listen`` directive, or None where it is a UNIX socket."""
    match = _LISTEN.fullmatch(directive.arguments[0]) if directive.arguments else None
    return int(match.group(2)) if match else None


def _endpoints(server):
    """Return the Endpoints that a mail server listens on, but for UNIX sockets."""
    endpoints = []
    for found in server.content:
        if found.directive.name != "listen" or not found.directive.arguments:
            continue
        match = _LISTEN.fullmatch(found.directive.arguments[0])
        if match:
            options = found.directive.arguments[1:]
            address = (match.group(1) or "*").strip("[]")
            local = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
            tls = "ssl" in options or server.argument("ssl") == "on"
            endpoints.append(base.Endpoint(local, int(match.group(2)), tls, "proxy_protocol" in options))
    return endpoints


def _backend(tree, server):
    """Return the Endpoint that an IMAP server hands its clients to, or None where the configuration does not name one.

    It is named where ``auth_http`` asks a location of the same nginx that answers with fixed headers.
    """
    asked = server.argument("auth_http")
    match = re.fullmatch(r"(?:http://)?(unix:[^:]+|\[[^\]]*\](?::[0-9]+)?|[^:/]+(?::[0-9]+)?)(?::?(/.*))?", asked or "")
    if not match:
        return None
    headers = _fixed_headers(tree, match.group(1), (match.group(2) or "/").partition("?")[0])
    address, port = headers.get("auth-server"), headers.get("auth-port")
    if not address or not port or "$" in address + port or not re.fullmatch(r"[0-9]+", port):
        return None
    return base.Endpoint(address, int(port), proxy_protocol=server.argument("proxy_protocol") == "on")


def _fixed_headers(tree, address, uri):
    """Return the headers (lower-case name to text) that nginx's own HTTP server at ``address`` adds to its answer to
    ``uri``: none where several servers listen there and do not agree, or where it depends on the request.
    """
    answers = []
    for http, file in tree.top():
        if http.name != "http":
            continue
        for found in tree.flat(http.block, file):
            if found[0].name == "server" and _listens(tree, found, address):
                location = None if _sends_on(tree, found, _IN_SERVER) else _location(tree, found, uri)
                # A block in a location, such as an if, has headers of its own.
                fixed = location and not _sends_on(tree, location, _IN_LOCATION, blocks=True)
                added = tree.flat(location[0].block, location[1]) if fixed else ()
                answers.append(
                    {
                        directive.arguments[0].lower(): directive.arguments[1]
                        for directive, dummy in added
                        if directive.name == "add_header" and len(directive.arguments) >= 2
                    }
                )
    return answers[0] if answers and all(answer == answers[0] for answer in answers) else {}


def _sends_on(tree, found, names, blocks=False):
    """Whether the block of ``found`` has a directive of ``names`` in it, or any block where ``blocks`` is true."""
    return any(
        directive.name in names or (blocks and directive.block is not None)
        for directive, dummy in tree.flat(found[0].block, found[1])
    )


def _listens(tree, found, address):
    def parts(written):
        if written.startswith("unix:"):
            return written, None
        host, separator, port = written.rpartition(":")
        if not separator or "]" in port:
            host, port = (written, "80") if not written.isdigit() else ("*", written)
        return {"localhost": "127.0.0.1", "0.0.0.0": "*", "[::]": "*"}.get(host, host), port

    wanted = parts(address)
    for directive, dummy in tree.flat(found[0].block, found[1]):
        if directive.name == "listen" and directive.arguments:
            offered = parts(directive.arguments[0])
            if offered[1] == wanted[1] and offered[0] in (wanted[0], "*"):
                return True
    return False


def _location(tree, found, uri):
    """Return the ``(directive, File)`` of the location that answers ``uri``: an exact one, else the longest prefix.

    None where there is none, and where a regular expression may take the place of the prefix (ngx_http_core_location()
    and ngx_http_core_find_location() of nginx 1.22.1).
    """
    best, longest, final = None, -1, False
    regular = False
    for pair in tree.flat(found[0].block, found[1]):
        directive = pair[0]
        if directive.name != "location" or directive.block is None:
            continue
        modifier, prefix = _MODIFIED.fullmatch("".join(directive.arguments)).groups()
        if modifier == "=" and prefix == uri:
            return pair
        regular = regular or modifier.startswith("~")
        if modifier in ("", "^~") and uri.startswith(prefix) and len(prefix) > longest:
            best, longest, final = pair, len(prefix), modifier == "^~"
    return None if regular and not final else best
