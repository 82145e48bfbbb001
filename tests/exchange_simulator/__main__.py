# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run one simulated server until it is interrupted: `python -m exchange_simulator --help` in the folder tests/."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys

from . import FORMS, VERSIONS, simulator


def main():
    parser = argparse.ArgumentParser(prog="exchange_simulator", description=__doc__)
    parser.add_argument("--version", choices=list(VERSIONS), default="2019")
    parser.add_argument("--name", default="EX01", help="name of the server")
    parser.add_argument("--other", action="append", default=[], help="name of a further server of the organisation")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; a free one, if left out")
    parser.add_argument("--form", choices=FORMS, default="string", help="how values are sent")
    parser.add_argument("--tls", action="store_true", help="https, with a certificate of the simulator's own authority")
    parser.add_argument("--plain", action="store_true", help="take messages without encryption over http")
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with simulator(
        arguments.version,
        name=arguments.name,
        others=arguments.other,
        port=arguments.port,
        form=arguments.form,
        tls=arguments.tls,
        allow_unencrypted=arguments.plain,
    ) as exchange:
        print(
            json.dumps(
                {
                    "url": exchange.url,
                    "host": exchange.host,
                    "port": exchange.port,
                    "imap_port": exchange.imap_port,
                    "user": exchange.user,
                    "password": exchange.password,
                    "authority": exchange.authority_file,
                }
            ),
            flush=True,
        )
        with contextlib.suppress(EOFError):
            signal.pause()


if __name__ == "__main__":
    main()
