# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure how long a POP3 server lets an idle connection live, before and after the login.

Usage: pop3.py ADDRESS PORT USER PASSWORD. Prints a JSON list of two numbers of seconds.
"""

from __future__ import annotations

import json
import socket
import sys
import time


def lifetime(address: str, port: int, *commands: str) -> float:
    """Send the commands, and return how long the connection lives after the last answer."""
    with socket.create_connection((address, port), timeout=30) as opened:
        stream = opened.makefile("rb")
        assert stream.readline().startswith(b"+OK")
        for command in commands:
            opened.sendall(command.encode() + b"\r\n")
            assert stream.readline().startswith(b"+OK")
        start = time.monotonic()
        assert stream.read() == b""
        return time.monotonic() - start


def main() -> None:
    address, port, user, password = sys.argv[1:]
    before = lifetime(address, int(port))
    after = lifetime(address, int(port), f"USER {user}", f"PASS {password}")
    print(json.dumps([before, after]))


if __name__ == "__main__":
    main()
