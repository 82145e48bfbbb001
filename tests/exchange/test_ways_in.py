# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways in, and each way of failing on them: one sentence, no secret in it, every session closed."""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
import logging
import socketserver
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pypsrp.wsman
import pytest
import spnego._gss
from exchange_simulator import wsman
from world import TIMEOUTS, VERSIONS, exchange, ran, restart, way_in

from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _route, _services, _session
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange._session import ExchangeError


def failing(server, desired=None, **options):
    """The sentence that converging ends with."""
    with pytest.raises(ExchangeError) as failure:
        _route.converge(way_in(server, **options), desired or TIMEOUTS)
    sentence = str(failure.value)
    assert "\n" not in sentence and server.password not in sentence and "wrong-password" not in sentence
    return sentence


@pytest.fixture(name="without_gssapi")
def fixture_without_gssapi(monkeypatch):
    """Make pyspnego believe what is true where only pypsrp was installed."""
    monkeypatch.setattr(spnego._gss, "HAS_GSSAPI", False)
    monkeypatch.setattr(spnego._gss, "GSSAPI_IMP_ERR", "No module named 'gssapi'")


class Smtp(socketserver.StreamRequestHandler):
    """What answers where somebody has mistaken the port."""

    def handle(self):
        self.wfile.write(b"220 EX01 Microsoft ESMTP MAIL Service ready\r\n")


# ways in


@pytest.mark.parametrize("auth", ["ntlm", "negotiate", "auto"])
def test_over_http_messages_are_encrypted(auth):
    with exchange() as server:
        assert _route.converge(way_in(server, auth=auth), TIMEOUTS)["changed"]
        assert server.open_shells == 0


@pytest.mark.parametrize("auth", ["ntlm", "basic"])
def test_over_https_the_certificate_is_checked_against_the_given_authority(auth):
    with exchange(tls=True) as server:
        assert _route.converge(way_in(server, auth=auth), TIMEOUTS)["changed"]


def test_over_https_bound_to_the_channel():
    with exchange(tls=True, extended_protection=True) as server:
        assert _route.converge(way_in(server), TIMEOUTS)["changed"]


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_credssp(tls):
    with exchange(tls=tls, mechanisms=("CredSSP",)) as server:
        result = _route.converge(way_in(server, auth="credssp"), {**TIMEOUTS, "banner": "x" * 20000})
        assert result["changed"] and server.settings["Banner"] == "x" * 20000
        assert set(server.logins) == {"CredSSP administrator"} and server.open_shells == 0


def test_by_credssp_the_snap_in_reaches_active_directory():
    with exchange("2007-sp1", mechanisms=("CredSSP",)) as server:
        server.faults.no_second_hop = True
        assert _route.converge(way_in(server, auth="credssp"), TIMEOUTS)["changed"]


def by_certificate(server, **files):
    """What logs in with the simulator's certificate for a client, or with other ``files``."""
    files = {"certificate_pem": server.client_certificate, "certificate_key_pem": server.client_key, **files}
    return {
        "auth": "certificate",
        "user": None,
        "password": None,
        "variables": {f"ansible_psrp_{name}": str(path) for name, path in files.items()},
    }


def test_a_certificate_logs_in_without_user_and_password():
    with exchange(tls=True, mechanisms=("Certificate",)) as server:
        result = _route.converge(way_in(server, **by_certificate(server)), TIMEOUTS)
        assert result["changed"] and set(server.logins) == {"Certificate administrator"}
        restart(server, result["services"], access=way_in(server, **by_certificate(server)))
        assert [service.starts for service in server.services.values()] == [1, 1] and server.open_shells == 0


def test_basic_over_http_where_both_sides_allow_it():
    with exchange(allow_unencrypted=True) as server:
        assert _route.converge(way_in(server, auth="basic", allow_unencrypted=True), TIMEOUTS)["changed"]


