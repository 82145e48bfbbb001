# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _options

SECRET = "hunter2-hunter2"


def endpoints(options=None, **variables):
    return _options.endpoints(options or {}, {f"ansible_{name}": value for name, value in variables.items()}, "ex01")


def test_without_options_the_usual_endpoints_are_asked_with_kerberos_first():
    exchange, windows = endpoints()
    assert (exchange.url, exchange.configuration) == ("http://ex01:80/PowerShell", "Microsoft.Exchange")
    assert (windows.url, windows.configuration) == ("http://ex01:5985/wsman", "Microsoft.PowerShell")
    assert exchange.auth == windows.auth == ("kerberos", "negotiate") and exchange.verify is True


def test_the_hosts_variables_are_used():
    exchange, windows = endpoints(
        connection="psrp", host="10.0.0.1", user="admin@EXAMPLE.COM", password=SECRET, psrp_auth="ntlm", port=5986,
        psrp_cert_validation="ignore", psrp_read_timeout=99, psrp_negotiate_hostname_override="ex01.example.com",
    )  # fmt: skip
    assert (exchange.host, exchange.user, exchange.password, exchange.auth) == (
        "10.0.0.1", "admin@EXAMPLE.COM", SECRET, ("ntlm",),
    )  # fmt: skip
    assert exchange.verify is False and exchange.read_timeout == 99
    assert exchange.extra == {"negotiate_service": "HTTP", "negotiate_hostname_override": "ex01.example.com"}
    assert exchange.port == 80 and windows.url == "https://10.0.0.1:5986/wsman"


def test_the_variables_of_winrm_are_used_too():
    exchange, windows = endpoints(
        connection="ansible.builtin.winrm", winrm_user="admin", winrm_password=SECRET, winrm_transport="credssp,ntlm",
        winrm_scheme="http", winrm_server_cert_validation="ignore",
    )  # fmt: skip
    assert (windows.user, windows.password, windows.auth) == ("admin", SECRET, ("credssp",))
    assert windows.url == "http://ex01:5985/wsman" and windows.verify is False


def test_options_come_before_variables():
    options = {
        "host": "mail", "user": "other", "password": "else", "auth": "kerberos", "protocol": "https", "path": "ps",
        "validate_certs": True, "ca_cert": "/ca.pem", "services_host": "ex02", "services_auth": "ntlm",
        "services_protocol": "https", "services_path": "w", "read_timeout": 50,
    }  # fmt: skip
    exchange, windows = endpoints(
        options, host="h", user="u", password=SECRET, psrp_auth="basic", psrp_cert_validation="ignore", psrp_path="x",
        psrp_protocol="http", psrp_read_timeout=9,
    )  # fmt: skip
    assert (exchange.url, exchange.user, exchange.password, exchange.auth) == (
        "https://mail:443/ps", "other", "else", ("kerberos",),
    )  # fmt: skip
    assert (windows.url, windows.auth) == ("https://ex02:5986/w", ("ntlm",))
    assert exchange.verify == "/ca.pem" and exchange.read_timeout == 50


def test_a_port_of_ssh_is_not_taken_for_powershells():
    assert endpoints(connection="ssh", port=22)[1].port == 5985


def test_the_windows_connections_own_default_is_https():
    assert endpoints(connection="psrp")[1].url == "https://ex01:5986/wsman"
    assert endpoints(connection="psrp", port=5985)[1].protocol == "http"


def test_basic_goes_over_https_unless_told_otherwise():
    basic = {"auth": "basic", "user": "admin", "password": SECRET}
    exchange, windows = endpoints(basic)
    assert exchange.protocol == windows.protocol == "https"
    with pytest.raises(_options.OptionProblem, match="auth is basic and the protocol is http"):
        endpoints({**basic, "protocol": "http"})
    with pytest.raises(_options.OptionProblem, match="services_auth is basic"):
        endpoints({"services_auth": "basic", "services_protocol": "http"})
    told = {**basic, "protocol": "http", "services_protocol": "http", "allow_unencrypted": True}
    assert endpoints(told)[0].protocol == "http"


@pytest.mark.parametrize("auth", ["basic", "credssp"])
def test_a_method_that_cannot_do_without_a_password_is_refused_without_one(auth):
    with pytest.raises(_options.OptionProblem, match=f"auth is {auth}, which needs ansible_password; set"):
        endpoints({"auth": auth, "user": "admin"})


