# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for the greeting of an IMAP server, also where it wants a PROXY protocol header first.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import socket
import ssl
import time

from . import _probe
from ._host import HostError

#: Seconds that a server has to greet unless a task says otherwise.
MAX_WAIT = 30

_PAUSE = 0.1
_LONGEST = 8192


def check_max_wait(max_wait):
    """Raise HostError where ``max_wait`` is no number of seconds that can be waited for."""
    if not 0 < max_wait < float("inf"):
        raise HostError(f"max_wait is {max_wait:g}, but must be a number of seconds above 0.")


def greet(endpoint, max_wait):
    """Wait for the greeting of an Endpoint. Raises HostError when it does not come within ``max_wait`` seconds."""
    if endpoint.proxy_protocol:
        _greet_with_header(endpoint, max_wait)
        return
    try:
        _probe.probe(
            endpoint.address,
            endpoint.port,
            tls="implicit" if endpoint.tls else "none",
            validate_certs=False,
            max_wait=max_wait,
        )
    except _probe.ProbeError as problem:
        raise HostError(f"{problem.finding}.") from problem


def _greet_with_header(endpoint, max_wait):
    deadline = time.monotonic() + max_wait
    said = "it did not answer"
    while time.monotonic() < deadline:
        try:
            line = _first_line(endpoint, deadline)
        except OSError as error:
            said = error.strerror or str(error)
        else:
            if line.upper().startswith((b"* OK", b"* PREAUTH")):
                return
            said = f"it said {line.decode('utf-8', 'replace').strip()!r}" if line else "it closed the connection"
        time.sleep(_PAUSE)
    raise HostError(
        f"{endpoint.address} port {endpoint.port} did not greet after a PROXY protocol header within {max_wait:g} "
        f"seconds: {said}."
    )


def _first_line(endpoint, deadline):
    """Return the first line (bytes) that the server says, empty where it says none. Raises OSError."""
    with socket.create_connection((endpoint.address, endpoint.port), _left(deadline)) as stream:
        (source, source_port), (target, target_port) = stream.getsockname()[:2], stream.getpeername()[:2]
        family = "TCP6" if stream.family == socket.AF_INET6 else "TCP4"
        stream.sendall(f"PROXY {family} {source} {target} {source_port} {target_port}\r\n".encode("ascii"))
        if endpoint.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            stream.settimeout(_left(deadline))
            with context.wrap_socket(stream) as encrypted:
                return _line(encrypted, deadline)
        return _line(stream, deadline)


def _line(stream, deadline):
    line = b""
    while not line.endswith(b"\n") and len(line) < _LONGEST:
        stream.settimeout(_left(deadline))
        more = stream.recv(1)
        if not more:
            break
        line += more
    return line


def _left(deadline):
    """Return the seconds until ``deadline``, but never 0, which a socket takes for "do not wait at all"."""
    return max(0.01, deadline - time.monotonic())
