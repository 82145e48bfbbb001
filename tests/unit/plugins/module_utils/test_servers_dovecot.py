# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ansible_collections.mailops.imap.plugins.module_utils import _convergence, _workflow
from ansible_collections.mailops.imap.plugins.module_utils._host import HostError
from ansible_collections.mailops.imap.plugins.module_utils._servers.base import Edit, Endpoint, Rejected, Server
from ansible_collections.mailops.imap.plugins.module_utils._servers.dovecot import Dovecot
from ansible_collections.mailops.imap.plugins.module_utils._syntax.text import SyntaxProblem
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.fake_dovecot import LIFETIME, Doveconf
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.fake_host import (
    DOVECONF,
    DOVECOT,
    DOVECOT_PROGRAMS,
    FakeHost,
    process,
)
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.syntax_support import corpus, judge
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.syntax_support import host as syntax_host

MAIN = "/etc/dovecot/dovecot.conf"
HEAD = {"2.3": "protocols = imap\n", "2.4": "dovecot_config_version = 2.4.0\nprotocols = imap\n"}
VERSIONS = pytest.mark.parametrize("version", ["2.3", "2.4"])
PER_USER, SIZE, BANNER, ALL = "max_connections_per_user", "max_command_size", "banner", "max_connections"
MARK = "/run/dovecot/login-master-notify0123456789abcdef (deleted)"
ENDLESS = float("inf")


def host(main="", version="2.3", files=(), head=None, processes=(), **other):
    """A host with Dovecot; ``files`` maps names in the folder of the main file to text."""
    paths = {f"/etc/dovecot/{name}": source for name, source in dict(files).items()}
    machine = FakeHost(
        {MAIN: (HEAD[version] if head is None else head) + main, **paths}, DOVECOT_PROGRAMS, processes, **other
    )
    machine.answers[DOVECONF] = Doveconf(machine, {"2.3": "2.3.19.1", "2.4": "2.4.1"}[version])
    return machine


class Front(Server):
    server_type = "front"

    def __init__(self, counts_anew_for_backends=False):
        super().__init__()
        self.counts_anew_for_backends = counts_anew_for_backends


def places(machine, name):
    return Dovecot(machine).values[name].places


def effective(machine, name):
    return [place.effective for place in places(machine, name)]


def set_to(machine, **desired):
    """Make and check the edits for ``desired`` (setting name to value), put the files in place, return the changes."""
    server = Dovecot(machine)
    picture = _convergence.compare([server], desired, {}, {})
    files, changes = server.edited([edit for dummy, edit in picture.edits])
    server.check(machine, files)
    machine.files.update(files)
    return changes


def body(machine, path=MAIN):
    return machine.files[path].decode("utf-8")


# what is there


@pytest.mark.parametrize(
    ("protocols", "there"),
    [("imap", True), ("pop3 imap lmtp", True), ("", False), ("pop3", False), ("none", False), ("imap4", False)],
)
def test_dovecot_is_there_where_it_serves_imap(protocols, there):
    assert Dovecot.present(host(head=f"protocols = {protocols}\n")) is there


def test_it_is_not_there_without_its_programs():
    machine = host()
    machine.programs = {DOVECOT}
    assert not Dovecot.present(machine)


def test_the_main_file_is_that_of_the_running_master():
    machine = host(head="protocols = pop3\n", files={"other.conf": "protocols = imap\nlogin_greeting = x\n"})
    machine.process_list = [
        process(10, DOVECOT), process(20, f"{DOVECOT} -F -c /etc/dovecot/other.conf"),
        process(21, f"{DOVECOT} -F -c /etc/dovecot/other.conf", parent=20),
    ]  # fmt: skip
    assert list(Dovecot(machine).files) == ["/etc/dovecot/other.conf"]


def test_where_none_runs_the_main_file_is_that_of_the_unit():
    machine = host(files={"other.conf": "protocols = imap\n"})
    machine.answers["systemctl show ExecStart"] = (
        0,
        "{ path=/usr/sbin/dovecot ; argv[]=/usr/sbin/dovecot -F -c /etc/dovecot/other.conf ; ignore_errors=no }",
    )
    assert list(Dovecot(machine).files) == ["/etc/dovecot/other.conf"]


@pytest.mark.parametrize(
    "started", ["-F -c/etc/dovecot/other.conf", "-Fc /etc/dovecot/other.conf", "-c x -c /etc/dovecot/other.conf"]
)
def test_the_main_file_may_be_given_in_any_way(started):
    machine = host(head="", files={"other.conf": "protocols = imap\n"})
    machine.process_list = [process(10, f"{DOVECOT} {started}")]
    assert list(Dovecot(machine).files) == ["/etc/dovecot/other.conf"]
    machine.process_list = []
    machine.answers["systemctl show ExecStart"] = (0, f"ExecStart={{ argv[]={DOVECOT} {started} ; ignore_errors=no }}")
    assert list(Dovecot(machine).files) == ["/etc/dovecot/other.conf"]


def test_the_main_file_is_the_one_that_the_master_says_itself():
    machine = host(head="", files={"other.conf": "protocols = imap\n"})
    machine.process_list = [process(10, f"{DOVECOT} -F")]
    machine.opened = {10: [("/run/here/replication-notify-fifo", 1000.0), (MARK.replace("dovecot/", "here/"), 1000.0)]}
    machine.links = {"/run/here/dovecot.conf": "/etc/dovecot/other.conf"}
    assert list(Dovecot(machine).files) == ["/etc/dovecot/other.conf"]


def test_the_main_file_may_be_in_the_environment_of_the_unit():
    machine = host(head="", files={"other.conf": "protocols = imap\n"})
    machine.answers["systemctl show ExecStart"] = (
        0,
        f"ExecStart={{ argv[]={DOVECOT} -F ; ignore_errors=no }}\n"
        'Environment="A=b c" CONFIG_FILE=/etc/dovecot/other.conf',
    )
    assert list(Dovecot(machine).files) == ["/etc/dovecot/other.conf"]


def test_settings_on_the_command_line_are_refused():
    machine = host(processes=[process(10, f"{DOVECOT} -Fo service/imap/process_limit=1")])
    with pytest.raises(HostError, match="Dovecot .process 10. takes settings from its command line.*move them"):
        Dovecot.present(machine)


def test_without_systemd_the_main_file_is_that_of_debian():
    machine = host()
    del machine.answers["systemctl show ExecStart"]
    assert list(Dovecot(machine).files) == [MAIN]


