# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole playbooks with Ansible: the role, its handler and the modules, against simulated servers of Exchange."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from world import TIMEOUTS, exchange

COLLECTIONS = Path(__file__).resolve().parents[5]
ROLE = [{"role": "mailops.imap.imap_settings"}]


def psrp(server, **more):
    """Variables of a Windows host whose connection is psrp."""
    return {
        "ansible_connection": "psrp",
        "ansible_host": server.host,
        "ansible_user": server.user,
        "ansible_password": "{{ vaulted }}",
        "vaulted": server.password,
        "ansible_psrp_auth": "ntlm",
        "ansible_psrp_protocol": "http",
        "ansible_psrp_port": server.port,
        "imap_settings_exchange": {"port": server.port},
        "imap_settings_health_port": server.imap_port,
        **more,
    }


def local(server, **more):
    """Variables of a host that Ansible itself never connects to."""
    given = {**psrp(server), "ansible_connection": "local", "imap_settings_server_type": "exchange", **more}
    return {**given, "imap_settings_exchange": {"port": server.port, "services_port": server.port}}


class Run:
    """What ansible-playbook said; ``recap`` maps a host to its counts."""

    def __init__(self, done):
        self.status, self.text = done.returncode, done.stdout + done.stderr
        self.recap = {
            match[1]: {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", match[2])}
            for match in re.finditer(r"(?m)^(\S+)\s+: (ok=.*)$", self.text)
        }


@pytest.fixture(name="play")
def fixture_play(tmp_path):
    """Run one play over ``hosts`` (name to variables) and return a Run."""

    def play(hosts, *arguments, **content):
        inventory = tmp_path / "inventory.yml"
        inventory.write_text(yaml.safe_dump({"exchange": {"hosts": hosts}}))
        playbook = tmp_path / "playbook.yml"
        playbook.write_text(yaml.safe_dump([{"hosts": "exchange", "gather_facts": False, **content}]))
        command = [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            str(inventory),
            str(playbook),
            *arguments,
        ]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_HOME": str(tmp_path / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        for variables in hosts.values():
            assert variables["vaulted"] not in done.stdout + done.stderr
        return Run(done)

    return play


VARIABLES = {
    **{f"imap_settings_{name}": value for name, value in TIMEOUTS.items()},
    "imap_settings_health_max_wait": 10,
}


@pytest.mark.parametrize("reach", [psrp, local])
def test_the_role_checks_applies_restarts_and_is_idempotent(reach, play):
    with exchange() as server:
        hosts = {"ex01": reach(server)}
        content = {"roles": ROLE, "vars": VARIABLES}
        run = play(hosts, "--check", "--diff", **content)
        assert run.status == 0 and run.recap["ex01"]["changed"] == 2, run.text
        assert '+        "configured": 900,' in run.text and server.settings["AuthenticatedConnectionTimeout"] == 1800

        server.faults.imap_delay = 2
        run = play(hosts, "-vvv", **content)
        assert run.status == 0 and run.recap["ex01"]["changed"] == 2, run.text
        assert server.settings["AuthenticatedConnectionTimeout"] == 900
        assert [service.starts for service in server.services.values()] == [1, 1]

        run = play(hosts, **content)
        assert run.status == 0 and run.recap["ex01"]["changed"] == 0, run.text

        server.organization.local.write({"PreAuthenticatedConnectionTimeout": 120})
        run = play(hosts, **content)
        assert run.status == 0 and run.recap["ex01"]["changed"] == 2, run.text
        assert server.settings["PreAuthenticatedConnectionTimeout"] == 90 and server.open_shells == 0


@pytest.mark.parametrize("reach", [psrp, local])
def test_the_role_reaches_exchange_2007_by_its_snap_in(reach, play):
    with exchange("2007-sp1") as server:
        host = reach(server)
        host["imap_settings_exchange"].update(access="snap_in", services_port=server.port)
        content = {"roles": ROLE, "vars": VARIABLES}
        for arguments, changed, starts in ((["--check"], 2, 0), ([], 2, 1), ([], 0, 1)):
            run = play({"ex01": host}, *arguments, **content)
            assert run.status == 0 and run.recap["ex01"]["changed"] == changed, run.text
            assert server.services["MSExchangeIMAP4"].starts == starts and server.open_shells == 0
        assert server.settings["AuthenticatedConnectionTimeout"] == 900

        more = {"imap_settings_suppress_read_receipt": True, "imap_settings_banner": "Ready."}
        run = play({"ex01": host}, roles=ROLE, vars={**VARIABLES, **more})
        said = " ".join(run.text.split())
        assert run.status == 2 and "suppress_read_receipt cannot be set on Exchange 2007 SP1, whose Set-ImapSett" in said
        assert server.settings["Banner"] != "Ready."


def test_a_lost_handler_is_made_good_by_the_next_run(play):
    with exchange() as server:
        hosts = {"ex01": psrp(server)}
        task = {"mailops.imap.imap_settings": {**TIMEOUTS, "exchange": {"port": server.port}}}
        assert play(hosts, tasks=[task]).recap["ex01"]["changed"] == 1
        assert [service.starts for service in server.services.values()] == [0, 0]
        run = play(hosts, roles=ROLE, vars=VARIABLES)
        assert run.status == 0 and run.recap["ex01"]["changed"] == 2, run.text
        assert [service.starts for service in server.services.values()] == [1, 1]


@pytest.mark.parametrize("reach", [psrp, local])
def test_where_services_may_not_be_looked_at_the_role_says_that_somebody_must_restart_them(reach, play):
    with exchange() as server:
        server.access.administrator = False
        host = reach(server)
        host["imap_settings_exchange"] = {"port": server.port, "look_at_services": False}
        asserted = {
            "name": "See what is registered",
            "ansible.builtin.assert": {
                "that": [
                    "imap_settings_result.restart_required == wanted",
                    "imap_settings_result.services | length == (2 if wanted else 0)",
                ]
            },
        }
        content = {"roles": ROLE, "post_tasks": [asserted]}
        for arguments, wanted in ((["--check"], True), ([], True), ([], False)):
            run = play({"ex01": host}, *arguments, **content, vars={**VARIABLES, "wanted": wanted})
            assert run.status == 0 and run.recap["ex01"]["changed"] == int(wanted), run.text
            said = " ".join(run.text.split())
            assert ("MSExchangeIMAP4BE were not restarted, because look_at_services is false" in said) is wanted
            assert ("it is not known whether they have been restarted since" in said) is not wanted
        assert [service.starts for service in server.services.values()] == [0, 0]


def test_a_restart_without_a_greeting_fails_the_host(play):
    with exchange() as server:
        server.faults.imap_refused = True
        more = {"imap_settings_health_max_wait": 1, "imap_settings_health_address": "127.0.0.9"}
        content = {**VARIABLES, **more}
        run = play({"ex01": psrp(server)}, roles=ROLE, vars=content)
        assert run.status != 0 and run.recap["ex01"]["failed"] == 1
        said = " ".join(run.text.split())
        assert f"came back, but 127.0.0.9 port {server.imap_port} did not accept the connection" in said
        assert [service.starts for service in server.services.values()] == [1, 1]


def test_many_hosts_converge_under_forks(play):
    with contextlib.ExitStack() as opened:
        servers = {f"ex{number:02}": opened.enter_context(exchange(name=f"EX{number:02}")) for number in range(5)}
        hosts = {name: psrp(server) for name, server in servers.items()}
        run = play(hosts, "--forks", "5", roles=ROLE, vars=VARIABLES)
        assert run.status == 0, run.text
        assert {name: counts["changed"] for name, counts in run.recap.items() if name in servers} == dict.fromkeys(
            servers, 2
        )
        for server in servers.values():
            assert server.settings["AuthenticatedConnectionTimeout"] == 900 and server.open_shells == 0


def test_delegated_to_the_controller(play):
    with exchange() as server:
        host = {**psrp(server), "ansible_connection": "ssh"}
        task = {
            "mailops.imap.imap_settings": {
                **TIMEOUTS,
                "server_type": "exchange",
                "exchange": {"port": server.port, "services_port": server.port, "services_protocol": "http"},
            },
            "delegate_to": "localhost",
        }
        run = play({"ex01": host}, tasks=[task])
        assert run.status == 0 and run.recap["ex01"]["changed"] == 1, run.text
        assert server.settings["AuthenticatedConnectionTimeout"] == 900


def test_delegated_to_another_exchange_server(play):
    with exchange(name="EX02", others=["EX01"]) as through:
        hosts = {
            "ex01": {**psrp(through), "ansible_host": "192.0.2.1"},
            "ex02": psrp(through),
        }
        settings = {**TIMEOUTS, "exchange": {"port": through.port, "look_at_services": False}}
        task = {"mailops.imap.imap_settings": settings, "delegate_to": "ex02", "when": "inventory_hostname == 'ex01'"}
        run = play(hosts, tasks=[task])
        assert run.status == 0 and run.recap["ex01"]["changed"] == 1, run.text
        here, there = through.organization.servers
        assert there.settings["AuthenticatedConnectionTimeout"] == 900
        assert here.settings["AuthenticatedConnectionTimeout"] == 1800


def test_another_server_by_its_identity_with_the_role(play):
    with exchange(others=["EX02"]) as server, exchange(name="EX02") as other:
        options = {"port": server.port, "services_host": other.host, "services_port": other.port}
        host = psrp(
            server,
            imap_settings_identity="EX02",
            imap_settings_exchange=options,
            imap_settings_health_port=other.imap_port,
        )
        run = play({"ex01": host}, roles=ROLE, vars=VARIABLES)
        assert run.status == 0 and run.recap["ex01"]["changed"] == 2, run.text
        assert server.organization.servers[1].settings["AuthenticatedConnectionTimeout"] == 900
        assert [service.starts for service in other.services.values()] == [1, 1]


def test_every_kind_of_value_goes_from_a_playbook_to_the_server(play):
    with exchange() as server:
        settings = {
            "max_connections_per_user": "{{ 4 + 4 }}",
            "banner": "{{ 'At your ' ~ 'service.' }}",
            "protocol_log_enabled": "{{ true }}",
            "login_type": "PlainTextLogin",
            "log_per_file_size_quota": "2MB",
            "ssl_bindings": ["192.0.2.1:993", "{{ '[::1]:' ~ 993 }}"],
            "external_connection_settings": None,
            "exchange": {"port": server.port},
        }
        server.settings["ExternalConnectionSettings"] = ["mail.example.com:993:SSL"]
        run = play({"ex01": psrp(server)}, tasks=[{"mailops.imap.imap_settings": settings}])
        assert run.status == 0 and run.recap["ex01"]["changed"] == 1, run.text
        kept = server.settings
        assert (kept["MaxConnectionsPerUser"], kept["Banner"], kept["ProtocolLogEnabled"]) == (
            8,
            "At your service.",
            True,
        )
        assert (kept["LoginType"], kept["LogPerFileSizeQuota"]) == ("PlainTextLogin", 2097152)
        assert kept["SSLBindings"] == ["192.0.2.1:993", "[::1]:993"] and kept["ExternalConnectionSettings"] == []


@pytest.mark.parametrize("written", [None, []])
def test_the_role_clears_a_list_and_null_leaves_other_settings_alone(written, play):
    with exchange() as server:
        server.settings["ExternalConnectionSettings"] = ["mail.example.com:993:SSL"]
        banner = server.settings["Banner"]
        variables = {
            "imap_settings_external_connection_settings": written,
            "imap_settings_banner": None,
            "imap_settings_protocol_log_enabled": False,
            "imap_settings_health_max_wait": 10,
        }
        run = play({"ex01": psrp(server)}, roles=ROLE, vars=variables)
        assert run.status == 0 and run.recap["ex01"]["changed"] == 2, run.text
        assert server.settings["ExternalConnectionSettings"] == [] and server.settings["Banner"] == banner
        run = play({"ex01": psrp(server)}, roles=ROLE, vars=variables)
        assert run.status == 0 and run.recap["ex01"]["changed"] == 0, run.text


def test_looking(play):
    with exchange("2010") as server:
        tasks = [
            {"mailops.imap.imap_settings_info": {"exchange": {"port": server.port}}, "register": "imap"},
            {
                "ansible.builtin.assert": {
                    "that": [
                        "not imap.changed",
                        "imap.server_type == 'exchange' and imap.server_version == '14.3.123.4'",
                        "imap.settings.authenticated_connection_timeout.running == 1800",
                        "imap.settings | length == 27",
                    ]
                }
            },
        ]
        run = play({"ex01": psrp(server)}, tasks=tasks)
        assert run.status == 0, run.text


@pytest.mark.parametrize(
    "options, words",
    [
        (
            {"authenticated_connection_timeout": 18001},
            "authenticated_connection_timeout is 18001, but must be 1 to 18000",
        ),
        ({"server_type": "nginx"}, "server_type is nginx, but the host is a Windows one"),
        ({"exchange": {"pasword": "x"}}, "pasword"),
        ({"exchange": {"password": "wrong-password"}}, "refused the user administrator; check the user"),
    ],
)
def test_mistakes_are_one_sentence(options, words, play):
    with exchange() as server:
        settings = {**TIMEOUTS, **options}
        settings["exchange"] = {"port": server.port, **settings.get("exchange", {})}
        run = play({"ex01": psrp(server)}, "-vvv", tasks=[{"mailops.imap.imap_settings": settings}])
        assert run.status == 2 and words in " ".join(run.text.split())
        assert "Traceback" not in run.text and "wrong-password" not in run.text
        assert server.settings["AuthenticatedConnectionTimeout"] == 1800
