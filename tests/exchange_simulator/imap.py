# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What clients see of IMAP4: a port that greets with the banner while the service runs, and can do nothing more."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading

from .organization import FRONT


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        if self.server.faults.imap_silent:
            self.rfile.read()
            return
        with contextlib.suppress(ConnectionError):  # A client may have gone.
            self._say(f"* OK {self.server.local.settings['Banner']}")
            for line in self.rfile:
                tag, command = (line.decode("ascii", "replace").upper().split() + ["*", ""])[:2]
                if command == "CAPABILITY":
                    self._say("* CAPABILITY IMAP4 IMAP4rev1 LOGINDISABLED STARTTLS")
                if command == "LOGOUT":
                    self._say("* BYE Microsoft Exchange Server IMAP4 server signing off.")
                known = command in ("CAPABILITY", "LOGOUT", "NOOP")
                self._say(f"{tag} {'OK' if known else 'BAD'} {command} completed.")
                if command == "LOGOUT":
                    return

    def _say(self, line):
        self.wfile.write(line.encode("utf-8") + b"\r\n")


class Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address, local, faults):
        self.local, self.faults = local, faults
        super().__init__(address, Handler)


class Imap:
    """The port of the service that clients connect to, on loopback; open while the service runs.

    `port` is its number. It belongs to this object all the time, but nothing listens on it, and connections are
    refused, while the service is stopped, and `faults.imap_delay` seconds after each start.
    """

    def __init__(self, local, faults):
        self._local, self._faults = local, faults
        self._service = local.services.get(FRONT)
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._holder.bind(("127.0.0.1", 0))
        self._address = self._holder.getsockname()
        self._lock = threading.Lock()
        self._listener = self._timer = None
        self.port = self._address[1]
        if self._service:
            self._service.watchers.append(self._follow)
            self._follow(self._service)

    def close(self):
        if self._service:
            self._service.watchers.remove(self._follow)
        with self._lock:
            self._shut()
            self._holder.close()

    def _follow(self, service):
        """Open or shut the port as the service has just been started or stopped."""
        with self._lock:
            self._shut()
            if service.status != "Running" or self._faults.imap_refused:
                return
            if self._faults.imap_delay and service.starts:
                self._timer = threading.Timer(self._faults.imap_delay, self._open)
                self._timer.daemon = True
                self._timer.start()
            else:
                self._open()

    def _open(self):
        self._listener = Listener(self._address, self._local, self._faults)
        threading.Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _shut(self):
        if self._timer:
            self._timer.cancel()
            self._timer.join()
        if self._listener:
            self._listener.shutdown()
            self._listener.server_close()
        self._listener = self._timer = None
