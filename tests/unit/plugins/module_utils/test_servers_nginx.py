# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ansible_collections.mailops.imap.plugins.module_utils import _convergence
from ansible_collections.mailops.imap.plugins.module_utils._host import HostError
from ansible_collections.mailops.imap.plugins.module_utils._servers.base import Edit, Endpoint, Rejected
from ansible_collections.mailops.imap.plugins.module_utils._servers.nginx import Nginx
from ansible_collections.mailops.imap.plugins.module_utils._syntax.text import SyntaxProblem
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.fake_host import (
    NGINX,
    NGINX_MAIN,
    FakeHost,
    listener,
    nginx_answers,
    nginx_processes,
    process,
)

AUTHENTICATED = "authenticated_connection_timeout"
PRE_AUTHENTICATED = "pre_authenticated_connection_timeout"
SETTINGS = "/etc/nginx/mailops-imap/settings.conf"
AUTH = "/etc/nginx/conf.d/auth.conf"
MAIN = "events {}\nhttp { include conf.d/*.conf; }\n"


def host(main, files=(), processes=None, **other):
    """A host whose main file is ``main``, with nginx running since it was written."""
    return FakeHost(
        {NGINX_MAIN: main, **dict(files)},
        {NGINX},
        nginx_processes() if processes is None else processes,
        answers=other.pop("answers", nginx_answers()),
        **other,
    )


def effective(server):
    """The seconds of each IMAP server: pairs of authenticated and pre-authenticated."""
    return list(
        zip(*([place.effective for place in server.values[name].places] for name in (AUTHENTICATED, PRE_AUTHENTICATED)))
    )


def converged(machine, authenticated=7, pre_authenticated=5):
    """Make the edits that these values take, put the files in place, and return the changes."""
    server = Nginx(machine)
    desired = {AUTHENTICATED: authenticated, PRE_AUTHENTICATED: pre_authenticated}
    picture = _convergence.compare([server], desired, {}, {})
    files, changes = server.edited([edit for dummy, edit in picture.edits])
    for path, content in files.items():
        assert machine.files[path] != content
        machine.files[path] = content
    return changes


def check_converged(machine, authenticated=7, pre_authenticated=5):
    server = Nginx(machine)
    assert set(effective(server)) == {(authenticated, pre_authenticated)}
    desired = {AUTHENTICATED: authenticated, PRE_AUTHENTICATED: pre_authenticated}
    assert _convergence.compare([server], desired, {}, {}).edits == []


def mail_timeouts(machine):
    """What every mail server that is not one for IMAP obeys: proxy_timeout and timeout as written, or None."""
    server = Nginx(machine)
    found = []
    for other in server._all:
        if other not in server._imap:
            found.append([other.argument(name) for name in ("proxy_timeout", "timeout")])
    return found


# presence


@pytest.mark.parametrize(
    ("mail", "present"),
    [
        ("", False),
        ("mail {}", False),
        ("mail { server { listen 143; } }", True),
        ("mail { server { listen 127.0.0.1:993 ssl; } }", True),
        ("mail { server { listen [::]:143; } }", True),
        ("mail { server { listen 143-145; } }", True),
        ("mail { server { listen 10143; protocol imap; } }", True),
        ("mail { server { protocol imap; listen 10143; } }", True),
        ("mail { server { listen unix:/run/imap; protocol imap; } }", True),
        ("mail { server { listen 110; } server { listen 25; } }", False),
        ("mail { server { listen 143; protocol pop3; } }", False),
        # The first port that says something decides (measured).
        ("mail { server { listen 110; listen 143; } }", False),
        ("mail { server { listen 143; listen 110; } }", True),
        ("mail { server { listen 8143; listen 143; } }", True),
        ("http { server { listen 143; } }", False),
    ],
)
def test_present_where_a_mail_server_speaks_imap(mail, present):
    assert Nginx.present(host(mail)) is present


def test_absent_without_a_program_or_a_configuration():
    assert not Nginx.present(FakeHost({NGINX_MAIN: "mail { server { listen 143; } }"}))
    assert not Nginx.present(FakeHost({}, {NGINX}))