def test_exchange_2007_is_reached_by_its_snap_in():
    with exchange("2007-sp1") as server:
        assert _route.converge(way_in(server), TIMEOUTS)["changed"]
        assert ran(server, "Add-PSSnapin") and server.shells_created == 1


def test_many_servers_at_once():
    with contextlib.ExitStack() as opened, concurrent.futures.ThreadPoolExecutor(6) as pool:
        servers = [opened.enter_context(exchange()) for _number in range(6)]
        results = list(pool.map(lambda server: _route.converge(way_in(server), TIMEOUTS), servers))
        assert all(result["changed"] for result in results)
        assert {server.settings["AuthenticatedConnectionTimeout"] for server in servers} == {900}
        assert {server.open_shells for server in servers} == {0}


# through one server for another


def test_another_server_is_configured_through_this_one():
    with exchange(others=["EX02"]) as server, exchange(name="EX02") as other:
        access = way_in(server, services_host=other.host, services_port=other.port)
        result = _route.converge(access, TIMEOUTS, identity="ex02.example.test")
        first, second = server.organization.servers
        assert second.settings["AuthenticatedConnectionTimeout"] == 900
        assert first.settings["AuthenticatedConnectionTimeout"] == 1800 and result["identity"] == "ex02.example.test"
        restart(other, result["services"], result["identity"], access)
        assert [service.starts for service in other.services.values()] == [1, 1]
        assert [service.starts for service in server.services.values()] == [0, 0]


def test_the_services_of_this_server_are_never_taken_for_the_others():
    with exchange(others=["EX02"]) as server:
        with pytest.raises(
            ExchangeError, match="services of EX02 were asked for, but EX01 answered; set services_host"
        ):
            _route.converge(way_in(server, services_host=server.host), TIMEOUTS, identity="EX02")
        assert server.organization.servers[1].settings["AuthenticatedConnectionTimeout"] == 1800
        with pytest.raises(ExchangeError, match="but EX01 answered"):
            _route.restart(way_in(server, services_host=server.host), ["MSExchangeIMAP4"], "ex02.example.test")
        assert server.services["MSExchangeIMAP4"].starts == 0


def test_a_server_that_is_not_there_is_told_in_exchanges_words():
    with exchange() as server:
        with pytest.raises(ExchangeError, match="object 'EX09' couldn't be found"):
            _route.converge(way_in(server), TIMEOUTS, identity="EX09")
        assert server.open_shells == 0


# services


def test_a_stopped_service_is_not_started():
    with exchange(services={"MSExchangeIMAP4BE": "Stopped"}) as server:
        result = _route.converge(way_in(server), TIMEOUTS)
        assert result["services"] == ["MSExchangeIMAP4"]
        assert any("MSExchangeIMAP4BE on EX01 is not running (Stopped)" in text for text in result["warnings"])
        restart(server, ["MSExchangeIMAP4", "MSExchangeIMAP4BE"])
        assert (
            server.services["MSExchangeIMAP4BE"].status == "Stopped" and server.services["MSExchangeIMAP4"].starts == 1
        )


def test_a_service_that_is_not_installed_is_not_asked_for():
    with exchange("2013", services={"MSExchangeIMAP4": None}) as server:
        assert _route.converge(way_in(server), TIMEOUTS)["services"] == ["MSExchangeIMAP4BE"]


def test_a_service_that_does_not_start_again_is_told():
    with exchange() as server:
        server.faults.restart_fails = ("MSExchangeIMAP4BE",)
        with pytest.raises(
            ExchangeError, match="MSExchangeIMAP4BE was not restarted and may be down, but MSExchangeIMAP4 was restarted: .*Failed to start"
        ):
            restart(server, ["MSExchangeIMAP4", "MSExchangeIMAP4BE"])
        assert server.open_shells == 0


