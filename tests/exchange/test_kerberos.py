# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways in by Kerberos with a real KDC, and what happens where there is no ticket; for `make test-kerberos`."""

from __future__ import annotations

import contextlib
import subprocess
import time

import pytest
from exchange_simulator.kdc import kdc
from exchange_simulator.server import PASSWORD, USER
from test_playbooks import ROLE, VARIABLES, fixture_play, psrp
from world import TIMEOUTS, exchange

from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _options, _route
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange._session import ExchangeError

pytest.importorskip("gssapi", reason="Kerberos needs gssapi and krb5, which make test-kerberos builds")
pytest.importorskip("krb5", reason="Kerberos needs gssapi and krb5, which make test-kerberos builds")

__all__ = ["fixture_play"]

REALM = "EXAMPLE.TEST"
PRINCIPAL = f"{USER}@{REALM}"
BY_KERBEROS, BY_NTLM = f"Kerberos {PRINCIPAL}", f"NTLM {PRINCIPAL}"
SERVICES = ["HTTP/localhost", "host/localhost"]
OTHERS = {"locked": "Locked-1", "expired": "Expired-1"}


@pytest.fixture(scope="module", name="running")
def fixture_running(tmp_path_factory):
    with kdc(tmp_path_factory.mktemp("kdc"), {USER: PASSWORD, **OTHERS}, SERVICES, REALM) as made:
        made.change("locked", "-allow_tix")
        made.change("expired", "-pwexpire", "yesterday")
        yield made


def entered(realm, monkeypatch, tmp_path):
    """Make this process, and those that it starts, a member of the realm with an empty cache of tickets."""
    for name, value in {**realm.environment, "KRB5CCNAME": f"FILE:{tmp_path}/tickets"}.items():
        monkeypatch.setenv(name, value)
    return realm


@pytest.fixture(name="realm")
def fixture_realm(running, monkeypatch, tmp_path):
    return entered(running, monkeypatch, tmp_path)


def way_in(server, auth="kerberos", user=PRINCIPAL, password=PASSWORD, **more):
    """The Access from variables of a host; where ``auth`` is None, from their defaults."""
    protocol = "https" if server.tls else "http"
    options = {
        "host": more.pop("host", "localhost"),
        "port": server.port,
        "protocol": protocol,
        "services_port": server.port,
        "services_protocol": protocol,
        "ca_cert": server.authority_file,
    }
    given = {"ansible_psrp_auth": auth, "ansible_user": user, "ansible_password": password}
    given.update({f"ansible_psrp_{name}": value for name, value in more.items()})
    return _route.Access(*_options.endpoints(options, given, "ex01"))


def failing(server, **how):
    """The sentence that looking ends with."""
    with pytest.raises(ExchangeError) as failure:
        _route.look(way_in(server, **how))
    text = str(failure.value)
    assert "\n" not in text and "wrong-password" not in text and PASSWORD not in text and ". " not in text
    assert server.shells_created == 0
    return text


def ways_of(server):
    """How the sessions of a server were opened, each way once."""
    return sorted(set(server.logins))


# whole playbooks


@pytest.mark.parametrize("ticket", ["password", "cache"])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("auth", ["kerberos", None])
def test_the_role_checks_applies_restarts_and_is_idempotent(realm, play, auth, tls, ticket):
    protocol = "https" if tls else "http"
    with exchange(keytab=realm.keytab, tls=tls) as server:
        host = psrp(server, ansible_host="localhost", ansible_user=PRINCIPAL, ansible_psrp_protocol=protocol)
        host["imap_settings_exchange"].update(protocol=protocol, ca_cert=server.authority_file)
        host.pop("ansible_psrp_auth")
        if auth:
            host["ansible_psrp_auth"] = auth
        if ticket == "cache":
            realm.ticket(USER, PASSWORD)
            del host["ansible_password"], host["ansible_user"]
        content = {"roles": ROLE, "vars": VARIABLES}

        run = play({"ex01": host}, "--check", **content)
        assert run.status == 0 and run.recap["ex01"]["changed"] == 2, run.text
        assert server.settings["AuthenticatedConnectionTimeout"] == 1800

        run = play({"ex01": host}, **content)
        assert run.status == 0 and run.recap["ex01"]["changed"] == 2, run.text
        assert server.settings["AuthenticatedConnectionTimeout"] == 900
        assert [service.starts for service in server.services.values()] == [1, 1]

        run = play({"ex01": host}, **content)
        assert run.status == 0 and run.recap["ex01"]["changed"] == 0, run.text
        assert ways_of(server) == [BY_KERBEROS] and server.open_shells == 0