def test_two_masters_that_serve_imap_are_named():
    machine = host(files={"other.conf": "protocols = imap\n"})
    machine.process_list = [process(10, DOVECOT), process(20, f"{DOVECOT} -c /etc/dovecot/other.conf")]
    with pytest.raises(HostError, match="More than one Dovecot serves IMAP on this host .processes 10 and 20"):
        Dovecot.present(machine)


def test_a_main_file_that_cannot_be_told_is_asked_for():
    machine = host(processes=[process(10, "dovecot -c dovecot.conf")])
    with pytest.raises(HostError, match="does not tell where its main file is"):
        Dovecot.present(machine)


@VERSIONS
def test_version_and_what_is_compiled_in(version):
    server = Dovecot(host(version=version))
    assert server.version == {"2.3": "2.3.19.1", "2.4": "2.4.1"}[version]
    for name, seconds in (("authenticated_connection_timeout", 1800), ("pre_authenticated_connection_timeout", 180)):
        value = server.values[name]
        assert (value.effective, value.fixed, len(value.places)) == (seconds, True, 1)
    assert "never while its client waits in IDLE" in server.values["authenticated_connection_timeout"].remark


def test_defaults():
    machine = host()
    assert {name: effective(machine, name) for name in (ALL, PER_USER, SIZE, BANNER)} == {
        ALL: [100, 1024], PER_USER: [10], SIZE: [65536], BANNER: ["Dovecot ready."],
    }  # fmt: skip
    assert all(place.configured is None for name in (ALL, PER_USER, SIZE, BANNER) for place in places(machine, name))


def test_no_setting_of_dovecot_is_without_a_term_and_none_is_too_many():
    assert set(Dovecot(host()).values) == set(Dovecot.terms)


# what is in force


@VERSIONS
@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("mail_max_userip_connections = 20\n", 20),
        ("mail_max_userip_connections = 20\nmail_max_userip_connections=30 # last\n", 30),
        ("mail_max_userip_connections = 0\n", ENDLESS),
        ('mail_max_userip_connections = "20"\n', 20),
        ("mail_max_userip_connections = \\\n  20\n", 20),
        ("protocol imap {\n mail_max_userip_connections = 5\n}\nmail_max_userip_connections = 20\n", 5),
        ("protocol pop3 {\n mail_max_userip_connections = 5\n}\n", 10),
        ("protocol !pop3 {\n mail_max_userip_connections = 5\n}\n", 5),
        ("# mail_max_userip_connections = 20\r\nmail_max_userip_connections = 30\r\n", 30),
    ],
)
def test_the_value_for_imap_is_read(version, main, expected):
    assert effective(host(main, version), PER_USER) == [expected]


@pytest.mark.parametrize(("written", "size"), [("5k", 5120), ("1 M", 1048576), ("70000", 70000), ("100 B", 100)])
def test_sizes_are_read(written, size):
    assert effective(host(f"imap_max_line_length = {written}\n"), SIZE) == [size]


def test_no_limit_is_written_in_words_in_2_4():
    machine = host("mail_max_userip_connections = unlimited\nimap_max_line_length = unlimited\n", "2.4")
    assert effective(machine, PER_USER) + effective(machine, SIZE) == [ENDLESS, ENDLESS]


def test_a_later_file_overrides_an_earlier_one():
    files = {"conf.d/1.conf": "login_greeting = one\n", "conf.d/2.conf": "login_greeting = two\n"}
    (place,) = places(host("!include conf.d/*.conf\n!include_try local.conf\n", files=files), BANNER)
    assert (place.effective, place.file, place.line) == ("two", "/etc/dovecot/conf.d/2.conf", 1)


def test_a_block_overrides_what_is_more_general():
    (place,) = places(host("login_greeting = a\nprotocol imap {\n login_greeting = b\n}\n"), BANNER)
    assert (place.effective, place.line, place.overrides) == ("b", 4, True)


@VERSIONS
def test_what_some_clients_get_is_a_place_of_its_own(version):
    machine = host("login_greeting = a\nremote 10.0.0.0/8 {\n login_greeting = b\n}\n", version)
    assert effective(machine, BANNER) == ["a", "b"]


def test_clients_that_get_no_settings_at_all_are_told():
    machine = host("remote 10.0.0.0/8 {\n login_greeting = b\n}\nprotocol imap {\n login_greeting = a\n}\n")
    with pytest.raises(Rejected, match="no settings for clients of remote 10.0.0.0/8: Error: Conflict in setting"):
        Dovecot(machine)
    assert effective(host(body(machine).replace(HEAD["2.3"], ""), "2.4"), BANNER) == ["a"]


def test_a_value_may_be_in_a_file_of_its_own():
    machine = host("login_greeting = <greeting\n", files={"greeting": "hello\n"})
    machine.ctimes["/etc/dovecot/greeting"] = 77
    server = Dovecot(machine)
    assert server.values[BANNER].effective == "hello"
    assert server.changed_at == 77
    set_to(machine, max_connections_per_user=20)
    assert "login_greeting = <greeting\n" in body(machine)


def test_variables_are_expanded():
    assert effective(host("login_greeting = a\nlogin_greeting = $login_greeting b\n"), BANNER) == ["a b"]


@pytest.mark.parametrize(("version", "mark"), [("2.3", "$"), ("2.4", "$SET:")])
def test_a_variable_of_any_setting_is_expanded_whoever_its_value_is_for(version, mark):
    machine = host(f"remote 10.0.0.0/8 {{\n login_greeting = at {mark}hostname now\n}}\n", version)
    assert effective(machine, BANNER) == ["Dovecot ready.", "at  now"]
    set_to(machine, max_connections_per_user=20)
    assert effective(machine, PER_USER) == [20]


def test_what_only_dovecot_can_tell_does_not_stand_in_the_way_of_other_settings():
    machine = host("login_greeting = $ENV:GREETING\n")
    machine.answers[DOVECONF].lies["login_greeting"] = "of the environment of doveconf"
    assert effective(machine, BANNER) == ["$ENV:GREETING (with variables)"]
    set_to(machine, max_connections_per_user=20)
    assert effective(machine, PER_USER) == [20]


@VERSIONS
def test_a_value_may_be_many_lines_of_a_file(version):
    machine = host("login_greeting = <greeting\n", version, files={"greeting": "hello\n"})
    machine.answers[DOVECONF].lies["login_greeting"] = '"hello\n"'
    assert effective(machine, BANNER) == ["hello"]
    set_to(machine, max_connections_per_user=20)
    assert effective(machine, PER_USER) == [20]


