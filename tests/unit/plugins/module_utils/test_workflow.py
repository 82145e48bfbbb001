# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
import yaml

from ansible_collections.mailops.imap.plugins.module_utils import _workflow
from ansible_collections.mailops.imap.plugins.module_utils._host import HostError
from ansible_collections.mailops.imap.plugins.module_utils._servers.base import Endpoint
from ansible_collections.mailops.imap.plugins.modules import imap_settings, imap_settings_info
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.fake_host import (
    CYRMASTER,
    CYRUS_CONF,
    CYRUS_PROGRAMS,
    DOVECOT,
    DOVECOT_FILES,
    DOVECOT_PROGRAMS,
    IMAPD_CONF,
    NGINX,
    NGINX_MAIN,
    FakeHost,
    cyrus_answers,
    listener,
    nginx_answers,
    nginx_processes,
    process,
)

AUTHENTICATED = "authenticated_connection_timeout"
PRE_AUTHENTICATED = "pre_authenticated_connection_timeout"
WANTED = {AUTHENTICATED: 1800, PRE_AUTHENTICATED: 60}
SETTINGS = "/etc/nginx/mailops-imap/settings.conf"
RECORD = "/var/lib/mailops-imap/record.json"
PREVIOUS = "/var/lib/mailops-imap/previous/"
MAIN = (
    "http { server { listen 127.0.0.1:10144; location = /auth {"
    " add_header Auth-Server 127.0.0.1; add_header Auth-Port 10143; return 204; } } }\n"
    "mail { include mailops-imap/settings.conf; auth_http 127.0.0.1:10144/auth; proxy_protocol on;"
    " server { listen 143; } server { listen 993 ssl; } }\n"
)
OLD = b"timeout 50s;\nproxy_timeout 24h;\n"
NEW = b"timeout 60s;\nproxy_timeout 1800s;\n"


class Machine(FakeHost):
    """nginx before Dovecot or Cyrus; ``systemctl restart`` starts new processes."""

    def __init__(self, settings=OLD, cyrus=False, **other):
        backend = cyrus_answers() if cyrus else {"--version": (0, "2.3.19.1 (9b53102964)")}
        files = {IMAPD_CONF: "", CYRUS_CONF: 'SERVICES {\n imap cmd="imapd" listen="127.0.0.1:10143"\n}\n'}
        super().__init__(
            {NGINX_MAIN: MAIN, SETTINGS: settings, **(files if cyrus else DOVECOT_FILES)},
            {NGINX, *(CYRUS_PROGRAMS if cyrus else DOVECOT_PROGRAMS)},
            [*nginx_processes(), process(300, f"{CYRMASTER} -d") if cyrus else process(300, DOVECOT)],
            [listener(10143, 300)],
            {**nginx_answers(), **backend, "systemctl restart": self.restart, "journalctl": (0, "its\nlast words")},
            **other,
        )
        self.units = {100: "nginx", 300: "cyrus-imapd" if cyrus else "dovecot"}
        self.now = 1000.0
        self.restarts = []
        self.refused = ()
        self.idle = ()

    def write(self, path, content, instead_of=None):
        super().write(path, content, instead_of)
        self.now += 1
        self.ctimes[self.resolve(path)] = self.now

    def restart(self, command):
        self.restarts.append(command[2])
        self.now += 1
        if command[2] in self.refused:
            return 1, f"Unit {command[2]}.service is masked.\nSee the journal."
        if command[2] in self.idle:
            return 0, ""
        backend = [each for each in self.process_list if each.pid == 300]
        if command[2] == "nginx":
            self.process_list = nginx_processes(started=self.now) + backend
        else:
            front = [each for each in self.process_list if each.pid != 300]
            self.process_list = front + [each._replace(started=self.now) for each in backend]
        return 0, ""

    def kept(self):
        return {path for path in self.files if path.startswith("/var/lib/mailops-imap/")}


def converge(machine, desired=None, server_type="auto", keep_going=False, check_mode=False):
    machine.forget()
    return _workflow.converge(machine, WANTED if desired is None else desired, server_type, keep_going, check_mode)