def test_without_leave_to_look_at_services_it_is_told_how_to_go_on():
    with exchange() as server:
        server.access.administrator = False
        sentence = failing(server)
        assert "cannot be looked at, so nothing was set; mend that, or set look_at_services to false in the" in sentence
        assert "does not let the user administrator open Microsoft.PowerShell" in sentence
        assert server.settings["AuthenticatedConnectionTimeout"] == 1800
        access = way_in(server, look_at_services=False)
        result = _route.converge(access, TIMEOUTS)
        assert result["changed"] and result["services"] == ["MSExchangeIMAP4", "MSExchangeIMAP4BE"]
        assert restart(server, result["services"], access=access)["changed"] is False
        assert _route.converge(access, TIMEOUTS)["changed"] is False


def test_looking_needs_no_services_and_says_why_it_does_not_know_what_runs():
    with exchange() as server:
        server.access.administrator = False
        result = _route.look(way_in(server))
        assert result["settings"]["banner"]["configured"] and not result["restart_required"]
        assert {entry["running"] for entry in result["settings"].values()} == {None}
        (warning,) = result["warnings"]
        assert "EX01 cannot be looked at, so it is not known whether they have been restarted since the" in warning
        assert "; mend that, or set look_at_services to false in the option exchange: http://127.0.0.1:" in warning
        assert "does not let the user administrator open Microsoft.PowerShell" in warning and server.open_shells == 0


def test_where_nobody_answers_for_the_services_it_is_told_how_to_go_on():
    with exchange() as server:
        with exchange() as other:
            nobody = other.port
        sentence = failing(server, services_port=nobody)
        assert "set look_at_services to false in the option exchange" in sentence
        assert sentence.endswith(
            f"http://127.0.0.1:{nobody}/wsman cannot be reached; check the name, the port, and the firewall between."
        )
        assert ran(server, "Set-ImapSettings") == []


def test_a_restart_within_the_second_of_the_change_counts(monkeypatch):
    slept = []
    monkeypatch.setattr(_services, "time", SimpleNamespace(sleep=slept.append))
    noon = datetime.datetime(2026, 1, 2, 12, 0, 0, 300000, tzinfo=datetime.timezone.utc)
    with exchange(clock=lambda: noon + datetime.timedelta(seconds=sum(slept))) as server:
        restart(server, _route.converge(way_in(server), TIMEOUTS)["services"])
        assert _route.converge(way_in(server), TIMEOUTS)["drift"] == []


@pytest.mark.parametrize("form", ["name", "fqdn", "distinguished_name", "legacy_dn"])
def test_services_of_a_server_are_restarted_by_every_name_that_exchange_takes(form):
    with exchange() as server:
        identity = getattr(server.local, form)
        services = _route.converge(way_in(server), TIMEOUTS, identity)["services"]
        assert restart(server, services, identity)["services"] == ["MSExchangeIMAP4", "MSExchangeIMAP4BE"]


# the greeting after a restart


def test_a_late_greeting_is_waited_for():
    with exchange() as server:
        server.faults.imap_delay = 1
        begun = time.monotonic()
        assert restart(server, ["MSExchangeIMAP4", "MSExchangeIMAP4BE"])["changed"]
        assert time.monotonic() - begun >= 1 and server.open_shells == 0


@pytest.mark.parametrize(
    "fault, words",
    [
        ("imap_refused", "did not accept the connection: Connection refused (tried for max_wait=1 s)"),
        ("imap_silent", "did not send its greeting in time (tried for max_wait=1 s)"),
    ],
)
def test_a_greeting_that_does_not_come_is_one_sentence(fault, words):
    with exchange() as server:
        setattr(server.faults, fault, True)
        with pytest.raises(ExchangeError) as failure:
            restart(server, ["MSExchangeIMAP4", "MSExchangeIMAP4BE"], max_wait=1)
        assert str(failure.value) == (
            f"MSExchangeIMAP4 and MSExchangeIMAP4BE came back, but 127.0.0.1 port {server.imap_port} {words}; look at the "
            "server's event log, at its IMAP4 bindings and at the firewall between, or set health_address and "
            "health_port."
        )
        assert [service.starts for service in server.services.values()] == [1, 1] and server.open_shells == 0


