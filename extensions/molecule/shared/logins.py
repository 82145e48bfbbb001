# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Open connections one after the other, log in on each, hold them all, and print what the server let in.

Usage: logins.py ADDRESS PORT NUMBER [USER:PASSWORD ...]

Users take turns; without users nobody logs in. Prints a JSON object: ``greeted`` and ``logged_in`` are the numbers of
connections, ``refused`` the replies to the logins that failed.
"""

from __future__ import annotations

import json
import socket
import sys

PATIENCE = 3


def connection(address: str, port: int) -> socket.socket | None:
    """Return a connection that was greeted, or None."""
    opened = socket.create_connection((address, port), timeout=PATIENCE)
    try:
        if opened.makefile("rb").readline().startswith(b"* OK"):
            return opened
    except OSError:
        pass
    return None


def login(opened: socket.socket, name: str, password: str) -> str:
    """Log in and return the server's reply."""
    opened.sendall(f"a LOGIN {name} {password}\r\n".encode())
    for line in opened.makefile("rb"):
        if line.startswith(b"a "):
            return line.decode("ascii", "replace").strip()
    return "no reply"


def main() -> None:
    address, port, number, *users = sys.argv[1:]
    found = {"greeted": 0, "logged_in": 0, "refused": []}
    held = []
    for position in range(int(number)):
        opened = connection(address, int(port))
        if opened is None:
            continue
        held.append(opened)
        found["greeted"] += 1
        if users:
            reply = login(opened, *users[position % len(users)].split(":"))
            if reply.startswith("a OK"):
                found["logged_in"] += 1
            else:
                found["refused"].append(reply)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