@pytest.mark.parametrize("auth", ["kerberos", None])
def test_a_task_without_a_ticket_fails_in_one_sentence(realm, play, auth):
    with exchange(keytab=realm.keytab) as server:
        host = psrp(server, ansible_host="localhost", ansible_psrp_auth=auth)
        for name in ("ansible_user", "ansible_password", *([] if auth else ["ansible_psrp_auth"])):
            del host[name]
        task = {"mailops.imap.imap_settings": {**TIMEOUTS, "exchange": {"port": server.port}}}
        run = play({"ex01": host}, "-vvv", tasks=[task])
        assert run.status == 2 and "Traceback" not in run.text
        assert "There is no Kerberos ticket and no password; get one with kinit where Ansible" in run.text


def test_the_environment_of_a_task_names_no_cache_of_tickets(realm, play, monkeypatch, tmp_path):
    realm.ticket(USER, PASSWORD)
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    with exchange(keytab=realm.keytab) as server:
        host = psrp(server, ansible_host="localhost", ansible_psrp_auth="kerberos")
        del host["ansible_user"], host["ansible_password"]
        task = {
            "mailops.imap.imap_settings_info": {"exchange": {"port": server.port}},
            "environment": {"KRB5CCNAME": f"FILE:{tmp_path}/tickets"},
        }
        run = play({"ex01": host}, tasks=[task])
        assert run.status == 2 and "There is no Kerberos ticket and no password" in run.text
        monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/tickets")
        assert play({"ex01": host}, tasks=[task]).status == 0


# tickets


def test_over_https_the_login_is_bound_to_the_channel(realm):
    with exchange(keytab=realm.keytab, tls=True, extended_protection=True) as server:
        assert _route.look(way_in(server))["settings"] and ways_of(server) == [BY_KERBEROS]


def test_over_https_a_login_that_is_not_bound_is_refused_where_the_server_asks_for_it(realm):
    with exchange(keytab=realm.keytab, tls=True, extended_protection=True) as server:
        assert "refused the Kerberos ticket" in failing(server, negotiate_send_cbt=False)


def test_a_server_that_offers_kerberos_alone(realm):
    with exchange(keytab=realm.keytab, mechanisms=("Kerberos",)) as server:
        assert _route.look(way_in(server))["settings"] and ways_of(server) == [BY_KERBEROS]


def test_the_user_of_another_ticket_than_the_cached_one_is_not_taken_for_it(realm):
    realm.ticket(USER, PASSWORD)
    with exchange(keytab=realm.keytab) as server:
        text = failing(server, user=f"locked@{REALM}", password=None)
        assert f"no Kerberos ticket of locked@{REALM} and no password" in text


def test_a_ticket_for_the_name_of_the_override_serves_for_an_address(realm):
    with exchange(keytab=realm.keytab) as server:
        access = way_in(server, host="127.0.0.1", negotiate_hostname_override="localhost")
        assert _route.look(access)["settings"] and ways_of(server) == [BY_KERBEROS]


def test_a_ticket_for_another_service_of_the_server_serves_where_the_realm_has_it(realm):
    with exchange(keytab=realm.keytab) as server:
        assert _route.look(way_in(server, negotiate_service="host"))["settings"]