@pytest.mark.parametrize(
    ("version", "written", "read"),
    [
        ("2.3", "100%% pure", "100% pure"),
        ("2.3", "on %{lip}", "on %{lip} (with variables)"),
        ("2.3", "on %l", "on %l (with variables)"),
        ("2.3", "on %%{lip}", "on %{lip}"),
        ("2.4", "100%% pure 5%", "100%% pure 5%"),
        ("2.4", "on %{local_ip}", "on %{local_ip} (with variables)"),
        ("2.4", "on %%{local_ip}", "on %{local_ip}"),
        ("2.4", "gr\xfcn", "gr\xfcn"),
        ("2.3", "gr\xfcn", "gr\xfcn"),
    ],
)
def test_greetings_are_read_as_clients_see_them(version, written, read):
    assert effective(host(f"login_greeting = {written}\n", version), BANNER) == [read]


def test_a_service_may_have_its_own_in_2_4():
    machine = host("service imap-login {\n login_greeting = own\n}\nlogin_greeting = all\n", "2.4")
    machine.answers[DOVECONF].lies["login_greeting"] = "all"
    assert effective(machine, BANNER) == ["own"]
    set_to(machine, banner="new")
    assert body(machine).endswith("service imap-login {\n login_greeting = new\n}\nlogin_greeting = all\n")


@pytest.mark.parametrize(
    ("version", "inside", "total"),
    [
        ("2.3", "process_limit = 7", 7),
        ("2.3", "process_limit = 7\n client_limit = 5", 7),
        ("2.3", "process_limit = 7\n client_limit = 5\n service_count = 0", 35),
        ("2.3", "process_limit = 7\n client_limit = 5\n service_count = 3", 21),
        ("2.3", "service_count = 0", 100000),
        ("2.3", "process_limit = 0\n client_limit = 0", 100),
        ("2.4", "process_limit = 7\n client_limit = 5", 7),
        ("2.4", "process_limit = 7\n client_limit = 5\n restart_request_count = unlimited", 35),
        ("2.4", "service_process_limit = 8", 8),
    ],
)
def test_how_many_clients_a_service_takes(version, inside, total):
    assert effective(host(f"service imap-login {{\n {inside}\n}}\n", version), ALL)[0] == total


def test_general_limits_count_where_a_service_has_none_of_its_own():
    general = "default_process_limit = 50\ndefault_client_limit = 20\n"
    machine = host(f"{general}service imap-login {{\n service_count = 0\n}}\n")
    assert effective(machine, ALL) == [1000, 1024]


def test_a_service_may_be_split_over_files():
    files = {
        "conf.d/1.conf": "service imap {\n process_limit = 5\n}\n",
        "conf.d/2.conf": "service imap {\n client_limit = 2\n service_count = 0\n}\n",
    }
    imap = places(host("!include conf.d/*.conf\n", files=files), ALL)[1]
    assert (imap.effective, imap.file, imap.line) == (10, "/etc/dovecot/conf.d/1.conf", 2)


def test_hibernation_is_remarked_on():
    assert Dovecot(host()).values[ALL].remark is None
    assert "imap_hibernate_timeout" in Dovecot(host("imap_hibernate_timeout = 30 s\n")).values[ALL].remark
    assert Dovecot(host("imap_hibernate_timeout = infinite\n", "2.4")).values[ALL].remark is None


@pytest.mark.parametrize(
    ("version", "limits", "there"),
    [
        ("2.3", "service_count = 5\n client_limit = 4", True),
        ("2.3", "service_count = 5\n client_limit = 1", False),
        ("2.3", "service_count = 0\n client_limit = 4", False),
        ("2.3", "service_count = 1\n client_limit = 4", False),
        ("2.4", "restart_request_count = 5\n client_limit = 4", True),
        ("2.4", "restart_request_count = unlimited\n client_limit = 4", False),
    ],
)
def test_processes_that_keep_places_for_clients_that_they_no_longer_take_are_remarked_on(version, limits, there):
    remark = Dovecot(host("service imap {\n " + limits + "\n}\n", version)).values[ALL].remark
    assert ("service imap that has had 5 clients" in (remark or "")) is there


@pytest.mark.parametrize(
    ("version", "passdb", "there"),
    [
        ("2.3", "passdb {\n driver = static\n args = proxy=y host=192.0.2.1 nopassword=y\n}\n", True),
        ("2.3", "passdb {\n args = /etc/dovecot/proxy.conf\n}\nuserdb {\n args = proxy=y\n}\n", False),
        ("2.4", "passdb static {\n fields {\n proxy_maybe = y\n }\n}\n", True),
        ("2.4", "passdb sql {\n query = SELECT password, 'Y' AS proxy, host FROM users\n}\n", True),
        ("2.4", "passdb static {\n fields {\n host = proxy.example.com\n }\n}\n", False),
    ],
)
def test_clients_that_are_handed_on_are_remarked_on(version, passdb, there):
    def remark():
        return server.values["authenticated_connection_timeout"].remark

    server = Dovecot(host(passdb, version))
    assert ("hands clients on to another server (/etc/dovecot/dovecot.conf:" in remark()) is there
    server.stand_behind(None, Front())
    assert (remark() is not None) is there
    uncounted = "Clients that Dovecot hands on to another server (/etc/dovecot/dovecot.conf:"
    assert (uncounted in server.values[PER_USER].remark) is there
    assert (server.values[SIZE].remark is not None) is there


@VERSIONS
@pytest.mark.parametrize(
    ("line", "interval"),
    [
        ("", "every 120 seconds"),
        ("imap_idle_notify_interval = 29 mins", "every 1740 seconds"),
        ("protocol imap {\n imap_idle_notify_interval = 90s\n}", "every 90 seconds"),
        ("imap_idle_notify_interval = 0", None),
    ],
)
def test_a_front_that_counts_anew_whenever_dovecot_speaks_is_remarked_on(version, line, interval):
    def remark():
        return server.values["authenticated_connection_timeout"].remark

    server = Dovecot(host(line + "\n", version))
    server.stand_behind(Endpoint("127.0.0.1", 143), Front())
    assert remark() is None
    server.stand_behind(Endpoint("127.0.0.1", 143), Front(counts_anew_for_backends=True))
    assert interval in remark() if interval else remark() is None
    server.stand_behind(Endpoint("127.0.0.1", 143), Front())
    assert (remark() is not None) is (interval is not None)


def test_dovecot_that_never_speaks_in_idle_is_not_remarked_on():
    server = Dovecot(host("imap_idle_notify_interval = unlimited\n", "2.4"))
    assert server.values["authenticated_connection_timeout"].remark is None
    server.stand_behind(None, Front(counts_anew_for_backends=True))
    assert server.values["authenticated_connection_timeout"].remark is None