def test_what_nginx_refuses_is_told_in_its_words():
    words = (
        "2026/11/24 04:17:42 [warn] 12#12: something odd in /etc/nginx/nginx.conf:1\n"
        '2026/11/24 04:17:42 [emerg] 12#12: unexpected end of file, expecting "}" in /etc/nginx/nginx.conf:1\n'
        'nginx: [emerg] unexpected end of file, expecting "}" in /etc/nginx/nginx.conf:1\n'
        "nginx: configuration file /etc/nginx/nginx.conf test failed\n"
    )
    expected = (
        "nginx refuses its configuration as it is: [warn] something odd in /etc/nginx/nginx.conf:1; "
        '[emerg] unexpected end of file, expecting "}" in /etc/nginx/nginx.conf:1.'
    )
    for main in ("mail {", "include none.conf;"):
        with pytest.raises(Rejected) as problem:
            Nginx.present(host(main, answers=nginx_answers((1, words))))
        assert str(problem.value) == expected
    with pytest.raises(Rejected) as problem:
        Nginx(host("mail { server { listen 143; } }", answers=nginx_answers((1, words))))
    assert str(problem.value) == expected


def test_what_only_this_reader_refuses_is_told_too():
    with pytest.raises(SyntaxProblem, match="nginx.conf:1: expected"):
        Nginx.present(host("mail {"))


# observing


@pytest.mark.parametrize(
    ("mail", "expected"),
    [
        ("server { listen 143; }", [(86400, 60)]),
        ("timeout 5s; proxy_timeout 7s; server { listen 143; }", [(7, 5)]),
        ("timeout 5s; server { listen 143; proxy_timeout 8m; timeout 1500ms; }", [(480, 1.5)]),
        ("proxy_timeout 7; server { listen 143; } server { listen 993; proxy_timeout 0; }", [(7, 60), (0, 60)]),
        ("timeout 5s; server { listen 110; timeout 9s; } server { listen 143; }", [(86400, 5)]),
    ],
)
def test_what_counts_for_each_imap_server(mail, expected):
    assert effective(Nginx(host(f"mail {{ {mail} }}"))) == expected


def test_a_place_names_file_line_and_what_it_overrules():
    server = Nginx(
        host(
            "mail {\ntimeout 5s;\nserver {\nlisten 143;\ninclude s.conf;\n}\n}", {"/etc/nginx/s.conf": "\ntimeout 6s;"}
        )
    )
    (place,) = server.values[PRE_AUTHENTICATED].places
    assert (place.configured, place.file, place.line, place.overrides) == (6, "/etc/nginx/s.conf", 2, True)
    (missing,) = server.values[AUTHENTICATED].places
    assert (missing.configured, missing.effective, missing.line) == (None, 86400, None)


def test_an_odd_time_is_refused_with_its_line():
    with pytest.raises(SyntaxProblem, match=r'nginx\.conf:2: expected a time after timeout, not "x"'):
        Nginx(host("mail { server { listen 143;\ntimeout x; } }"))


def test_version_and_endpoints():
    server = Nginx(
        host(
            "mail { server { listen 143; listen [::1]:143; listen 192.0.2.1:1143 proxy_protocol; listen unix:/run/x;"
            " protocol imap; } server { listen *:993 ssl; } server { listen [::]:110; } }"
        )
    )
    assert server.version == "1.22.1"
    assert server.endpoints == [
        Endpoint("127.0.0.1", 143),
        Endpoint("::1", 143),
        Endpoint("192.0.2.1", 1143, False, True),
        Endpoint("127.0.0.1", 993, True),
    ]


@pytest.mark.parametrize("name", ["max_connections", "max_command_size", "banner"])
def test_what_nginx_lacks_is_refused_by_name_and_with_the_reason(name):
    picture = _convergence.compare([Nginx(host("mail { server { listen 143; } }"))], {name: 100}, {}, {})
    (message,) = picture.unenforceable
    assert message == f"{name} cannot be set here, because {Nginx.lacks[name]}; leave it out for this host"


# the process that serves


def test_what_changed_while_nginx_was_reading_may_not_be_what_it_read(monkeypatch):
    """Before the workers start, the master reads the configuration for as long as ``nginx -t`` does."""
    clock = iter([0.0, 0.5] * 2)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    reloaded = [*nginx_processes(started=50, workers=0), process(8, "nginx: worker process", 80, 100, "nginx")]
    assert Nginx(host("mail { server { listen 143; } }", processes=reloaded)).serving.since == 80 - 0.52
    fresh = nginx_processes(started=80.5, master_started=80)
    assert Nginx(host("mail { server { listen 143; } }", processes=fresh)).serving.since == 80


def test_the_unit_is_the_one_whose_main_process_is_nginx():
    machine = host("mail { server { listen 143; } }", processes=nginx_processes(pid=100))
    assert Nginx(machine).services == ("nginx",)
    machine.units = {100: "mail-front"}
    machine.answers = {"show mail-front.service": (0, "100"), **machine.answers}
    assert Nginx(machine).services == ("mail-front",)
    machine.answers["show mail-front.service"] = (0, "7")
    assert Nginx(machine).services == ("nginx",)