def test_something_else_than_imap_is_no_greeting():
    with exchange() as server, pytest.raises(ExchangeError, match="is no IMAP server, because it began with"):
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp) as other:
            threading.Thread(target=other.serve_forever, daemon=True).start()
            try:
                restart(server, ["MSExchangeIMAP4"], port=other.server_address[1])
            finally:
                other.shutdown()


def test_a_name_without_an_address_is_told():
    with exchange() as server:
        with pytest.raises(ExchangeError, match="came back, but host=no-such-host.invalid has no address: .*; look at"):
            restart(server, ["MSExchangeIMAP4"], address="no-such-host.invalid")


def test_the_service_that_nobody_connects_to_is_restarted_without_a_greeting():
    with exchange("2013", services={"MSExchangeIMAP4": None}) as server:
        result = restart(server, ["MSExchangeIMAP4BE"], max_wait=1)
        assert result["services"] == ["MSExchangeIMAP4BE"] and "No greeting was waited for" in result["warnings"][0]


# failures


def test_a_wrong_password():
    with exchange() as server:
        sentence = failing(server, password="wrong-password")
        assert "refused the user administrator; check the user" in sentence and server.shells_created == 0


@pytest.mark.parametrize("auth", ["auto", "negotiate", "ntlm"])
def test_a_wrong_password_is_judged_once(auth):
    with exchange(tls=True) as server:
        failing(server, auth=auth, password="wrong-password")
        assert len([login for login in server.logins if "refused" in login]) == 1


def test_a_user_without_remote_powershell():
    with exchange() as server:
        server.access.remote_shell = False
        assert "does not let the user administrator open Microsoft.Exchange; the account lacks the right" in failing(
            server
        )


def test_a_view_only_user():
    with exchange() as server:
        server.access.view_only = True
        assert "Set-ImapSettings is not there for administrator; give the account a management role" in failing(server)
        assert _route.look(way_in(server))["settings"] and server.open_shells == 0


def test_a_role_that_hides_a_parameter():
    with exchange() as server:
        server.access.hidden_parameters = ("AuthenticatedConnectionTimeout",)
        sentence = failing(server)
        assert "management roles of administrator hide the parameter" in sentence
        assert "'AuthenticatedConnectionTimeout'" in sentence and server.open_shells == 0


def test_too_many_sessions():
    with exchange() as server:
        server.faults.maximum_shells = 0
        assert "throttles the user administrator; close other sessions, lower forks" in failing(server)


def test_a_session_that_breaks_when_it_is_opened():
    with exchange() as server:
        server.faults.broken_pool = "The budget is spent."
        sentence = failing(server)
        assert "refused a session to the user administrator; check its rights and whether the server throttles" in sentence
        assert server.shells_created > 0 and server.open_shells == 0


def test_too_many_cmdlets():
    with exchange() as server:
        server.faults.load_quota = 1
        assert "throttles the user administrator" in failing(server)


@pytest.mark.parametrize(
    "status, words",
    [
        (400, "answered with HTTP 400 when the session was opened; look at the server's event log"),
        (403, "does not let the user administrator in (HTTP 403); check that the account may use remote PowerShell"),
        (404, "There is no PowerShell at"),
        (500, "answered with HTTP 500 when the session was opened; look at the server's event log"),
        (503, "is busy or throttles (HTTP 503); wait"),
    ],
)
@pytest.mark.parametrize("page", [b"", b"<html>\n<body>No.</body></html>", b"<html><body>No."])
def test_a_page_of_the_web_server(status, words, page):
    with exchange() as server:
        vars(server.faults).update(drop_after=0, instead=(status, page))
        assert words in failing(server)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_is_told_and_nobody_logs_in_there(status):
    with exchange() as server, exchange() as other:
        elsewhere = f"http://localhost:{other.port}/PowerShell"
        vars(server.faults).update(drop_after=0, instead=(status, elsewhere.encode()))
        assert f"redirects to {elsewhere}, which is not followed; take this path out of the redirection" in failing(server)
        assert other.logins == [] and other.shells_created == 0


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server(status):
    with exchange() as server:
        server.faults.status = status
        assert f"is busy or throttles (HTTP {status}); wait" in failing(server)


