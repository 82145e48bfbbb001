# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cmdlets: binding of parameters, -WhatIf, warnings, roles, several servers, services and their start."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor

import pytest
from exchange_simulator import Access, simulator
from exchange_simulator.client import connected, connection, errors, properties, settings, warnings
from pypsrp.powershell import PowerShell, RunspacePool

START = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.timezone.utc)


class Clock:
    """A time that a test moves."""

    def __init__(self):
        self.time = START

    def __call__(self):
        return self.time


def test_what_if_leaves_the_value_and_says_so_on_the_client_s_screen(caplog):
    with simulator() as exchange, connected(exchange) as client:
        shell = client.run("Set-ImapSettings", MaxConnections=5, WhatIf=True)
        assert not errors(shell) and not warnings(shell)
        assert exchange.settings["MaxConnections"] == 2147483647
        assert 'What if: Setting IMAP4 settings for server "EX01".' in caplog.text


def test_what_if_still_validates():
    with simulator() as exchange, connected(exchange) as client:
        assert errors(client.run("Set-ImapSettings", MaxConnections=0, WhatIf=True))


def test_a_change_that_changes_nothing_says_so_and_is_not_written():
    clock = Clock()
    with simulator(clock=clock) as exchange, connected(exchange) as client:
        before = exchange.local.changed
        clock.time += datetime.timedelta(hours=1)
        shell = client.run("Set-ImapSettings", AuthenticatedConnectionTimeout="00:30:00")
        assert warnings(shell) == [
            "The command completed successfully but no settings of 'EX01\\1' have been modified."
        ]
        assert exchange.local.changed == before


def test_custom_calendar_items_need_an_address():
    with simulator() as exchange, connected(exchange) as client:
        assert "OwaServerUrl" in errors(client.run("Set-ImapSettings", CalendarItemRetrievalOption="Custom"))[0]
        shell = client.run("Set-ImapSettings", CalendarItemRetrievalOption="Custom", OwaServerUrl="https://owa.test/")
        assert not errors(shell)


def test_a_parameter_s_name_may_be_shortened_until_it_is_ambiguous():
    with simulator() as exchange, connected(exchange) as client:
        assert not errors(client.run("Set-ImapSettings", Bann="Hello"))
        assert exchange.settings["Banner"] == "Hello"
        assert "is ambiguous" in errors(client.run("Set-ImapSettings", MaxConnection=5))[0]


def test_error_action_stop_turns_an_error_into_a_failed_pipeline():
    with simulator() as exchange, connected(exchange) as client:
        assert not client.run("Set-ImapSettings", MaxConnections=0).had_errors
        assert client.run("Set-ImapSettings", MaxConnections=0, ErrorAction="Stop").had_errors


def test_scripts_are_refused_where_there_is_no_language():
    with simulator() as exchange, connected(exchange) as client:
        shell = client.script("Get-ImapSettings")
        assert shell.had_errors
        assert "no-language mode" in errors(shell)[0]


def test_cmdlets_of_windows_are_unknown_in_exchange_s_configuration():
    with simulator() as exchange, connected(exchange) as client:
        assert "The term 'Restart-Service' is not recognized" in errors(client.run("Restart-Service", Name="x"))[0]


def test_simple_scripts_run_in_windows_powershell():
    with simulator("2010") as exchange, connected(exchange, "Microsoft.PowerShell") as client:
        shell = client.script(
            "Add-PSSnapin Microsoft.Exchange.Management.PowerShell.E2010\n"
            "Set-ImapSettings -Server 'EX01' -Banner 'It''s IMAP4' "
            "-SSLBindings @('192.0.2.1:993', \"192.0.2.2:993\") -ProtocolLogEnabled:$true; "
            "Get-ImapSettings -Server EX01 | Select-Object Banner, MaxConnections"
        )
        assert not errors(shell)
        assert exchange.settings["SSLBindings"] == ["192.0.2.1:993", "192.0.2.2:993"]
        assert exchange.settings["ProtocolLogEnabled"] is True
        assert exchange.settings["Banner"] == "It's IMAP4"
        assert set(properties(shell.output[0])) == {"Banner", "MaxConnections"}


def test_a_script_that_is_more_than_simple_is_refused():
    with simulator() as exchange, connected(exchange, "Microsoft.PowerShell") as client:
        assert client.script("if ($true) { Get-Service }").had_errors


def test_a_snap_in_that_is_not_there_is_refused():
    with simulator() as exchange, connected(exchange, "Microsoft.PowerShell") as client:
        (message,) = errors(client.run("Add-PSSnapin", Name="Microsoft.Exchange.Management.PowerShell.Admin"))
        assert "is not registered on this computer" in message


