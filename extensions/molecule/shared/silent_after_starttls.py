# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask for STARTTLS, send nothing more, and print after how many seconds the server closes the connection.

Usage: silent_after_starttls.py ADDRESS PORT
"""

from __future__ import annotations

import socket
import sys
import time

PATIENCE = 60

with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=PATIENCE) as connection:
    began = time.monotonic()
    answers = connection.makefile("rb")
    answers.readline()
    connection.sendall(b"a STARTTLS\r\n")
    if not answers.readline().startswith(b"a OK"):
        sys.exit("The server has no STARTTLS.")
    answers.read()
    print(time.monotonic() - began)