def test_the_oldest_worker_that_takes_connections_serves():
    workers = [
        *nginx_processes(started=50, workers=0),
        process(7, "nginx: worker process is shutting down", 60, 100, "nginx"),
        process(9, "nginx: worker process", 90, 100, "nginx"),
        process(8, "nginx: worker process", 80, 100, "nginx"),
        process(6, "nginx: cache manager process", 55, 100, "nginx"),
        process(5, "nginx: worker process", 10, 99, "nginx"),
    ]
    serving = Nginx(host("mail { server { listen 143; } }", processes=workers)).serving
    assert (serving.identity, serving.doubtful) == ("boot:8:80", False)
    assert 79 < serving.since < 80


@pytest.mark.parametrize("workers", [[], nginx_processes(workers=0)])
def test_without_workers_nothing_serves(workers):
    assert Nginx(host("mail { server { listen 143; } }", processes=workers)).serving is None


def running(machine, record=()):
    return _convergence.running(Nginx(machine), dict(record))


def test_files_younger_than_the_workers_do_not_tell_what_runs():
    machine = host(
        "mail { timeout 5s; include a.conf; include b/*.conf; server { listen 143; } }",
        {"/etc/nginx/a.conf": "", "/etc/nginx/b/note": ""},
    )
    assert running(machine)[PRE_AUTHENTICATED] == (5,)
    for path in (NGINX_MAIN, "/etc/nginx/a.conf", "/etc/nginx/b"):
        machine.ctimes = {path: 1001}
        assert running(machine)[PRE_AUTHENTICATED] is None


def test_a_folder_that_does_not_exist_is_no_change():
    machine = host("mail { timeout 5s; include none/*.conf; include x/*/y.conf; server { listen 143; } }")
    machine.ctimes = {"/etc/nginx/none": float("inf"), "/etc/nginx/x": float("inf"), "/etc/nginx/x/*": float("inf")}
    assert running(machine)[PRE_AUTHENTICATED] == (5,)
    machine.ctimes["/etc/nginx"] = 1001
    assert running(machine)[PRE_AUTHENTICATED] is None


def test_a_lone_worker_may_have_replaced_one_that_crashed():
    machine = host(
        "mail { timeout 5s; server { listen 143; } }", processes=nginx_processes(2000, workers=1, master_started=1000)
    )
    machine.ctimes = {NGINX_MAIN: 1500}
    assert running(machine)[PRE_AUTHENTICATED] is None
    record = {"identity": "boot:1:1", "running": {AUTHENTICATED: [86400], PRE_AUTHENTICATED: [9]}}
    assert running(machine, record) == {AUTHENTICATED: (86400,), PRE_AUTHENTICATED: None}
    record["running"][PRE_AUTHENTICATED] = [5]
    assert running(machine, record)[PRE_AUTHENTICATED] == (5,)
    machine.ctimes = {NGINX_MAIN: 500}
    assert running(machine)[PRE_AUTHENTICATED] == (5,)


@pytest.mark.parametrize(("second", "expected"), [(2000.9, (5,)), (2001.1, None)])
def test_workers_that_did_not_start_together_may_all_have_replaced_others(second, expected):
    first = nginx_processes(2000, workers=1, master_started=1000)
    machine = host(
        "mail { timeout 5s; server { listen 143; } }",
        processes=[*first, process(200, "nginx: worker process", second, 100, "nginx")],
    )
    machine.ctimes = {NGINX_MAIN: 1500}
    assert running(machine)[PRE_AUTHENTICATED] == expected
    machine.ctimes = {NGINX_MAIN: 500}
    assert running(machine)[PRE_AUTHENTICATED] == (5,)


def test_a_process_that_was_seen_keeps_what_it_had():
    machine = host("mail { timeout 5s; server { listen 143; } }")
    machine.ctimes = {NGINX_MAIN: 1500}
    assert running(machine, {"identity": "boot:101:1000", "running": {PRE_AUTHENTICATED: [9]}}) == {
        AUTHENTICATED: None,
        PRE_AUTHENTICATED: (9,),
    }


def test_the_main_file_that_the_master_was_given_counts():
    files = {"/srv/mail.conf": "mail { timeout 9s; server { listen 143; } }"}
    machine = host(
        "mail { timeout 5s; server { listen 143; } }",
        files,
        nginx_processes(command="/usr/sbin/nginx -c /srv/mail.conf"),
    )
    server = Nginx(machine)
    assert effective(server) == [(86400, 9)]
    assert ["/usr/sbin/nginx", "-v", "-t", "-c", "/srv/mail.conf"] in machine.commands