@VERSIONS
@pytest.mark.parametrize(
    ("interval", "hibernate", "told"),
    [
        ("2 mins", "0", "but never while"),
        ("30 mins", "0", "but never while"),
        ("31 mins", "0", "every 1860"),
        ("0", "0", None),
        ("0", "30 mins", None),
        ("0", "30 secs", "but never while"),
        ("31 mins", "30 secs", "but never while"),
    ],
)
def test_when_a_client_in_idle_is_closed_depends_on_what_dovecot_does_then(version, interval, hibernate, told):
    lines = f"imap_idle_notify_interval = {interval}\nimap_hibernate_timeout = {hibernate}\n"
    server = Dovecot(host(lines, version))
    remark = server.values["authenticated_connection_timeout"].remark
    assert told in remark if told else remark is None


@VERSIONS
def test_another_service_for_logins_has_a_limit_and_listeners_of_its_own(version):
    office = (
        "service office {\n executable = /usr/lib/dovecot/imap-login -D\n client_limit = 1\n process_limit = 7\n"
        " inet_listener other {\n  port = 1143\n }\n}\n"
    )
    machine = host(f"service pop3-login {{\n executable = pop3-login\n}}\n{office}", version)
    assert effective(machine, ALL) == [100, 1024, 7]
    assert [endpoint.port for endpoint in Dovecot(machine).endpoints if endpoint.address == "127.0.0.1"] == [
        143, 993, 1143,
    ]  # fmt: skip
    set_to(machine, max_connections=50)
    assert effective(machine, ALL) == [50, 50, 50]
    assert office.replace("= 7", "= 50") in body(machine)


@VERSIONS
@pytest.mark.parametrize("block", ["protocol imap", "remote 10.0.0.1"])
def test_a_service_that_only_a_filter_has_is_none(version, block):
    machine = host(f"{block} {{\n service office {{\n  executable = imap-login\n }}\n}}\n", version)
    assert effective(machine, ALL) == [100, 1024]


# what is not understood


@pytest.mark.parametrize(
    ("main", "words"),
    [
        ("nonsense = 1\n", "Dovecot refuses its configuration as it is: Fatal: .*Unknown setting: nonsense"),
        ("!include nothing.conf\n", "Dovecot refuses its configuration as it is"),
        ("!include dovecot.conf\n", "Dovecot refuses its configuration as it is"),
        ("\xef\xbb\xbfnonsense = 1\n", "Dovecot refuses its configuration as it is"),
    ],
)
def test_what_dovecot_refuses_is_told_in_its_words(main, words):
    with pytest.raises(Rejected, match=words):
        Dovecot(host(main))


def test_a_value_that_doveconf_reads_otherwise_is_told_and_not_edited():
    machine = host("mail_max_userip_connections = 20\n")
    machine.answers[DOVECONF].lies["mail_max_userip_connections"] = "30"
    assert effective(machine, PER_USER) == [30]
    before = dict(machine.files)
    with pytest.raises(HostError, match='dovecot.conf:2 seems to say mail_max_userip_connections = "20".*says "30"'):
        set_to(machine, max_connections_per_user=40)
    assert machine.files == before
    assert set_to(machine, max_connections_per_user=30) == []


def test_a_group_of_2_4_is_read_by_doveconf_and_not_edited():
    machine = host("@x = y\ngroup @x y {\n login_greeting = in a group\n}\n", "2.4")
    machine.answers[DOVECONF].lies["login_greeting"] = '"in a group"'
    assert effective(machine, BANNER) == ["in a group"]
    with pytest.raises(HostError, match="dovecot.conf:5: expected login_greeting outside of a group"):
        set_to(machine, banner="x")


def test_a_number_that_is_none_is_refused_with_its_line():
    machine = host("service imap {\n process_limit = many\n}\n")
    machine.answers[DOVECONF].lies["service/imap/process_limit"] = "many"
    with pytest.raises(SyntaxProblem, match='dovecot.conf:3: expected a value for process_limit .*not "many"'):
        Dovecot(machine)


# changing it


@VERSIONS
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("mail_max_userip_connections = 20\n", "mail_max_userip_connections = 25\n"),
        ("  mail_max_userip_connections=20   # why\r\n", "  mail_max_userip_connections=25   # why\r\n"),
        ("mail_max_userip_connections = \\\n 20\na = b\n", "mail_max_userip_connections = \\\n 25\na = b\n"),
        ('mail_max_userip_connections = "20"\n', "mail_max_userip_connections = 25\n"),
        (
            "mail_max_userip_connections = 9\nprotocol imap {\n\tmail_max_userip_connections = 20\n}\n",
            "mail_max_userip_connections = 9\nprotocol imap {\n\tmail_max_userip_connections = 25\n}\n",
        ),
        ("protocol imap {\n  a = b\n}\n", "protocol imap {\n  a = b\n  mail_max_userip_connections = 25\n}\n"),
        ("a = b", "a = b\nprotocol imap {\n  mail_max_userip_connections = 25\n}\n"),
        ("a = b\r\n", "a = b\r\nprotocol imap {\r\n  mail_max_userip_connections = 25\r\n}\r\n"),
        (
            "remote 10.0.0.0/8 {\n mail_max_userip_connections = 99\n}\nmail_max_userip_connections = 20\n",
            "remote 10.0.0.0/8 {\n mail_max_userip_connections = 25\n}\nmail_max_userip_connections = 25\n",
        ),
    ],
)
def test_only_the_line_in_force_changes(version, before, after):
    machine = host(before, version)
    set_to(machine, max_connections_per_user=25)
    assert body(machine) == HEAD[version] + after
    assert set(effective(machine, PER_USER)) == {25}


@VERSIONS
def test_other_protocols_keep_what_they_have(version):
    machine = host("protocols = imap pop3\nmail_max_userip_connections = 20\nimap_max_line_length = 1k\n", version)
    set_to(machine, max_connections_per_user=25, max_command_size=2000)
    assert "\nmail_max_userip_connections = 20\nimap_max_line_length = 2000\n" in body(machine)
    assert body(machine).endswith("protocol imap {\n  mail_max_userip_connections = 25\n}\n")