def test_a_wrong_path():
    with exchange() as server:
        assert "There is no PowerShell at" in failing(server, path="owa")


def test_remoting_to_exchange_2007():
    with exchange("2007") as server:
        assert "for Exchange 2007 set access to snap_in" in failing(server, access="remoting")


def test_windows_endpoint_in_the_place_of_exchanges():
    with exchange() as server:
        assert "has no session configuration Microsoft.Exchange; check host, port and path" in failing(
            server, path="wsman"
        )


def test_the_snap_in_of_2007_on_a_newer_server():
    with exchange("2016") as server:
        assert "use access: remoting for Exchange 2010 and newer" in failing(server, access="snap_in")


def test_a_snap_in_that_cannot_reach_active_directory():
    with exchange("2007-sp1") as server:
        server.faults.no_second_hop = True
        sentence = failing(server)
        assert "Active Directory" in sentence and "set auth to credssp" in sentence


def test_a_certificate_that_has_expired():
    with exchange(tls=True, expired=True) as server:
        assert "has expired; have it renewed on the server" in failing(server)


def test_a_certificate_that_is_not_trusted():
    with exchange(tls=True) as server:
        assert "is not trusted; give ca_cert in the option exchange" in failing(server, ca_cert=None)
        assert _route.look(way_in(server, ca_cert=None, validate_certs=False))


def test_https_at_a_port_of_http():
    with exchange() as server:
        assert f"What answers at https://127.0.0.1:{server.port}/PowerShell speaks no TLS; set protocol and port in the" in failing(
            server, protocol="https"
        )
        # The connection's variable counts for the services, which most often are on a port of their own.
        sentence = failing(server, services_protocol=None, variables={"ansible_psrp_protocol": "https"})
        assert f"What answers at https://127.0.0.1:{server.port}/wsman speaks no TLS; set services_protocol and" in sentence


def test_a_certificate_that_no_user_has():
    with exchange(tls=True, mechanisms=("Certificate",)) as server:
        folder = Path(server.client_key).parent
        files = {"certificate_pem": folder / "certificate.pem", "certificate_key_pem": folder / "key.pem"}
        sentence = failing(server, **by_certificate(server, **files))
        assert "refused the certificate; check that ansible_psrp_certificate_pem names one" in sentence


def test_a_certificate_that_the_server_does_not_ask_for():
    with exchange(tls=True) as server, exchange(tls=True, mechanisms=("Certificate",)) as other:
        assert "refused the certificate; check that" in failing(server, **by_certificate(other))


def test_a_certificate_of_an_authority_that_the_server_does_not_trust():
    certificate = {"mechanisms": ("Certificate",), "tls": True}
    with exchange(**certificate) as server, exchange(**certificate) as other:
        assert "broke off when it saw the certificate; have that of" in failing(server, **by_certificate(other))


@pytest.mark.parametrize("name", ["certificate_pem", "certificate_key_pem"])
def test_a_certificate_whose_file_is_missing(name):
    with exchange(tls=True, mechanisms=("Certificate",)) as server:
        sentence = failing(server, **by_certificate(server, **{name: "/nonexistent.pem"}))
        assert "A file for the login at" in sentence and "/nonexistent.pem" in sentence


def test_a_certificate_with_the_key_of_another():
    with exchange(tls=True, mechanisms=("Certificate",)) as server:
        other = Path(server.client_key).with_name("key.pem")
        sentence = failing(server, **by_certificate(server, certificate_key_pem=other))
        assert "certificate_pem and ansible_psrp_certificate_key_pem must name a certificate and its key" in sentence


def test_a_bundle_of_authorities_that_is_missing():
    with exchange(tls=True) as server:
        assert "A file for the login at" in failing(server, ca_cert="/nonexistent.pem")


