# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client logs on, reads, writes and restarts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from exchange_simulator import simulator
from exchange_simulator.client import connected, errors, properties, settings, warnings
from pypsrp.encryption import WinRMEncryption


@pytest.mark.parametrize("auth", ["ntlm", "negotiate"])
def test_ntlm_reads_settings_in_encrypted_messages(auth):
    with simulator() as exchange:
        assert settings(exchange, auth=auth)["AuthenticatedConnectionTimeout"] == "00:30:00"
        assert exchange.logins == ["NTLM administrator"]


@pytest.mark.parametrize(
    "configuration, mark",
    [("Microsoft.Exchange", b"-- Encrypted Boundary\r\n"), ("Microsoft.PowerShell", b"--Encrypted Boundary\r\n")],
)
def test_exchange_puts_a_blank_before_the_boundaries_of_encrypted_messages(configuration, mark, monkeypatch):
    bodies = []
    unwrap = WinRMEncryption.unwrap_message
    monkeypatch.setattr(
        WinRMEncryption,
        "unwrap_message",
        lambda self, body, boundary: bodies.append(body) or unwrap(self, body, boundary),
    )
    with simulator() as exchange, connected(exchange, configuration):
        assert bodies and all(body.startswith(mark) and b"Envelope" not in body for body in bodies)


def test_basic_reads_settings_over_tls():
    with simulator(tls=True) as exchange:
        assert settings(exchange, auth="basic")["PreAuthenticatedConnectionTimeout"] == "00:01:00"
        assert exchange.logins == ["Basic administrator"]


def test_a_change_is_kept_and_warns_of_the_restart():
    with simulator() as exchange, connected(exchange) as client:
        shell = client.run("Set-ImapSettings", Server="EX01", AuthenticatedConnectionTimeout="00:45:30")
        assert not shell.had_errors and not errors(shell)
        assert warnings(shell) == [
            "Changes to IMAP4 settings will only take effect after all Microsoft Exchange IMAP4 services are "
            "restarted on server EX01."
        ]
        assert exchange.settings["AuthenticatedConnectionTimeout"] == 2730


def test_services_are_restarted_through_windows_powershell():
    with simulator() as exchange, connected(exchange, "Microsoft.PowerShell") as client:
        before = {service.name: service.process_id for service in exchange.services.values()}
        assert not errors(client.run("Restart-Service", Name=["MSExchangeIMAP4", "MSExchangeIMAP4BE"]))
        (item, _rest) = client.run("Get-Service", Name="MSExchangeIMAP4*").output
        assert str(properties(item)["Status"]) == "Running"
        assert all(service.process_id != before[service.name] for service in exchange.services.values())
        assert [service.starts for service in exchange.services.values()] == [1, 1]


def test_a_pool_that_is_closed_is_counted_no_more():
    with simulator() as exchange:
        with connected(exchange):
            assert exchange.open_shells == 1
        assert (exchange.open_shells, exchange.shells_created) == (0, 1)


def test_the_command_line_runs_one_server_until_it_is_interrupted():
    command = [sys.executable, "-m", "exchange_simulator", "--version", "2016", "--other", "EX02", "--tls"]
    folder = Path(__file__).resolve().parents[1]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            told = json.loads(process.stdout.readline())
            exchange = SimpleNamespace(**told, tls=True, authority_file=told["authority"])
            with connected(exchange, auth="basic") as client:
                names = [properties(item)["Name"] for item in client.run("Get-ExchangeServer").output]
            assert names == ["EX01", "EX02"]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert not Path(told["authority"]).exists()
