# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An IMAP server on the loopback interface with known time-outs, which records when it does what.

Its times are of time.monotonic(), the clock of its clients in the same process, so that a test can compare what a client
measured with what the server did, however busy the machine is.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import re
import socket
import ssl
import struct
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

UNLIMITED = 3600.0
QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')


class Certificate:
    """A self-signed certificate for 127.0.0.1 and ``name``, and its key, in files in ``folder``."""

    def __init__(self, folder, name="imap.test"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Mail, Inc."),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ])
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        alternatives = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        self.x509 = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=10))
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.path = str(folder / "certificate.pem")
        self.key_path = str(folder / "key.pem")
        with open(self.path, "wb") as stream:
            stream.write(self.x509.public_bytes(serialization.Encoding.PEM))
        with open(self.key_path, "wb") as stream:
            stream.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))

    def context(self, version=None, tickets=2):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.key_path)
        context.num_tickets = tickets
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context


class Ended(Exception):
    """The client has gone, or a time-out of the server has passed (``timeout``)."""

    def __init__(self, timeout=False):
        super().__init__()
        self.timeout = timeout


class Session:
    """One connection as the server sees it. ``times`` maps accepted, authenticated, idle and closed to their moment."""

    def __init__(self, server, connection, number):
        self.server = server
        self.number = number
        self.times = {"accepted": time.monotonic()}
        self.lines = []  # what the client sent, line by line
        self.credentials = None
        self.encrypted = False
        self.timed_out = False
        self._socket = connection
        self._buffer = b""

    def mark(self, moment):
        self.times[moment] = time.monotonic()

    def lifetime(self, since):
        return self.times["closed"] - self.times[since]

    def send(self, *lines):
        self.send_bytes(b"".join(line + b"\r\n" for line in lines))

    def send_bytes(self, data):
        try:
            self._socket.settimeout(10)
            self._socket.sendall(data)
        except OSError:
            raise Ended()

    def send_last(self, line):
        try:
            self.send(line)
        except Ended:
            pass

    def _receive(self, deadline):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise Ended(timeout=True)
        self._socket.settimeout(remaining)
        try:
            data = self._socket.recv(65536)
        except socket.timeout:
            raise Ended(timeout=True)
        except OSError:
            raise Ended()
        if not data:
            raise Ended()
        self._buffer += data

    def line(self, deadline):
        while b"\n" not in self._buffer:
            self._receive(deadline)
        line, _end, self._buffer = self._buffer.partition(b"\n")
        self.lines.append(line.rstrip(b"\r"))
        return self.lines[-1]

    def octets(self, count, deadline):
        while len(self._buffer) < count:
            self._receive(deadline)
        octets, self._buffer = self._buffer[:count], self._buffer[count:]
        return octets

    def start_tls(self):
        try:
            self._socket.settimeout(10)
            self._socket = self.server.tls_context.wrap_socket(self._socket, server_side=True)
        except (OSError, ValueError):
            raise Ended()
        self.encrypted = True

    def close(self, how="end"):
        """End the connection: ``end`` of the stream, ``reset``, or only a TLS close_notify (``notify``)."""
        self.times.setdefault("closed", time.monotonic())
        if how == "reset":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "notify":
            try:
                self._socket.settimeout(5)
                self._socket.unwrap()
            except (OSError, ValueError):
                pass
        self._socket.close()

    # IMAP

    def converse(self):
        server = self.server
        if server.tls == "implicit":
            self.start_tls()
        server.pause(server.greeting_delay)
        self.send(server.greeting)
        state = "pre_authenticated"
        since = self.times["accepted"]
        if server.greeting.startswith(b"* PREAUTH"):
            state = "authenticated"
            self.mark("authenticated")
        while True:
            if state != "pre_authenticated":
                since = time.monotonic()
            tag, name, rest = (self.line(since + server.timeout(state, self.number)).split(b" ", 2) + [b"", b""])[:3]
            name = name.upper()
            if name == b"CAPABILITY":
                self.send(b"* CAPABILITY " + server.capabilities(self.encrypted, state), tag + b" OK done")
            elif name == b"STARTTLS" and server.tls == "starttls" and not self.encrypted:
                self.send(tag + b" OK begin TLS now")
                self.start_tls()
            elif name in (b"LOGIN", b"AUTHENTICATE"):
                deadline = since + server.timeout(state, self.number)
                self.credentials = self._login(rest, deadline) if name == b"LOGIN" else self._plain(rest, deadline)
                server.pause(server.login_delay)
                if self.credentials == server.credentials:
                    state = "authenticated"
                    self.mark("authenticated")
                    self.send(tag + b" OK " + server.login_words)
                else:
                    self.send(tag + b" NO " + server.refusal)
            elif name == b"IDLE" and state == "authenticated":
                state = "idle"
                self.mark("idle")
                self.send(b"+ idling")
                if server.still_here:
                    self._keep_alive(self.times["idle"] + server.timeout(state, self.number))
            elif name == b"LOGOUT":
                self.send(b"* BYE logging out", tag + b" OK done")
                if server.stays_after_logout:
                    self.line(time.monotonic() + UNLIMITED)
                return
            else:
                self.send(tag + b" BAD unknown command")

    def _keep_alive(self, deadline):
        while time.monotonic() + self.server.still_here < deadline:
            self.server.pause(self.server.still_here)
            self.send(b"* OK Still here")
        self.server.pause(max(0, deadline - time.monotonic()))
        raise Ended(timeout=True)

    def _login(self, rest, deadline):
        """Return the two arguments of LOGIN, each an atom, a quoted string or a literal (RFC 3501 section 9)."""
        arguments = []
        while len(arguments) < 2:
            rest = rest.lstrip(b" ")
            quoted = QUOTED.match(rest)
            literal = re.match(rb"\{(\d+)\}$", rest)
            if quoted:
                arguments.append(re.sub(rb"\\(.)", rb"\1", quoted.group(1)))
                rest = rest[quoted.end():]
            elif literal:
                self.send(b"+ go on")
                arguments.append(self.octets(int(literal.group(1)), deadline))
                rest = self.line(deadline)
            else:
                atom, _space, rest = rest.partition(b" ")
                arguments.append(atom)
        return tuple(arguments)

    def _plain(self, rest, deadline):
        """Return what AUTHENTICATE PLAIN carries (RFC 4616)."""
        mechanism, _space, response = rest.partition(b" ")
        assert mechanism == b"PLAIN"
        if not response:
            self.send(b"+ ")
            response = self.line(deadline)
        authorization, username, password = base64.b64decode(response, validate=True).split(b"\0")
        assert authorization == b""
        return username, password


