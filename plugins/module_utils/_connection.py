# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PRIVATE: only for this collection, may change at any time.

Many client connections at once, line by line, with exact times; knows TLS, but no IMAP.

All connections share one thread, one selector and TLS in memory (ssl.MemoryBIO):

* One thread per connection is less precise, because the interpreter lets one thread run at a time: with 500 of them over
  TLS times were up to 0.3 s too long, here they are less than 0.1 s off (measured with nginx 1.22.1).
* Bytes are stamped with the time when the selector reports them, and decrypted later. Between two looks at the
  sockets at most WORK_BETWEEN_LOOKS seconds of TLS and reading are done, so that the handshakes of some connections do
  not spoil the times of the others.
* What TLS sends for itself, such as TLS 1.3 session tickets, never reaches the script and never counts as traffic.
* Bytes that came before TLS can never be taken for bytes that came encrypted.
"""

from __future__ import annotations

import collections
import os
import selectors
import socket
import ssl
import time

# Connections that are not settled yet at one time. More than a server's listen queue holds would be held up by the
# kernel for a second and more, and then look open for too long; and a proxy that bounds the time of the login, as nginx
# does with `timeout`, would close connections whose login is one of hundreds at the backend (both measured).
UNSETTLED_AT_ONCE = 32
WORK_BETWEEN_LOOKS = 0.002
LONGEST_LINE = 65536
LONGEST_SLEEP = 3600.0


class ProbeError(Exception):
    """What stopped a connection or the whole probe: one sentence without its full stop, and never with the password.

    ``finding`` is the sentence without the advice, which speaks of the options of imap_probe.
    """

    def __init__(self, finding, advice=None):
        super().__init__(f"{finding}; {advice}" if advice else finding)
        self.finding = finding


class NotReady(ProbeError):
    """There was no greeting; another attempt may get one."""


class Closed(Exception):
    """The connection has ended; ``by`` is ``server`` (it ended the stream) or ``reset`` (it broke the connection)."""

    def __init__(self, by):
        super().__init__(by)
        self.by = by


class TimeUp(Exception):
    """The deadline of the connection has passed."""


def serve(connections):
    """Lead every connection to the end of its script.

    Each turn looks at the sockets, lets the scripts read what came for a short while, opens connections when there is
    nothing more to read, and ends those whose deadline has passed.
    """
    waiting = collections.deque(connections)
    active = []
    ready = collections.deque()
    with selectors.DefaultSelector() as selector:
        while waiting or active:
            room = UNSETTLED_AT_ONCE - sum(not connection.settled for connection in active) if waiting else 0
            if ready or room > 0:
                patience = 0.0
            else:
                patience = max(0.0, min(connection.deadline for connection in active) - time.monotonic())
            events = selector.select(min(patience, LONGEST_SLEEP))
            now = time.monotonic()
            for key, mask in events:
                key.data.receive(now, mask)
                ready.append(key.data)
            look_again = now + WORK_BETWEEN_LOOKS
            while ready:
                ready.popleft().advance()
                if time.monotonic() > look_again:
                    break
            else:
                while waiting and room > 0 and time.monotonic() <= look_again:
                    room -= 1
                    connection = waiting.popleft()
                    connection.open(selector)
                    active.append(connection)
            for connection in active:
                if connection.deadline <= now:
                    connection.expire(now)
            active = [connection for connection in active if not connection.finished]


class Connection:
    """A non-blocking connection, and the script that reads and writes on it.

    The script, run(), is a generator: it yields when it needs more from the server, and goes on with the bytes that
    came, or with Closed or TimeUp raised inside it. What ends it early is kept in ``error``.
    """

    def __init__(self, server, deadline):
        self.server = server
        self.deadline = deadline
        self.time = None  # when the bytes arrived that the script reads now
        self.awaited = "deal with the connections before this one"
        self.greeted = False
        self.settled = False  # whether the next connection may be opened
        self.finished = False
        self.timed_out = False
        self.error = None
        self.bye = None  # the last words of the server, when it says them
        self._script = self.run()
        self._selector = None
        self._socket = None
        self._connected = False
        self._inbox = collections.deque()
        self._outbox = bytearray()
        self._text = bytearray()
        self._tls = None
        self._tls_incoming = None
        self._tls_outgoing = None
        self._tls_ended = False

    def run(self):
        raise NotImplementedError

    # What the loop calls

    def open(self, selector):
        """Start the script."""
        self._selector = selector
        if time.monotonic() < self.deadline:
            self._resume(None)

    def receive(self, now, mask):
        """Take what the socket has; the script reads it later."""
        if not self._connected:
            self._complete_connect(now)
            return
        if mask & selectors.EVENT_WRITE:
            self._flush()
        # The script must keep pace with a server that never stops sending.
        if not mask & selectors.EVENT_READ or len(self._inbox) > 4:
            return
        try:
            event = self._socket.recv(65536) or Closed("server")
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionResetError:
            event = Closed("reset")
        except OSError as error:
            event = error
        if isinstance(event, Exception):
            self._selector.unregister(self._socket)
        self._inbox.append((now, event))

    def advance(self):
        """Let the script read what has arrived."""
        while self._inbox and not self.finished:
            self.time, event = self._inbox.popleft()
            self._resume(TimeUp() if self.time > self.deadline else event)

    def expire(self, now):
        """Tell the script that its time is up, unless something arrived before."""
        self.advance()
        if not self.finished and self.deadline <= now:
            self._resume(TimeUp())

    def _resume(self, event):
        try:
            if isinstance(event, Exception):
                self._script.throw(event)
            else:
                self._script.send(event)
            return
        except StopIteration:
            pass
        except ProbeError as error:
            self.error = error
        except TimeUp:
            self.timed_out = True
            advice = f"; raise max_wait={self.server.max_wait:g} if it is only slow" if self.greeted else ""
            self._fail(" in time" + advice)
        except Closed as closed:
            self._fail(f": it {'reset' if closed.by == 'reset' else 'closed'} the connection"
                       + (f" and said BYE {self.server.quote(self.bye)}" if self.bye else ""))
        except OSError as error:
            self._fail(f": {_reason(error)}")
        self._close()

    def _fail(self, how):
        self.error = (ProbeError if self.greeted else NotReady)(
            f"{self.server.name} did not {self.awaited}{how}")

    def _close(self):
        self.finished = True
        if self._socket is not None:
            if self._socket in self._selector.get_map():
                self._selector.unregister(self._socket)
            self._socket.close()
        self._inbox.clear()
        self._tls = self._tls_incoming = self._tls_outgoing = None

    # What the script calls

    def _connect(self):
        self.awaited = "accept the connection"
        family, address = self.server.address
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._socket.connect(address)
        except (BlockingIOError, InterruptedError):
            pass
        self._selector.register(self._socket, selectors.EVENT_WRITE, self)
        yield

    def _complete_connect(self, now):
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._selector.unregister(self._socket)
            self._inbox.append((now, OSError(number, os.strerror(number))))
        else:
            self._connected = True
            self._selector.modify(self._socket, selectors.EVENT_READ, self)
            self._inbox.append((now, b""))

    def _start_tls(self):
        self.awaited = "finish the TLS handshake"
        self._tls_incoming, self._tls_outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            self._tls = self.server.context.wrap_bio(self._tls_incoming, self._tls_outgoing,
                                                     server_hostname=self.server.host)
        except ValueError as error:
            raise ProbeError(f"Option host={self.server.host} must be a name that a certificate can carry") from error
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._send_tls()
            except ssl.SSLCertVerificationError as error:
                self._send_tls()
                raise ProbeError(f"{self.server.name} has a certificate that is not trusted: "
                                 f"{error.verify_message.rstrip('.')}; set ca_path to the certificate of its issuer, "
                                 "or validate_certs=false") from error
            except ssl.SSLError as error:
                self._send_tls()
                raise ProbeError(f"{self.server.name} did not finish the TLS handshake: {_reason(error)}",
                                 "check port and tls") from error
            self._tls_incoming.write((yield))
        self._send_tls()
        self._text += self._decrypt(b"")

    def _decrypt(self, data):
        if self._tls is None:
            return data
        self._tls_incoming.write(data)
        text = bytearray()
        try:
            while not self._tls_ended:
                piece = self._tls.read(65536)
                text += piece
                self._tls_ended = not piece
        except ssl.SSLWantReadError:
            pass
        self._send_tls()
        return text

    def _send(self, data):
        if self._tls is None:
            self._outbox += data
        else:
            self._tls.write(data)
            self._outbox += self._tls_outgoing.read()
        self._flush()

    def _send_tls(self):
        self._outbox += self._tls_outgoing.read()
        self._flush()

    def _flush(self):
        """Send what can be sent now. An error is left to the reading side, which tells how the connection ended."""
        try:
            while self._outbox:
                del self._outbox[:self._socket.send(self._outbox)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._outbox.clear()
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outbox else 0)
        registered = self._selector.get_map().get(self._socket)
        if registered is not None and registered.events != wanted:
            self._selector.modify(self._socket, wanted, self)

    def _line(self, awaited):
        """Return the next line of the server, without its end."""
        self.awaited = awaited
        while True:
            end = self._text.find(b"\n")
            if end >= 0:
                line = bytes(self._text[:end]).rstrip(b"\r").decode("utf-8", "replace")
                del self._text[:end + 1]
                return line
            if len(self._text) > LONGEST_LINE:
                raise ProbeError(f"{self.server.name} sent a line of more than {LONGEST_LINE} bytes; check that host "
                                 "and port are those of an IMAP server")
            if self._tls_ended:
                raise Closed("server")
            self._text += self._decrypt((yield))


def _reason(error):
    """Return the cause of an OSError in words; TLS gives it as NAMES_IN_CAPITALS."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return error.strerror or str(error)