def test_credssp_logs_in_by_kerberos_within(realm):
    with exchange(keytab=realm.keytab, mechanisms=("CredSSP",), users={"unknown-to-ntlm": PASSWORD}) as server:
        assert _route.look(way_in(server, auth="credssp", credssp_auth_mechanism="kerberos"))["settings"]
        assert ways_of(server) == [f"CredSSP {PRINCIPAL}"]


# no ticket


@pytest.mark.parametrize("auth", ["kerberos", None, "negotiate"])
@pytest.mark.parametrize("user", [None, PRINCIPAL])
def test_no_ticket_and_no_password(realm, user, auth):
    with exchange(keytab=realm.keytab) as server:
        whose = f" of {user}" if user else ""
        assert failing(server, auth=auth, user=user, password=None) == (
            f"There is no Kerberos ticket{whose} and no password; get one with kinit where Ansible runs, or set "
            "ansible_user and ansible_password."
        )


@pytest.mark.parametrize("auth", ["kerberos", None])
@pytest.mark.parametrize("user", [None, PRINCIPAL])
def test_an_expired_ticket(realm, user, auth):
    realm.ticket(USER, PASSWORD, "-l", "1s")
    while subprocess.run(["klist", "-s"], check=False).returncode == 0:
        time.sleep(0.1)
    with exchange(keytab=realm.keytab) as server:
        text = failing(server, auth=auth, user=user, password=None)
        assert "has expired; renew it with kinit where Ansible runs, or set ansible_password." in text


@pytest.mark.parametrize("auth", ["kerberos", None])
def test_a_wrong_password_is_judged_once(realm, auth):
    with exchange(keytab=realm.keytab) as server:
        text = failing(server, auth=auth, password="wrong-password")
        assert text == f"Kerberos refused the password of the user {PRINCIPAL}; check ansible_user and ansible_password."
        assert server.logins == []


def test_negotiate_has_a_wrong_password_judged_by_ntlm_too(realm):
    with exchange(keytab=realm.keytab) as server:
        text = failing(server, auth="negotiate", password="wrong-password")
        assert f"refused the user {PRINCIPAL} by Negotiate, which is Kerberos or, where that gives no ticket, NTLM; " in text
        assert [login.partition(":")[0] for login in server.logins] == ["Negotiate refused"]


@pytest.mark.parametrize(
    "user, password, words",
    [
        (f"nobody@{REALM}", "wrong-password", "does not know the user nobody@EXAMPLE.TEST; write ansible_user as user@"),
        (f"locked@{REALM}", OTHERS["locked"], "the account of the user locked@EXAMPLE.TEST is locked or disabled"),
        (f"expired@{REALM}", OTHERS["expired"], "the password of the user expired@EXAMPLE.TEST has expired; set a new"),
    ],
)
@pytest.mark.parametrize("auth", ["kerberos", None])
def test_a_user_whom_kerberos_refuses_is_not_tried_again(realm, auth, user, password, words):
    with exchange(keytab=realm.keytab) as server:
        assert words in failing(server, auth=auth, user=user, password=password)
        assert server.logins == []


# no ticket, but another method; and the sentence where there is no other


def without_service(realm, monkeypatch, tmp_path):
    return {"negotiate_service": "http"}, "Kerberos knows no service http/localhost; set host in the option exchange"


def without_override(realm, monkeypatch, tmp_path):
    return {"host": "127.0.0.1"}, "Kerberos knows no service HTTP/127.0.0.1; set host in the option exchange, or ansible_"


def with_wrong_override(realm, monkeypatch, tmp_path):
    return {"negotiate_hostname_override": "ex09.example.test"}, "Kerberos knows no service HTTP/ex09.example.test; set"


