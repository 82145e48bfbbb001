# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.mailops.imap.plugins.action import (
    imap_restart,
    imap_settings,
    imap_settings_info,
    imap_settings_validate,
)
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _route, _services
from ansible_collections.mailops.imap.tests.unit.plugins.plugin_utils.fake_exchange import FakeExchange

GOOD = {"authenticated_connection_timeout": 1800, "pre_authenticated_connection_timeout": "1m"}
BAD = {"authenticated_connection_timeout": 18001, "pre_authenticated_connection_timeout": "30:00"}
SECRET = "hunter2-hunter2"
VARIABLES = {"inventory_hostname": "ex01", "ansible_password": SECRET, "ansible_user": "admin"}


@pytest.fixture(name="executed")
def fixture_executed(monkeypatch):
    """The modules that ran on the host, with their arguments."""
    executed = []

    def execute(self, module_name=None, module_args=None, task_vars=None, **other):
        executed.append((module_name, module_args))
        return {"changed": True, "drift": []}

    monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
    monkeypatch.setattr(ActionBase, "_execute_module", execute)
    return executed


@pytest.fixture(name="exchange")
def fixture_exchange(monkeypatch):
    """The Exchange server that the route finds, whatever the way there."""
    exchange = FakeExchange()
    made = _route.Access

    def access(*endpoints, **options):
        return made(*endpoints, **options)._replace(open=exchange.session, greet=exchange.greet)

    monkeypatch.setattr(_route, "Access", access)
    monkeypatch.setattr(_services, "time", SimpleNamespace(sleep=lambda seconds: None))
    return exchange


class Templar:
    """Templates nothing but one variable."""

    def __init__(self, variables=None):
        self.variables = variables or {}

    def template(self, value):
        return self.variables.get("vaulted", SECRET) if value == "{{ vaulted }}" else value

    def copy_with_new_env(self, available_variables):
        return Templar(available_variables)


def run(plugin, options, variables=None, windows=False, check_mode=False, delegate_to=None):
    action = object.__new__(plugin.ActionModule)
    action._task = SimpleNamespace(
        args=options, check_mode=check_mode, delegate_to=delegate_to, remote_user=None, _role=None
    )
    action._connection = SimpleNamespace(_shell=SimpleNamespace(_IS_WINDOWS=windows))
    action._play_context = SimpleNamespace(password=None)
    action._templar = Templar()
    return action.run(task_vars={**VARIABLES, **(variables or {})})


@pytest.mark.parametrize("plugin", [imap_settings, imap_settings_validate])
def test_wrong_options_are_refused_before_the_host_is_contacted(plugin, executed):
    result = run(plugin, BAD)
    assert result["failed"] is True and executed == []
    assert "is 18001, but must be 1 to 18000 seconds" in result["msg"]
    assert 'is "30:00", but must be 1 to 200 seconds' in result["msg"]


def test_right_options_go_to_the_module(executed):
    assert run(imap_settings, GOOD) == {"changed": True, "drift": []}
    assert executed == [("mailops.imap.imap_settings", GOOD)]


def test_validating_contacts_nobody(executed):
    assert run(imap_settings_validate, GOOD) == {"changed": False}
    assert executed == [] and imap_settings_validate.ActionModule._requires_connection is False


@pytest.mark.parametrize(
    "plugin, options",
    [(imap_settings, GOOD), (imap_settings_info, {}), (imap_restart, {"services": ["MSExchangeIMAP4"]})],
)
def test_an_unknown_option_of_an_option_is_named(plugin, options, executed):
    message = run(plugin, {**options, "exchange": {"prot": 1}})["msg"]
    assert message.startswith("Nothing was changed: exchange.prot is no option, but ") and message.endswith(", validate_certs are.")
    assert executed == []


# Exchange


@pytest.mark.parametrize(
    "plugin, options",
    [(imap_settings, GOOD), (imap_settings_info, {}), (imap_restart, {"services": ["nginx"], "max_wait": 5})],
)
def test_what_only_exchange_has_is_not_sent_to_linux(plugin, options, executed):
    run(plugin, {**options, "identity": "EX01", "exchange": {"password": SECRET}})
    assert [arguments for _name, arguments in executed] == [options]