@pytest.mark.parametrize("user", ["administrator", "nobody"])
def test_a_wrong_password_with_credssp(user):
    with exchange(mechanisms=("CredSSP",)) as server:
        sentence = failing(server, auth="credssp", user=user, password="wrong-password")
        assert f"refused the user {user} by CredSSP; check ansible_user" in sentence and server.shells_created == 0


def test_a_server_without_credssp():
    with exchange() as server:
        assert "offers no CredSSP; enable it there" in failing(server, auth="credssp")


def test_credssp_without_its_library(monkeypatch):
    def missing(*_arguments, **_more):
        raise ImportError("No module named 'requests_credssp'")

    monkeypatch.setattr(pypsrp.wsman, "HttpCredSSPAuth", missing)
    with exchange() as server:
        assert "packages for CredSSP are missing on the controller; install pypsrp[credssp]" in failing(
            server, auth="credssp"
        )


def test_a_password_that_basic_cannot_carry():
    with exchange(tls=True) as server:
        sentence = failing(server, auth="basic", password="wrong-password\u20ac")
        assert "Basic cannot carry the letters of the user or the password" in sentence and "20ac" not in sentence


def test_a_proxy_that_is_no_address_does_not_show_its_password():
    with exchange() as server:
        sentence = failing(server, variables={"ansible_psrp_proxy": "http://me:hunter2@127.0.0.1:99999"})
        assert "cannot be asked" in sentence and "hunter2" not in sentence


def test_a_proxy_that_cannot_be_reached_is_told_and_not_the_server():
    with exchange() as server:
        sentence = failing(server, variables={"ansible_psrp_proxy": "http://me:hunter2@127.0.0.1:1"})
        assert f"proxy on the way to http://127.0.0.1:{server.port}/PowerShell does not let the controller thr" in sentence
        assert "check ansible_psrp_proxy" in sentence and "hunter2" not in sentence


def test_a_proxy_that_asks_for_a_login():
    with exchange() as server:
        vars(server.faults).update(drop_after=0, instead=(407, b""))
        assert "asks for a login (HTTP 407); check ansible_psrp_proxy" in failing(server)


def test_at_the_services_it_is_told_which_right_the_account_needs_there():
    with exchange() as server, exchange(users={"else": "Other-1"}) as other:
        services = {"services_host": other.host, "services_port": other.port}
        sentence = failing(server, **services)
        assert "/wsman refused the user administrator; check the user" in sentence
        assert sentence.endswith(" and that the account is a local administrator there.")
    with exchange() as server:
        sentence = failing(server, services_path="wsmen")
        assert "/wsmen; check services_host, services_port and services_path in the option exchange." in sentence


@pytest.mark.parametrize("options", [{"host": f"{'x' * 64}.invalid"}, {"host": "127.0.0.1:80"}, {"port": 65536}])
def test_an_address_that_can_be_none(options):
    with exchange() as server:
        sentence = failing(server, **options)
        assert " cannot be asked when the session was opened; check host and port in the option exchange" in sentence


def test_a_user_of_several_lines_is_told_on_one():
    with exchange() as server:
        assert "refused the user one two; check the user" in failing(server, user="one\r\ntwo")


def test_nobody_at_that_port():
    with exchange() as server:
        port = server.port
    assert "cannot be reached; check the name, the port, and the firewall" in failing(server, port=port)


def test_something_else_than_powershell():
    with exchange() as server:
        server.faults.garbage = b"<html>It works!</html>"
        assert "is not PowerShell remoting; check host, port and path" in failing(server)


def test_http_at_a_port_of_https():
    with exchange(tls=True) as server:
        assert "; check that what is at that port speaks http, and run the task again." in failing(server, protocol="http")


def test_a_server_that_is_too_slow():
    with exchange() as server:
        server.faults.delay = 4
        assert "did not answer in time" in failing(server, read_timeout=2, operation_timeout=1)