class Greeting:
    """Answers for each Endpoint in its turn: a text is the failure, None a greeting."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, endpoint, max_wait):
        self.asked.append(endpoint)
        answer = self.answers.pop(0) if self.answers else None
        if answer:
            raise HostError(answer)


# converging


def test_a_change_is_observed_planned_checked_and_committed():
    machine = Machine()
    result = converge(machine)
    assert machine.files[SETTINGS] == NEW
    assert result["changed"] and result["restart_required"] and result["services"] == ["nginx"]
    assert result["chain"] == [
        {"server_type": "nginx", "server_version": "1.22.1"},
        {"server_type": "dovecot", "server_version": "2.3.19.1"},
    ]
    assert [(change["line"], change["before"], change["after"]) for change in result["changes"]] == [
        (1, "timeout 50s;", "timeout 60s;"),
        (2, "proxy_timeout 24h;", "proxy_timeout 1800s;"),
    ]
    assert result["diff"]["before"][AUTHENTICATED] == {"configured": 86400, "effective": 1800, "running": 1800}
    assert result["diff"]["after"][AUTHENTICATED] == {"configured": 1800, "effective": 1800, "running": 1800}
    assert [each["setting"] for each in result["drift"]] == [AUTHENTICATED, PRE_AUTHENTICATED]
    assert machine.locked == 1
    # The copy is read before anything is written, and what was there is kept until the server is back.
    assert machine.files[PREVIOUS + "0-settings.conf"] == OLD
    assert (
        machine.written.index(PREVIOUS + "index.json") < machine.written.index(SETTINGS) < machine.written.index(RECORD)
    )


def test_a_lost_restart_is_asked_for_until_it_happens():
    machine = Machine()
    converge(machine)
    for dummy in range(2):
        result = converge(machine)
        assert result["changed"] and result["services"] == ["nginx"] and result["changes"] == []
        assert {entry["drift"] for entry in result["settings"].values()} == {"restart_pending"}
    restarted(machine)
    result = converge(machine)
    assert (
        not result["changed"] and not result["restart_required"] and result["drift"] == [] and result["services"] == []
    )
    assert result["diff"]["before"] == result["diff"]["after"]


def test_what_is_in_sync_is_left_alone():
    machine = Machine(settings=NEW)
    converge(machine)
    assert machine.written == [RECORD]
    machine.written.clear()
    assert not converge(machine)["changed"]
    assert machine.written == []


def test_a_change_by_hand_is_corrective():
    machine = Machine()
    converge(machine)
    restarted(machine)
    machine.write(SETTINGS, b"timeout 60s;\nproxy_timeout 300s;\n")
    result = converge(machine)
    assert [(each["setting"], each["cause"], each["drift"]) for each in result["drift"]] == [
        (AUTHENTICATED, "corrective", "value")
    ]
    assert result["drift"][0]["running"] == 1800
    # What runs is right, so that putting the file right is all.
    assert result["changed"] and not result["restart_required"] and machine.files[SETTINGS] == NEW
    assert not converge(machine)["changed"]


def test_check_mode_says_the_same_and_writes_nothing():
    machine, real = Machine(), Machine()
    before = dict(machine.files)
    checked, done = converge(machine, check_mode=True), converge(real)
    assert checked == done
    assert machine.files == before and machine.written == [] and machine.locked == 0 and machine.kept() == set()


def test_nothing_is_written_when_the_copy_is_refused():
    machine = Machine()
    before = dict(machine.files)
    machine.answers["-t"] = lambda command: (1, "nginx: [emerg] no good") if "scratch" in command[-1] else (0, "")
    for check_mode in (True, False):
        with pytest.raises(
            HostError, match="Nothing was changed, because nginx refuses the configuration with this change"
        ):
            converge(machine, check_mode=check_mode)
    assert machine.files == before and machine.written == []


def test_a_configuration_that_is_refused_already_is_told():
    machine = Machine()
    machine.answers["-v -t"] = (1, "nginx version: nginx/1.22.1\nnginx: [emerg] broken by hand")
    with pytest.raises(HostError) as problem:
        converge(machine)
    assert (
        str(problem.value)
        == "Nothing was changed, because nginx refuses its configuration as it is: [emerg] broken by hand."
    )
    with pytest.raises(HostError, match="broken by hand"):
        _workflow.look(machine, "auto")


def test_what_a_server_will_not_obey_changes_nothing_and_is_told():
    machine = Machine()
    with pytest.raises(_workflow.NotEnforceable) as problem:
        converge(machine, {AUTHENTICATED: 1801, PRE_AUTHENTICATED: 60})
    assert str(problem.value) == (
        "Nothing was changed: authenticated_connection_timeout of 1801 seconds cannot be enforced here, because "
        "Dovecot 2.3.19.1 closes such a connection after 1800 seconds, which is compiled in; ask for at most 1800 seconds."
    )
    assert problem.value.result["drift"][0]["drift"] == "unenforceable"
    assert problem.value.result["changed"] is False
    assert problem.value.result["restart_required"] is False and problem.value.result["services"] == []
    assert machine.files[SETTINGS] == OLD and machine.written == []


def test_the_rest_is_converged_when_it_is_only_reported():
    machine = Machine()
    result = converge(machine, {AUTHENTICATED: 1801, PRE_AUTHENTICATED: 60}, keep_going=True)
    assert machine.files[SETTINGS] == b"timeout 60s;\nproxy_timeout 1801s;\n"
    assert any("cannot be enforced here" in warning for warning in result["warnings"])
    restarted(machine)
    result = converge(machine, {AUTHENTICATED: 1801, PRE_AUTHENTICATED: 60}, keep_going=True)
    assert not result["changed"] and [each["drift"] for each in result["drift"]] == ["unenforceable"]
    assert json.loads(machine.files[RECORD])["applied"] == {PRE_AUTHENTICATED: 60}


def test_the_whole_range_is_real_before_cyrus():
    machine = Machine(cyrus=True)
    result = converge(machine, {AUTHENTICATED: 18000})
    assert machine.files[IMAPD_CONF] == b"timeout: 18000s\n" and b"proxy_timeout 18000s" in machine.files[SETTINGS]
    assert result["services"] == ["cyrus-imapd", "nginx"]
    assert {change["server_type"] for change in result["changes"]} == {"nginx", "cyrus"}


@pytest.mark.parametrize("check_mode", [True, False])
def test_what_cannot_be_replaced_is_told_before_anything_changes_and_in_check_mode_too(check_mode):
    machine = Machine(cyrus=True)
    machine.locked_away = {IMAPD_CONF: "Nothing was changed, because it is locked away."}
    with pytest.raises(HostError, match="it is locked away"):
        converge(machine, {AUTHENTICATED: 18000}, check_mode=check_mode)
    assert machine.written == []


def test_both_files_change_or_neither():
    machine = Machine(cyrus=True)
    machine.broken = {IMAPD_CONF: "Cannot replace /etc/imapd.conf: No space left on device."}
    with pytest.raises(HostError, match="No space left"):
        converge(machine, {AUTHENTICATED: 18000})
    assert machine.files[SETTINGS] == OLD and machine.files[IMAPD_CONF] == b""


def test_what_is_compiled_in_is_in_sync_where_it_is_asked_for():
    machine = Machine()
    del machine.files[NGINX_MAIN]
    machine.process_list = [process(300, DOVECOT)]
    result = converge(machine, {AUTHENTICATED: 1800, PRE_AUTHENTICATED: 180})
    assert result["drift"] == [] and not result["changed"]
    assert any("never while its client waits in IDLE" in warning for warning in result["warnings"])
    with pytest.raises(_workflow.NotEnforceable, match="role mailops.imap.imap_proxy"):
        converge(machine, {AUTHENTICATED: 1799})


def test_a_fresh_host_in_check_mode():
    result = converge(FakeHost(), check_mode=True)
    assert result["changed"] and {entry["drift"] for entry in result["settings"].values()} == {"missing"}
    assert result["diff"]["after"][AUTHENTICATED]["effective"] == 1800
    with pytest.raises(HostError, match="No IMAP server of the types"):
        converge(FakeHost())


def test_root_is_needed():
    for run in (
        converge,
        lambda machine: _workflow.look(machine, "auto"),
        lambda machine: _workflow.restart(machine, ["nginx"], 30, Greeting(), False),
    ):
        with pytest.raises(HostError, match="set become to true for this task"):
            run(FakeHost(root=False))


def test_a_look_changes_nothing_and_tells_what_can_be_had():
    machine = Machine(cyrus=True)
    result = _workflow.look(machine, "auto")
    assert machine.written == [] and machine.locked == 0 and result["changed"] is False
    assert result["settings"][AUTHENTICATED]["takes"]["maximum"] == 2147483
    result = _workflow.look(Machine(), "auto")
    assert result["settings"][AUTHENTICATED]["takes"]["maximum"] == 1800
    assert result["settings"][PRE_AUTHENTICATED]["takes"]["maximum"] == 2147483


def test_what_is_returned_is_what_the_documentation_says():
    looked = _workflow.look(Machine(), "auto")
    documented = yaml.safe_load(imap_settings_info.RETURN)
    assert set(looked) - {"changed", "warnings"} == set(documented) - {"identity"}
    assert set(looked["settings"][AUTHENTICATED]) == set(documented["settings"]["contains"])
    converged = converge(Machine())
    documented = yaml.safe_load(imap_settings.RETURN)
    assert set(converged) - {"changed", "diff", "warnings"} == set(documented) - {"identity"}
    assert set(converged["settings"][AUTHENTICATED]) == set(documented["settings"]["contains"])
    assert set(converged["changes"][0]) == set(documented["changes"]["contains"])


def test_clients_that_get_past_the_front_are_told():
    machine = Machine()
    machine.listener_list.append(listener(993, 300, address="0.0.0.0"))
    assert any("past nginx" in warning for warning in converge(machine, check_mode=True)["warnings"])


# restarting


def restarted(machine, *answers, services=("nginx",), check_mode=False):
    greeting = Greeting(*answers)
    machine.forget()
    try:
        return _workflow.restart(machine, list(services), 30, greeting, check_mode), greeting
    except HostError as problem:
        return str(problem), greeting


def test_a_restart_waits_for_every_greeting_and_then_forgets_the_old_configuration():
    machine = Machine()
    converge(machine)
    result, greeting = restarted(machine)
    assert result == {"changed": True, "services": ["nginx"]}
    assert greeting.asked == [Endpoint("127.0.0.1", 143), Endpoint("127.0.0.1", 993, True)]
    assert machine.restarts == ["nginx"]
    assert machine.kept() == {RECORD}


def test_a_backend_greets_where_its_front_says():
    machine = Machine()
    result, greeting = restarted(machine, services=["dovecot"])
    assert result["changed"] and machine.restarts == ["dovecot"]
    assert greeting.asked == [Endpoint("127.0.0.1", 10143, False, True)]


def test_a_refused_configuration_is_never_restarted_with():
    machine = Machine()
    machine.answers["-v -t"] = (1, "nginx version: nginx/1.22.1\nnginx: [emerg] broken by hand")
    result, greeting = restarted(machine)
    assert result == "Nothing was restarted, because nginx refuses its configuration as it is: [emerg] broken by hand."
    assert machine.restarts == [] and greeting.asked == []


def test_nothing_happens_in_check_mode_or_without_services():
    machine = Machine()
    assert restarted(machine, check_mode=True)[0] == {"changed": True, "services": ["nginx"]}
    assert restarted(machine, services=[])[0] == {"changed": False, "services": []}
    assert machine.restarts == [] and machine.locked == 0


def test_only_known_services_are_restarted():
    machine = Machine()
    words = restarted(machine, services=["nginx", "ssh"])[0]
    assert words == (
        "Nothing was restarted: services names ssh, but no IMAP server that is set up on this host has such a service; use "
        "what imap_settings returned."
    )
    assert machine.restarts == []


@pytest.mark.parametrize("service", ["nginx", "dovecot", "cyrus-imapd", "courier-imap", "perdition"])
def test_a_service_of_a_type_that_is_not_set_up_is_refused_in_one_sentence(service):
    words = restarted(FakeHost(), services=[service])[0]
    assert words.startswith(f"Nothing was restarted: services names {service}, but no IMAP server")


def test_services_restart_in_their_order():
    machine = Machine(cyrus=True)
    converge(machine, {AUTHENTICATED: 18000})
    restarted(machine, services=["cyrus-imapd", "nginx"])
    assert machine.restarts == ["cyrus-imapd", "nginx"]


def test_a_server_that_does_not_come_back_gets_its_old_configuration():
    machine = Machine()
    converge(machine)
    result, dummy = restarted(machine, "no greeting.")
    assert result == (
        "nginx did not come back: no greeting. its | last words The configuration from before was put back "
        f"({SETTINGS}) and the server answers with it."
    )
    assert machine.files[SETTINGS] == OLD and machine.restarts == ["nginx", "nginx"]
    assert PREVIOUS + "index.json" not in machine.files
    # The next run has the whole job before it again.
    assert converge(machine)["changed"] and machine.files[SETTINGS] == NEW


def test_a_server_that_does_not_even_start():
    machine = Machine()
    converge(machine)
    machine.refused = ("nginx",)
    result, dummy = restarted(machine)
    assert result.startswith(
        "nginx did not start again: Unit nginx.service is masked. its | last words The configuration from before was put "
        "back"
    )
    assert "but the server still does not answer: nginx did not start again" in result
    assert machine.files[SETTINGS] == OLD and PREVIOUS + "index.json" in machine.files


def test_starts_too_often_of_late_do_not_count():
    machine = Machine()
    converge(machine)
    machine.commands.clear()
    restarted(machine, "no greeting.")
    commands = [command for command in machine.commands if command[0] == "systemctl" and command[-1] == "nginx"]
    assert [command[1] for command in commands] == ["reset-failed", "restart"] * 2


def test_a_restart_that_hangs_is_rolled_back_too():
    machine = Machine()
    converge(machine)

    def hang(command):
        raise HostError("systemctl restart nginx has not ended within 120 seconds.")

    machine.answers["systemctl restart"] = hang
    result, dummy = restarted(machine)
    assert "has not ended within 120 seconds. its | last words The configuration from before was put back" in result
    assert machine.files[SETTINGS] == OLD


def test_without_a_change_there_is_nothing_to_put_back():
    machine = Machine(settings=NEW)
    result, dummy = restarted(machine, "no greeting.")
    assert "so there is nothing to put back; look at the service." in result
    assert machine.restarts == ["nginx"] and machine.files[SETTINGS] == NEW


def test_what_was_in_force_when_the_server_last_came_up_is_put_back_after_two_changes():
    machine = Machine()
    converge(machine)
    converge(machine, {AUTHENTICATED: 900})
    restarted(machine, "no greeting.")
    assert machine.files[SETTINGS] == OLD


def test_a_roll_back_that_fails_says_both():
    machine = Machine()
    converge(machine)
    machine.broken = {SETTINGS: "Cannot replace it: Read-only file system."}
    result, dummy = restarted(machine, "no greeting.")
    assert result.startswith("nginx did not come back: no greeting.")
    assert result.endswith(
        "The configuration from before could not be put back: Cannot replace it: Read-only file system."
    )


def test_what_cannot_be_read_after_a_restart_does_not_claim_that_none_happened():
    machine = Machine()
    restart = machine.restart

    def break_after(command):
        machine.answers["-v -t"] = (1, "nginx version: nginx/1.22.1\nnginx: [emerg] broken meanwhile")
        return restart(command)

    machine.answers["systemctl restart"] = break_after
    assert restarted(machine)[0] == (
        "nginx came back, but cannot be looked at, because nginx refuses its configuration as it is: "
        "[emerg] broken meanwhile."
    )


def test_a_task_for_one_setting_keeps_what_another_one_needs_to_be_put_back():
    machine = Machine()
    converge(machine, {AUTHENTICATED: 1800})
    assert not converge(machine, {PRE_AUTHENTICATED: 50})["changes"]
    restarted(machine, "no greeting.")
    assert machine.files[SETTINGS] == OLD


def test_what_the_server_came_up_with_by_other_hands_is_what_is_put_back_later():
    machine = Machine()
    converge(machine, {AUTHENTICATED: 1800})
    machine.restart(["systemctl", "restart", "nginx"])
    converge(machine, {AUTHENTICATED: 1800})
    assert machine.kept() == {RECORD}
    converge(machine, {AUTHENTICATED: 900})
    restarted(machine, "no greeting.")
    assert b"proxy_timeout 1800s;" in machine.files[SETTINGS]


def test_what_somebody_else_wrote_is_never_put_back_over():
    machine = Machine()
    converge(machine)
    machine.write(SETTINGS, NEW + b"# mine\n")
    result, dummy = restarted(machine, "no greeting.")
    assert f"{SETTINGS} was changed by somebody else since, and was left as it is." in result
    assert machine.files[SETTINGS] == NEW + b"# mine\n"


def test_after_it_was_put_back_the_playbook_wants_something_new():
    machine = Machine()
    converge(machine)
    restarted(machine, "no greeting.")
    assert {each["cause"] for each in converge(machine)["drift"]} == {"intended"}


@pytest.mark.parametrize("max_wait", [0, -1, float("inf"), float("nan")])
def test_a_wait_that_cannot_be_is_refused_before_anything_is_restarted(max_wait):
    machine = Machine()
    with pytest.raises(HostError, match="max_wait is .*, but must be a number of seconds above 0"):
        _workflow.restart(machine, ["nginx"], max_wait, Greeting(), False)
    assert machine.restarts == []


def test_a_restart_that_started_nothing_anew_is_told():
    machine = Machine()
    converge(machine)
    machine.idle = ("nginx",)
    result, dummy = restarted(machine)
    assert result.startswith(
        "nginx came back, but nginx is not served by a process that was started after its configuration changed"
    )
    assert machine.files[SETTINGS] == NEW and PREVIOUS + "index.json" in machine.files


def test_the_unit_that_nginx_really_runs_in_is_the_one_that_is_restarted():
    machine = Machine()
    machine.units = {100: "mail-front"}
    machine.answers = {"show mail-front.service": (0, "100"), **machine.answers}
    assert converge(machine)["services"] == ["mail-front"]
    restarted(machine, services=["mail-front"])
    assert machine.restarts == ["mail-front"]


@pytest.mark.parametrize("unit", [None, "ssh"])
def test_a_server_that_the_unit_did_not_start_is_not_restarted_with_it(unit):
    machine = Machine()
    machine.units = {100: unit}
    machine.answers = {"show MainPID": (0, "0"), **machine.answers}
    assert converge(machine)["services"] == ["nginx"]
    result, greeting = restarted(machine)
    assert result.startswith("Nothing was restarted: nginx (process 100) was not started by nginx.service")
    assert machine.restarts == [] and greeting.asked == [] and machine.files[SETTINGS] == NEW
    # Whoever has no control groups to see still has systemd's word.
    machine.answers = {"show MainPID nginx.service": (0, "100"), **machine.answers}
    assert restarted(machine)[0] == {"changed": True, "services": ["nginx"]}


def test_one_run_at_a_time_restarts():
    machine = Machine()
    restarted(machine)
    assert machine.locked == 1


def test_what_stands_beside_does_not_keep_a_server_from_being_restarted():
    """Two servers that are no chain, one of them with a broken configuration."""
    machine = Machine()
    machine.files[NGINX_MAIN] = b"mail { server { listen 143; } "
    machine.answers["-t"] = (1, "nginx: [emerg] broken by hand")
    result, greeting = restarted(machine, services=["dovecot"])
    assert result == {"changed": True, "services": ["dovecot"]}
    assert converge(machine, {PRE_AUTHENTICATED: 180}, server_type="dovecot")["drift"] == []


def test_a_server_type_that_is_not_there_fails_in_check_mode_too():
    for check_mode in (True, False):
        with pytest.raises(HostError, match="server_type is cyrus, but no cyrus is set up"):
            converge(Machine(), server_type="cyrus", check_mode=check_mode)


def test_clients_that_get_past_the_front_are_told_by_a_look_too():
    machine = Machine()
    machine.listener_list.append(listener(993, 300, address="0.0.0.0"))
    assert any("past nginx" in warning for warning in _workflow.look(machine, "auto")["warnings"])


def test_swapped_values_are_told_when_only_one_of_them_is_asked_for():
    machine = Machine(settings=b"timeout 50s;\nproxy_timeout 8s;\n")
    assert any("probably swapped" in warning for warning in converge(machine, {PRE_AUTHENTICATED: 60})["warnings"])
    assert not any("probably swapped" in warning for warning in converge(machine, {AUTHENTICATED: 60})["warnings"])


def test_a_value_that_follows_another_is_not_taken_for_swapped():
    services = 'SERVICES {\n imap cmd="imapd" listen="imap"\n}\n'
    machine = FakeHost({IMAPD_CONF: "timeout: 90m\n", CYRUS_CONF: services}, CYRUS_PROGRAMS, answers=cyrus_answers())
    assert not any("swapped" in warning for warning in converge(machine, {AUTHENTICATED: 2400})["warnings"])
    assert machine.files[IMAPD_CONF] == b"timeout: 2400s\n"


def test_a_fresh_host_in_check_mode_gets_the_advice_too():
    result = converge(FakeHost(), {AUTHENTICATED: 5}, check_mode=True)
    assert any("RFC 2177" in warning for warning in result["warnings"])