# --- roles


def test_a_viewer_may_read_but_has_no_cmdlet_to_write():
    with simulator(access=Access(view_only=True)) as exchange, connected(exchange) as client:
        assert client.run("Get-ImapSettings").output
        assert "The term 'Set-ImapSettings' is not recognized" in errors(client.run("Set-ImapSettings", Banner="x"))[0]


def test_a_parameter_outside_of_the_user_s_roles_is_unknown():
    with simulator(access=Access(hidden_parameters=("Banner",))) as exchange, connected(exchange) as client:
        (message,) = errors(client.run("Set-ImapSettings", Banner="x"))
        assert message == "A parameter cannot be found that matches parameter name 'Banner'."
        assert not errors(client.run("Set-ImapSettings", MaxConnections=5))


def test_get_command_shows_the_parameters_that_roles_leave():
    with simulator(access=Access(hidden_parameters=("Banner",))) as exchange, connected(exchange) as client:
        (item,) = client.run("Get-Command", Name="Set-ImapSettings").output
        parameters = properties(item)["Parameters"]
        assert "MaxConnections" in parameters and "Banner" not in parameters


# --- several servers


@pytest.mark.parametrize(
    "name",
    [
        "EX02",
        "ex02.example.test",
        "CN=EX02,CN=Servers,CN=Exchange Administrative Group (FYDIBOHF23SPDLT),CN=Administrative Groups,"
        "CN=First Organization,CN=Microsoft Exchange,CN=Services,CN=Configuration,DC=example,DC=test",
        "/o=First Organization/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Configuration/cn=Servers/cn=EX02",
    ],
)
def test_another_server_is_changed_through_the_endpoint_of_the_first(name):
    with simulator(others=["EX02"]) as exchange, connected(exchange) as client:
        assert not errors(client.run("Set-ImapSettings", Server=name, MaxConnections=5))
        assert exchange.organization.find("EX02").settings["MaxConnections"] == 5
        assert exchange.settings["MaxConnections"] == 2147483647


def test_a_server_that_is_not_there_is_an_error_in_the_stream():
    with simulator() as exchange, connected(exchange) as client:
        shell = client.run("Get-ImapSettings", Server="EX99")
        assert not shell.had_errors
        assert errors(shell) == [
            "The operation couldn't be performed because object 'EX99' couldn't be found on 'DC01.example.test'."
        ]


def test_two_endpoints_can_share_an_organisation_and_each_has_its_own_services():
    with simulator(others=["EX02"]) as one, simulator(name="EX02", organization=one.organization) as two:
        with connected(one) as client:
            client.run("Set-ImapSettings", Server="EX02", MaxConnections=5)
        assert settings(two)["MaxConnections"] == 5
        with connected(two, "Microsoft.PowerShell") as client:
            client.run("Restart-Service", Name="MSExchangeIMAP4")
        assert (one.services["MSExchangeIMAP4"].starts, two.services["MSExchangeIMAP4"].starts) == (0, 1)


def test_servers_of_different_versions_live_in_one_organisation():
    with simulator("2019", others={"OLD": "2013"}) as exchange, connected(exchange) as client:
        versions = [properties(item)["AdminDisplayVersion"] for item in client.run("Get-ExchangeServer").output]
        assert versions == ["Version 15.2 (Build 1118.7)", "Version 15.0 (Build 1497.2)"]


# --- services


def test_a_service_that_is_not_installed_is_an_error_unless_a_wildcard_asks():
    with simulator(services={"MSExchangeIMAP4BE": None}) as exchange:
        with connected(exchange, "Microsoft.PowerShell") as client:
            assert errors(client.run("Get-Service", Name="MSExchangeIMAP4BE")) == [
                "Cannot find any service with service name 'MSExchangeIMAP4BE'."
            ]
            shell = client.run("Get-Service", Name="MSExchangeIMAP4*")
            assert [properties(item)["Name"] for item in shell.output] == ["MSExchangeIMAP4"]
            assert not errors(shell)


def test_restarting_a_service_that_is_stopped_starts_it():
    with simulator(services={"MSExchangeIMAP4": "Stopped"}) as exchange:
        with connected(exchange, "Microsoft.PowerShell") as client:
            assert str(properties(client.run("Get-Service", Name="MSExchangeIMAP4").output[0])["Status"]) == "Stopped"
            client.run("Restart-Service", Name="MSExchangeIMAP4")
        assert exchange.services["MSExchangeIMAP4"].status == "Running"