def test_a_session_that_takes_longer_to_open_than_an_operation_is_waited_for(monkeypatch):
    with exchange() as server:
        server.faults.open_delay = 1.5
        options = {"read_timeout": 3, "operation_timeout": 1, "look_at_services": False}
        assert _route.look(way_in(server, **options))
        server.faults.open_delay = 60
        monkeypatch.setattr(_session, "_PATIENCE", 0)
        assert "did not answer in time when the session was opened; look at the server, and run the" in failing(
            server, **options
        )
        assert server.open_shells == 0


def test_a_cmdlet_that_takes_longer_than_an_operation_is_waited_for():
    with exchange() as server:
        server.faults.cmdlet_delay = 1.5
        assert _route.look(way_in(server, read_timeout=3, operation_timeout=1, look_at_services=False))


@pytest.mark.parametrize("after", range(12))
def test_a_session_that_drops_anywhere(after):
    with exchange() as server:
        server.faults.drop_after = after
        sentence = failing(server)
        assert "was lost" in sentence and "run the task again" in sentence


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("auth", ["ntlm", "credssp"])
@pytest.mark.parametrize("after", [0, 1, 3, 6, 10])
def test_after_one_break_the_session_is_closed_by_a_new_logon(after, auth, before):
    with exchange(mechanisms=("CredSSP",) if auth == "credssp" else ("Negotiate", "NTLM")) as server:
        server.faults.drop_after, server.faults.drops, server.faults.drop_before = after, 1, before
        assert "was lost" in failing(server, auth=auth)
        assert (server.shells_created > 0 or after == 0) and server.open_shells == 0


OTHER_ANSWERS = {
    "page": (200, b"<html/>"),
    "half": (200, b"<s:Envelope><s:Hea"),
    "redirection": (302, b"https://login.example.com/"),
    "403": (403, b"<html>No.</html>"),
    "404": (404, b""),
    "fault": (500, wsman.fault_envelope(wsman.access_denied(), "", "EX01")),
    "503": (503, b""),
    # Over https the message comes with the login itself, where this is a wrong password.
    "401": (401, b""),
}


@pytest.mark.parametrize(
    "tls, name", [(tls, name) for tls in (False, True) for name in OTHER_ANSWERS if not (tls and name == "401")]
)
def test_a_session_is_closed_whatever_the_answer_to_its_making_is(tls, name):
    instead = OTHER_ANSWERS[name]
    with exchange(tls=tls, mechanisms=("Negotiate", "NTLM")) as server:
        vars(server.faults).update(drop_after=0, drops=1, drop_before=False, instead=instead)
        failing(server)
        assert server.shells_created == 1 and server.open_shells == 0


@pytest.mark.parametrize(
    "before, instead",
    [
        (True, None),
        (False, None),
        (False, (503, b"<html>Service unavailable</html>")),
        (False, (200, b"<s:Envelope><s:Hea")),
    ],
    ids=["undone", "done", "503", "half"],
)
def test_whichever_answer_is_lost_what_is_told_is_true_and_the_next_run_makes_it_good(before, instead):
    faults = {"drops": 1, "drop_before": before, "instead": instead}
    for after in range(100):
        with exchange() as server:
            unchanged = dict(server.settings)
            vars(server.faults).update(faults, drop_after=after)
            try:
                changed = _route.converge(way_in(server), TIMEOUTS)["changed"]
            except ExchangeError as problem:
                changed, sentence = problem.changed, str(problem)
                assert "\n" not in sentence and server.password not in sentence
                assert changed is ("settings of EX01 were set" in sentence)
            assert changed or server.settings == unchanged
            assert server.open_shells == 0
            if server.faults.drops:
                break
            again = _route.converge(way_in(server), TIMEOUTS)
            assert again["changed"] and again["restart_required"] and len(again["services"]) == 2
            assert server.settings["AuthenticatedConnectionTimeout"] == 900
    assert 15 < after < 40


