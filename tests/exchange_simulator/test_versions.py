# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each version of Exchange takes and gives."""

from __future__ import annotations

import pytest
from exchange_simulator import VERSIONS, simulator
from exchange_simulator.client import connected, errors, properties, settings

REMOTING = [name for name, version in VERSIONS.items() if version.endpoint]
SNAPIN = [name for name, version in VERSIONS.items() if not version.endpoint]
# What a version lacks of the 27 settings that the newest has.
LACKING = {
    "2007": 11,
    "2007-sp1": 10,
}
# (version, parameter, smallest, greatest) that the documents name.
RANGES = [
    ("2010", "AuthenticatedConnectionTimeout", "00:00:30", "1.00:00:00"),
    ("2010", "PreAuthenticatedConnectionTimeout", "00:00:10", "01:00:00"),
    ("2010", "MaxConnectionFromSingleIP", 1, 25000),
    ("2010", "MaxConnectionsPerUser", 1, 25000),
    ("2010", "MaxCommandSize", 40, 1024),
    ("2013", "AuthenticatedConnectionTimeout", "00:00:30", "01:00:00"),
    ("2016", "PreAuthenticatedConnectionTimeout", "00:00:30", "01:00:00"),
    ("2019", "MaxCommandSize", 1024, 16384),
    ("SE", "MaxConnectionFromSingleIP", 1, 2147483647),
]


@pytest.fixture(name="of_version")
def of_version_(request):
    """A client where the cmdlets of a version are, by its own way in."""
    with simulator(request.param) as exchange:
        configuration = "Microsoft.Exchange" if exchange.version.endpoint else "Microsoft.PowerShell"
        with connected(exchange, configuration) as client:
            if not exchange.version.endpoint:
                assert not errors(client.run("Add-PSSnapin", Name=exchange.version.snapin))
            yield exchange, client


@pytest.mark.parametrize("of_version", VERSIONS, indirect=True)
def test_every_parameter_of_a_version_can_be_set_to_its_default(of_version):
    exchange, client = of_version
    for name, parameter in exchange.version.parameters.items():
        value = exchange.settings[name]
        sent = f"0.00:{value // 60:02}:{value % 60:02}" if parameter.kind == "timespan" else value
        shell = client.run("Set-ImapSettings", Server="EX01", **{name: sent})
        assert not shell.had_errors, name
        assert not errors(shell), name


@pytest.mark.parametrize("of_version", VERSIONS, indirect=True)
def test_every_parameter_of_a_version_is_read(of_version):
    exchange, client = of_version
    (item,) = client.run("Get-ImapSettings", Server="EX01").output
    assert set(exchange.version.parameters) <= set(properties(item))


@pytest.mark.parametrize("of_version", VERSIONS, indirect=True)
def test_a_parameter_of_another_version_is_unknown(of_version):
    exchange, client = of_version
    every = {name for version in VERSIONS.values() for name in version.parameters}
    missing = every - set(exchange.version.parameters)
    assert len(missing - {"LiveIdBasicAuthReplacement"}) == LACKING.get(exchange.version.name, 0)
    for name in missing:
        shell = client.run("Set-ImapSettings", **{name: True})
        assert shell.had_errors
        assert errors(shell) == [f"A parameter cannot be found that matches parameter name '{name}'."]


@pytest.mark.parametrize("of_version", VERSIONS, indirect=True)
def test_the_version_is_learned_from_the_server_object(of_version):
    exchange, client = of_version
    (item,) = client.run("Get-ExchangeServer", Identity="EX01").output
    assert properties(item)["AdminDisplayVersion"] == exchange.version.display_version


@pytest.mark.parametrize("of_version", VERSIONS, indirect=True)
def test_identity_is_refused(of_version):
    _rest, client = of_version
    shell = client.run("Set-ImapSettings", Identity="EX01", MaxConnections=5)
    assert errors(shell) == ["A parameter cannot be found that matches parameter name 'Identity'."]


