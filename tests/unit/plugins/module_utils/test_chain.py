# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.mailops.imap.plugins.module_utils import _chain
from ansible_collections.mailops.imap.plugins.module_utils._host import Host, HostError
from ansible_collections.mailops.imap.plugins.module_utils._servers.base import Endpoint, Server
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.fake_host import (
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

DOVECOT_RUNNING = [process(300, DOVECOT), process(301, "dovecot/imap-login", parent=300, name="imap-login")]
CYRUS_RUNNING = [process(50, "/usr/sbin/cyrmaster -d")]


def front(backend="127.0.0.1 10143", extra=""):
    address, port = backend.split()
    return (
        "http { server { listen 127.0.0.1:10144; location = /auth {"
        f" add_header Auth-Server {address}; add_header Auth-Port {port}; return 204; }} }} }}"
        f"mail {{ auth_http 127.0.0.1:10144/auth; {extra} server {{ listen 143; }} }}"
    )


UNNAMED = "mail { auth_http 127.0.0.1:9000/auth.php; server { listen 143; } }"


def host(nginx=None, dovecot=False, cyrus=False, listeners=()):
    files, programs, processes, answers = {}, set(), [], {}
    if nginx is not None:
        files[NGINX_MAIN] = nginx
        programs.add(NGINX)
        processes += nginx_processes()
        answers.update(nginx_answers())
    if dovecot:
        files.update(DOVECOT_FILES)
        programs |= DOVECOT_PROGRAMS
        processes += DOVECOT_RUNNING
        answers["--version"] = (0, "2.3.19.1 (9b53102964)")
    if cyrus:
        files.update({IMAPD_CONF: "", CYRUS_CONF: 'SERVICES {\n imap cmd="imapd" listen="127.0.0.1:10143"\n}\n'})
        programs |= CYRUS_PROGRAMS
        processes += CYRUS_RUNNING
        answers.update(cyrus_answers())
    return FakeHost(files, programs, processes, listeners, answers)


def types(machine, server_type="auto"):
    return [server.server_type for server in _chain.observe(machine, server_type)]


BY_DOVECOT = [listener(143, 100), listener(10143, 300, 301)]
BY_CYRUS = [listener(143, 100), listener(10143, 50)]


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (host(dovecot=True), ["dovecot"]),
        (host(cyrus=True), ["cyrus"]),
        (host(nginx="http {}", dovecot=True), ["dovecot"]),
        (host(nginx=front(), dovecot=True, listeners=BY_DOVECOT), ["nginx", "dovecot"]),
        (host(nginx=front(), cyrus=True, listeners=BY_CYRUS), ["nginx", "cyrus"]),
        # A wildcard serves the backend's address as well, another address does not.
        (host(nginx=front(), dovecot=True, listeners=[listener(10143, 300, address="0.0.0.0")]), ["nginx", "dovecot"]),
        (host(nginx=front("::1 10143"), cyrus=True, listeners=[listener(10143, 50, address="::")]), ["nginx", "cyrus"]),
        # A backend that is down is the only one there is.
        (host(nginx=front(), dovecot=True), ["nginx", "dovecot"]),
        (host(nginx=front("192.0.2.9 143")), ["nginx", "unknown"]),
        (host(nginx=front("mail.example.org 143")), ["nginx", "unknown"]),
        (host(nginx=UNNAMED), ["nginx", "unknown"]),
        # Where the front does not name its backend, it may be here as well as elsewhere.
        (host(nginx=UNNAMED, dovecot=True), ["nginx", "dovecot", "unknown"]),
        (host(nginx=UNNAMED, cyrus=True), ["nginx", "cyrus", "unknown"]),
    ],
)
def test_chains(machine, expected):
    assert types(machine) == expected


@pytest.mark.parametrize(
    "machine",
    [
        host(dovecot=True, cyrus=True),
        host(nginx=front(), dovecot=True, cyrus=True, listeners=BY_DOVECOT),
        host(nginx=front("192.0.2.9 143"), dovecot=True),
        # Something that is neither holds the backend's port.
        host(nginx=front(), dovecot=True, listeners=[listener(10143, 999)]),
        host(nginx=UNNAMED, dovecot=True, cyrus=True),
    ],
)
def test_servers_that_form_no_chain_are_named(machine):
    with pytest.raises(HostError) as problem:
        types(machine)
    assert "which do not form a chain; set server_type" in str(problem.value)
    assert "dovecot" in str(problem.value)


def test_server_type_chooses():
    machine = host(nginx=front(), dovecot=True, cyrus=True, listeners=BY_CYRUS)
    assert types(machine, "nginx") == ["nginx", "cyrus"]
    assert types(machine, "dovecot") == ["dovecot"]
    assert types(machine, "cyrus") == ["cyrus"]


def test_of_two_servers_on_one_port_the_one_at_the_address_counts():
    machine = host(
        nginx=front(), dovecot=True, cyrus=True,
        listeners=[listener(10143, 300, address="192.0.2.1"), listener(10143, 50)],
    )  # fmt: skip
    assert types(machine, "nginx") == ["nginx", "cyrus"]


@pytest.mark.parametrize("server_type", ["auto", "nginx", "dovecot", "cyrus"])
def test_nothing_there_is_one_sentence(server_type):
    with pytest.raises(_chain.NothingFound) as problem:
        types(host(), server_type)
    assert ("No IMAP server" if server_type == "auto" else f"server_type is {server_type}, but no") in str(
        problem.value
    )


def test_a_backend_answers_where_its_front_says():
    (dummy, backend) = _chain.observe(host(nginx=front(extra="proxy_protocol on;"), dovecot=True), "auto")
    assert backend.endpoints == [Endpoint("127.0.0.1", 10143, False, True)]