@pytest.mark.parametrize("before", [True, False], ids=["undone", "done"])
def test_whichever_answer_of_a_restart_is_lost_what_is_told_is_true_and_the_next_run_makes_it_good(before):
    for after in range(100):
        with exchange() as server:
            services = _route.converge(way_in(server), TIMEOUTS)["services"]
            vars(server.faults).update(drops=1, drop_before=before, drop_after=after)
            try:
                changed = restart(server, services)["changed"]
            except ExchangeError as problem:
                changed, sentence = problem.changed, str(problem)
                assert "\n" not in sentence and server.password not in sentence
                assert changed is ("restarted" in sentence)
            starts = [service.starts for service in server.services.values()]
            assert changed or starts == [0, 0]
            assert server.open_shells == 0
            if server.faults.drops:
                break
            again = _route.converge(way_in(server), TIMEOUTS)
            assert again["restart_required"] is (starts != [1, 1])
            assert again["services"] == ([] if starts == [1, 1] else services)
    assert 12 < after < 30


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_said_beside_the_answer_does_not_disturb(version):
    with exchange(version) as server:
        server.faults.chatter = True
        result = _route.converge(way_in(server), TIMEOUTS)
        assert result["changed"] and "Set-ImapSettings: a domain controller answered late." in result["warnings"]
        restart(server, result["services"])
        assert _route.converge(way_in(server), TIMEOUTS)["changed"] is False and server.open_shells == 0


@pytest.mark.parametrize(
    "question, words",
    [
        (("ReadLine",), "ReadLine"),
        (("PromptForChoice", "Confirm", "Are you\r\nsure?", [], 0), "PromptForChoice: Confirm Are you sure?"),
        (("PromptForCredential1", "Log in", "", "admin", ""), "PromptForCredential1: Log in admin"),
    ],
    ids=["input", "choice", "credential"],
)
def test_a_question_is_not_waited_on_for_good(question, words):
    with exchange() as server:
        server.faults.question = question
        assert failing(server) == (
            f"http://127.0.0.1:{server.port}/PowerShell asked a question while Get-ImapSettings ran, which nobody is "
            f'there to answer; run it there by hand to see why: "{words}"'
        )
        assert server.open_shells == 0


def test_an_error_beside_an_answer():
    with exchange() as server:
        server.faults.errors = {"Get-ImapSettings": "The directory is of two minds."}
        assert failing(server) == 'Get-ImapSettings was refused: "The directory is of two minds."'
        assert server.open_shells == 0


def test_a_missing_library(monkeypatch):
    with exchange() as server:
        monkeypatch.setitem(sys.modules, "pypsrp.wsman", None)
        assert failing(server).startswith("The Python package pypsrp is missing on the controller")


def test_kerberos_without_its_library_is_told(without_gssapi):
    with exchange() as server:
        sentence = failing(server, auth="kerberos")
        assert "packages for Kerberos are missing on the controller; install pypsrp[kerberos]" in sentence
        assert server.logins == []


@pytest.mark.parametrize("auth", ["auto", "negotiate"])
def test_ntlm_follows_where_the_library_for_kerberos_is_missing(without_gssapi, auth):
    with exchange() as server:
        assert _route.converge(way_in(server, auth=auth), TIMEOUTS)["changed"]
        assert set(server.logins) == {"NTLM administrator"}


@pytest.mark.parametrize("password, words", [("wrong-password", "without Kerberos: http://"), (None, "pypsrp[kerberos]")])
def test_where_ntlm_fails_too_the_missing_library_is_told(without_gssapi, password, words):
    with exchange() as server:
        sentence = failing(server, auth="auto", password=password)
        assert sentence.startswith("The Python packages for Kerberos are missing") and words in sentence


def test_the_password_is_not_logged(caplog):
    caplog.set_level(logging.DEBUG)
    with exchange(tls=True) as server:
        for auth in ("basic", "ntlm"):
            result = _route.converge(way_in(server, auth=auth), TIMEOUTS)
            assert server.password not in repr(result)
        assert server.password not in caplog.text and "PreAuthenticatedConnectionTimeout" in caplog.text
