# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every setting is changed, and found in sync, in every form that its value may have on the wire."""

from __future__ import annotations

import pytest
from exchange_simulator import FORMS
from world import VERSIONS, exchange, ran, restart, way_in

from ansible_collections.mailops.imap.plugins.module_utils import _contract
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _parameters, _route

#: Setting name to what a playbook writes, differently from every default, and what the server keeps then.
WANTED = {
    "authenticated_connection_timeout": ("45m", 2700),
    "pre_authenticated_connection_timeout": ("00:02:00", 120),
    "max_connections": ("500", 500),
    "max_connections_from_single_ip": (50, 50),
    "max_connections_per_user": (8, 8),
    "max_command_size": (1024, 1024),
    "banner": ("Mail, at your service.", "Mail, at your service."),
    "login_type": ("PlainTextAuthentication", "PlainTextAuthentication"),
    "calendar_item_retrieval_option": ("InternetUrl", "InternetUrl"),
    "message_retrieval_mime_format": ("HtmlOnly", "HtmlOnly"),
    "owa_server_url": ("https://mail.example.com/owa", "https://mail.example.com/owa"),
    "ssl_bindings": (["192.0.2.1:993", "[2001:db8::1]:993"], ["192.0.2.1:993", "[2001:db8::1]:993"]),
    "unencrypted_or_tls_bindings": (["192.0.2.1:143"], ["192.0.2.1:143"]),
    "x509_certificate_name": ("mail.example.com", "mail.example.com"),
    "proxy_target_port": (1994, 1994),
    "show_hidden_folders_enabled": (True, True),
    "enable_exact_rfc822_size": ("yes", True),
    "internal_connection_settings": (["ex01.example.com:993:SSL"], ["ex01.example.com:993:SSL"]),
    "external_connection_settings": (["mail.example.com:143:TLS"], ["mail.example.com:143:TLS"]),
    "enable_gssapi_and_ntlm_auth": (False, False),
    "enforce_certificate_errors": (True, True),
    "extended_protection_policy": ("Require", "Require"),
    "protocol_log_enabled": (True, True),
    "log_file_location": ("D:\\Logs\\Imap4", "D:\\Logs\\Imap4"),
    "log_file_roll_over_settings": ("Weekly", "Weekly"),
    "log_per_file_size_quota": ("2MB", 2097152),
    "suppress_read_receipt": (True, True),
}


def desired(names):
    values, violations = _contract.desired({name: WANTED[name][0] for name in names}, "console")
    assert violations == [] and len(values) == len(names)
    return values


def test_there_is_a_value_for_every_setting():
    assert set(WANTED) == set(_parameters.PARAMETERS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", WANTED)
def test_a_setting_is_changed_and_then_in_sync(name, form):
    with exchange("2019", form=form) as server:
        access = way_in(server)
        value, kept = desired([name]), WANTED[name][1]
        result = _route.converge(access, value)
        assert [entry["setting"] for entry in result["drift"]] == [name]
        assert server.settings[_parameters.PARAMETERS[name].parameter] == kept
        restart(server, result["services"])
        again = _route.converge(access, value)
        assert (again["changed"], again["drift"]) == (False, []) and len(ran(server, "Set-ImapSettings")) == 1
        assert again["settings"][name]["configured"] == again["settings"][name]["running"] == kept


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("version", VERSIONS)
def test_all_settings_of_a_version_are_changed_at_once_and_then_in_sync(version, form):
    with exchange(version, form=form) as server:
        access = way_in(server)
        values = desired(_route.look(access)["settings"])
        result = _route.converge(access, values)
        assert len(result["drift"]) == len(values) and len(ran(server, "Set-ImapSettings")) == 1
        restart(server, result["services"])
        again = _route.converge(access, values)
        assert (again["changed"], again["drift"]) == (False, [])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_defaults_of_a_version_are_read_in_every_form(version, form):
    with exchange(version, form=form) as server:
        for name, entry in _route.look(way_in(server))["settings"].items():
            kept = server.settings[_parameters.PARAMETERS[name].parameter]
            assert entry["configured"] == entry["running"] == (list(kept) if isinstance(kept, (list, tuple)) else kept)


@pytest.mark.parametrize("form", FORMS)
def test_a_quota_without_limit_is_changed_and_then_in_sync(form):
    with exchange("2019", form=form) as server:
        access = way_in(server)
        values, _violations = _contract.desired({"log_per_file_size_quota": "unlimited"}, "console")
        assert _route.converge(access, values)["settings"]["log_per_file_size_quota"]["desired"] == "unlimited"
        assert server.settings["LogPerFileSizeQuota"] is None
        assert not any(entry["drift"] == "value" for entry in _route.converge(access, values)["drift"])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seconds", [30, 59, 60, 3599, 3600, 18000, 86399, 86400])
def test_a_time_out_is_what_was_asked_to_the_second(form, seconds):
    with exchange("2010", form=form) as server:
        access = way_in(server)
        _route.converge(access, {"authenticated_connection_timeout": seconds})
        assert server.settings["AuthenticatedConnectionTimeout"] == seconds
        found = _route.look(access)["settings"]["authenticated_connection_timeout"]
        assert found["configured"] == seconds and found["takes"]["maximum"] == 86400


@pytest.mark.parametrize("form", FORMS)
def test_lists_are_in_sync_whatever_their_order_and_case(form):
    with exchange("2019", form=form) as server:
        server.settings["InternalConnectionSettings"] = ["EX01.example.com:143:TLS", "ex01.example.com:993:ssl"]
        wanted = {"internal_connection_settings": ["ex01.example.com:993:SSL", "ex01.example.com:143:TLS"]}
        assert _route.converge(way_in(server), wanted)["changed"] is False


@pytest.mark.parametrize("form", FORMS)
def test_null_clears_a_list_and_a_cleared_list_is_in_sync(form):
    with exchange("2019", form=form) as server:
        access = way_in(server)
        server.settings["ExternalConnectionSettings"] = ["mail.example.com:993:SSL"]
        values, violations = _contract.desired({"external_connection_settings": None}, "console")
        assert violations == [] and _route.converge(access, values)["changed"]
        assert server.settings["ExternalConnectionSettings"] == []
        assert ran(server, "Set-ImapSettings") == [{"Server": "EX01", "ExternalConnectionSettings": None}]
        assert not any(entry["drift"] == "value" for entry in _route.converge(access, values)["drift"])
