# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
import yaml

from ansible_collections.mailops.imap.plugins.modules import imap_settings, imap_settings_info
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _parameters, _route, _services
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange._clixml import Bag
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange._session import ExchangeError, Refused
from ansible_collections.mailops.imap.tests.unit.plugins.plugin_utils.fake_exchange import (
    AFTER,
    BEFORE,
    CHANGED,
    FakeExchange,
)

IN_SYNC = {"authenticated_connection_timeout": 1800, "pre_authenticated_connection_timeout": 60}


@pytest.fixture(name="slept", autouse=True)
def fixture_slept(monkeypatch):
    """The seconds that were waited, without waiting."""
    slept = []
    monkeypatch.setattr(_services, "time", SimpleNamespace(sleep=slept.append))
    return slept


def behind_a_load_balancer(exchange):
    access = exchange.access()
    return access._replace(windows=replace(access.windows, host="mail.example.com"))


# converging


def test_what_is_in_sync_is_left_alone():
    exchange = FakeExchange()
    result = _route.converge(exchange.access(), IN_SYNC)
    assert (result["changed"], result["drift"], result["restart_required"]) == (False, [], False)
    assert result["services"] == [] and exchange.did("Set-ImapSettings") == []
    assert result["settings"]["authenticated_connection_timeout"] == {
        "desired": 1800, "configured": 1800, "effective": 1800, "running": 1800, "in_sync": True, "drift": None,
        "cause": None, "reason": None, "file": None, "line": None,
    }  # fmt: skip


def test_only_the_difference_is_set_by_server_in_one_call():
    exchange = FakeExchange()
    desired = {**IN_SYNC, "pre_authenticated_connection_timeout": 90, "max_connections_per_user": 8, "login_type": "SecureLogin"}
    result = _route.converge(exchange.access(), desired)
    assert exchange.did("Set-ImapSettings") == [
        {"Server": "EX01", "PreAuthenticatedConnectionTimeout": "00:01:30", "MaxConnectionsPerUser": 8}
    ]
    assert result["changed"] and [entry["setting"] for entry in result["drift"]] == [
        "pre_authenticated_connection_timeout", "max_connections_per_user",
    ]  # fmt: skip
    assert result["restart_required"] and result["services"] == ["MSExchangeIMAP4", "MSExchangeIMAP4BE"]
    assert result["warnings"] == ["Restart the services."]


def test_the_result_says_what_was_found_and_the_diff_what_comes_of_it():
    result = _route.converge(FakeExchange().access(), {"pre_authenticated_connection_timeout": 90})
    entry = result["settings"]["pre_authenticated_connection_timeout"]
    assert (entry["configured"], entry["running"], entry["drift"], entry["reason"]) == (60, 60, "value", "EX01 has 60")
    assert result["diff"]["before"]["pre_authenticated_connection_timeout"]["configured"] == 60
    assert result["diff"]["after"]["pre_authenticated_connection_timeout"] == {
        "configured": 90, "effective": 90, "running": 90,
    }  # fmt: skip
    assert result["changes"] == [
        {
            "server_type": "exchange",
            "file": None,
            "line": None,
            "before": "PreAuthenticatedConnectionTimeout: 00:01:00",
            "after": "PreAuthenticatedConnectionTimeout: 00:01:30",
        }
    ]


def test_check_mode_says_the_same_and_sets_nothing():
    desired = {"pre_authenticated_connection_timeout": 90, "external_connection_settings": []}
    checked = FakeExchange()
    predicted = _route.converge(checked.access(), desired, check_mode=True)
    assert checked.did("Set-ImapSettings") == []
    done = _route.converge(FakeExchange().access(), desired)
    done["warnings"].remove("Restart the services.")
    assert predicted == done


def test_null_clears_a_list():
    exchange = FakeExchange()
    _route.converge(exchange.access(), {"external_connection_settings": []})
    assert exchange.did("Set-ImapSettings") == [{"Server": "EX01", "ExternalConnectionSettings": None}]
    assert not _route.converge(exchange.access(), {"external_connection_settings": []})["drift"]


def test_a_value_that_the_server_takes_and_does_not_keep_fails():
    exchange = FakeExchange()
    exchange.ignores = ("MaxConnectionsPerUser",)
    with pytest.raises(ExchangeError) as failure:
        _route.converge(exchange.access(), {"max_connections_per_user": 8})
    assert failure.value.changed and str(failure.value) == (
        "EX01 does not obey: max_connections_per_user of 8 was accepted, but is 16 afterwards; it warned: Restart the services."
    )