def test_another_program_with_its_own_main_file_is_asked_itself():
    files = {"/srv/mail.conf": "mail { server { listen 143; } }"}
    machine = host("", files, nginx_processes(command="/opt/nginx -c /srv/mail.conf"))
    Nginx(machine)
    assert ["/opt/nginx", "-v", "-t", "-c", "/srv/mail.conf"] in machine.commands


@pytest.mark.parametrize(
    "command", ["/usr/sbin/nginx -c mail.conf", "/opt/nginx", "/opt/nginx -p /srv", "/opt/nginx -p a -c b"]
)
def test_a_master_that_does_not_tell_its_main_file_is_refused(command):
    with pytest.raises(HostError, match=f"nginx .process 100. runs as {command}, which does not tell its main file"):
        Nginx.present(host("mail { server { listen 143; } }", processes=nginx_processes(command=command)))


@pytest.mark.parametrize("given", ["include /srv/mail.conf;", "daemon off; mail { server { listen 143; } }", "mail{}"])
def test_configuration_on_the_command_line_is_refused(given):
    with pytest.raises(HostError, match="takes configuration from its command line"):
        Nginx.present(host("", processes=nginx_processes(command=f"/usr/sbin/nginx -g {given}")))


@pytest.mark.parametrize("given", ["daemon on; master_process on;", "error_log /var/log/mail.err; daemon off;"])
def test_other_directives_on_the_command_line_are_nothing_to_refuse(given):
    assert not Nginx.present(host("", processes=nginx_processes(command=f"/usr/sbin/nginx -g {given}")))


def test_a_relative_main_file_starts_at_the_prefix_and_nginx_is_asked_with_it():
    files = {"/srv/m/mail.conf": "include a.conf;", "/srv/m/a.conf": "mail { timeout 9s; server { listen 143; } }"}
    machine = host("", files, nginx_processes(command="/usr/sbin/nginx -p /srv/m/ -c mail.conf"))
    server = Nginx(machine)
    assert effective(server) == [(86400, 9)]
    new, dummy = server.edited([Edit(PRE_AUTHENTICATED, server.values[PRE_AUTHENTICATED].places[0], 5)])
    server.check(machine, new)
    assert [command[:3] for command in machine.commands] == [[NGINX, "-p", "/srv/m/"]] * 2


def test_an_nginx_that_is_stopped_has_the_main_file_that_systemd_would_give_it():
    files = {"/srv/mail.conf": "mail { timeout 9s; server { listen 143; } }"}
    started = f"{{ path={NGINX} ; argv[]={NGINX} -c /srv/mail.conf -g daemon on; ; ignore_errors=no ; pid=0 }}"
    answers = {"systemctl show ExecStart": (0, started), **nginx_answers()}
    server = Nginx(host("mail { timeout 5s; server { listen 143; } }", files, [], answers=answers))
    assert effective(server) == [(86400, 9)] and server.serving is None
    assert not Nginx.present(host("mail { server { listen 143; } }", {}, [], answers=answers))


def test_without_systemd_an_nginx_that_is_stopped_has_the_main_file_of_debian():
    machine = host("mail { timeout 5s; server { listen 143; } }", processes=[])
    del machine.answers["systemctl show ExecStart"]
    assert effective(Nginx(machine)) == [(86400, 5)]


def test_a_mail_block_that_nginx_does_not_know_as_one_is_told_in_its_words():
    words = 'nginx: [emerg] unknown directive "mail" in /etc/nginx/nginx.conf:1'
    marked = "\ufeffmail { server { listen 143; } }".encode()
    for processes in ([], nginx_processes()):
        with pytest.raises(Rejected, match="nginx refuses its configuration as it is: .emerg. unknown directive"):
            Nginx.present(host(marked, processes=processes, answers=nginx_answers((1, words))))
    assert not Nginx.present(host("mail { server { listen 25; } }"))


@pytest.mark.parametrize(
    ("main", "pid", "told"),
    [
        ("http {}", 100, True),
        ("http {}", 101, True),
        ("http {}", 300, True),
        ("stream { server { listen 143; } }", 100, False),
        ("http {}", 400, False),
    ],
)
def test_a_port_of_imap_that_no_configuration_names_is_told(main, pid, told):
    """An older configuration runs still, or an nginx without a master process, which shows only how it was started."""
    alone = process(300, "/usr/sbin/nginx -c /srv/alone.conf")
    other = process(400, "dovecot/imap-login")
    machine = host(main, processes=[*nginx_processes(), alone, other], listeners=[listener(143, pid)])
    if told:
        with pytest.raises(HostError, match=rf"nginx .process {pid}. listens on port 143, but no configuration .*"):
            Nginx.present(machine)
    else:
        assert not Nginx.present(machine)