def test_a_certificate_needs_both_files_and_https():
    files = {"psrp_certificate_pem": "/c.pem", "psrp_certificate_key_pem": "/k.pem"}
    for exchange in (
        endpoints({"auth": "certificate"}, **files)[0],
        endpoints(winrm_transport="certificate", winrm_cert_pem="/c.pem", winrm_cert_key_pem="/k.pem")[0],
    ):
        assert exchange.url == "https://ex01:443/PowerShell" and exchange.auth == ("certificate",)
        assert (exchange.extra["certificate_pem"], exchange.extra["certificate_key_pem"]) == ("/c.pem", "/k.pem")
    both = "ansible_psrp_certificate_pem and ansible_psrp_certificate_key_pem"
    with pytest.raises(_options.OptionProblem, match=f"auth is certificate, which needs {both}; set"):
        endpoints(psrp_auth="certificate")
    with pytest.raises(_options.OptionProblem, match="auth is certificate and the protocol is http"):
        endpoints({"auth": "certificate", "protocol": "http"}, **files)


@pytest.mark.parametrize(
    "name, first",
    [
        ("psrp_auth", "auto"),
        ("psrp_credssp_auth_mechanism", "auto"),
        ("psrp_message_encryption", "auto"),
        ("psrp_protocol", "http"),
        ("winrm_scheme", "http"),
    ],
)
def test_a_variable_with_a_value_that_it_does_not_take_is_refused_by_name(name, first):
    with pytest.raises(_options.OptionProblem, match=f"ansible_{name} is perhaps, but must be one of {first}, "):
        endpoints(**{name: "perhaps"})


@pytest.mark.parametrize("name", ["negotiate_delegate", "negotiate_send_cbt", "ignore_proxy"])
def test_a_variable_that_is_neither_true_nor_false_is_refused_by_name(name):
    with pytest.raises(_options.OptionProblem, match=f"ansible_psrp_{name} is perhaps, but must be true or false"):
        endpoints(**{f"psrp_{name}": "perhaps"})


@pytest.mark.parametrize("value", ["soon", -1, 0, "0", float("inf"), [30]])
def test_a_variable_that_is_no_number_above_nothing_is_refused_by_name(value):
    with pytest.raises(_options.OptionProblem, match="^read_timeout is .*, but must be a whole number above 0"):
        endpoints(psrp_read_timeout=value)


def test_a_host_and_a_path_that_are_numbers_are_taken_as_they_are_written():
    exchange, windows = endpoints(host=5, psrp_path=7, winrm_transport=9)
    assert (exchange.url, windows.url) == ("http://5:80/PowerShell", "http://5:5985/7")


def test_a_name_of_windows_own_is_nothing_for_kerberos():
    assert endpoints(user="EXAMPLE\\admin")[0].auth == ("negotiate",)
    assert endpoints(user="EXAMPLE\\admin", psrp_auth="ntlm")[0].auth == ("ntlm",)
    with pytest.raises(_options.OptionProblem, match=r"the user is EXAMPLE\\admin, but Kerberos takes user@DOMAIN only"):
        endpoints(user="EXAMPLE\\admin", psrp_auth="kerberos")


def test_kerberos_is_asked_for_the_service_http_on_the_host_unless_told_otherwise():
    assert endpoints()[0].service == "HTTP/ex01"
    told = {"psrp_negotiate_service": "host", "psrp_negotiate_hostname_override": "ex01.example.com"}
    assert endpoints(host="10.0.0.1", **told)[0].service == "host/ex01.example.com"
    assert endpoints(winrm_kerberos_hostname_override="ex01.example.com")[0].service == "HTTP/ex01.example.com"


def test_basic_is_never_tried_unasked():
    for endpoint in endpoints():
        assert "basic" not in endpoint.auth


def test_an_answer_has_longer_than_the_operation():
    assert endpoints({"read_timeout": 5, "operation_timeout": 30})[0].read_timeout == 31


def test_an_endpoint_shows_no_password():
    for endpoint in endpoints(password=SECRET):
        assert SECRET not in repr(endpoint) and SECRET not in str(endpoint)


def test_a_user_and_a_password_that_are_numbers_are_taken_as_they_are_written():
    for endpoint in (*endpoints(user=1001, password=20262026), *endpoints({"user": 1001, "password": 20262026})):
        assert (endpoint.user, endpoint.password) == ("1001", "20262026")
    assert {(endpoint.user, endpoint.password) for endpoint in endpoints()} == {(None, None)}


def test_an_ipv6_address_is_written_in_brackets():
    assert endpoints(host="fd00::1")[0].url == "http://[fd00::1]:80/PowerShell"