def test_a_block_that_overrules_what_some_clients_have_is_only_written_where_that_is_wanted():
    main = (
        "protocols = imap pop3\nmail_max_userip_connections = 20\n"
        "remote 10.0.0.0/8 {\n mail_max_userip_connections = 99\n}\n"
    )
    machine = host(main, "2.4")
    set_to(machine, max_connections_per_user=25)
    assert set(effective(machine, PER_USER)) == {25}
    machine = host(main, "2.4")
    general, dummy = places(machine, PER_USER)
    with pytest.raises(HostError, match="without a change for other clients of remote 10.0.0.0/8"):
        Dovecot(machine).edited([Edit(PER_USER, general, 25)])


def test_a_file_that_is_included_twice_keeps_what_it_says():
    files = {"common": "mail_max_userip_connections = 20\n"}
    machine = host("protocol imap {\n !include common\n}\nprotocol pop3 {\n !include common\n}\n", files=files)
    set_to(machine, max_connections_per_user=25)
    assert body(machine, "/etc/dovecot/common") == "mail_max_userip_connections = 20\n"
    assert "protocol imap {\n !include common\n mail_max_userip_connections = 25\n}" in body(machine)


def test_a_file_that_only_imap_obeys_is_changed_in_place_however_often_it_is_included():
    """In 2.3 the first of two such blocks counts, so that one more would change nothing."""
    said = "protocol !pop3 {\n  mail_max_userip_connections = 20\n}\n"
    machine = host("protocols = imap pop3\n!include twice\n!include twice\n", files={"twice": said})
    set_to(machine, max_connections_per_user=25)
    assert body(machine, "/etc/dovecot/twice") == said.replace("20", "25")
    assert "25" not in body(machine)


def test_a_file_that_is_included_by_two_names_keeps_what_it_says():
    files = {"common": "mail_max_userip_connections = 20\n"}
    main = "protocols = imap pop3\nprotocol imap {\n  !include common\n}\n!include also\n"
    machine = host(main, files=files, links={"/etc/dovecot/also": "/etc/dovecot/common"})
    set_to(machine, max_connections_per_user=25)
    assert body(machine, "/etc/dovecot/common") == "mail_max_userip_connections = 20\n"
    assert "protocol imap {\n  !include common\n  mail_max_userip_connections = 25\n}" in body(machine)


def test_a_file_of_two_names_that_only_imap_obeys_is_changed_once():
    files = {"common": "mail_max_userip_connections = 20\n"}
    main = "protocol imap {\n  !include also\n}\nprotocol !pop3 {\n  !include common\n}\n"
    machine = host(main, files=files, links={"/etc/dovecot/also": "/etc/dovecot/common"})
    changes = set_to(machine, max_connections_per_user=25, banner="x")
    assert len(changes) == 2
    assert places(machine, PER_USER)[0].effective == 25


def test_a_file_that_some_clients_have_too_keeps_what_it_says():
    said = "mail_max_userip_connections = 20\n"
    machine = host("!include twice\nremote 10.0.0.0/8 {\n  !include twice\n}\n", files={"twice": said})
    general = places(machine, PER_USER)[0]
    files, dummy = Dovecot(machine).edited([Edit(PER_USER, general, 25)])
    assert list(files) == [MAIN]


def test_every_change_is_told_with_its_line():
    files = {"conf.d/1.conf": "# one\nmail_max_userip_connections = 20\n"}
    machine = host("!include conf.d/*.conf\n", files=files)
    changes = set_to(machine, max_connections_per_user=25, max_command_size=100)
    assert [tuple(change) for change in changes] == [
        (MAIN, 3, None, "protocol imap {"),
        (MAIN, 4, None, "imap_max_line_length = 100"),
        (MAIN, 5, None, "}"),
        ("/etc/dovecot/conf.d/1.conf", 2, "mail_max_userip_connections = 20", "mail_max_userip_connections = 25"),
    ]


def test_a_block_that_is_to_overrule_comes_after_what_it_overrules():
    machine = host("protocols = imap pop3\nprotocol imap {\n  a = b\n}\nlogin_greeting = all\n")
    set_to(machine, banner="x", max_connections_per_user=5)
    assert body(machine).endswith(
        "protocol imap {\n  a = b\n  mail_max_userip_connections = 5\n}\n"
        "login_greeting = all\nprotocol imap {\n  login_greeting = x\n}\n"
    )


def test_several_settings_share_one_new_block():
    machine = host()
    set_to(machine, max_connections_per_user=25, banner="x", max_command_size=100)
    inside = "  mail_max_userip_connections = 25\n  imap_max_line_length = 100\n  login_greeting = x\n"
    assert body(machine) == f"{HEAD['2.3']}protocol imap {{\n{inside}}}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "service imap-login {\n  process_limit = 200\n}\nservice imap {\n  process_limit = 200\n}\n"),
        (
            "service imap-login {\n  client_limit = 50\n  service_count = 0\n}\n"
            "service imap {\n  process_limit = 7\n}\n",
            "service imap-login {\n  client_limit = 50\n  service_count = 0\n  process_limit = 4\n}\n"
            "service imap {\n  process_limit = 200\n}\n",
        ),
        (
            "service imap-login {\n  process_limit = 4\n  client_limit = 70\n  service_count = 0\n}\n"
            "service imap {\n  process_limit = 200\n}\n",
            "service imap-login {\n  process_limit = 4\n  client_limit = 50\n  service_count = 0\n}\n"
            "service imap {\n  process_limit = 200\n}\n",
        ),
    ],
)
def test_both_services_take_as_many_clients_as_asked(before, after):
    machine = host(before)
    set_to(machine, max_connections=200)
    assert body(machine) == HEAD["2.3"] + after
    assert effective(machine, ALL) == [200, 200]


def test_clients_that_cannot_be_shared_out_are_refused():
    machine = host("service imap-login {\n process_limit = 4\n client_limit = 70\n service_count = 0\n}\n")
    with pytest.raises(HostError, match="of 201 cannot be shared out.*at most 4 processes.*multiple of 70 or of 4[.]"):
        set_to(machine, max_connections=201)
    machine = host("service imap-login {\n process_limit = 4\n client_limit = 70\n service_count = 90\n}\n")
    with pytest.raises(HostError, match="of 364 cannot be shared out.*multiple of 70, or of 4 up to 360[.]"):
        set_to(machine, max_connections=364)


@given(some.integers(1, 900), some.integers(1, 50), some.integers(1, 50), some.integers(0, 50))
def test_a_total_that_is_written_is_the_total_that_is_read(total, processes, clients, lifetime):
    limits = f"process_limit = {processes}\n client_limit = {clients}\n service_count = {lifetime}"
    machine = host(f"service imap-login {{\n {limits}\n}}\n")
    try:
        set_to(machine, max_connections=total)
    except HostError as problem:
        assert "shared out" in str(problem)
    else:
        assert effective(machine, ALL) == [total, total]


