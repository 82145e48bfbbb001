# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults on demand, as a client meets them."""

from __future__ import annotations

import time

import pytest
import requests
from exchange_simulator import Access, simulator
from exchange_simulator.client import connected, connection, errors, settings, warnings
from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool


@pytest.mark.parametrize("auth", ["ntlm", "basic"])
def test_a_wrong_password_is_refused(auth):
    with simulator(tls=auth == "basic") as exchange:
        with pytest.raises(AuthenticationError):
            settings(exchange, auth=auth, password="guessed")
        assert exchange.shells_created == 0


@pytest.mark.parametrize("name", ["administrator", "EXAMPLE\\administrator", "administrator@example.test"])
def test_a_user_may_be_named_in_three_ways(name):
    with simulator() as exchange:
        assert settings(exchange, username=name)


def test_basic_is_refused_in_clear():
    with simulator() as exchange, pytest.raises(AuthenticationError):
        settings(exchange, auth="basic")


def test_basic_in_clear_is_taken_where_that_is_allowed():
    with simulator(allow_unencrypted=True) as exchange:
        assert settings(exchange, auth="basic")


def test_ntlm_without_encryption_is_refused_in_clear():
    with simulator() as exchange, pytest.raises(WinRMTransportError) as caught:
        settings(exchange, encryption="never")
    assert caught.value.code == 500


def test_ntlm_over_tls_needs_no_encryption_of_its_own():
    with simulator(tls=True) as exchange:
        assert settings(exchange, auth="ntlm")


def test_a_mechanism_that_is_not_offered_is_refused():
    with simulator(tls=True, mechanisms=("Negotiate",)) as exchange, pytest.raises(AuthenticationError):
        settings(exchange, auth="basic")


def test_extended_protection_wants_the_login_bound_to_the_channel():
    with simulator(tls=True, extended_protection=True) as exchange:
        assert settings(exchange, auth="ntlm")
        with pytest.raises(AuthenticationError):
            settings(exchange, auth="ntlm", negotiate_send_cbt=False)


def test_an_expired_certificate_is_seen():
    with simulator(tls=True, expired=True) as exchange, pytest.raises(requests.exceptions.SSLError, match="expired"):
        settings(exchange, auth="basic")


def test_a_certificate_of_an_unknown_authority_is_seen():
    with simulator(tls=True) as exchange, pytest.raises(requests.exceptions.SSLError, match="verify failed"):
        settings(exchange, auth="basic", cert_validation=True)


def test_another_path_is_not_found():
    with simulator() as exchange, pytest.raises(WinRMTransportError) as caught:
        settings(exchange, path="owa")
    assert caught.value.code == 404


def test_2007_has_no_remote_powershell_of_its_own():
    with simulator("2007") as exchange, pytest.raises(WinRMTransportError) as caught:
        settings(exchange)
    assert caught.value.code == 404


@pytest.mark.parametrize(
    "path, configuration",
    [("PowerShell", "Microsoft.PowerShell"), ("wsman", "Microsoft.Exchange"), ("PowerShell", "Another")],
)
def test_an_unknown_configuration_is_a_fault(path, configuration):
    with simulator() as exchange, pytest.raises(WSManFaultError) as caught:
        settings(exchange, configuration=configuration, path=path)
    assert caught.value.code == 2150858811
    assert configuration in str(caught.value)


@pytest.mark.parametrize(
    "access, configuration",
    [(Access(remote_shell=False), "Microsoft.Exchange"), (Access(administrator=False), "Microsoft.PowerShell")],
)
def test_a_user_without_access_is_denied(access, configuration):
    with simulator(access=access) as exchange, pytest.raises(WSManFaultError) as caught:
        settings(exchange, configuration=configuration)
    assert caught.value.code == 5


def test_a_session_beyond_the_limit_is_a_fault_that_names_it():
    with simulator() as exchange:
        exchange.faults.maximum_shells = 1
        with connected(exchange), pytest.raises(WSManFaultError) as caught, connected(exchange):
            pass
        assert "maximum number of 1 concurrent shells, which has been exceeded" in str(caught.value)
        assert settings(exchange)  # the first one is closed


def test_a_spent_budget_is_a_fault_of_the_command():
    with simulator() as exchange, connected(exchange) as client:
        exchange.faults.load_quota = 1
        assert client.run("Get-ImapSettings").output
        with pytest.raises(WSManFaultError, match="The user load quota of"):
            client.run("Get-ImapSettings")


def test_throttling_is_a_warning():
    with simulator() as exchange, connected(exchange) as client:
        exchange.faults.micro_delay = 1500
        assert warnings(client.run("Get-ImapSettings"))[0].startswith("Micro delay applied. Actual delayed: 1500 msecs")


def test_an_error_can_stand_in_the_stream_while_the_pipeline_has_none():
    with simulator() as exchange, connected(exchange) as client:
        exchange.faults.errors["Set-ImapSettings"] = "The directory is read-only."
        shell = client.run("Set-ImapSettings", MaxConnections=5)
        assert shell.had_errors is False
        assert errors(shell) == ["The directory is read-only."]
        assert exchange.settings["MaxConnections"] == 2147483647