def test_what_a_version_lacks_is_refused_by_name_before_anything_is_set():
    exchange = FakeExchange(version="Version 8.1 (Build 240.6)")
    desired = {"log_file_location": "C:\\Logs", "suppress_read_receipt": True, "max_connections": 5}
    with pytest.raises(_route.NotEnforceable) as refused:
        _route.converge(exchange.access(), desired)
    assert "log_file_location cannot be set on Exchange 2007 SP1" in str(refused.value)
    assert "suppress_read_receipt cannot be set on Exchange 2007 SP1" in str(refused.value)
    assert exchange.did("Set-ImapSettings") == [] and refused.value.result["changed"] is False
    assert refused.value.result["settings"]["log_file_location"]["drift"] == "unenforceable"


def test_what_a_version_lacks_can_be_reported_while_the_rest_is_set():
    exchange = FakeExchange(version="Version 8.1 (Build 240.6)")
    result = _route.converge(exchange.access(), {"suppress_read_receipt": True, "max_connections": 5}, keep_going=True)
    assert exchange.did("Set-ImapSettings") == [{"Server": "EX01", "MaxConnections": 5}]
    assert any("suppress_read_receipt cannot be set" in warning for warning in result["warnings"])
    assert result["settings"]["suppress_read_receipt"]["in_sync"] is False


def test_a_value_outside_of_the_documents_brings_a_warning_and_is_sent_all_the_same():
    exchange = FakeExchange()
    result = _route.converge(exchange.access(), {"pre_authenticated_connection_timeout": 20})
    assert exchange.did("Set-ImapSettings") and any("the server has the last word" in text for text in result["warnings"])


def test_the_servers_own_words_come_through():
    exchange = FakeExchange()
    exchange.fails["Set-ImapSettings"] = "The value \"00:00:20\" isn't valid."
    with pytest.raises(ExchangeError, match="The value \"00:00:20\" isn't valid.") as failure:
        _route.converge(exchange.access(), {"pre_authenticated_connection_timeout": 20})
    assert exchange.open == 0 and failure.value.changed is False


def test_an_error_beside_a_change_does_not_hide_the_change():
    exchange = FakeExchange()
    invoke = exchange.invoke

    def failing(cmdlet, **parameters):
        answer = invoke(cmdlet, **parameters)
        if cmdlet == "Set-ImapSettings":
            raise Refused('Set-ImapSettings was refused: "The event log is full."')
        return answer

    exchange.invoke = failing
    with pytest.raises(ExchangeError) as failure:
        _route.converge(exchange.access(), {"max_connections": 5})
    assert failure.value.changed and str(failure.value) == (
        'max_connections of EX01 changed although Set-ImapSettings was refused: "The event log is full."'
    )


def lost_after(exchange, cmdlet, count=1):
    """Lose the session after ``count`` calls of ``cmdlet``, which still does what it does."""
    invoke = exchange.invoke

    def losing(name, **parameters):
        answer = invoke(name, **parameters)
        if name == cmdlet and len(exchange.did(cmdlet)) >= count:
            raise ExchangeError("The session was lost.")
        return answer

    exchange.invoke = losing


@pytest.mark.parametrize(
    "cmdlet, count, changed, words",
    [
        ("Get-ImapSettings", 1, False, "^The session was lost.$"),
        ("Get-WmiObject", 1, False, "^The IMAP4 services of EX01 cannot be looked at, so nothing was set; mend that, or set "
         "look_at_services to false in the option exchange, .*: The session was lost.$"),
        ("Set-ImapSettings", 1, True, "^It is not known whether the settings of EX01 were set, which the next run finds out: "),
        ("Get-ImapSettings", 2, True, "^The settings of EX01 were set, but cannot be read again, which the next run does: "),
    ],
)  # fmt: skip
def test_a_session_that_is_lost_tells_whether_something_may_have_been_changed(cmdlet, count, changed, words):
    exchange = FakeExchange()
    lost_after(exchange, cmdlet, count)
    with pytest.raises(ExchangeError, match=words) as failure:
        _route.converge(exchange.access(), {"max_connections": 5})
    assert failure.value.changed is changed and bool(exchange.did("Set-ImapSettings")) is changed and exchange.open == 0