@VERSIONS
@given(banner=some.text(some.characters(min_codepoint=32, exclude_categories=("Cs", "Cc")), max_size=20))
def test_any_greeting_of_one_line_is_read_as_it_was_written(version, banner):
    machine = host("protocol imap {\n}\n", version)
    if version == "2.4" and "%%{" in banner:
        with pytest.raises(HostError, match="without %%{"):
            set_to(machine, banner=banner)
    else:
        set_to(machine, banner=banner)
        assert effective(machine, BANNER) == [banner]


@pytest.mark.parametrize("banner", ["two\nlines", "a\rb", "\0"])
def test_a_greeting_of_more_than_a_line_is_refused(banner):
    with pytest.raises(HostError, match="must be one line"):
        set_to(host(), banner=banner)


# the check before


def test_the_copy_is_checked_and_nothing_is_written():
    machine = host("!include conf.d/*.conf\n", files={"conf.d/1.conf": "login_greeting = a\n"})
    server = Dovecot(machine)
    files, dummy = server.edited([Edit(BANNER, server.values[BANNER].places[0], "b")])
    before = dict(machine.files)
    machine.commands.clear()
    server.check(machine, files)
    assert machine.files == before and machine.written == []
    assert all(command[2].startswith("/scratch/") for command in machine.commands)


def test_a_copy_that_dovecot_refuses_is_told_in_its_words_and_with_real_paths():
    machine = host("service imap-login {\n process_min_avail = 50\n}\n")
    with pytest.raises(Rejected, match="with this change: Fatal: service.imap-login.: process_min_avail is higher"):
        set_to(machine, max_connections=20)
    server = Dovecot(machine)
    with pytest.raises(Rejected, match="configuration file /etc/dovecot/dovecot.conf line 1: Unknown setting"):
        server.check(machine, {MAIN: b"nonsense = 1\n"})


def test_the_copy_stands_among_links_to_its_neighbours(monkeypatch):
    files = {"local.d/1.conf": "login_greeting = a\n", "private/key.pem": "", "users": ""}
    machine = host("!include local.d/*.conf\n", files=files)
    links = {}
    monkeypatch.setattr(machine, "link", lambda target, path: links.update({path: target}))
    set_to(machine, banner="b")
    assert links == {f"/scratch/etc/dovecot/{name}": f"/etc/dovecot/{name}" for name in ("private", "users")}


def test_a_copy_that_doveconf_reads_otherwise_is_refused():
    machine = host()
    server = Dovecot(machine)
    machine.answers[DOVECONF].lies["mail_max_userip_connections"] = "30"
    with pytest.raises(Rejected, match="doveconf does not read this change as it is meant: .* = .40"):
        server.check(machine, {MAIN: b"protocols = imap\nmail_max_userip_connections = 40\n"})


def test_a_change_that_gives_some_clients_no_settings_is_refused():
    machine = host("protocols = imap pop3\nremote 10.0.0.0/8 {\n login_greeting = a\n}\n")
    with pytest.raises(Rejected, match="Conflict in setting"):
        set_to(machine, banner="b")


def test_where_2_3_cannot_have_both_the_new_one_is_for_all_clients_and_protocols():
    machine = host("remote 10.0.0.0/8 {\n login_greeting = a\n}\n")
    set_to(machine, banner="b")
    assert body(machine).endswith("login_greeting = b\nremote 10.0.0.0/8 {\n login_greeting = b\n}\n")


@VERSIONS
def test_a_complaint_that_only_moves_to_another_line_was_there_before(version):
    machine = host("protocol imap {\n}\nobsolete = yes\n", version)
    set_to(machine, banner="b")
    assert body(machine).endswith("protocol imap {\n  login_greeting = b\n}\nobsolete = yes\n")


def test_one_more_complaint_of_the_same_words_is_a_new_one():
    machine = host("protocol imap {\n}\nobsolete = yes\n")
    server = Dovecot(machine)
    with pytest.raises(Rejected, match="with this change: Warning: Obsolete setting in /etc/dovecot/dovecot.conf:5: obs"):
        server.check(machine, {MAIN: machine.files[MAIN] + b"obsolete = yes\n"})


@VERSIONS
def test_services_that_would_have_to_take_more_are_named(version):
    with pytest.raises(Rejected) as problem:
        set_to(host(version=version), max_connections=2000)
    assert str(problem.value) == (
        "service auth takes at most 1000 clients (client_limit), but needs to take 2000 with this change; "
        "service anvil takes at most 1000 clients (client_limit), but needs to take 2003 with this change; "
        "write that as client_limit into its service block and run again."
    )


def test_what_did_not_suffice_before_may_get_better_but_not_worse():
    machine = host("service auth {\n client_limit = 10\n}\n")
    set_to(machine, max_connections=90)
    with pytest.raises(Rejected, match="service auth takes at most 10 .* needs to take 95 "):
        set_to(machine, max_connections=95)


# what is running


@pytest.mark.parametrize(
    ("marks", "log", "since"),
    [
        ([1000.1], 1000.1, 1000.0),
        ([1000.1, 2000.2], 2000.1, 1999.1),
        ([2000.2], 1000.1, 1000.0),
        ([1000.1], 2000.1, 1000.0),
    ],
)
def test_a_reload_is_seen_where_the_master_took_up_its_configuration(marks, log, since):
    machine = host(processes=[process(10, DOVECOT), process(11, "dovecot/log", log, 10, "log")])
    machine.opened = {10: [("/dev/null", 9999.0), *((MARK, mark) for mark in marks)]}
    assert Dovecot(machine).serving.since == pytest.approx(since)


def test_after_a_reload_it_is_not_the_same_process_any_more():
    machine = host(processes=[process(10, DOVECOT), process(11, "dovecot/log", 1000, 10, "log")])
    machine.opened = {10: [(MARK, 1000.1)]}
    before = Dovecot(machine).serving.identity
    assert Dovecot(machine).serving.identity == before
    machine.opened = {10: [(MARK, 1000.2)]}
    assert Dovecot(machine).serving.identity not in (before, None)


def test_a_master_of_which_nothing_more_is_known_has_read_what_was_there_when_it_started():
    assert Dovecot(host(processes=[process(10, DOVECOT)])).serving == (1000.0, None, False)
    assert Dovecot(host()).serving is None