def test_a_process_tells_whether_a_service_started_before_the_last_change():
    clock = Clock()
    with simulator(clock=clock) as exchange:
        clock.time += datetime.timedelta(minutes=5)
        with connected(exchange) as client:
            client.run("Set-ImapSettings", MaxConnections=5)
            changed = settings(exchange)["WhenChangedUTC"]
        assert changed == "2026-03-01T12:05:00Z"
        with connected(exchange, "Microsoft.PowerShell") as client:
            (row, _rest) = client.run(
                "Get-WmiObject", Class="Win32_Service", Filter="Name LIKE 'MSExchangeIMAP4%'"
            ).output
            number = properties(row)["ProcessId"]
            (process,) = client.run("Get-Process", Id=number).output
            assert properties(process)["StartTime"] == "2026-02-28T05:00:00-07:00"
            clock.time += datetime.timedelta(minutes=5)
            client.run("Restart-Service", Name="MSExchangeIMAP4")
            (row,) = client.run("Get-WmiObject", Class="Win32_Service", Filter="Name='MSExchangeIMAP4'").output
            (process,) = client.run("Get-Process", Id=properties(row)["ProcessId"]).output
            assert properties(process)["StartTime"] == "2026-03-01T05:10:00-07:00"


def test_wmi_gives_the_start_of_a_process_as_a_text():
    with simulator(clock=Clock()) as exchange, connected(exchange, "Microsoft.PowerShell") as client:
        (row, _rest) = client.run("Get-WmiObject", Query="SELECT * FROM Win32_Process").output
        assert properties(row)["CreationDate"] == "20260228050000.000000-420"


def test_the_process_of_a_stopped_service_has_no_number():
    with simulator(services={"MSExchangeIMAP4": "Stopped"}) as exchange:
        with connected(exchange, "Microsoft.PowerShell") as client:
            (row,) = client.run("Get-CimInstance", ClassName="Win32_Service", Filter="Name='MSExchangeIMAP4'").output
        assert (properties(row)["State"], properties(row)["ProcessId"]) == ("Stopped", 0)


# --- pipelines


def test_cmdlets_can_be_piped():
    with simulator() as exchange, connected(exchange, "Microsoft.PowerShell") as client:
        shell = PowerShell(client.pool)
        shell.add_cmdlet("Get-Service").add_parameter("Name", "MSExchangeIMAP4*").add_cmdlet("Restart-Service")
        shell.invoke()
        assert not shell.had_errors
        assert [service.starts for service in exchange.services.values()] == [1, 1]


def test_several_statements_run_after_each_other_but_on_powershell_2_only_the_first():
    for version, count in (("2019", 2), ("2010", 1)):
        with simulator(version) as exchange, connected(exchange) as client:
            shell = PowerShell(client.pool)
            shell.add_cmdlet("Set-ImapSettings").add_parameter("MaxConnections", 5).add_statement()
            shell.add_cmdlet("Get-ImapSettings")
            shell.invoke()
            assert len(exchange.calls) == count


def test_several_pools_live_at_once():
    with simulator() as exchange:
        with connected(exchange) as one, connected(exchange) as two:
            assert exchange.open_shells == 2
            one.run("Set-ImapSettings", MaxConnections=5)
            assert properties(two.run("Get-ImapSettings").output[0])["MaxConnections"] == 5
        assert exchange.open_shells == 0


def test_many_clients_work_at_the_same_time():
    def work(number):
        with connected(exchange, others[number % 2]) as client:
            name = "Get-Service" if others[number % 2] == "Microsoft.PowerShell" else "Get-ImapSettings"
            return len(client.run(name).output)

    others = ["Microsoft.Exchange", "Microsoft.PowerShell"]
    with simulator() as exchange, ThreadPoolExecutor(8) as workers:
        assert list(workers.map(work, range(16))) == [1, 2] * 8
        assert (exchange.open_shells, exchange.shells_created) == (0, 16)


@pytest.mark.parametrize("version, protocol", [("2010", "2.1"), ("2013", "2.2"), ("2019", "2.3")])
def test_the_protocol_is_that_of_the_version_s_powershell(version, protocol):
    with simulator(version) as exchange, connected(exchange) as client:
        assert client.pool.protocol_version == protocol


def test_a_long_answer_comes_in_several_fragments():
    with simulator() as exchange:
        exchange.settings["Banner"] = "x" * 100000
        assert settings(exchange)["Banner"] == "x" * 100000


def test_a_pool_says_that_it_is_alive_until_it_is_gone():
    with simulator() as exchange, connection(exchange) as wsman:
        pool = RunspacePool(wsman, configuration_name="Microsoft.Exchange")
        pool.open()
        assert pool.is_alive()
        exchange.service.shells.clear()
        assert not pool.is_alive()
