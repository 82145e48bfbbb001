# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PRIVATE: only for this collection, may change at any time.

An IMAP client (RFC 3501, RFC 9051) that connects as a client does and measures how long idle connections live.
It knows no Ansible.
"""

from __future__ import annotations

import base64
import ipaddress
import math
import resource
import socket
import ssl
import threading
import time

from . import _certificate
from ._connection import Closed, Connection, NotReady, ProbeError, TimeUp, serve

DEFAULT_PORTS = {"none": 143, "starttls": 143, "implicit": 993}
LONGEST_QUOTE = 200
LOGOUT_WAIT = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
SPARE_FILES = 64


class Refused(ProbeError):
    """The server completed a command with something else than OK; ``words`` is what it said."""

    def __init__(self, server, command, words):
        super().__init__(f"{server.name} refused {command}: {words}")
        self.words = words


def probe(host="127.0.0.1", port=None, tls="none", validate_certs=True, ca_path=None, username=None, password=None,
          login_method="login", allow_cleartext=False, measure=(), connections=1, max_wait=30.0):
    """Greet a server, and measure how long it lets idle connections live.

    The arguments are the options of the module imap_probe, and the result is what the module returns: {greeting,
    capabilities, capabilities_after_login, tls: {version, cipher, subject, issuer, not_after} or None, measurements:
    [{kind, connection, seconds, closed, closed_by, bye, error}]}.

    The first connection takes at most max_wait seconds, attempts to reach a server that is still starting included.
    Then all measured connections have max_wait seconds to become idle, and each at most max_wait seconds of idle time.

    Raises ProbeError when an option cannot be right, and when the first connection fails.
    """
    _check_options(port, username, password, measure, connections, max_wait)
    server = Server(host, port or DEFAULT_PORTS[tls], tls, _tls_context(tls, validate_certs, ca_path),
                    username, password, login_method, max_wait)
    deadline = time.monotonic() + max_wait
    addresses = _resolve(server, deadline)
    if username is not None and tls == "none" and not allow_cleartext and not all(map(_is_loopback, addresses)):
        raise ProbeError(f"The password was not sent, because the connection to {server.name} is not encrypted; set "
                         "tls=starttls or tls=implicit, or allow_cleartext=true")
    first = _first_connection(server, addresses, deadline)
    deadline = time.monotonic() + max_wait
    measurements = [Measurement(server, deadline, kind, number)
                    for kind in dict.fromkeys(measure) for number in range(1, connections + 1)]
    _serve_with_open_files(measurements)
    result = first.result()
    result["measurements"] = [measurement.result() for measurement in measurements]
    return result


def _check_options(port, username, password, measure, connections, max_wait):
    if not (math.isfinite(max_wait) and max_wait > 0):
        raise ProbeError(f"Option max_wait={max_wait} must be a number of seconds above 0")
    if connections < 1:
        raise ProbeError(f"Option connections={connections} must be 1 or more")
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections * len(set(measure))
    if hard != resource.RLIM_INFINITY and hard < wanted + SPARE_FILES:
        raise ProbeError(f"Options measure and connections={connections} ask for {wanted} connections at once, and this "
                         f"host lets a process have {hard} open files; lower connections")
    if port is not None and not 1 <= port <= 65535:
        raise ProbeError(f"Option port={port} must be between 1 and 65535")
    if username is None:
        for kind in measure:
            if kind != "pre_authenticated":
                raise ProbeError(f"Option measure={kind} needs a login; set username and password")
    elif "\0" in username or "\0" in password:
        raise ProbeError("Options username and password must not hold a NUL character, which IMAP cannot carry")


def _tls_context(tls, validate_certs, ca_path):
    if tls == "none":
        return None
    if not validate_certs:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        return ssl.create_default_context(cafile=ca_path)
    except ssl.SSLError as error:
        raise ProbeError(f"Option ca_path={ca_path} must name a file that holds PEM certificates") from error
    except OSError as error:
        raise ProbeError(f"Option ca_path={ca_path} must name a file that can be read: {error.strerror}") from error


def _resolve(server, deadline):
    """Return the (family, address) pairs of the server's host; a resolver that hangs is left behind at the deadline."""
    answers = []

    def ask():
        try:
            found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
            answers.append([(family, address) for family, _type, _protocol, _name, address in found])
        except (OSError, ValueError) as error:
            answers.append(getattr(error, "strerror", None) or "it is not a host name")

    resolver = threading.Thread(target=ask, daemon=True)
    resolver.start()
    resolver.join(max(0.0, deadline - time.monotonic()))
    answer = answers[0] if answers else f"no name server answered within max_wait={server.max_wait:g} s"
    if isinstance(answer, str):
        raise ProbeError(f"host={server.host} has no address: {answer}", "name one, or a name that resolves")
    return answer


def _is_loopback(address):
    _family, (host, *_rest) = address
    host = ipaddress.ip_address(host.partition("%")[0])
    return (getattr(host, "ipv4_mapped", None) or host).is_loopback