@pytest.mark.parametrize(
    "cmdlet, count, changed, words",
    [
        ("Get-WmiObject", 1, False, "^The session was lost.$"),
        ("Restart-Service", 1, True, "^It is not known whether MSExchangeIMAP4 was restarted: The session was lost.$"),
        ("Restart-Service", 2, True, "whether MSExchangeIMAP4BE was restarted, but MSExchangeIMAP4 was restarted: The"),
        ("Get-WmiObject", 3, True, "^MSExchangeIMAP4 and MSExchangeIMAP4BE restarted, but cannot be looked at: The session"),
    ],
)
def test_a_session_that_is_lost_at_a_restart_tells_what_was_done(cmdlet, count, changed, words):
    exchange = FakeExchange()
    lost_after(exchange, cmdlet, count)
    with pytest.raises(ExchangeError, match=words) as failure:
        _route.restart(exchange.access(), ["MSExchangeIMAP4", "MSExchangeIMAP4BE"])
    assert failure.value.changed is changed


# what is not understood


def test_what_is_not_understood_stops_only_who_asks_for_it():
    exchange = FakeExchange(LogPerFileSizeQuota="viel", LoginType="Sicher")
    exchange.hides = ("MaxConnections",)
    assert _route.converge(exchange.access(), {"banner": "Ready."})["changed"]
    with pytest.raises(ExchangeError) as failure:
        _route.converge(exchange.access(), {"banner": "x", "max_connections": 5, "log_per_file_size_quota": 5})
    assert str(failure.value) == (
        "Nothing was changed: what Get-ImapSettings says is not understood: it has no MaxConnections; LogPerFileSizeQuota: "
        "'viel' is no size; leave out max_connections and log_per_file_size_quota for EX01."
    )
    assert len(exchange.did("Set-ImapSettings")) == 1


def test_looking_leaves_out_what_is_not_understood_and_says_so():
    exchange = FakeExchange(LogPerFileSizeQuota="viel")
    exchange.hides = ("MaxConnections",)
    result = _route.look(exchange.access())
    assert len(result["settings"]) == 25
    assert result["warnings"] == [
        "max_connections and log_per_file_size_quota of EX01 are left out, because what Get-ImapSettings says is not "
        "understood: it has no MaxConnections; LogPerFileSizeQuota: 'viel' is no size."
    ]


@pytest.mark.parametrize("wire", [float("inf"), float("nan"), [None], {"a": 1}, b"x", Bag("x", {"Value": Bag(None, {})})])
def test_whatever_a_property_holds_is_never_more_than_not_understood(wire):
    for row in _parameters.PARAMETERS.values():
        exchange = FakeExchange(**{row.parameter: wire})
        assert _route.look(exchange.access())["settings"]
    with pytest.raises(ExchangeError, match="does not say which server it speaks of; name it with the option identity"):
        _route.look(FakeExchange(Server=7).access())


def test_what_is_not_understood_after_it_was_set_is_told_as_that():
    exchange = FakeExchange()
    invoke = exchange.invoke

    def garbling(cmdlet, **parameters):
        answer = invoke(cmdlet, **parameters)
        exchange.settings["MaxConnections"] = "viele"
        return answer

    exchange.invoke = garbling
    exchange.settings["MaxConnections"] = 7
    with pytest.raises(ExchangeError, match="^The settings of EX01 were set, but cannot be read again.* is not understood"):
        _route.converge(exchange.access(), {"max_connections": 5})


def test_a_refusal_after_which_nothing_can_be_read_is_not_told_as_no_change():
    exchange = FakeExchange()
    invoke = exchange.invoke

    def refusing(cmdlet, **parameters):
        if cmdlet == "Set-ImapSettings":
            exchange.fails["Get-ImapSettings"] = "gone"
            raise Refused("Set-ImapSettings was refused: it did not say why.")
        return invoke(cmdlet, **parameters)

    exchange.invoke = refusing
    with pytest.raises(ExchangeError) as failure:
        _route.converge(exchange.access(), {"max_connections": 5})
    assert failure.value.changed and str(failure.value) == (
        "It is not known whether any setting of EX01 was set, which the next run finds out: Set-ImapSettings was refused: "
        "it did not say why."
    )


# which server


@pytest.mark.parametrize(
    "identity",
    [
        "EX02",
        "ex02.example.com",
        "CN=EX02,CN=Servers,CN=Exchange Administrative Group (FYDIBOHF23SPDLT),DC=example,DC=com",
        "/o=First Organization/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Configuration/cn=Servers/cn=EX02",
    ],
)
def test_a_server_that_answers_for_another_is_not_touched(identity):
    exchange = FakeExchange()
    with pytest.raises(ExchangeError, match="was asked for, but EX01 answered, so nothing was changed; set identity to the"):
        _route.converge(exchange.access(), {"max_connections": 5}, identity=identity)
    assert exchange.did("Set-ImapSettings") == []


