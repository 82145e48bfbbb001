# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The port that greets IMAP clients goes with the service that stands behind it."""

from __future__ import annotations

import socket
import time

import pytest
from exchange_simulator import simulator
from exchange_simulator.client import connected


def said(exchange, *commands, patience=5):
    """What the port says, of bytes: its greeting, and its answers to commands."""
    with socket.create_connection((exchange.host, exchange.imap_port), patience) as client, client.makefile("rb") as lines:
        greeting = lines.readline()
        for command in commands:
            client.sendall(command)
        client.shutdown(socket.SHUT_WR)
        return greeting, lines.read()


def restart(exchange, verb="Restart"):
    with connected(exchange, "Microsoft.PowerShell") as client:
        client.run(f"{verb}-Service", Name="MSExchangeIMAP4")


def test_it_greets_with_the_banner_of_its_server():
    with simulator(services={"MSExchangeIMAP4BE": None}) as exchange:
        exchange.settings["Banner"] = "At your service."
        assert said(exchange)[0] == b"* OK At your service.\r\n"


def test_it_tells_what_it_can_do_and_takes_its_leave():
    with simulator() as exchange:
        _greeting, answers = said(exchange, b"a CAPABILITY\r\n", b"b LOGIN x y\r\n", b"c LOGOUT\r\n")
        assert answers.startswith(b"* CAPABILITY IMAP4 IMAP4rev1 ") and b"\r\nB BAD LOGIN" in answers
        assert answers.endswith(b"C OK LOGOUT completed.\r\n")


@pytest.mark.parametrize("state", ["Stopped", None])
def test_it_refuses_connections_where_the_service_does_not_run(state):
    with simulator(services={"MSExchangeIMAP4": state}) as exchange, pytest.raises(ConnectionRefusedError):
        said(exchange)


def test_it_stops_and_starts_with_the_service():
    with simulator() as exchange:
        restart(exchange, "Stop")
        with pytest.raises(ConnectionRefusedError):
            said(exchange)
        restart(exchange, "Start")
        assert said(exchange)[0].startswith(b"* OK ")


def test_it_can_listen_late_after_a_restart():
    with simulator() as exchange:
        exchange.faults.imap_delay = 0.5
        restart(exchange)
        restarted = time.monotonic()
        with pytest.raises(ConnectionRefusedError):
            said(exchange)
        while time.monotonic() < restarted + 5:
            try:
                assert said(exchange)[0].startswith(b"* OK ")
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        else:
            pytest.fail("It does not listen.")
        assert time.monotonic() - restarted >= 0.4


def test_it_can_refuse_connections_after_a_restart():
    with simulator() as exchange:
        exchange.faults.imap_refused = True
        assert said(exchange)[0].startswith(b"* OK ")
        restart(exchange)
        with pytest.raises(ConnectionRefusedError):
            said(exchange)


def test_it_can_say_nothing():
    with simulator() as exchange:
        exchange.faults.imap_silent = True
        with pytest.raises(TimeoutError):
            said(exchange, patience=0.3)