def test_the_youngest_of_the_files_and_folders_counts():
    machine = host("!include conf.d/*.conf\n", files={"conf.d/1.conf": ""})
    machine.ctimes = {"/etc/dovecot/conf.d": 30, "/etc/dovecot/conf.d/1.conf": 20}
    assert Dovecot(machine).changed_at == 30


# where it answers


@pytest.mark.parametrize(
    ("main", "endpoints"),
    [
        ("", [Endpoint("127.0.0.1", 143), Endpoint("127.0.0.1", 993, True)]),
        ("ssl = no\n", [Endpoint("127.0.0.1", 143)]),
        ("listen = 192.0.2.1, ::\n", [
            Endpoint("192.0.2.1", 143), Endpoint("::1", 143),
            Endpoint("192.0.2.1", 993, True), Endpoint("::1", 993, True),
        ]),
        ("service imap-login {\n inet_listener imap {\n  port = 0\n }\n inet_listener imaps {\n  port = 0\n }\n"
         " inet_listener behind {\n  port = 10143\n  address = localhost\n  haproxy = yes\n }\n}\n"
         "haproxy_trusted_networks = 10.0.0.0/8, 127.0.0.1 ::1/128\n",
         [Endpoint("127.0.0.1", 10143, False, True)]),
        ("service imap-login {\n inet_listener imap {\n  haproxy = yes\n }\n}\n"
         "haproxy_trusted_networks = 10.0.0.0/8 a.name\n",
         [Endpoint("127.0.0.1", 993, True)]),
    ],
)  # fmt: skip
def test_endpoints(main, endpoints):
    assert Dovecot(host(main)).endpoints == endpoints


@pytest.mark.parametrize("line", ["port = %{env:PORT}", "ssl = %{env:TLS}", "listen = %{env:ADDRESS}"])
def test_a_listener_with_variables_is_left_out(line):
    main = "service imap-login {\n inet_listener imaps {\n  " + line + "\n }\n}\n"
    assert Dovecot(host(main, version="2.4")).endpoints == [Endpoint("127.0.0.1", 143)]
    listen = "listen = %{env:ADDRESS}\n"
    assert Dovecot(host(listen, version="2.4")).endpoints == []


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("mail_max_userip_connections = %{env:MOST}", "mail_max_userip_connections"),
        ("default_client_limit = %{env:MOST}", "default_client_limit"),
        ("service imap {\n  process_limit = %{env:MOST}\n}", "process_limit"),
    ],
)
def test_a_number_that_is_a_variable_is_refused_as_one(line, key):
    machine = host(line + "\n", version="2.4")
    machine.answers[DOVECONF].lies["default_client_limit"] = "1000"
    with pytest.raises(SyntaxProblem, match=f":[0-9]+: expected a value for {key} without variables, not \"%{{env:"):
        Dovecot(machine)


def test_a_front_that_tells_the_address_of_clients_makes_a_difference():
    server = Dovecot(host())
    server.stand_behind(Endpoint("127.0.0.1", 143, proxy_protocol=True), Front())
    remark = server.values[PER_USER].remark
    assert remark == "Dovecot counts the connections of a user from each address alone."
    server.stand_behind(Endpoint("127.0.0.1", 143), Front())
    assert "so all those of a user count together" in server.values[PER_USER].remark
    assert len(server.endpoints) == 2


# all together


def test_a_change_among_many_lines_that_are_the_same_takes_no_longer():
    machine = host("mail_max_userip_connections = 20\n# same\n" + "# same\n" * 40000)
    began = time.monotonic()
    changes = set_to(machine, **{PER_USER: 30})
    assert time.monotonic() - began < 10
    assert [(change.line, change.after) for change in changes] == [(2, "mail_max_userip_connections = 30")]


def test_a_value_of_very_many_variables_is_read_by_doveconf():
    machine = host("login_greeting = $login_greeting a\n" * 3000)
    machine.answers[DOVECONF].lies["login_greeting"] = "Dovecot ready." + " a" * 3000
    assert effective(machine, "banner") == ["Dovecot ready." + " a" * 3000]
    (place,) = places(machine, "banner")
    files, dummy = Dovecot(machine).edited([Edit("banner", place, "b")])
    machine.files.update(files)
    machine.answers[DOVECONF].lies.clear()
    assert effective(machine, "banner") == ["b"]


def test_a_number_that_is_a_variable_of_2_3_is_refused_as_one():
    machine = host("service imap {\n  client_limit = $ENV:MOST\n}\n")
    machine.answers[DOVECONF].lies["service/imap/client_limit"] = "1"
    with pytest.raises(SyntaxProblem, match="dovecot.conf:3: expected a value for client_limit without variables, not"):
        Dovecot(machine)


def test_changes_are_told_as_people_read_them():
    machine = host("login_greeting = gr\xfcn\n", processes=[process(10, DOVECOT)])
    result = _workflow.converge(machine, {BANNER: "wei\xdf"}, "auto", keep_going=False, check_mode=True)
    (change,) = result["changes"]
    assert (change["before"], change["after"]) == ("login_greeting = gr\xfcn", "login_greeting = wei\xdf")


def test_a_whole_run_with_dovecot_alone():
    machine = host("mail_max_userip_connections = 20\n", processes=[process(10, DOVECOT)])
    desired = {"authenticated_connection_timeout": 1800, PER_USER: 25, "max_connections_from_single_ip": 5}
    result = _workflow.converge(machine, desired, "auto", keep_going=True, check_mode=False)
    assert result["changed"] and result["services"] == ["dovecot"]
    assert result["settings"]["authenticated_connection_timeout"]["in_sync"]
    assert [entry["setting"] for entry in result["drift"]] == ["max_connections_from_single_ip", PER_USER]
    assert any("from each address alone" in warning for warning in result["warnings"])
    desired = {"authenticated_connection_timeout": 60}
    with pytest.raises(HostError, match="imap_proxy puts a mail proxy before this server"):
        _workflow.converge(machine, desired, "auto", keep_going=False, check_mode=False)


# What follows compares with doveconf.

SUITES = {"2.3": "bookworm", "2.4": "trixie"}
KEYS = {
    version: "default_client_limit mail_max_userip_connections imap_max_line_length login_greeting "
    "imap_hibernate_timeout imap_idle_notify_interval "
    + " ".join(
        f"service/{service}/{key}"
        for service in ("imap-login", "imap")
        for key in ("process_limit", "client_limit", LIFETIME[version])
    )
    + " default_process_limit"
    for version in SUITES
}
WISHES = {ALL: 120, PER_USER: 33, SIZE: 9999, BANNER: "50% of \"it's\" # \\ $x gr\xfcn"}