def test_two_ways_to_one_backend_are_one_member():
    main = front() + "\n"
    main = main.replace(
        "location", "location = /b { add_header Auth-Server 127.0.0.1; add_header Auth-Port 10993; } location"
    )
    main = main.replace(
        "server { listen 143; }", "server { listen 143; } server { listen 993; auth_http 127.0.0.1:10144/b; }"
    )
    chain = _chain.observe(host(nginx=main, dovecot=True), "auto")
    assert [server.server_type for server in chain] == ["nginx", "dovecot"]
    assert chain[1].endpoints == [Endpoint("127.0.0.1", 10143), Endpoint("127.0.0.1", 10993)]


@pytest.mark.parametrize(
    ("listeners", "count"),
    [
        ([], 0),
        ([listener(10143, 300, address="0.0.0.0")], 0),
        ([listener(993, 300)], 0),
        ([listener(993, 100, address="0.0.0.0")], 0),
        ([listener(993, 300, address="0.0.0.0")], 1),
        ([listener(143, 301, address="::"), listener(993, 300, 301, address="192.0.2.1")], 2),
    ],
)
def test_a_way_past_the_front_is_told(listeners, count):
    machine = host(nginx=front(), dovecot=True, listeners=listeners)
    warnings = _chain.ways_past(machine, _chain.observe(machine, "auto"))
    assert len(warnings) == count
    assert all("dovecot itself listens on" in warning and "past nginx" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("name", "port", "address", "told"),
    [
        ("haproxy", 993, "0.0.0.0", True),
        ("nginx", 143, "192.0.2.1", True),
        ("haproxy", 993, "127.0.0.1", False),
        ("haproxy", 995, "0.0.0.0", False),
        ("imap-login", 993, "0.0.0.0", False),
        ("systemd", 143, "::", False),
    ],
)
def test_what_else_listens_on_a_port_of_imap_is_told(name, port, address, told):
    machine = host(dovecot=True, listeners=[listener(port, 900, address=address)])
    machine.process_list.append(process(900, name, name=name))
    warnings = _chain.ways_past(machine, _chain.observe(machine, "dovecot"))
    assert len(warnings) == told
    assert all(f"{name} listens on {address} port {port} and is no part of dovecot" in each for each in warnings)


class Middle(Server):
    server_type = "middle"
    services = socket_holders = ("middle",)

    def __init__(self, host):
        super().__init__()
        self.backends = [Endpoint("127.0.0.1", 20143)]

    @classmethod
    def present(cls, host):
        return True


@pytest.mark.parametrize(
    "asked",
    [
        "server { listen 143; }",
        "server { listen 143; } server { listen 993; auth_http 127.0.0.1:10144/b; }",
        "server { listen 993; auth_http 127.0.0.1:10144/b; } server { listen 143; }",
    ],
)
def test_a_chain_may_have_three_links(monkeypatch, asked):
    monkeypatch.setitem(_chain.SERVER_TYPES, "middle", Middle)
    direct = "location = /b { add_header Auth-Server 127.0.0.1; add_header Auth-Port 20143; } location"
    main = front().replace("location", direct).replace("server { listen 143; }", asked)
    machine = host(main, dovecot=True, listeners=[listener(10143, 70), listener(20143, 300)])
    machine.process_list.append(process(70, "middle"))
    chain = _chain.observe(machine, "auto")
    assert [server.server_type for server in chain] == ["nginx", "middle", "dovecot"]
    assert chain[2].endpoints == [Endpoint("127.0.0.1", 20143)]


def test_what_dovecot_does_in_idle_matters_only_without_a_front():
    name = "authenticated_connection_timeout"
    bare = _chain.observe(host(dovecot=True), "auto")
    assert "IDLE" in bare[0].values[name].remark
    behind = _chain.observe(host(front(), dovecot=True, listeners=[listener(10143, 300)]), "auto")
    assert behind[1].values[name].remark is None


def test_a_host_is_asked_once_which_dovecot_it_has(monkeypatch):
    machine = FakeHost(DOVECOT_FILES, DOVECOT_PROGRAMS, DOVECOT_RUNNING)
    machine._known = {}
    monkeypatch.setattr(FakeHost, "once", Host.once)
    _chain.observe(machine, "auto")
    assert sum("protocols" in command for command in machine.commands) == 1


@pytest.mark.parametrize(
    "server, pid, path",
    [
        ({"nginx": front()}, 100, NGINX_MAIN),
        ({"dovecot": True}, 300, next(iter(DOVECOT_FILES))),
        ({"cyrus": True}, 50, CYRUS_CONF),
        ({"cyrus": True}, 50, IMAPD_CONF),
    ],
)
def test_a_server_that_sees_other_files_than_this_host_is_refused(server, pid, path):
    machine = host(**server)
    assert types(machine)
    machine.mounted = {pid: [path]}
    with pytest.raises(HostError, match=rf"\(process {pid}\) does not see this host's {path}, because"):
        types(machine)


@pytest.mark.parametrize(
    "state, running, chain",
    [
        ("enabled", False, ["nginx", "dovecot", "unknown"]),
        ("disabled", False, ["nginx", "unknown"]),
        ("masked", False, ["nginx", "unknown"]),
        ("disabled", True, ["nginx", "dovecot", "unknown"]),
    ],
)
def test_what_was_switched_off_is_not_taken_for_a_backend_without_a_name(state, running, chain):
    machine = host(UNNAMED, dovecot=True)
    machine.answers["systemctl is-enabled dovecot"] = (1, state)
    if not running:
        machine.process_list = nginx_processes()
    assert types(machine, "nginx") == chain
    assert types(machine, "auto") == chain