@pytest.mark.parametrize("options, windows", [({}, True), ({"server_type": "exchange"}, False)])
def test_a_windows_host_and_the_server_type_go_to_exchange(options, windows, executed, exchange):
    settings = run(imap_settings, {**GOOD, **options, "max_connections": "5"}, windows=windows)
    assert settings["server_type"] == "exchange" and exchange.did("Set-ImapSettings") == [
        {"Server": "EX01", "MaxConnections": 5}
    ]
    assert run(imap_settings_info, options, windows=windows)["changed"] is False
    assert executed == []


def test_exchanges_services_are_restarted_from_the_controller_on_any_connection(executed, exchange):
    for name in ("MSExchangeIMAP4", "MSExchangeImap4"):
        assert run(imap_restart, {"services": [name]})["services"] == ["MSExchangeIMAP4"]
    assert run(imap_restart, {"services": []}, windows=True)["changed"] is False
    assert executed == [] and exchange.did("Restart-Service") == [{"Name": "MSExchangeIMAP4"}] * 2


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, (("ex01", 143, False, False), 60)),
        ({"max_wait": "5", "health_address": "192.0.2.1", "health_port": "993"}, (("192.0.2.1", 993, True, False), 5)),
    ],
)
def test_where_and_how_long_exchange_is_asked_for_its_greeting(options, expected, executed, exchange):
    run(imap_restart, {"services": "MSExchangeIMAP4,MSExchangeIMAP4BE", **options}, windows=True)
    assert exchange.greeted == [expected] and len(exchange.did("Restart-Service")) == 2


def test_a_restart_without_a_greeting_fails_in_a_sentence(executed, exchange):
    exchange.mute = "ex01 port 143 did not accept the connection."
    result = run(imap_restart, {"services": ["MSExchangeIMAP4"]}, windows=True)
    assert result["failed"] and "ex01 port 143 did not accept the connection; look at" in result["msg"]
    assert result["changed"] is True


def test_a_failed_task_says_that_something_changed_only_where_it_did(executed, exchange):
    exchange.ignores = ("MaxConnections",)
    result = run(imap_settings, {"max_connections": 5}, windows=True)
    assert result["failed"] and result["changed"] is True and "does not obey" in result["msg"]
    exchange.fails["Set-ImapSettings"] = "No."
    result = run(imap_settings, {"max_connections": 5}, windows=True)
    assert result["failed"] and result["changed"] is False


@pytest.mark.parametrize("services", ["MSExchangeIMAP4", "MSExchangeIMAP4,MSExchangeIMAP4BE", ["MSExchangeIMAP4"]])
def test_services_are_exchanges_however_they_are_written(services, executed, exchange):
    assert run(imap_restart, {"services": services})["changed"] and executed == []


def test_services_that_are_a_number_are_no_services_of_exchange(executed):
    run(imap_restart, {"services": 5})
    assert executed == [("mailops.imap.imap_restart", {"services": 5})]


class Vaulted(Sequence):
    """What ansible-core up to 2.18 has in the place of a text that is in a vault: a sequence, but no text."""

    __ENCRYPTED__ = True

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text

    def __len__(self):
        return len(self.text)

    def __getitem__(self, index):
        return self.text[index]


def test_options_may_come_from_a_vault(executed, exchange):
    options = {"banner": Vaulted("Hello."), "ssl_bindings": [Vaulted("[::]:993")]}
    assert run(imap_settings_validate, options) == {"changed": False}
    result = run(imap_settings, {**options, "exchange": {"password": Vaulted("other")}}, windows=True)
    assert result["changed"] and exchange.places[0].password == "other"
    assert result["settings"]["banner"]["desired"] == "Hello."
    run(imap_settings, options)
    assert executed == [("mailops.imap.imap_settings", {"banner": "Hello.", "ssl_bindings": ["[::]:993"]})]


@pytest.mark.parametrize("wrong", [{"max_wait": "soon"}, {"health_port": "imaps"}, {"services": None}])
def test_wrong_options_of_a_restart_are_refused_before_anybody_is_contacted(wrong, executed, exchange):
    result = run(imap_restart, {"services": ["MSExchangeIMAP4"], **wrong}, windows=True)
    assert result["failed"] and next(iter(wrong)) in result["msg"] and executed == [] == exchange.places