def _first_connection(server, addresses, deadline):
    """Lead the first connection; try again, address after address, until a greeting comes or the deadline."""
    pause = FIRST_PAUSE
    problem = None
    attempt = 0
    while True:
        now = time.monotonic()
        server.address = addresses[attempt % len(addresses)]
        # An address that never answers must leave time for the others.
        first = FirstConnection(server, deadline, now + (deadline - now) / len(addresses))
        serve([first])
        if first.error is None:
            return first
        if not isinstance(first.error, NotReady):
            raise first.error
        # An attempt cut short by the deadline says less than the one before it.
        if problem is None or not first.timed_out or deadline - now > LONGEST_PAUSE:
            problem = first.error
        remaining = deadline - time.monotonic()
        if remaining < FIRST_PAUSE:
            raise ProbeError(f"{problem} (tried for max_wait={server.max_wait:g} s)",
                             "check that the server runs, and that host, port and tls are right")
        time.sleep(min(pause, remaining / 2))
        pause = min(2 * pause, LONGEST_PAUSE)
        attempt += 1


def _serve_with_open_files(connections):
    """Serve the connections with as high a limit of open files as they need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = len(connections) + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        serve(connections)
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    try:
        serve(connections)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Server:
    """Where the server is, how its connections are encrypted, and who logs in."""

    def __init__(self, host, port, tls, context, username, password, login_method, max_wait):
        self.host = host
        self.port = port
        self.name = f"{host} port {port}"
        self.address = None
        self.tls = tls
        self.context = context
        self.username = username
        self.login_method = login_method
        self.max_wait = max_wait
        self._user = (username or "").encode("utf-8", "surrogateescape")
        self._password = (password or "").encode("utf-8", "surrogateescape")

    def login_command(self):
        """Return the name of the login command and its lines; the server asks for each line after the first."""
        if self.login_method == "login":
            return "LOGIN", self._login_lines()
        response = self._plain_response()
        if self.login_method == "plain_initial_response":
            return "AUTHENTICATE PLAIN", [b"AUTHENTICATE PLAIN " + response]
        return "AUTHENTICATE PLAIN", [b"AUTHENTICATE PLAIN", response]

    def _login_lines(self):
        """LOGIN with quoted strings, and with literals for what a quoted string cannot hold (RFC 3501 section 4.3)."""
        lines = [b"LOGIN"]
        for value in (self._user, self._password):
            if all(0x20 <= byte <= 0x7E for byte in value):
                lines[-1] += b" " + _quoted(value)
            else:
                lines[-1] += b" {%d}" % len(value)
                lines.append(value)
        return lines

    def _plain_response(self):
        return base64.b64encode(b"\0".join((b"", self._user, self._password)))

    def redact(self, text):
        """Hide the password where a server repeats it."""
        if not self._password:
            return text
        for secret in (self._plain_response(), _quoted(self._password)[1:-1], self._password):
            text = text.replace(secret.decode("utf-8", "replace"), "********")
        return text

    def quote(self, line):
        """Return what the server said, fit for a sentence."""
        text = "".join(character if character.isprintable() else "?" for character in self.redact(line))
        return text.rstrip(". ") if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "..."


def _quoted(value):
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


class Session(Connection):
    """IMAP on a connection, as far as logging in and idling need it."""

    def __init__(self, server, deadline):
        super().__init__(server, deadline)
        self.greeting = None
        self.preauthenticated = False
        self.capabilities = None
        self._commands = 0

    def _greet(self):
        """Read the greeting, and encrypt the connection as the option tls asks."""
        if self.server.tls == "implicit":
            yield from self._start_tls()
        line = yield from self._line("send its greeting")
        self._note(line)
        words = line.upper().split(None, 2)
        status = words[1] if len(words) > 1 and words[0] == "*" else None
        if status == "BYE":
            raise NotReady(f"{self.server.name} did not send its greeting: it said {self.server.quote(line[2:])}")
        if status not in ("OK", "PREAUTH"):
            raise ProbeError(f"{self.server.name} is no IMAP server, because it began with "
                             f"{self.server.quote(line) or 'an empty line'}", "check host, port and tls")
        self.greeted = True
        self.greeting = line
        self.preauthenticated = status == "PREAUTH"
        if self.server.tls == "starttls":
            yield from self._upgrade()

    def _upgrade(self):
        if self.preauthenticated:
            raise ProbeError(f"{self.server.name} greets with PREAUTH, which rules STARTTLS out; set tls=implicit or "
                             "tls=none")
        yield from self._command("STARTTLS", [b"STARTTLS"])
        if self._text:
            raise ProbeError(f"{self.server.name} sent more after its answer to STARTTLS and before encryption; "
                             "somebody may be tampering with the connection, so nothing was sent on it")
        # What was said before encryption may have come from anybody (RFC 9051 section 6.2.1).
        self.capabilities = None
        self.bye = None
        yield from self._start_tls()

    def _learn_capabilities(self):
        """Ask for the capabilities unless the server has told them."""
        if self.capabilities is None:
            yield from self._command("CAPABILITY", [b"CAPABILITY"])
        return self.capabilities or []

    def _login(self):
        if self.preauthenticated:
            return
        if self.server.login_method == "login" and "LOGINDISABLED" in (self.capabilities or ()):
            raise ProbeError(f"{self.server.name} takes no LOGIN on this connection (LOGINDISABLED); set tls=starttls "
                             "or tls=implicit")
        self.capabilities = None
        name, lines = self.server.login_command()
        try:
            yield from self._command(name, lines)
        except Refused as refused:
            advice = "username and password" if refused.words.upper().startswith("NO") else "login_method and tls"
            raise ProbeError(f"{self.server.name} refused {name} for username={self.server.username}: {refused.words}; "
                             f"check {advice}") from None

    def _command(self, name, lines):
        """Send a command, each line after the first when the server asks for it, and wait until it is completed."""
        tag = self._begin(lines[0])
        for line in lines[1:]:
            yield from self._answer("+", tag, name)
            self._send(line + b"\r\n")
        yield from self._answer(tag, tag, name)

    def _begin(self, line):
        self._commands += 1
        tag = f"A{self._commands}"
        self._send(tag.encode("ascii") + b" " + line + b"\r\n")
        return tag

    def _answer(self, expected, tag, name):
        """Read up to the line that begins with ``expected``: the tag, or + when the server asks for more."""
        while True:
            line = yield from self._line(f"answer {name}")
            self._note(line)
            first, _space, rest = line.partition(" ")
            if first == tag and (expected != tag or rest.upper().split(None, 1)[:1] != ["OK"]):
                raise Refused(self.server, name, self.server.quote(rest))
            if first == expected:
                return

    def _note(self, line):
        """Keep the capabilities and the farewell that a line may carry; everything else is of no interest."""
        words = line.split()
        if words[:1] == ["*"] and len(words) > 1:
            if words[1].upper() == "CAPABILITY":
                self.capabilities = words[2:]
            elif words[1].upper() == "BYE":
                self.bye = self.server.redact(line.split(None, 2)[2] if len(words) > 2 else "")
        _before, code, rest = line.partition("[CAPABILITY ")
        if code and "]" in rest:
            self.capabilities = rest.partition("]")[0].split()


class FirstConnection(Session):
    """Finds out whether the server is there, what it can do, and whether the login works."""

    def __init__(self, server, deadline, accepted_by):
        super().__init__(server, accepted_by)
        self._whole_deadline = deadline
        self._before_login = []
        self._after_login = None
        self._encryption = None

    def run(self):
        yield from self._connect()
        self.deadline = self._whole_deadline
        yield from self._greet()
        if self._tls is not None:
            self._encryption = self._describe_encryption()
        self._before_login = yield from self._learn_capabilities()
        if self.server.username is not None:
            yield from self._login()
            self._after_login = yield from self._learn_capabilities()
        yield from self._leave()

    def _describe_encryption(self):
        certificate = self._tls.getpeercert(binary_form=True)
        about = _certificate.describe(certificate) if certificate else dict(subject=None, issuer=None, not_after=None)
        return dict(version=self._tls.version(), cipher=self._tls.cipher()[0], **about)

    def _leave(self):
        """Log out and wait a moment for the server to close: this session must not count against its limits."""
        self.deadline = min(self.deadline, time.monotonic() + LOGOUT_WAIT)
        try:
            self._begin(b"LOGOUT")
            while True:
                yield from self._line("close the connection")
        except (Closed, TimeUp, ProbeError, OSError):
            pass

    def result(self):
        def redacted(capabilities):
            return None if capabilities is None else [self.server.redact(name) for name in capabilities]

        return dict(greeting=self.greeting, capabilities=redacted(self._before_login),
                    capabilities_after_login=redacted(self._after_login), tls=self._encryption)


class Measurement(Session):
    """A connection that becomes idle and waits for the server to close it."""

    def __init__(self, server, deadline, kind, number):
        super().__init__(server, deadline)
        self._kind = kind
        self._number = number
        self._seconds = None
        self._closed_by = "none"

    def run(self):
        yield from self._connect()
        started = self.time
        if self._kind == "pre_authenticated":
            self.deadline = started + self.server.max_wait
        yield from self._greet()
        if self._kind == "pre_authenticated":
            if self.preauthenticated:
                raise ProbeError(f"{self.server.name} greets with PREAUTH, so it has no unauthenticated connections; "
                                 "leave pre_authenticated out of measure")
        else:
            yield from self._login()
            if self._kind == "idle":
                yield from self._answer("+", self._begin(b"IDLE"), "IDLE")
            started = self.time
            self.deadline = started + self.server.max_wait
        self.settled = True
        try:
            while True:
                self._note((yield from self._line("keep the connection in order")))
        except TimeUp:
            return
        except Closed as closed:
            self._closed_by = closed.by
            self._seconds = round(self.time - started, 3)

    def result(self):
        return dict(kind=self._kind, connection=self._number, seconds=self._seconds,
                    closed=self._seconds is not None, closed_by=self._closed_by, bye=self.bye,
                    error=None if self.error is None else f"{self.error}.")