@pytest.mark.parametrize("identity", ["ex01", "EX01.example.com", "cn=ex01, CN=Servers, DC=example", "/o=x/cn=EX01"])
def test_a_server_that_answers_by_any_of_its_names_is_the_right_one(identity):
    exchange = FakeExchange()
    assert _route.converge(exchange.access(), {"max_connections": 5}, identity=identity)["changed"]


def test_without_identity_the_server_that_answers_is_set_by_its_name():
    exchange = FakeExchange(Server="contoso.com/Configuration/EX01")
    _route.converge(exchange.access(), {"max_connections": 5})
    assert exchange.did("Get-ImapSettings")[0] == {} and exchange.did("Set-ImapSettings")[0]["Server"] == "EX01"


def test_identity_names_the_server():
    exchange = FakeExchange()
    result = _route.converge(exchange.access(), {"max_connections": 5}, identity="ex01.example.com")
    assert exchange.did("Get-ImapSettings")[0] == {"Server": "ex01.example.com"}
    assert result["identity"] == "ex01.example.com"


def test_services_of_another_computer_are_not_taken_for_the_servers():
    exchange = FakeExchange()
    exchange.computer = "EX02"
    with pytest.raises(ExchangeError, match="services of EX01 were asked for, but EX02 answered; set services_host"):
        _route.converge(exchange.access(), IN_SYNC)


def test_services_are_looked_for_under_the_servers_full_name_where_another_computer_answers():
    exchange = FakeExchange()
    exchange.computer = "EX02"
    behind = behind_a_load_balancer(exchange)
    with pytest.raises(ExchangeError, match="EX01 were asked for, but EX02 answered"):
        _route.converge(behind, IN_SYNC)
    assert [place.host for place in exchange.places[1:]] == ["mail.example.com", "ex01.example.com"]


@pytest.mark.parametrize("count", [0, 2])
def test_not_exactly_one_server_is_refused(count):
    exchange = FakeExchange()
    exchange.servers = count
    with pytest.raises(ExchangeError, match=f"Get-ImapSettings -Server EX09 gave {count} objects instead of one"):
        _route.converge(exchange.access(), IN_SYNC, identity="EX09")


# pending restarts


def test_a_service_older_than_the_last_change_is_a_pending_restart():
    exchange = FakeExchange()
    exchange.services["MSExchangeIMAP4BE"] = BEFORE
    result = _route.converge(exchange.access(), IN_SYNC)
    assert result["changed"] and result["restart_required"] and exchange.did("Set-ImapSettings") == []
    assert result["services"] == ["MSExchangeIMAP4", "MSExchangeIMAP4BE"]
    entry = result["settings"]["authenticated_connection_timeout"]
    assert (entry["drift"], entry["running"], entry["in_sync"]) == ("restart_pending", None, False)
    assert entry["reason"].startswith("MSExchangeIMAP4BE started before the IMAP4 settings of EX01 were last changed")


def test_a_service_that_started_within_the_second_of_the_change_is_pending():
    exchange = FakeExchange()
    exchange.services = {"MSExchangeIMAP4": CHANGED + timedelta(milliseconds=900)}
    assert _route.converge(exchange.access(), IN_SYNC)["restart_required"]
    exchange.services = {"MSExchangeIMAP4": CHANGED + timedelta(seconds=1)}
    assert not _route.converge(exchange.access(), IN_SYNC)["restart_required"]


def test_a_stopped_service_is_neither_restarted_nor_pending_and_brings_a_warning():
    exchange = FakeExchange()
    exchange.services = {"MSExchangeIMAP4": AFTER, "MSExchangeIMAP4BE": None}
    result = _route.converge(exchange.access(), {"max_connections": 5})
    assert result["services"] == ["MSExchangeIMAP4"]
    assert any(text.startswith("MSExchangeIMAP4BE on EX01 is not running (Stopped)") for text in result["warnings"])
    exchange.services = {"MSExchangeIMAP4": None}
    result = _route.converge(exchange.access(), {"max_connections": 6})
    assert result["changed"] and not result["restart_required"] and result["services"] == []


def test_a_server_without_the_services_is_named():
    exchange = FakeExchange()
    exchange.services = {}
    result = _route.converge(exchange.access(), IN_SYNC)
    assert any("EX01 has none of the services" in text for text in result["warnings"])


@pytest.mark.parametrize("settings", [{"WhenChangedUTC": None}, {"WhenChangedUTC": None, "WhenChanged": "1/2/2026 12:00"}])
def test_where_the_time_of_the_change_is_not_known_nothing_is_said_to_run(settings):
    result = _route.converge(FakeExchange(**settings).access(), IN_SYNC)
    assert not result["changed"] and result["settings"]["authenticated_connection_timeout"]["running"] is None
    assert any("does not say when its IMAP4 settings were changed" in text for text in result["warnings"])