def answered(files, result):
    """A host with ``files`` (name to bytes) in /t, whose doveconf gives the answers in ``result``."""
    main = "/t/main.conf"
    machine = FakeHost({f"/t/{name}": content for name, content in files.items()}, {DOVECOT, "/usr/lib/dovecot/imap"})
    machine.process_list = [process(10, f"{DOVECOT} -c {main}")]

    def doveconf(command):
        filters = [word for word in command if word.startswith("-fremote")]
        name = "defaults" if "-d" in command else "client" if filters else "told" if "-h" in command else "whole"
        name = name if "-n" in command or name != "whole" else "printed"
        output, dummy, status = result[name].rpartition(b"\nstatus ")
        words = output.decode("utf-8", "replace").strip()
        if name == "defaults":
            # What else variables name is asked for before the last, and has no value.
            more = len(command) - command.index("default_client_limit") - len(KEYS["2.4"].split())
            before, ending, last = words.rpartition("\n")
            words = before + ending * (1 + more) + last
        return int(status), words

    machine.answers[DOVECONF] = doveconf
    return machine


def ask(version, kind):
    """A script that writes what answered() takes; each answer ends with the exit status. Not into files but pipes,
    because doveconf 2.4 wants no ``-h`` of several settings there.

    Files of the corpus stand alone, so that Dovecot would refuse them for what they name.
    """
    conf = "doveconf -c $PWD/main.conf" + (" -x" if kind == "generated" else "")
    asked = {
        "defaults": f"{conf} -h -d {KEYS[version]}",
        "told": f"{conf} -h -fprotocol=imap {KEYS[version]}",
        "client": f"{conf} -h -fprotocol=imap -fremote=10.0.0.0/8 {KEYS[version]}",
        "whole": f"{conf} -n" if kind == "generated" else f"echo '# {version}.1'",
        "printed": f"{conf} protocols listen ssl service/imap-login",
    }
    return "; ".join(
        f"{{ {command}; printf '\\nstatus %s' $?; }} 2>&1 | cat >{name}" for name, command in asked.items()
    )


def draw_configurations(version):
    numbers = some.integers(1, 300)
    limits = some.one_of(
        some.builds("mail_max_userip_connections = {}".format, some.sampled_from(["0", "5", '"6"', "007", "\\\n 8"])),
        some.builds("imap_max_line_length = {}".format, some.sampled_from(["5k", "1 M", "70000", "9 KiB"])),
        some.builds("login_greeting = {}".format, some.sampled_from(["a", '"b #"', "c %% d", "'e'", "<greeting", ""])),
    )
    general = some.builds("default_{}_limit = {}".format, some.sampled_from(["process", "client"]), numbers)
    services = some.builds(
        "service {} {{\n  {} = {}\n}}".format,
        some.sampled_from(["imap", "imap-login", "auth"]),
        some.sampled_from(["process_limit", "client_limit", LIFETIME[version]]),
        some.integers(1, 5),
    ).filter(lambda block: "auth" not in block or "client" in block)
    names = ["protocol imap", "protocol pop3", "protocol !pop3", "remote 10.0.0.0/8"]
    blocks = some.builds("{} {{\n{}\n}}".format, some.sampled_from(names), limits)
    line = some.one_of(limits, general, services, blocks, blocks, some.sampled_from(["!include b.conf", "# c"]))
    files = some.tuples(
        some.lists(line, max_size=7),
        some.lists(line, max_size=3).map(lambda lines: [each for each in lines if each[0] != "!"]),
        some.sampled_from(["\n", "\r\n"]),
        some.sampled_from(["imap", "imap pop3"]),
    )

    def written(parts):
        main, other, ending, protocols = parts
        head = HEAD[version].replace("protocols = imap\n", f"protocols = {protocols}\n")
        if version == "2.4":
            head += "dovecot_storage_version = 2.4.0\n"
        sources = {"main.conf": head + "\n".join([*main, ""]), "b.conf": "\n".join([*other, ""]), "greeting": "hello"}
        return {name: source.replace("\n", ending).encode() for name, source in sources.items()}

    return files.map(written)


@VERSIONS
@pytest.mark.parametrize("kind", ["generated", "corpus"])
def test_doveconf_has_what_we_read_and_what_we_write(version, kind):
    """Of each configuration that Dovecot takes, it reads what we do, before and after a change."""
    shell = syntax_host(SUITES[version])
    if kind == "corpus":
        paths = [parameter.values[0] for parameter in corpus("dovecot")]
        if paths == [None]:
            pytest.skip("needs the corpus of real files")
        compare(shell, version, kind, [{"main.conf": path.read_bytes()} for path in paths])
        return

    @settings(max_examples=3, deadline=None, database=None, phases=[hypothesis.Phase.generate],
              suppress_health_check=list(hypothesis.HealthCheck))  # fmt: skip
    @given(some.lists(draw_configurations(version), min_size=40, max_size=40))
    def generated(cases):
        compare(shell, version, kind, cases)

    generated()


def compare(shell, version, kind, cases):
    written = []
    counts = {"read": 0, "refused": 0, "written": 0, "not written": 0}
    for files, result in zip(cases, judge(shell, cases, ask(version, kind))):
        machine = answered(files, result)
        try:
            if not Dovecot.present(machine):
                continue
            server = Dovecot(machine)
        except (Rejected, SyntaxProblem) as problem:
            told = [result[name] for name in ("whole", "printed", "client")]
            refused = not all(answer.endswith(b"\nstatus 0") for answer in told)
            assert refused or "expected" in str(problem), (problem, files)
            counts["refused"] += 1
            continue
        counts["read"] += 1
        assert server._reading.problems == [], files
        edits = [
            Edit(name, place, wish)
            for name, wish in WISHES.items()
            for place in server.values[name].places
            if place.effective != wish
        ]
        try:
            changed, dummy = server.edited(edits)
        except HostError as problem:
            assert "shared out" in str(problem), (problem, files)
            counts["not written"] += 1
            continue
        written.append({**files, **{path[len("/t/") :]: content for path, content in changed.items()}})
    assert written
    for files, result in zip(written, judge(shell, written, ask(version, kind))):
        try:
            server = Dovecot(answered(files, result))
        except Rejected as problem:
            assert "Conflict in setting" in str(problem), (problem, files)
            continue
        assert server._reading.problems == [], files
        for name, wish in WISHES.items():
            assert {place.effective for place in server.values[name].places} == {wish}, (name, files)
        counts["written"] += 1
    assert counts["read"] and counts["written"]
    print(version, counts)