def test_of_two_masters_the_one_with_imap_counts():
    both = nginx_processes() + nginx_processes(started=900, command="/usr/sbin/nginx -c /srv/m.conf", pid=200)
    files = {"/srv/m.conf": "mail { timeout 9s; server { listen 143; } }"}
    server = Nginx(host("http {}", files, both))
    assert effective(server) == [(86400, 9)] and server.serving.identity == "boot:201:900"
    with pytest.raises(HostError, match="More than one nginx serves IMAP on this host .processes 100 and 200."):
        Nginx.present(host("mail { server { listen 143; } }", files, both))


def test_debians_main_file_counts_where_the_nginx_that_runs_has_no_imap():
    files = {"/srv/web.conf": "http {}"}
    running_web = nginx_processes(command="/usr/sbin/nginx -c /srv/web.conf")
    server = Nginx(host("mail { server { listen 143; } }", files, running_web))
    assert server.serving is None


# backends

LOCATION = (
    "location = /auth { add_header Auth-Status OK; add_header Auth-Server %s; add_header Auth-Port %s; return 204; }"
)
HTTP_SERVER = "http { server { listen %s; %s } }"


def backends(auth_http, http, extra=""):
    mail = f"mail {{ {auth_http} {extra} server {{ listen 143; }} server {{ listen 993 ssl; }} }}"
    return Nginx(host(http + mail)).backends


FIXED = LOCATION % ("127.0.0.1", "10143")


@pytest.mark.parametrize(
    ("auth_http", "listen"),
    [
        ("auth_http 127.0.0.1:10144/auth;", "127.0.0.1:10144"),
        ("auth_http http://127.0.0.1:10144/auth;", "10144"),
        ("auth_http localhost:10144/auth;", "127.0.0.1:10144"),
        ("auth_http 127.0.0.1/auth;", "80"),
        ("auth_http 127.0.0.1/auth;", "127.0.0.1"),
        ("auth_http [::1]:10144/auth;", "[::1]:10144"),
        ("auth_http unix:/run/auth.sock:/auth;", "unix:/run/auth.sock"),
    ],
)
def test_a_backend_that_nginx_itself_names(auth_http, listen):
    assert backends(auth_http, HTTP_SERVER % (listen, FIXED)) == [Endpoint("127.0.0.1", 10143)]


def test_the_proxy_protocol_goes_with_the_backend():
    http = HTTP_SERVER % ("10144", FIXED)
    asked = "auth_http 127.0.0.1:10144/auth;"
    assert backends(asked, http, "proxy_protocol on;") == [Endpoint("127.0.0.1", 10143, proxy_protocol=True)]


@pytest.mark.parametrize(
    ("auth_http", "http"),
    [
        ("", ""),
        ("auth_http 127.0.0.1:9000/auth.php;", "http {}"),
        ("auth_http auth.example.org/auth;", HTTP_SERVER % ("10144", FIXED)),
        ("auth_http 127.0.0.1:10144/other;", HTTP_SERVER % ("10144", FIXED)),
        ("auth_http 127.0.0.1:10144/auth;", HTTP_SERVER % ("10144", LOCATION % ("$backend", "10143"))),
        ("auth_http 127.0.0.1:10144/auth;", HTTP_SERVER % ("10144", LOCATION % ("127.0.0.1", "$port"))),
        ("auth_http 127.0.0.1:10144/auth;", HTTP_SERVER % ("10144", LOCATION % ("127.0.0.1", "imap"))),
        ("auth_http 127.0.0.1:10144/auth;", HTTP_SERVER % ("10144", "location = /auth { proxy_pass http://x; }")),
    ],
)
def test_a_backend_that_the_configuration_does_not_name(auth_http, http):
    assert backends(auth_http, http) == [None]


OTHER = (LOCATION % ("192.0.2.9", "143")).replace("location = /auth", "location %s")


