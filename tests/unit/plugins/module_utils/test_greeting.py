# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import socket
import threading
import time

import pytest

from ansible_collections.mailops.imap.plugins.module_utils import _greeting
from ansible_collections.mailops.imap.plugins.module_utils._host import HostError
from ansible_collections.mailops.imap.plugins.module_utils._servers.base import Endpoint
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.imap_test_server import Certificate


class Server:
    """Answers connections one after the other, each when it has read a PROXY header; None is silence."""

    def __init__(self, *answers, header=True, tls_context=None):
        self.answers = list(answers)
        self.header = header
        self.tls_context = tls_context
        self.headers = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        for answer in self.answers:
            connection, dummy = self.socket.accept()
            with connection, connection.makefile("rb", buffering=0) as stream:
                if self.header:
                    # Unbuffered, because what follows may be TLS.
                    self.headers.append(b"".join(iter(lambda: stream.read(1), b"\n")) + b"\n")
                if self.tls_context:
                    with self.tls_context.wrap_socket(connection, server_side=True) as encrypted:
                        encrypted.sendall(answer)
                elif answer is None:
                    connection.recv(1)
                else:
                    connection.sendall(answer)

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.thread.join()
        self.socket.close()


def test_the_header_comes_first_and_says_who_asks():
    with Server(b"* OK ready\r\n") as server:
        _greeting.greet(Endpoint("127.0.0.1", server.port, False, True), 5)
    assert re.fullmatch(rb"PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 [0-9]+ %d\r\n" % server.port, server.headers[0])


def test_after_the_header_comes_tls_whatever_the_certificate(tmp_path):
    with Server(b"* OK ready\r\n", tls_context=Certificate(tmp_path).context()) as server:
        _greeting.greet(Endpoint("127.0.0.1", server.port, True, True), 5)
    assert server.headers[0].startswith(b"PROXY TCP4 ")


def test_a_server_that_is_still_starting_is_asked_again():
    with Server(b"", b"* BYE not yet\r\n", b"* PREAUTH welcome\r\n") as server:
        _greeting.greet(Endpoint("127.0.0.1", server.port, False, True), 5)
    assert len(server.headers) == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"* BYE no\r\n", "it said '* BYE no'."),
        (b"", "it closed the connection."),
        (b"220 mail\r\n", "it said '220 mail'."),
        (None, "timed out."),
    ],
)
def test_what_does_not_greet_is_told_in_time(answer, words, monkeypatch):
    monkeypatch.setattr(_greeting, "_PAUSE", 1)
    started = time.monotonic()
    with Server(answer) as server, pytest.raises(HostError) as problem:
        _greeting.greet(Endpoint("127.0.0.1", server.port, False, True), 0.4)
    assert str(problem.value) == (
        f"127.0.0.1 port {server.port} did not greet after a PROXY protocol header within 0.4 seconds: {words}"
    )
    assert time.monotonic() - started < 3


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for proxy_protocol in (False, True):
        with pytest.raises(HostError, match=f"127.0.0.1 port {port} did not .*[Cc]onnection refused"):
            _greeting.greet(Endpoint("127.0.0.1", port, False, proxy_protocol), 0.3)


def test_without_a_header_the_probe_asks():
    with Server(b"* OK ready\r\n", header=False) as server, pytest.raises(HostError, match="did not answer CAPABILITY"):
        _greeting.greet(Endpoint("127.0.0.1", server.port), 2)