def test_where_the_start_of_a_service_is_not_known_nothing_is_said_to_run(monkeypatch):
    exchange = FakeExchange()
    monkeypatch.setattr(_services, "instant", lambda wire, utc=False: CHANGED if utc else None)
    result = _route.converge(exchange.access(), IN_SYNC)
    assert result["settings"]["authenticated_connection_timeout"]["running"] is None
    assert any("It cannot be seen when" in text for text in result["warnings"])


@pytest.mark.parametrize(
    "version, services",
    [("Version 14.3 (Build 123.4)", ["MSExchangeIMAP4"]), ("15.2.1118.7", ["MSExchangeIMAP4", "MSExchangeIMAP4BE"])],
)
def test_a_change_where_services_may_not_be_looked_at_requires_that_somebody_restarts_them(version, services):
    exchange = FakeExchange(version=version)
    access = exchange.access(look_at_services=False)
    predicted = _route.converge(access, {"max_connections": 5}, check_mode=True)
    result = _route.converge(access, {"max_connections": 5})
    assert len(exchange.places) == 2 and result["changed"]
    for one in (predicted, result):
        assert (one["restart_required"], one["services"]) == (True, services)
        assert any("were not looked at; they must be restarted by other means" in text for text in one["warnings"])
    entry = result["settings"]["max_connections"]
    assert (entry["running"], result["diff"]["after"]["max_connections"]["running"]) == (None, 5)


def test_a_second_run_where_services_may_not_be_looked_at_says_since_when_a_restart_may_be_pending():
    exchange = FakeExchange()
    result = _route.converge(exchange.access(look_at_services=False), IN_SYNC)
    assert (result["changed"], result["restart_required"], result["services"]) == (False, False, [])
    assert result["settings"]["authenticated_connection_timeout"]["running"] is None
    assert result["warnings"] == [
        "The IMAP4 services of EX01 were not looked at, so it is not known whether they have been restarted since the "
        "settings were last changed, 2026-01-02 12:00:00 UTC."
    ]


@pytest.mark.parametrize(
    "wire, expected",
    [
        ("20260102120000.000000+000", CHANGED),
        ("20260102050000.000000-420", CHANGED),
        ("2026-01-02T12:00:00.1234567Z", CHANGED),
        ("2026-01-02T14:00:00.1234567+02:00", CHANGED),
        ("2026-01-02T12:00:00", None),
        ("", None),
        (None, None),
        ("1/2/2026 12:00:00 PM", None),
        (Bag("1/2/2026 12:00:00 PM", {"DisplayHint": "DateTime"}, "2026-01-02T12:00:00Z"), CHANGED),
        ("20261301120000.000000+000", None),
        ("2026-13-01T12:00:00Z", None),
    ],
)
def test_times_on_the_wire(wire, expected):
    assert _services.instant(wire) == expected


def test_a_time_that_is_utc_by_name_needs_no_zone():
    assert _services.instant("2026-01-02T12:00:00", utc=True) == datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "rows",
    [
        ["text"],
        [Bag(None, {"State": "Running"})],
        [Bag(None, {"Name": "x", "ProcessId": "many"})],
        [Bag(None, {"Name": "x", "ProcessId": 0, "State": "Running"})],
        [Bag(None, {"Name": "MSExchangeIMAP4", "ProcessId": 0})],
        [Bag(None, {"Name": "MSExchangeIMAP4", "ProcessId": 0, "State": "Busy"})],
    ],
)
def test_services_that_are_told_in_another_way_are_a_sentence_and_nothing_is_set(rows):
    exchange = FakeExchange()
    exchange.rows = lambda query: rows
    with pytest.raises(ExchangeError, match="What Windows says of the IMAP4 services is not understood: "):
        _route.converge(exchange.access(), {"max_connections": 5})
    assert exchange.did("Set-ImapSettings") == []


def test_the_name_of_a_service_may_come_in_an_object():
    exchange = FakeExchange()
    rows = exchange.rows

    def wrapped(query):
        return [row._replace(properties={**row.properties, "Name": Bag(None, {}, row.properties["Name"])})
                if "Name" in row.properties else row for row in rows(query)]  # fmt: skip

    exchange.rows = wrapped
    assert _route.converge(exchange.access(), {"max_connections": 5})["services"] == ["MSExchangeIMAP4", "MSExchangeIMAP4BE"]


# looking and restarting