@pytest.mark.parametrize(
    ("locations", "known"),
    [
        (FIXED.replace("= ", ""), True),
        (FIXED.replace("= ", "") + OTHER % "/", True),
        (FIXED.replace("= ", "") + OTHER % "/au", True),
        (FIXED.replace("= ", "") + OTHER % "/auth/", True),
        (FIXED + OTHER % "~ auth", True),
        (FIXED.replace("= ", "") + OTHER % "~ auth", False),
        (FIXED.replace("= ", "") + OTHER % "~*auth", False),
        (FIXED.replace("= ", "^~ ") + OTHER % "/" + OTHER % "~ auth", True),
        (FIXED.replace("= ", "^~") + OTHER % "/", True),
        (FIXED.replace("= ", "=") + OTHER % "/", True),
        (FIXED.replace("= /auth", "/") + OTHER % "^~ /au" + OTHER % "~ x", False),
        (FIXED.replace("= /auth", "^~ /") + OTHER % "/au" + OTHER % "~ x", False),
        (FIXED.replace("return", "if ($http_auth_user = b) { add_header Auth-Server 192.0.2.9; } return"), False),
        (FIXED.replace("return", "location = /auth { } return"), False),
        (FIXED.replace("return", "rewrite ^ /b; return"), False),
        (FIXED.replace("return 204", "try_files /b /c"), False),
        (FIXED.replace("return 204", "proxy_pass http://127.0.0.1:9000"), True),
        ("if ($http_auth_user = b) { rewrite ^ /b; } " + FIXED + OTHER % "= /b", False),
        ("rewrite ^ /b; " + FIXED + OTHER % "= /b", False),
        ("return 204; " + FIXED, False),
        (FIXED + "} server { listen 10144; " + OTHER % "= /auth", False),
        (FIXED + "} server { listen 10144;", False),
        (FIXED + "} server { listen 10145; " + OTHER % "= /auth", True),
    ],
)
def test_the_location_that_answers_is_the_one_that_nginx_chooses(locations, known):
    found = backends("auth_http 127.0.0.1:10144/auth;", HTTP_SERVER % ("10144", locations))
    assert (found == [Endpoint("127.0.0.1", 10143)]) is known
    assert known or found in ([None], [Endpoint("192.0.2.9", 143)])
    assert found == backends("auth_http 127.0.0.1:10144/auth?a=b;", HTTP_SERVER % ("10144", locations))


def test_each_imap_server_may_have_a_backend_of_its_own():
    http = HTTP_SERVER % ("10144", FIXED + (LOCATION % ("192.0.2.9", "143")).replace("/auth", "/b"))
    mail = (
        "mail { auth_http 127.0.0.1:10144/auth; server { listen 143; }"
        " server { listen 993; auth_http 127.0.0.1:10144/b; } server { listen 110; auth_http 127.0.0.1:1/x; } }"
    )
    assert Nginx(host(http + mail)).backends == [Endpoint("127.0.0.1", 10143), Endpoint("192.0.2.9", 143)]


# editing


def edited(main, files=(), **values):
    machine = host(main, files)
    others = mail_timeouts(machine)
    changes = converged(machine, **values)
    check_converged(machine, **values)
    assert mail_timeouts(machine) == others
    return machine, changes


def test_a_value_is_edited_where_it_is_in_force_and_nothing_else_changes():
    settings = "# Kept.\r\ntimeout\t60s ; # why\r\nproxy_timeout 24h;"
    machine, changes = edited(
        "mail { include mailops-imap/settings.conf; server { listen 143; } }", {SETTINGS: settings}
    )
    assert machine.files[SETTINGS] == b"# Kept.\r\ntimeout\t5s ; # why\r\nproxy_timeout 7s;"
    assert [tuple(change) for change in changes] == [
        (SETTINGS, 2, "timeout\t60s ;", "timeout\t5s ;"),
        (SETTINGS, 3, "proxy_timeout 24h;", "proxy_timeout 7s;"),
    ]


def test_comments_within_a_directive_stay():
    main = "mail { server { listen 143; proxy_timeout 7s; timeout # why\n# therefore\n90 # so\n; } }"
    machine, changes = edited(main)
    assert machine.files[NGINX_MAIN] == (
        b"mail { server { listen 143; proxy_timeout 7s; timeout # why\n# therefore\n5s # so\n; } }"
    )
    assert [(change.line, change.after) for change in changes] == [(1, "timeout # why\n# therefore\n5s # so\n;")]


def test_changes_have_the_numbers_of_the_lines_afterwards():
    main = "mail {\n    timeout 60s;\n    server {\n        listen 143;\n    }\n    server { listen 110; }\n}\n"
    machine, changes = edited(main)
    lines = machine.files[NGINX_MAIN].decode().splitlines()
    assert len(changes) == 2
    assert [lines[change.line - 1].strip() for change in changes] == [change.after for change in changes]


