# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connect one client after the other, log in, hold all of them, and print what the server lets them do.

Usage: clients.py ADDRESS PORT USER ... [LENGTH ...]

Port 993 means TLS. The password is "secret". A number sends a command of that many bytes on the last connection.
Prints a JSON object: ``greetings`` are the texts after the capabilities, None where there was none in time;
``logins`` and ``commands`` are the first words of the replies, None where there was none.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys

PATIENCE = 3


def connect(address: str, port: int) -> tuple:
    """Return a connection, the stream of its lines and its greeting, which is None where it did not come."""
    plain = socket.create_connection((address, port), timeout=PATIENCE)
    try:
        connection = ssl._create_unverified_context().wrap_socket(plain) if port == 993 else plain
        lines = connection.makefile("rb")
        return connection, lines, lines.readline().decode().rstrip("\r\n").partition("] ")[2] or None
    except OSError:
        return plain, None, None


def ask(connection: socket.socket, lines, command: str) -> str | None:
    """Send a command and return the reply, without the tag."""
    try:
        connection.sendall(f"a {command}\r\n".encode())
        for line in lines:
            if line.startswith(b"a "):
                return line.decode()[2:].rstrip("\r\n")
    except OSError:
        pass
    return None


def main() -> None:
    address, port, *words = sys.argv[1:]
    found = {"greetings": [], "logins": [], "commands": []}
    held = []
    for word in words:
        if word.isdigit():
            command = 'LIST "" '
            reply = ask(*held[-1][:2], command + "x" * (int(word) - len(f"a {command}\r\n")))
            found["commands"].append(reply and reply.split()[0])
            continue
        held.append(connect(address, int(port)))
        found["greetings"].append(held[-1][2])
        reply = ask(*held[-1][:2], f"LOGIN {word} secret") if held[-1][2] else None
        found["logins"].append(reply and " ".join(reply.split()[:2]).partition(" [CAP")[0])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