def test_looking_returns_every_setting_of_the_version_and_what_is_documented_for_it():
    result = _route.look(FakeExchange(version="Version 8.0 (Build 685.24)").access())
    assert len(result["settings"]) == 16 and not result["drift"]
    result = _route.look(FakeExchange().access())
    assert len(result["settings"]) == 27
    assert result["settings"]["pre_authenticated_connection_timeout"]["takes"] == {
        "minimum": 30, "maximum": 3600, "reason": "what Microsoft documents for Exchange 2019",
    }  # fmt: skip
    assert result["settings"]["log_per_file_size_quota"]["configured"] == 2097152


def test_what_is_returned_is_what_the_documentation_says():
    looked = _route.look(FakeExchange().access())
    documented = yaml.safe_load(imap_settings_info.RETURN)
    assert set(looked) - {"changed", "warnings"} == set(documented)
    assert set(looked["settings"]["banner"]) | {"members"} == set(documented["settings"]["contains"])
    converged = _route.converge(FakeExchange().access(), {"banner": "Ready"})
    documented = yaml.safe_load(imap_settings.RETURN)
    assert set(converged) - {"changed", "diff", "warnings"} == set(documented)
    assert set(converged["settings"]["banner"]) | {"members"} == set(documented["settings"]["contains"])
    assert set(converged["changes"][0]) == set(documented["changes"]["contains"])


def test_restarting_restarts_what_runs_in_order():
    exchange = FakeExchange()
    result = _route.restart(exchange.access(), ["MSExchangeIMAP4BE", "MSExchangeIMAP4"])
    assert exchange.did("Restart-Service") == [{"Name": "MSExchangeIMAP4"}, {"Name": "MSExchangeIMAP4BE"}]
    assert result == {"changed": True, "services": ["MSExchangeIMAP4", "MSExchangeIMAP4BE"], "warnings": []}


def test_restarting_leaves_alone_what_does_not_run():
    exchange = FakeExchange()
    exchange.services = {"MSExchangeIMAP4": AFTER, "MSExchangeIMAP4BE": None}
    result = _route.restart(exchange.access(), ["MSExchangeIMAP4", "MSExchangeIMAP4BE"])
    assert exchange.did("Restart-Service") == [{"Name": "MSExchangeIMAP4"}]
    assert result["warnings"] == ["MSExchangeIMAP4BE does not run, so it was not restarted."]


def test_restarting_in_check_mode_contacts_nobody():
    exchange = FakeExchange()
    assert _route.restart(exchange.access(), ["MSExchangeIMAP4"], check_mode=True)["changed"] is True
    assert _route.restart(exchange.access(), [])["changed"] is False
    assert exchange.places == []


def test_services_are_known_by_their_names_in_whatever_case():
    exchange = FakeExchange()
    exchange.services = {"MSExchangeImap4": BEFORE, "msexchangeimap4be": AFTER}
    result = _route.converge(exchange.access(), IN_SYNC)
    assert result["restart_required"] and result["services"] == ["MSExchangeIMAP4", "MSExchangeIMAP4BE"]
    assert _route.restart(exchange.access(), ["MSExchangeImap4"])["services"] == ["MSExchangeIMAP4"]
    assert len(exchange.greeted) == 1


def test_a_service_that_is_none_of_exchanges_is_refused():
    with pytest.raises(ExchangeError, match="services names nginx, but only MSExchangeIMAP4, MSExchangeIMAP4BE"):
        _route.restart(FakeExchange().access(), ["nginx", "MSExchangeIMAP4"])


def test_a_restart_that_fails_half_way_says_what_was_done():
    exchange = FakeExchange()
    invoke = exchange.invoke

    def failing(cmdlet, **parameters):
        if parameters.get("Name") == "MSExchangeIMAP4BE":
            raise Refused("Failed to start service.")
        return invoke(cmdlet, **parameters)

    exchange.invoke = failing
    with pytest.raises(ExchangeError) as failure:
        _route.restart(exchange.access(), ["MSExchangeIMAP4", "MSExchangeIMAP4BE"])
    assert failure.value.changed and str(failure.value) == (
        "MSExchangeIMAP4BE was not restarted and may be down, but MSExchangeIMAP4 was restarted: Failed to start service."
    )


def test_a_service_that_is_down_after_the_restart_fails():
    exchange = FakeExchange()
    invoke = exchange.invoke

    def stopping(cmdlet, **parameters):
        if cmdlet == "Restart-Service":
            exchange.services[parameters["Name"]] = None
        return invoke(cmdlet, **parameters)

    exchange.invoke = stopping
    with pytest.raises(ExchangeError, match="MSExchangeIMAP4 did not come back after the restart") as failure:
        _route.restart(exchange.access(), ["MSExchangeIMAP4"])
    assert failure.value.changed


