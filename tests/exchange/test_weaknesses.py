# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ExchangeDsc's resource ExchImapSettings (2.0.0) gets wrong or leaves out, each shown absent here.

Each test names the weakness, as read in its source, in its documentation string.
"""

from __future__ import annotations

import pytest
from world import TIMEOUTS, exchange, ran, restart, way_in

from ansible_collections.mailops.imap.plugins.module_utils import _contract
from ansible_collections.mailops.imap.plugins.plugin_utils import _validation
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _route
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange._session import ExchangeError


def converge(server, check_mode=False, **options):
    values, violations = _contract.desired(options, "console")
    assert violations == []
    return _route.converge(way_in(server), values, check_mode=check_mode)


@pytest.mark.parametrize("written", ["2MB", "2 MB", 2097152, "2097152"])
def test_a_quota_is_compared_as_bytes(written):
    """It compares LogPerFileSizeQuota as text, so 2MB and "2 MB (2,097,152 bytes)" never agree: drift for ever."""
    with exchange() as server:
        server.settings["LogPerFileSizeQuota"] = 2097152
        assert converge(server, log_per_file_size_quota=written)["changed"] is False


def test_only_what_differs_is_set():
    """It sets every property of the resource again as soon as one of them differs."""
    with exchange() as server:
        converge(
            server,
            max_connections_per_user=8,
            banner="The Microsoft Exchange IMAP4 service is ready.",
            login_type="SecureLogin",
        )
        assert ran(server, "Set-ImapSettings") == [{"Server": "EX01", "MaxConnectionsPerUser": 8}]


@pytest.mark.parametrize("written", [None, []])
def test_connection_settings_are_cleared(written):
    """It cannot clear ExternalConnectionSettings: the empty text is refused, and $null cannot be written."""
    with exchange() as server:
        server.settings["ExternalConnectionSettings"] = ["mail.example.com:993:SSL"]
        assert converge(server, external_connection_settings=written)["changed"]
        assert server.settings["ExternalConnectionSettings"] == []


def test_a_restart_that_was_forgotten_is_remembered():
    """It reports the desired state from the directory although the service still runs with the old values."""
    with exchange() as server:
        converge(server, **TIMEOUTS)
        result = converge(server, **TIMEOUTS)
        assert result["changed"] and result["restart_required"]
        assert {entry["drift"] for entry in result["settings"].values()} == {"restart_pending"}


def test_services_that_do_not_run_are_not_started():
    """It restarts MSExchangeIMAP4* whatever the services' state, which starts those that were stopped on purpose."""
    with exchange(services={"MSExchangeIMAP4BE": "Stopped"}) as server:
        restart(server, converge(server, **TIMEOUTS)["services"])
        assert server.services["MSExchangeIMAP4BE"].status == "Stopped"


def test_a_service_that_does_not_listen_after_its_restart_is_told():
    """It restarts the services and is content, although they run for a while before they listen, or never do."""
    with exchange() as server:
        server.faults.imap_refused = True
        with pytest.raises(ExchangeError, match="came back, but 127.0.0.1 port .* did not accept the connection"):
            restart(server, converge(server, **TIMEOUTS)["services"], max_wait=0.3)


def test_a_banner_is_compared_letter_by_letter():
    """It compares every text without case, so a banner whose case is wrong stays as it is."""
    with exchange() as server:
        server.settings["Banner"] = "at your service."
        assert converge(server, banner="At your service.")["changed"]
        assert server.settings["Banner"] == "At your service."


def test_an_entry_that_is_there_twice_does_not_stand_for_another():
    """It compares how many entries two lists have, and whether each wanted one is there: [a, a] is [a, b] to it."""
    with exchange() as server:
        server.settings["SSLBindings"] = ["192.0.2.1:993", "192.0.2.2:993"]
        assert converge(server, check_mode=True, ssl_bindings=["192.0.2.1:993", "192.0.2.1:993"])["changed"]


def test_nothing_is_restarted_where_nothing_is_off():
    """It restarts after every run of its Set function."""
    with exchange() as server:
        assert converge(server, authenticated_connection_timeout=1800)["services"] == []


def test_it_runs_anywhere():
    """It must run on an Exchange server of version 15, whose tools and types it loads."""
    for version in ("2007", "2010", "SE"):
        with exchange(version) as server:
            assert converge(server, **TIMEOUTS)["changed"]


def test_ranges_are_checked_before_any_server_is_asked():
    """It checks no range; a value that cannot be is first refused by the cmdlet."""
    refusal = _validation.refusal(
        {"authenticated_connection_timeout": 18001, "pre_authenticated_connection_timeout": 0}
    )
    assert "is 18001, but must be 1 to 18000 seconds" in refusal and "is 0, but must be 1 to 200 seconds" in refusal


@pytest.mark.parametrize("written", ["30", 30, "30s", "00:00:30"])
def test_a_bare_number_is_seconds(written):
    """It hands time-outs on as they are written, and .NET takes "30" for 30 days."""
    with exchange("2010") as server:
        converge(server, authenticated_connection_timeout=written)
        assert server.settings["AuthenticatedConnectionTimeout"] == 30


def test_a_text_that_is_no_time_is_refused_in_a_sentence():
    """Its comparison throws an exception of .NET's parser at such a text."""
    refusal = _validation.refusal({"authenticated_connection_timeout": "half an hour"})
    assert 'authenticated_connection_timeout is "half an hour", but must be' in refusal


@pytest.mark.parametrize("written", [1800, "30m", "0h30m", "00:30:00"])
def test_times_are_compared_as_times(written):
    """Without Exchange's own types on the machine it cannot compare time-outs."""
    with exchange() as server:
        assert converge(server, authenticated_connection_timeout=written)["changed"] is False


def test_drift_is_returned_and_not_only_told_to_those_who_ask_for_verbose_output():
    """It writes differences to the verbose stream only."""
    with exchange() as server:
        (entry,) = converge(server, check_mode=True, max_connections_per_user=8)["drift"]
        assert (entry["setting"], entry["desired"], entry["configured"]) == ("max_connections_per_user", 8, 16)


def test_check_mode_shows_before_and_after():
    """It has no difference to show before it acts."""
    with exchange() as server:
        diff = converge(server, check_mode=True, max_connections_per_user=8)["diff"]
        assert diff["before"]["max_connections_per_user"]["configured"] == 16
        assert diff["after"]["max_connections_per_user"]["configured"] == 8
        assert server.settings["MaxConnectionsPerUser"] == 16


def test_the_servers_own_words_about_a_value_come_through():
    """An error that does not end the pipeline is no failure to it."""
    with exchange() as server:
        with pytest.raises(ExchangeError, match='The value "00:00:20" of property "PreAuthenticatedConnectionTimeout"'):
            converge(server, pre_authenticated_connection_timeout=20)


def test_what_the_server_did_not_keep_is_told():
    """It does not read again what it has set."""
    with exchange() as server:
        server.organization.local.write = lambda changes: None
        with pytest.raises(ExchangeError, match="max_connections_per_user of 8 was accepted, but is 16 afterwards"):
            converge(server, max_connections_per_user=8)