def test_check_mode_reaches_exchange(executed, exchange):
    assert run(imap_settings, {"max_connections": 5}, windows=True, check_mode=True)["changed"]
    assert run(imap_restart, {"services": ["MSExchangeIMAP4"]}, check_mode=True)["changed"]
    assert exchange.did("Set-ImapSettings") == exchange.did("Restart-Service") == []


@pytest.mark.parametrize("plugin, options", [(imap_settings, GOOD), (imap_settings_info, {})])
def test_a_server_type_of_linux_is_refused_on_windows(plugin, options, executed):
    result = run(plugin, {**options, "server_type": "nginx"}, windows=True)
    assert result["failed"] and result["msg"].startswith("server_type is nginx, but the host is a Windows one")


def test_the_consoles_ranges_hold_for_exchange_and_the_products_let_more_through(executed, exchange):
    options = {"pre_authenticated_connection_timeout": 300, "server_type": "exchange"}
    assert "must be 1 to 200 seconds" in run(imap_settings, options)["msg"] and exchange.calls == []
    assert not run(imap_settings, {**options, "ranges": "product"}).get("failed")


def test_null_clears_a_list_and_leaves_other_settings_alone(executed, exchange):
    run(imap_settings, {"external_connection_settings": None, "banner": None, "max_connections": 5}, windows=True)
    assert exchange.did("Set-ImapSettings") == [
        {"Server": "EX01", "ExternalConnectionSettings": None, "MaxConnections": 5}
    ]


def test_what_the_version_lacks_comes_with_the_result(executed, exchange):
    exchange.version = "Version 8.0 (Build 685.24)"
    result = run(imap_settings, {"suppress_read_receipt": True}, windows=True)
    assert result["failed"] and "suppress_read_receipt" in result["msg"] and len(result["drift"]) == 1


def test_variables_are_templated_and_options_come_first(executed, exchange):
    run(imap_settings_info, {}, {"ansible_password": "{{ vaulted }}", "ansible_host": "10.0.0.1"}, windows=True)
    assert (exchange.places[0].password, exchange.places[0].host) == (SECRET, "10.0.0.1")
    run(imap_settings_info, {"exchange": {"password": "other"}}, {"ansible_password": "x"}, windows=True)
    assert exchange.places[-1].password == "other"


def test_delegated_to_the_controller_the_hosts_own_variables_count(executed, exchange):
    run(imap_settings_info, {"server_type": "exchange"}, {"ansible_host": "10.0.0.1"}, delegate_to="localhost")
    assert exchange.places[0].host == "10.0.0.1" and exchange.did("Get-ImapSettings") == [{}]


def test_delegated_to_another_exchange_server_that_one_is_asked_for_the_server_of_the_play(executed, exchange):
    delegated = {"ansible_delegated_vars": {"ex02": {"ansible_host": "10.0.0.2", "ansible_password": "{{ vaulted }}"}}}
    run(imap_settings_info, {}, delegated, windows=True, delegate_to="ex02")
    assert exchange.places[0].host == "10.0.0.2" and exchange.places[0].password == SECRET
    assert exchange.did("Get-ImapSettings") == [{"Server": "ex01"}]
    run(imap_settings_info, {"identity": "EX05"}, delegated, windows=True, delegate_to="ex02")
    assert exchange.did("Get-ImapSettings")[-1] == {"Server": "EX05"}


@pytest.mark.parametrize("plugin, options", [(imap_settings, GOOD), (imap_settings_info, {})])
@pytest.mark.parametrize(
    "given, words",
    [
        ({"pasword": SECRET, "password": SECRET}, "pasword"),
        ({"auth": "telepathy", "password": SECRET}, "value of auth must be one of: auto"),
        ({"port": "eighty", "password": SECRET}, "'port'"),
        ("basic", "exchange"),
    ],
)
def test_wrong_suboptions_are_refused_without_the_password(plugin, options, given, words, executed):
    result = run(plugin, {**options, "exchange": given}, windows=True)
    assert result["failed"] and words in result["msg"] and SECRET not in result["msg"] and executed == []


def test_basic_over_http_is_refused_in_a_sentence(executed, exchange):
    result = run(imap_settings_info, {"exchange": {"auth": "basic", "protocol": "http"}}, windows=True)
    assert result["failed"] and "would send the password in clear" in result["msg"] and exchange.places == []