@pytest.mark.parametrize("computer", ["ex01.example.com", Bag("EX01", {}), Bag(None, {}, "EX01"), None])
def test_the_name_of_the_computer_comes_in_every_form(computer):
    exchange = FakeExchange()
    exchange.computer = computer
    assert _route.restart(exchange.access(), ["MSExchangeIMAP4"], identity="EX01")["changed"]


def test_where_another_computer_answers_and_the_right_one_does_not_both_are_told():
    exchange = FakeExchange()
    exchange.computer = "EX02"

    def session(place):
        if place.host == "ex01.example.com":
            raise ExchangeError("It cannot be reached.")
        return exchange.session(place)

    access = behind_a_load_balancer(exchange)._replace(open=session, exchange=replace(exchange.access().exchange, host="mail"))
    with pytest.raises(ExchangeError) as failure:
        _route.restart(access, ["MSExchangeIMAP4"], identity="ex01.example.com")
    assert exchange.open == 0 and str(failure.value) == (
        "The IMAP4 services of ex01 were asked for, but EX02 answered; set services_host in the option exchange, because its "
        "full name does not lead there either: It cannot be reached."
    )


def test_no_restart_on_the_wrong_computer():
    exchange = FakeExchange()
    with pytest.raises(ExchangeError, match="services of ex02 were asked for, but EX01 answered"):
        _route.restart(exchange.access(), ["MSExchangeIMAP4"], identity="ex02.example.com")
    assert exchange.did("Restart-Service") == []


@pytest.mark.parametrize("max_wait", [0, -1, float("inf"), float("nan")])
def test_a_wait_that_cannot_be_is_refused_before_anything_is_restarted(max_wait):
    exchange = FakeExchange()
    with pytest.raises(ExchangeError, match="max_wait is .*, but must be a number of seconds above 0"):
        _route.restart(exchange.access(), ["MSExchangeIMAP4"], health=_route.Health(max_wait=max_wait))
    assert exchange.places == []


def test_the_host_of_the_services_must_greet_after_the_restart():
    exchange = FakeExchange()
    _route.restart(exchange.access(), ["MSExchangeIMAP4", "MSExchangeIMAP4BE"])
    assert exchange.greeted == [(("ex01.example.com", 143, False, False), 60)]


def test_behind_a_load_balancer_the_server_itself_must_greet():
    exchange = FakeExchange()
    exchange.bare = ("mail.example.com",)
    _route.restart(behind_a_load_balancer(exchange), ["MSExchangeIMAP4"], "ex01.example.com")
    assert [endpoint.address for endpoint, _max_wait in exchange.greeted] == ["ex01.example.com"]


@pytest.mark.parametrize("port, tls", [(993, True), (143, False), (1143, False)])
def test_the_greeting_comes_at_a_given_address_with_tls_on_port_993(port, tls):
    exchange = FakeExchange()
    _route.restart(exchange.access(), ["MSExchangeIMAP4"], health=_route.Health("192.0.2.1", port, 5))
    assert exchange.greeted == [(("192.0.2.1", port, tls, False), 5)]


def test_without_a_greeting_the_restart_fails_and_says_what_to_look_at():
    exchange = FakeExchange()
    exchange.mute = "ex01.example.com port 143 did not send its greeting in time (tried for max_wait=60 s)."
    with pytest.raises(ExchangeError) as failure:
        _route.restart(exchange.access(), ["MSExchangeIMAP4", "MSExchangeIMAP4BE"])
    assert str(failure.value) == (
        "MSExchangeIMAP4 and MSExchangeIMAP4BE came back, but ex01.example.com port 143 did not send its greeting in "
        "time (tried for max_wait=60 s); look at the server's event log, at its IMAP4 bindings and at the firewall "
        "between, or set health_address and health_port."
    )


def test_where_only_the_backends_service_was_restarted_nobody_is_asked_for_a_greeting():
    exchange = FakeExchange()
    exchange.services = {"MSExchangeIMAP4BE": AFTER}
    result = _route.restart(exchange.access(), ["MSExchangeIMAP4BE"])
    assert exchange.greeted == [] and result["changed"]
    assert result["warnings"][-1].startswith("No greeting was waited for, because clients are greeted by MSExchangeIMAP4,")