def test_only_the_value_that_is_off_is_edited():
    machine, changes = edited("mail { timeout 5000ms; proxy_timeout 8s; server { listen 143; } }")
    assert machine.files[NGINX_MAIN] == b"mail { timeout 5000ms; proxy_timeout 7s; server { listen 143; } }"
    assert len(changes) == 1


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("mail {\n    server {\n        listen 143;\n    }\n}\n",
         "mail {\n    timeout 5s;\n    proxy_timeout 7s;\n    server {\n        listen 143;\n    }\n}\n"),
        ("mail { # front\r\n\tserver { listen 143; }\r\n}",
         "mail { # front\r\n\ttimeout 5s;\r\n\tproxy_timeout 7s;\r\n\tserver { listen 143; }\r\n}"),
        ("mail { server { listen 143; } }", "mail { timeout 5s; proxy_timeout 7s; server { listen 143; } }"),
        ("mail {\n  timeout 5s; # login\n  server { listen 143; }\n}",
         "mail {\n  timeout 5s; # login\n  proxy_timeout 7s;\n  server { listen 143; }\n}"),
        ("mail { timeout 5s; server { listen 143; } }",
         "mail { timeout 5s; proxy_timeout 7s; server { listen 143; } }"),
        ("mail { server { listen 143; timeout 9s; } }",
         "mail { proxy_timeout 7s; server { listen 143; timeout 5s; } }"),
        ("mail { timeout 9s; server { listen 143; timeout 8s; } }",
         "mail { timeout 9s; proxy_timeout 7s; server { listen 143; timeout 5s; } }"),
        # POP3 inherits what is written beside the servers, so the IMAP server gets values of its own.
        ("mail { timeout 9s; server { listen 143; } server { listen 110; } }",
         "mail { timeout 9s; server { timeout 5s; proxy_timeout 7s; listen 143; } server { listen 110; } }"),
        # Here it does not.
        ("mail { timeout 9s; server { listen 143; } server { listen 110; timeout 1s; proxy_timeout 2s; } }",
         "mail { timeout 5s; proxy_timeout 7s; server { listen 143; }"
         " server { listen 110; timeout 1s; proxy_timeout 2s; } }"),
        ("mail { proxy_timeout 9s; server { listen 143; } server { listen 993; proxy_timeout 10s; }"
         " server { listen 110; } }",
         None),
    ],
)  # fmt: skip
def test_where_a_value_goes(main, expected):
    machine, dummy = edited(main)
    if expected is not None:
        # Of two that are added at one place, either may come first.
        swapped = (
            expected.replace("timeout 5s;", "@")
            .replace("proxy_timeout 7s;", "timeout 5s;")
            .replace("@", "proxy_timeout 7s;")
        )
        assert machine.files[NGINX_MAIN].decode() in (expected, swapped)


@pytest.mark.parametrize("settings", ["", "# Only a comment", "# Only a comment\n", "\n\n"])
def test_an_empty_file_that_is_included_for_the_purpose_is_filled(settings):
    main = "mail { include mailops-imap/settings.conf; server { listen 143; } }"
    machine, dummy = edited(main, {SETTINGS: settings})
    assert machine.files[NGINX_MAIN].decode() == main
    content = machine.files[SETTINGS].decode()
    assert content.startswith(settings)
    added = content[len(settings) :]
    assert sorted(added.split()) == ["5s;", "7s;", "proxy_timeout", "timeout"]
    assert "\n\n" not in added
    assert content.endswith("\n") == (settings[-1:] in ("", "\n"))


@pytest.mark.parametrize(
    ("main", "refused"),
    [
        ("mail { server { listen 143; include t.conf; } server { listen 110; include t.conf; } }", True),
        # The same through another file, which is included once in each.
        ("mail { server { listen 143; include u.conf; } server { listen 110; include u.conf; } }", True),
        ("mail { server { listen 143; include t.conf; } include t.conf; server { listen 110; } }", True),
        ("stream { include t.conf; } mail { server { listen 143; include t.conf; } }", True),
        ("stream { include t.conf; } mail { include t.conf; server { listen 143; } }", False),
        ("mail { include t.conf; server { listen 143; } server { listen 110; include t.conf; } }", False),
        ("mail { server { listen 143; include t.conf; } server { listen 993; include t.conf; } }", False),
    ],
)
def test_a_value_that_also_counts_elsewhere_is_never_edited_there(main, refused):
    shared = {"/etc/nginx/t.conf": "timeout 9s; proxy_timeout 9s;", "/etc/nginx/u.conf": "include t.conf;"}
    machine = host(main, shared)
    if refused:
        with pytest.raises(HostError, match=r"the \S+ at /etc/nginx/t\.conf:1 counts for something else as well"):
            converged(machine)
        return
    machine, dummy = edited(main, shared)
    if "110" in main or "stream" in main:
        assert machine.files["/etc/nginx/t.conf"].decode() == shared["/etc/nginx/t.conf"]


def test_a_missing_value_is_not_added_beside_one_that_is_shared():
    shared = {"/etc/nginx/t.conf": "timeout 5s;"}
    machine, dummy = edited(
        "mail { server { listen 143; include t.conf; } server { listen 110; include t.conf; } }", shared
    )
    assert machine.files["/etc/nginx/t.conf"].decode() == shared["/etc/nginx/t.conf"]