class ImapServer:
    """``with ImapServer(...) as server``: serve on server.port, one thread for each connection.

    ``timeouts`` maps pre_authenticated, authenticated and idle to seconds, or to a function of the number of the
    connection, counted from 0. ``script(session)`` replaces what the server does on a connection.
    """

    def __init__(self, credentials=("alice", "secret"), timeouts=None, tls="none", tls_context=None, close="end",
                 bye=None, script=None, greeting=b"* OK test server ready", greeting_delay=0, login_delay=0, still_here=0,
                 login_words=b"logged in", refusal=b"[AUTHENTICATIONFAILED] no such account", stays_after_logout=False,
                 capabilities=None, port=0):
        self.credentials = tuple(value.encode("utf-8", "surrogateescape") for value in credentials)
        self.tls = tls
        self.tls_context = tls_context
        self.greeting = greeting
        self.greeting_delay = greeting_delay
        self.login_delay = login_delay
        self.login_words = login_words
        self.refusal = refusal
        self.still_here = still_here
        self.stays_after_logout = stays_after_logout
        self.sessions = []
        self._timeouts = timeouts or {}
        self._close = close
        self._bye = bye
        self._script = script or Session.converse
        self._capabilities = capabilities
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.port = self._listener.getsockname()[1]
        self._stopping = threading.Event()
        self._threads = []

    def pause(self, seconds):
        """Sleep, but not longer than the test lasts."""
        self._stopping.wait(seconds)

    def timeout(self, state, number):
        value = self._timeouts.get(state, UNLIMITED)
        return value(number) if callable(value) else value

    def capabilities(self, encrypted, state):
        return (self._capabilities or default_capabilities)(encrypted, state)

    def idle_sessions(self, kind):
        """Return the sessions that the server ended because a client was idle in this way."""
        def is_kind(session):
            if "idle" in session.times:
                return kind == "idle"
            return kind == ("authenticated" if "authenticated" in session.times else "pre_authenticated")

        return [session for session in self.sessions if session.timed_out and is_kind(session)]

    def __enter__(self):
        self._start(self._accept)
        return self

    def __exit__(self, *_problem):
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _start(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session = Session(self, connection, len(self.sessions))
            self.sessions.append(session)
            self._start(self._serve, session)

    def _serve(self, session):
        how = "end"
        try:
            self._script(session)
        except Ended as ended:
            if ended.timeout:
                how = self._close
                session.timed_out = True
                session.times.setdefault("closed", time.monotonic())
                if self._bye is not None:
                    session.send_last(b"* BYE " + self._bye)
        finally:
            session.close(how)


def default_capabilities(encrypted, state):
    return b"IMAP4rev1 " + (b"IDLE" if state == "authenticated" else b"AUTH=PLAIN" if encrypted else b"STARTTLS AUTH=PLAIN")