def test_a_service_that_does_not_start_again_stays_stopped():
    with simulator() as exchange, connected(exchange, "Microsoft.PowerShell") as client:
        exchange.faults.restart_fails = ("MSExchangeIMAP4BE",)
        (message,) = errors(client.run("Restart-Service", Name="MSExchangeIMAP4*"))
        assert "Failed to start service 'Microsoft Exchange IMAP4 Backend (MSExchangeIMAP4BE)'" in message
        assert exchange.services["MSExchangeIMAP4BE"].status == "Stopped"


@pytest.mark.parametrize("auth, works", [("ntlm", False), ("basic", True)])
def test_a_snap_in_does_not_reach_the_directory_over_a_second_hop(auth, works):
    with simulator("2007-sp1", tls=True) as exchange, connected(exchange, "Microsoft.PowerShell", auth=auth) as client:
        exchange.faults.no_second_hop = True
        client.run("Add-PSSnapin", Name=exchange.version.snapin)
        shell = client.run("Get-ImapSettings")
        assert bool(shell.output) is works
        assert shell.had_errors is not works


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_a_connection_can_be_cut_before_any_message(count):
    with simulator(tls=True) as exchange:
        exchange.faults.drop_after = count
        with pytest.raises(requests.exceptions.ConnectionError):
            settings(exchange, auth="basic")
        assert len(exchange.actions) == count


def test_a_message_that_was_encrypted_for_a_cut_connection_is_refused():
    with simulator() as exchange, connection(exchange) as wsman:
        pool = RunspacePool(wsman, configuration_name="Microsoft.Exchange")
        pool.open()
        exchange.faults.drop_after, exchange.faults.drops = 0, 1
        with pytest.raises(requests.exceptions.ConnectionError):
            PowerShell(pool).add_cmdlet("Get-ImapSettings").invoke()
        with pytest.raises(WinRMTransportError) as caught:
            pool.close()
        assert caught.value.code == 400
        assert exchange.open_shells == 1


def test_a_change_can_be_carried_out_although_its_answer_is_lost():
    with simulator(tls=True) as exchange, connected(exchange, auth="basic") as client:
        exchange.faults.drop_after, exchange.faults.drops, exchange.faults.drop_before = 0, 1, False
        with pytest.raises(requests.exceptions.ConnectionError):
            client.run("Set-ImapSettings", MaxConnections=5)
        deadline = time.monotonic() + 5
        while exchange.settings["MaxConnections"] != 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert exchange.settings["MaxConnections"] == 5


def test_a_client_can_close_its_pool_after_one_cut():
    with simulator(tls=True) as exchange, connection(exchange, auth="basic") as wsman:
        pool = RunspacePool(wsman, configuration_name="Microsoft.Exchange")
        pool.open()
        exchange.faults.drop_after, exchange.faults.drops = 0, 1
        with pytest.raises(requests.exceptions.ConnectionError):
            PowerShell(pool).add_cmdlet("Get-ImapSettings").invoke()
        assert exchange.open_shells == 1
        pool.close()
        assert exchange.open_shells == 0


def test_a_slow_answer_runs_into_the_client_s_time_out():
    with simulator() as exchange:
        exchange.faults.delay = 3
        with pytest.raises(requests.exceptions.ReadTimeout):
            settings(exchange, read_timeout=1)


def test_a_slow_cmdlet_is_polled_for_until_it_is_done():
    with simulator() as exchange:
        exchange.faults.cmdlet_delay = 2.2
        assert settings(exchange, operation_timeout=1)
        assert exchange.actions.count("Receive") >= 4


def test_a_slow_cmdlet_can_be_stopped():
    with simulator() as exchange, connected(exchange) as client:
        exchange.faults.cmdlet_delay = 0.5
        shell = PowerShell(client.pool)
        shell.add_cmdlet("Set-ImapSettings").add_parameter("MaxConnections", 5)
        shell.begin_invoke()
        shell.stop()
        time.sleep(1)
        assert exchange.settings["MaxConnections"] == 2147483647


@pytest.mark.parametrize("garbage", [b"\x00\xff garbage", b"<html><body>Sign in</body></html>", b"<a", b""])
def test_an_answer_can_be_garbage(garbage):
    with simulator() as exchange:
        exchange.faults.garbage = garbage
        with pytest.raises(Exception) as caught:
            settings(exchange)
        assert not isinstance(caught.value, (AuthenticationError, requests.exceptions.ConnectionError))


def test_a_server_can_be_busy():
    with simulator() as exchange, pytest.raises(WinRMTransportError) as caught:
        exchange.faults.status = 503
        settings(exchange)
    assert caught.value.code == 503


def test_a_shell_of_another_user_is_unknown():
    with simulator(users={"one": "Secret-1", "two": "Secret-2"}) as exchange, connected(exchange) as client:
        with (
            connection(exchange, username="two", password="Secret-2") as wsman,
            pytest.raises(WSManFaultError) as caught,
        ):
            client.pool.shell.wsman = wsman
            client.run("Get-ImapSettings")
        assert caught.value.code == 2150858843
        client.pool.shell.wsman = client.pool.connection