def test_a_file_under_two_names_is_known_to_be_shared():
    machine = host(
        "mail { server { listen 143; include a.conf; } server { listen 110; include b.conf; } }",
        {"/srv/t.conf": "timeout 9s;"},
        links={"/etc/nginx/a.conf": "/srv/t.conf", "/etc/nginx/b.conf": "/srv/t.conf"},
    )
    with pytest.raises(HostError, match=r"/srv/t\.conf:1 counts"):
        converged(machine)


LINES = some.sampled_from(["\n", "\n    ", " ", "\r\n\t", " # note\n"])
PROTOCOLS = some.sampled_from(["imap", "imap", "pop3", "smtp"])
TIMES = some.sampled_from(["5s", "7", "7s", "5000ms", "60s", "24h", "1m1s", "0"])


@some.composite
def layouts(draw):
    """A main file with any number of mail servers, and the files that it includes."""
    files = {}

    def timeouts():
        written = []
        for name in ("timeout", "proxy_timeout"):
            if draw(some.booleans()):
                statement = f"{name}{draw(some.sampled_from([' ', '  ']))}{draw(TIMES)};"
                if draw(some.booleans()):
                    path = f"part{len(files)}.conf"
                    files["/etc/nginx/" + path] = statement + draw(some.sampled_from(["", "\n", " # note"]))
                    statement = f"include {path};"
                written.append(statement)
        if draw(some.booleans()):
            path = f"part{len(files)}.conf"
            files["/etc/nginx/" + path] = draw(some.sampled_from(["", "# empty", "# empty\n"]))
            written.append(f"include {path};")
        return written

    def block(name, statements):
        statements = draw(some.permutations(statements))
        return f"{name}{draw(LINES)}{{{draw(LINES)}" + "".join(each + draw(LINES) for each in statements) + "}"

    protocols = ["imap", *draw(some.lists(PROTOCOLS, max_size=3))]
    servers = [
        block("server", [f"listen {2000 + number};", f"protocol {protocol};", *timeouts()])
        for number, protocol in enumerate(protocols)
    ]
    return block("mail", [*servers, *timeouts()]), files


@given(layouts())
def test_any_layout_converges_in_one_step_without_touching_other_protocols(layout):
    main, files = layout
    machine = host(main, files)
    before = dict(machine.files)
    others = mail_timeouts(machine)
    changes = converged(machine)
    check_converged(machine)
    assert mail_timeouts(machine) == others
    for path, content in machine.files.items():
        if content != before[path]:
            check_only_these_lines(
                before[path].decode(), content.decode(), [change for change in changes if change.file == path]
            )


def check_only_these_lines(before, after, changes):
    """Take the new statements away and put the old ones back: the rest must be what it was, but for blanks."""
    for change in changes:
        after, count = re.subn(r"(?<!proxy_)" + re.escape(change.after), change.before or "", after, count=1)
        assert count == 1
    assert sorted(after.split()) == sorted(before.split())


# checking


def test_nginx_reads_a_copy_of_the_whole_tree():
    files = {
        "/etc/nginx/a.conf": "include b.conf;\n",
        "/etc/nginx/b.conf": "timeout 9s;\n",
        "/etc/nginx/mime.types": "x",
    }
    machine = host("mail {\ninclude a.conf; server { listen 143; } }", files)
    server = Nginx(machine)
    seen = {}

    def run(command):
        seen.update({path: content for path, content in machine.files.items() if path.startswith("/scratch/")})
        assert command[:2] == [NGINX, "-t"] and command[-1] in seen
        return 1, f"nginx: [emerg] bad thing in {next(path for path in seen if b'timeout 5s' in seen[path])}:1"

    machine.answers = {"-t": run}
    new, dummy = server.edited([Edit(PRE_AUTHENTICATED, server.values[PRE_AUTHENTICATED].places[0], 5)])
    with pytest.raises(Rejected) as problem:
        server.check(machine, new)
    assert str(problem.value) == (
        "nginx refuses the configuration with this change: [emerg] bad thing in /etc/nginx/b.conf:1."
    )
    assert b"timeout 5s;\n" in seen.values() and b"timeout 9s;\n" not in seen.values()
    assert machine.files["/etc/nginx/b.conf"] == b"timeout 9s;\n" and machine.written == []
    assert not any(path.startswith("/scratch/") for path in machine.files)
    machine.answers = {"-t": (0, "")}
    server.check(machine, new)


def test_a_worker_that_was_forked_just_now_is_no_second_nginx():
    forked = process(101, "nginx: master process /usr/sbin/nginx", 1000, 100, "nginx")
    found = Nginx(host("mail { server { listen 143; } }", processes=[*nginx_processes(workers=0), forked]))
    assert found.serving is None