def test_where_nothing_was_restarted_nobody_is_asked_for_a_greeting():
    exchange = FakeExchange()
    exchange.services = {"MSExchangeIMAP4": None}
    result = _route.restart(exchange.access(), ["MSExchangeIMAP4"])
    assert exchange.greeted == [] and not result["changed"]
    assert result["warnings"] == ["MSExchangeIMAP4 does not run, so it was not restarted."]


def test_a_restart_comes_no_sooner_than_a_second_after_the_change(slept):
    exchange = FakeExchange()
    seen = []
    invoke = exchange.invoke

    def watching(cmdlet, **parameters):
        if cmdlet == "Restart-Service":
            seen.append(sum(slept))
        return invoke(cmdlet, **parameters)

    exchange.invoke = watching
    _route.restart(exchange.access(), ["MSExchangeIMAP4", "MSExchangeIMAP4BE"])
    assert len(seen) == 2 and min(seen) >= 1


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("snap_in", [False, True])
def test_services_that_may_not_be_looked_at_are_not_restarted_and_a_warning_says_so(snap_in, check_mode):
    exchange = FakeExchange()
    access = exchange.access(look_at_services=False, snap_in=snap_in)
    result = _route.restart(access, ["MSExchangeIMAP4", "MSExchangeIMAP4BE"], check_mode=check_mode)
    assert exchange.places == [] and result == {
        "changed": False,
        "services": [],
        "warnings": [
            "MSExchangeIMAP4 and MSExchangeIMAP4BE were not restarted, because look_at_services is false in the option "
            "exchange; restart them by other means, for the settings to count."
        ],
    }


@pytest.mark.parametrize(
    "identity",
    [
        "EX01",
        "ex01.example.com",
        "CN=EX01,CN=Servers,CN=Exchange Administrative Group (FYDIBOHF23SPDLT),DC=example,DC=com",
        "cn=ex01,cn=Servers,dc=example,dc=com",
        "/o=First Organization/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Configuration/cn=Servers/cn=EX01",
    ],
)
def test_a_server_is_found_by_every_name_that_exchange_takes(identity):
    exchange = FakeExchange()
    assert _route.restart(exchange.access(), ["MSExchangeIMAP4"], identity)["changed"]
    assert {place.host for place in exchange.places} == {"ex01.example.com"}
    exchange.computer = "EX02"
    with pytest.raises(ExchangeError, match="services of (EX01|ex01) were asked for, but EX02 answered"):
        _route.restart(exchange.access(), ["MSExchangeIMAP4"], identity)


# where the services are


def test_a_host_without_the_services_is_passed_over_for_the_server_by_its_full_name():
    exchange = FakeExchange()
    exchange.bare = ("mail.example.com",)
    exchange.services["MSExchangeIMAP4"] = BEFORE
    result = _route.converge(behind_a_load_balancer(exchange), IN_SYNC)
    assert [place.host for place in exchange.places[1:]] == ["mail.example.com", "ex01.example.com"]
    assert result["services"] == ["MSExchangeIMAP4", "MSExchangeIMAP4BE"] and result["restart_required"]


def test_a_host_without_the_services_is_taken_at_its_word_where_there_is_no_other():
    exchange = FakeExchange()
    exchange.bare = ("mail.example.com", "ex01.example.com")
    result = _route.converge(behind_a_load_balancer(exchange), IN_SYNC)
    assert any("EX01 has none of the services" in text for text in result["warnings"])


def test_the_snap_ins_own_host_without_the_services_is_passed_over_too():
    exchange = FakeExchange(version="Version 8.0 (Build 685.24)")
    exchange.bare = ("mail.example.com",)
    access = behind_a_load_balancer(exchange)._replace(snap_in=True)
    assert _route.converge(access, {"max_connections": 5})["services"] == ["MSExchangeIMAP4", "MSExchangeIMAP4BE"]


# the snap-in


def test_the_snap_in_is_loaded_and_the_services_are_asked_in_the_same_session():
    exchange = FakeExchange(version="Version 8.0 (Build 685.24)")
    result = _route.converge(exchange.access(snap_in=True), {"max_connections": 5})
    assert exchange.calls[0] == ("Add-PSSnapin", {"Name": "Microsoft.Exchange.Management.PowerShell.Admin"})
    assert len(exchange.places) == 1 and exchange.places[0].configuration == "Microsoft.PowerShell" and result["changed"]


def test_a_snap_in_that_is_not_there_says_what_to_do():
    exchange = FakeExchange()
    exchange.fails["Add-PSSnapin"] = "not registered"
    with pytest.raises(ExchangeError, match="use access: remoting for Exchange 2010 and newer"):
        _route.look(exchange.access(snap_in=True))
