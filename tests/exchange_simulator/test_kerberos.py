# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kerberos with a real KDC; `make test-kerberos` brings what it takes."""

from __future__ import annotations

import pytest
from exchange_simulator import simulator
from exchange_simulator.client import connected, errors, settings
from exchange_simulator.kdc import kdc
from exchange_simulator.server import PASSWORD, USER
from pypsrp.exceptions import AuthenticationError

pytest.importorskip("gssapi", reason="Kerberos needs gssapi and krb5, which make test-kerberos builds")
pytest.importorskip("krb5", reason="Kerberos needs gssapi and krb5, which make test-kerberos builds")


@pytest.fixture(scope="module", name="running")
def running_(tmp_path_factory):
    # Windows takes a ticket for host/ where HTTP/ is meant; to MIT Kerberos these are two services.
    with kdc(tmp_path_factory.mktemp("kdc"), {USER: PASSWORD}, ["HTTP/localhost", "host/localhost"]) as made:
        yield made


@pytest.fixture(name="realm")
def realm_(running, monkeypatch):
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    return running


def login(realm, **options):
    return {"server": "localhost", "username": f"{USER}@{realm.realm}", "negotiate_service": "HTTP", **options}


@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
@pytest.mark.parametrize("version", ["2010", "2013", "2016", "2019", "SE"])
def test_a_ticket_reads_and_writes_in_encrypted_messages(realm, version, auth):
    with simulator(version, keytab=realm.keytab) as exchange:
        with connected(exchange, auth=auth, **login(realm)) as client:
            assert client.run("Get-ImapSettings").output
            assert not errors(client.run("Set-ImapSettings", Server="EX01", MaxConnections=5))
        assert exchange.settings["MaxConnections"] == 5
        assert exchange.logins == [f"Kerberos {USER}@{realm.realm}"]
        assert exchange.open_shells == 0


def test_a_server_that_offers_kerberos_alone_has_another_protocol_for_messages(realm):
    with simulator(keytab=realm.keytab, mechanisms=("Kerberos",)) as exchange:
        with connected(exchange, auth="kerberos", **login(realm)) as client:
            assert client.run("Get-ImapSettings").output
            transport = client.pool.connection.transport
            assert transport.encryption.protocol == "application/HTTP-Kerberos-session-encrypted"


def test_services_are_restarted_with_a_ticket(realm):
    with simulator(keytab=realm.keytab) as exchange:
        with connected(exchange, "Microsoft.PowerShell", auth="kerberos", **login(realm)) as client:
            assert not errors(client.run("Restart-Service", Name="MSExchangeIMAP4*"))
        assert exchange.services["MSExchangeIMAP4BE"].starts == 1


def test_a_ticket_of_the_cache_needs_no_password(realm):
    realm.ticket(USER, PASSWORD)
    with simulator(keytab=realm.keytab) as exchange:
        assert settings(exchange, auth="kerberos", **login(realm, password=None))


def test_a_login_over_tls_is_bound_to_the_channel(realm):
    with simulator(tls=True, keytab=realm.keytab, extended_protection=True) as exchange:
        assert settings(exchange, auth="kerberos", **login(realm))


def test_a_wrong_password_gets_no_ticket(realm):
    with simulator(keytab=realm.keytab) as exchange:
        with pytest.raises(Exception, match="(?i)password|preauth|decrypt"):
            settings(exchange, auth="kerberos", **login(realm, password="guessed"))
        assert exchange.shells_created == 0


def test_a_service_that_the_realm_does_not_know_gets_no_ticket(realm):
    with simulator(keytab=realm.keytab) as exchange:
        with pytest.raises(Exception, match="(?i)not found in kerberos database"):
            settings(exchange, auth="kerberos", **login(realm, negotiate_service="WSMAN"))


def test_negotiate_falls_back_to_ntlm_where_the_realm_does_not_know_the_service(realm):
    with simulator(keytab=realm.keytab) as exchange:
        assert settings(exchange, auth="negotiate", **login(realm, username=USER, negotiate_service="WSMAN"))
        assert exchange.logins == [f"NTLM {USER}"]


def test_a_server_without_its_key_refuses_the_ticket(realm, tmp_path):
    with simulator(keytab=str(tmp_path / "none")) as exchange, pytest.raises(AuthenticationError):
        settings(exchange, auth="kerberos", **login(realm))