@pytest.mark.parametrize("version, services", [("2010", 1), ("2013", 2), ("SE", 2), ("2007", 1)])
def test_there_is_a_back_end_service_from_2013_on(version, services):
    with simulator(version) as exchange, connected(exchange, "Microsoft.PowerShell") as client:
        assert len(client.run("Get-Service", Name="MSExchangeIMAP4*").output) == services


@pytest.mark.parametrize("version, parameter, smallest, greatest", RANGES)
def test_the_ends_of_a_documented_range_are_taken(version, parameter, smallest, greatest):
    with simulator(version) as exchange, connected(exchange) as client:
        for value in (smallest, greatest):
            assert not errors(client.run("Set-ImapSettings", **{parameter: value}))


@pytest.mark.parametrize(
    "version, parameter, value, shown",
    [
        ("2010", "AuthenticatedConnectionTimeout", "00:00:29", "between 00:00:30 and 1.00:00:00"),
        ("2010", "PreAuthenticatedConnectionTimeout", "01:00:01", "between 00:00:10 and 01:00:00"),
        ("2010", "MaxConnectionsPerUser", 25001, "between 1 and 25000"),
        ("2010", "MaxCommandSize", 1025, "between 40 and 1024"),
        ("2013", "AuthenticatedConnectionTimeout", "01:00:01", "between 00:00:30 and 01:00:00"),
        ("2016", "PreAuthenticatedConnectionTimeout", "00:00:29", "between 00:00:30 and 01:00:00"),
        ("2019", "MaxCommandSize", 1023, "between 1024 and 16384"),
        ("SE", "MaxConnections", 0, "between 1 and 2147483647"),
    ],
)
def test_a_value_outside_of_a_documented_range_changes_nothing(version, parameter, value, shown):
    with simulator(version) as exchange, connected(exchange) as client:
        before = dict(exchange.settings)
        shell = client.run("Set-ImapSettings", **{parameter: value, "Banner": "another"})
        assert not shell.had_errors  # the error is in the stream alone
        assert shown in errors(shell)[0]
        assert exchange.settings == before


def test_a_range_can_be_replaced_for_a_test():
    with simulator("2013", ranges={"AuthenticatedConnectionTimeout": (30, 86400)}) as exchange:
        with connected(exchange) as client:
            assert not errors(client.run("Set-ImapSettings", AuthenticatedConnectionTimeout="1.00:00:00"))
        assert exchange.settings["AuthenticatedConnectionTimeout"] == 86400


def test_the_first_version_has_no_tnef():
    with simulator("2007") as exchange, connected(exchange, "Microsoft.PowerShell") as client:
        client.run("Add-PSSnapin", Name=exchange.version.snapin)
        (message,) = errors(client.run("Set-ImapSettings", MessageRetrievalMimeFormat="Tnef"))
        assert "Unable to match the identifier name Tnef" in message


def test_the_first_version_has_no_what_if():
    with simulator("2007") as exchange, connected(exchange, "Microsoft.PowerShell") as client:
        client.run("Add-PSSnapin", Name=exchange.version.snapin)
        assert "parameter name 'WhatIf'" in errors(client.run("Set-ImapSettings", MaxConnections=5, WhatIf=True))[0]


@pytest.mark.parametrize("version", REMOTING)
def test_reading_works_in_exchange_s_own_configuration(version):
    with simulator(version) as exchange:
        assert settings(exchange)["LoginType"] == "SecureLogin"


@pytest.mark.parametrize("version", SNAPIN)
def test_2007_has_its_cmdlets_only_with_the_snap_in(version):
    with simulator(version) as exchange, connected(exchange, "Microsoft.PowerShell") as client:
        assert "is not recognized as the name of a cmdlet" in errors(client.run("Get-ImapSettings"))[0]
        client.run("Add-PSSnapin", Name="Microsoft.Exchange.Management.PowerShell.Admin")
        assert client.run("Get-ImapSettings").output


def test_powershell_2_has_no_cim_cmdlets():
    with simulator("2010") as exchange, connected(exchange, "Microsoft.PowerShell") as client:
        assert "Get-CimInstance" in errors(client.run("Get-CimInstance", ClassName="Win32_Service"))[0]
        assert client.run("Get-WmiObject", Class="Win32_Service").output