def without_kdc(realm, monkeypatch, tmp_path):
    configuration = tmp_path / "krb5.conf"
    silent = f"[realms]\n  {REALM} = {{\n    kdc = 127.0.0.1:1\n  }}\n"
    configuration.write_text(f"[libdefaults]\n  default_realm = {REALM}\n{silent}", encoding="utf-8")
    monkeypatch.setenv("KRB5_CONFIG", str(configuration))
    return {}, f"No domain controller gave the user {PRINCIPAL} a ticket; check what /etc/krb5.conf or DNS names"


def without_configuration(realm, monkeypatch, tmp_path):
    (tmp_path / "krb5.conf").write_text("[libdefaults]\n  dns_lookup_kdc = false\n", encoding="utf-8")
    monkeypatch.setenv("KRB5_CONFIG", str(tmp_path / "krb5.conf"))
    return {}, f"Kerberos knows no domain controller for the user {PRINCIPAL}; write the domain in capitals"


LACKS = [without_service, without_override, with_wrong_override, without_kdc, without_configuration]


@pytest.mark.parametrize("lack", LACKS)
def test_with_kerberos_asked_for_it_is_told_what_lacks(realm, monkeypatch, tmp_path, lack):
    options, words = lack(realm, monkeypatch, tmp_path)
    with exchange(keytab=realm.keytab) as server:
        assert words in failing(server, **options)
        assert server.logins == []


@pytest.mark.parametrize("auth", [None, "negotiate"])
@pytest.mark.parametrize("lack", LACKS)
def test_by_default_and_with_negotiate_ntlm_follows(realm, monkeypatch, tmp_path, lack, auth):
    options = lack(realm, monkeypatch, tmp_path)[0]
    with exchange(keytab=realm.keytab) as server:
        assert _route.look(way_in(server, auth=auth, **options))["settings"]
        assert ways_of(server) == [BY_NTLM]


@pytest.mark.parametrize("lack", LACKS)
def test_where_ntlm_fails_too_both_are_told(realm, monkeypatch, tmp_path, lack):
    options, words = lack(realm, monkeypatch, tmp_path)
    with exchange(keytab=realm.keytab, users={"else": PASSWORD}) as server:
        text = failing(server, auth=None, **options)
        assert words in text and f"; without Kerberos: http://{options.get('host', 'localhost')}:{server.port}/" in text


@pytest.mark.parametrize("auth", [None, "negotiate"])
def test_a_name_of_windows_own_goes_to_ntlm(realm, auth):
    with exchange(keytab=realm.keytab) as server:
        assert _route.look(way_in(server, auth=auth, user=f"EXAMPLE\\{USER}"))["settings"]
        assert ways_of(server) == [f"NTLM EXAMPLE\\{USER}"]


# a ticket that is not taken


@pytest.mark.parametrize("auth", ["kerberos", None])
def test_a_server_without_the_key_of_the_ticket(realm, tmp_path, auth):
    with exchange(keytab=str(tmp_path / "none")) as server:
        text = failing(server, auth=auth)
        assert f"refused the Kerberos ticket of {PRINCIPAL}; check that HTTP/localhost is registered for that" in text


@contextlib.contextmanager
def skewed(monkeypatch, tmp_path, clock, corrected):
    with kdc(tmp_path, {USER: PASSWORD}, SERVICES, REALM, clock, corrected) as realm:
        with exchange(keytab=entered(realm, monkeypatch, tmp_path).keytab) as server:
            yield server


@pytest.mark.parametrize("clock", ["+1h", "-1h"])
def test_a_clock_that_differs_from_the_domain_controllers(monkeypatch, tmp_path, clock):
    with skewed(monkeypatch, tmp_path, clock, corrected=False) as server:
        assert "The clocks of this controller and of the domain controller differ" in failing(server)
        assert _route.look(way_in(server, auth=None))["settings"] and ways_of(server) == [BY_NTLM]


def test_a_clock_of_the_server_that_differs_from_the_domain_controllers(monkeypatch, tmp_path):
    with skewed(monkeypatch, tmp_path, "+1h", corrected=True) as server:
        assert "refused the Kerberos ticket" in failing(server) and "that its clock is right" in failing(server)
