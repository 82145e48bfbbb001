# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os.path

import pytest

from ansible_collections.mailops.imap.plugins.module_utils import _chain, _convergence, _workflow
from ansible_collections.mailops.imap.plugins.module_utils._host import HostError
from ansible_collections.mailops.imap.plugins.module_utils._servers.base import Edit, Endpoint, Rejected
from ansible_collections.mailops.imap.plugins.module_utils._servers.perdition import Perdition
from ansible_collections.mailops.imap.plugins.module_utils._syntax import words
from ansible_collections.mailops.imap.plugins.module_utils._syntax.text import SyntaxProblem

from .fake_host import DOVECOT_FILES, DOVECOT_PROGRAMS, FakeHost, listener, process

AUTHENTICATED, PRE_AUTHENTICATED = "authenticated_connection_timeout", "pre_authenticated_connection_timeout"
PROGRAM, MAIN, DEFAULTS = "/usr/sbin/perdition", "/etc/perdition/perdition.conf", "/etc/default/perdition"
ONLY = "RUN_PERDITION=yes\nPOP3=no\nPOP3S=no\nIMAP4S=no\nMANAGESIEVE=no\n"
IMAP4 = process(90, "perdition.imap4: daemon", 1000, name="perdition.imap4")
IMAPS = process(91, "perdition.imaps: daemon", 1000, name="perdition.imaps")
ENDLESS = float("inf")
SHORT = {"t": "timeout", "L": "connection_limit", "b": "bind_address", "s": "outgoing_server", "l": "listen_port",
         "p": "outgoing_port", "f": "config_file", "M": "map_library", "m": "map_library_opt", "P": "protocol",
         "F": "log_facility", "I": "capability", "d": "debug", "i": "inetd_mode", "n": "no_lookup",
         "c": "client_server_specification", "O": "ok_line"}  # fmt: skip
SWITCHES = {"debug", "inetd_mode", "no_lookup", "client_server_specification"}
PROTOCOLS = {"perdition.imap4": "IMAP4", "perdition.imaps": "IMAP4S"}


class Model:
    """What Perdition 2.2 makes of a command line and a file, as it was measured."""

    def __init__(self, machine, command):
        self.machine = machine
        self.complaints = []
        basename = os.path.basename(command[0])
        files = [path for path in (f"/etc/perdition/{basename}.conf", MAIN) if path in machine.files]
        self.options = {
            "timeout": "1800", "authenticate_timeout": "1800", "connection_limit": "0", "bind_address": "",
            "outgoing_server": "", "listen_port": None, "outgoing_port": None, "map_library_opt": "", "ssl_mode": "",
            "map_library": "/usr/lib/libperditiondb_gdbm.so.0", "client_server_specification": "off",
            "config_file": files[0] if files else "",
            "protocol": PROTOCOLS.get(basename, "POP3"),
        }  # fmt: skip
        given = dict(self.parsed(command[1:]))
        self.options.update(given)
        locked = set(given) - {"bind_address", "outgoing_server"}
        if "bind_address" in given:
            locked.add("connection_limit")
        path = self.options["config_file"]
        if path in machine.files:
            for option in words.File(path, machine.files[path].decode()).options:
                key = SHORT.get(option.key, option.key)
                if key not in self.options:
                    self.complaints.append(f"options: --{option.key}: unknown option")
                    break
                if "timeout" in key and not (option.value or "").isdigit():
                    self.complaints.append(f"Parameter to {key} must be a positive integer")
                    break
                if key not in locked:
                    self.options[key] = "on" if key in SWITCHES else option.value
        port = "imaps" if self.options["protocol"] == "IMAP4S" else "imap"
        for name in ("listen_port", "outgoing_port"):
            self.options[name] = self.options[name] or port

    @staticmethod
    def parsed(arguments):
        arguments = list(arguments)
        while arguments:
            word = arguments.pop(0)
            key, equals, value = word.lstrip("-").partition("=")
            if not word.startswith("--"):
                while key[0] in SHORT and SHORT[key[0]] in SWITCHES and len(key) > 1:
                    key = key[1:]
                equals, value, key = equals or key[1:], value or key[1:], SHORT[key[0]]
            if key in SWITCHES:
                yield key, "on"
            else:
                yield key, value if equals else arguments.pop(0)

    def answer(self):
        stamp = "Nov 24 14:53:27 perdition.imap4[2761]: "
        line = (
            'add_domain="", authenticate_in=off, authenticate_timeout={authenticate_timeout}, '
            'bind_address="{bind_address}", client_server_specification={client_server_specification}, config_file="{config_file}", '
            'connection_limit={connection_limit}, connection_logging=off, inetd_mode=on, listen_port="{listen_port}", '
            'log_facility="+", map_library="{map_library}", map_library_opt="{map_library_opt}", no_lookup=off, '
            'outgoing_port="{outgoing_port}", outgoing_server="{outgoing_server}", protocol="{protocol}", '
            'strip_domain="", timeout={timeout}, username="nobody", quiet=off (mask=0x00003480 00000000)'
        ).format(**self.options)
        head = f"{stamp}Starting perdition version=2.2 protocol={self.options['protocol']}\n"
        tail = f'{stamp}ssl_mode="{self.options["ssl_mode"]}", ssl_ca_file="", (ssl_mask=0x00000000)'
        return 255, "".join(f"{line}\n" for line in self.complaints) + head + f"{stamp}{line}\n{tail}"


def host(conf="", defaults=ONLY, processes=(IMAP4,), files=(), **other):
    machine = FakeHost({MAIN: conf, DEFAULTS: defaults, **dict(files)}, {PROGRAM}, processes, **other)
    machine.answers["--inetd_mode"] = lambda command: Model(machine, command).answer()
    return machine


def effective(name, *arguments, **options):
    return [place.effective for place in Perdition(host(*arguments, **options)).values[name].places]


def converged(machine, **desired):
    """Bring ``machine`` to ``desired``; return the picture, with the changes."""
    server = Perdition(machine)
    picture = _convergence.compare([server], desired, {}, {})
    files, picture.made = server.edited([edit for dummy, edit in picture.edits])
    if files:
        server.check(machine, files)
    machine.files.update(files)
    return picture


# effective values


@pytest.mark.parametrize(
    ("conf", "flags", "expected"),
    [
        ("", "", 1800),
        ("timeout 600\n", "", 600),
        ('timeout "600" # ten minutes\n', "", 600),
        ("timeout 600\nt 700\n", "", 700),
        ("timeout=600\n", "", 600),
        ("timeout 0\n", "", ENDLESS),
        ("timeout 600\n", "-t 5", 5),
        ("timeout 600\n", "-t5", 5),
        ("timeout 600\n", "-t=5", 5),
        ("timeout 600\n", "-dnt5", 5),
        ("timeout 600\n", "-dt 5", 5),
        ("timeout 600\n", "--timeout 5", 5),
        ("timeout 600\n", "--timeout=5 -n", 5),
        ("timeout 600\n", "-t 5 -t 6", 6),
        ("timeout 600\n", "--debug -O -t --timeout 5", 5),
        ("timeout 600\n", "-O -t5 -n", 600),
    ],
)
def test_the_command_line_overrules_the_file(conf, flags, expected):
    for variable in ("FLAGS", "IMAP4_FLAGS"):
        server = Perdition(host(conf, f'{ONLY}{variable}="{flags}"\n'))
        (place,) = server.values[AUTHENTICATED].places
        assert place.effective == expected
        assert place.configured == (expected if conf or flags else None)


def test_flags_of_an_instance_come_after_those_of_all():
    assert effective(AUTHENTICATED, "", ONLY + "IMAP4_FLAGS='-t 5'\nFLAGS='-t 6'\n") == [5]
    assert effective(AUTHENTICATED, "", ONLY + "IMAP4S_FLAGS='-t 5'\nFLAGS='-t 6'\n") == [6]


def test_each_instance_for_imap_counts():
    both = ONLY + "IMAP4S=yes\nIMAP4S_FLAGS='-t 5'\nPOP3=yes\nPOP3_FLAGS='-t 4'\n"
    assert effective(AUTHENTICATED, "timeout 600\n", both) == [600, 5]
    files = {"/etc/perdition/perdition.imaps.conf": "timeout 700\n"}
    assert effective(AUTHENTICATED, "timeout 600\n", ONLY + "IMAP4S=yes\n", files=files) == [600, 700]


def test_an_instance_for_another_protocol_that_does_not_work_is_of_no_concern():
    files = {"/etc/perdition/perdition.pop3.conf": "unknown 5\n"}
    assert effective(AUTHENTICATED, "timeout 600\n", ONLY + "POP3=yes\n", files=files) == [600]


def test_the_protocol_in_a_file_makes_another_server_of_an_instance():
    both = ONLY + "POP3=yes\nPOP3_FLAGS='-P IMAP4 -t 4'\n"
    assert effective(AUTHENTICATED, "timeout 600\n", both) == [4, 600]
    with pytest.raises(HostError, match="but another protocol is among its options"):
        Perdition(host("protocol POP3\n"))


@pytest.mark.parametrize(
    ("name", "option", "default"),
    [(AUTHENTICATED, "timeout", 1800), (PRE_AUTHENTICATED, "authenticate_timeout", 1800)],
)
def test_each_setting_has_its_option(name, option, default):
    assert effective(name) == [default]
    assert effective(name, f"{option} 7\n") == [7]
    assert Perdition.terms[name].option == option


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ("timeout soon\nconnection_limit 7\n", "Parameter to timeout must be a positive integer"),
        ("unknown 5\ntimeout 600\n", "options: --unknown: unknown option"),
    ],
)
def test_a_line_that_ends_the_reading_of_a_file_is_told_in_perditions_words(conf, words):
    with pytest.raises(Rejected) as problem:
        Perdition(host(conf))
    assert str(problem.value) == f"perdition.imap4 does not take its options: {words}."


@pytest.mark.parametrize(
    ("conf", "defaults", "words"),
    [
        ("timeout 5", ONLY, "perdition.conf:1: expected a newline after the last line"),
        ("", ONLY + "FLAGS=$MORE\n", "default/perdition:6: expected a value without expansions after FLAGS="),
        ("", "[ -f /x ] && FLAGS=x\n", "default/perdition:1: expected NAME=value"),
    ],
)
def test_what_cannot_be_known_is_refused_with_its_line(conf, defaults, words):
    with pytest.raises(SyntaxProblem) as problem:
        Perdition(host(conf, defaults))
    assert words in str(problem.value)


def test_a_limit_that_ends_perdition_is_refused():
    picture = converged(host("connection_limit 7\n"), max_connections=7)
    assert picture.edits == []
    assert "Perdition itself ends as soon as one client more than its connection_limit connects" in (
        picture.unenforceable[0]
    )


# editing


@pytest.mark.parametrize(
    ("conf", "flags", "after_conf", "after_flags"),
    [
        ("", "", "timeout 9\n", ""),
        ("# mine\n", "", "# mine\ntimeout 9\n", ""),
        ('timeout   "600"\t# ten\nx_y 1\n'.replace("x_y 1", "listen_port 143"), "",
         "timeout   9\t# ten\nlisten_port 143\n", ""),
        ("timeout 1\nt 2\n", "", "timeout 1\nt 9\n", ""),
        ("timeout 600\n", 'FLAGS="-n -t 5" # all', "timeout 600\n", 'FLAGS="-n -t 9" # all'),
        ("timeout 600\n", "FLAGS=-t5", "timeout 600\n", "FLAGS=-t9"),
        ("timeout 600\n", "FLAGS='--timeout=5 -n'", "timeout 600\n", "FLAGS='--timeout=9 -n'"),
        ("", "FLAGS='-t 5'\nIMAP4_FLAGS='-t 6'", "", "FLAGS='-t 5'\nIMAP4_FLAGS='-t 9'"),
        ("", 'FLAGS="-t"\\ 5', "", "FLAGS='-t 9'"),
    ],
)  # fmt: skip
def test_a_value_is_edited_where_it_is_in_force(conf, flags, after_conf, after_flags):
    machine = host(conf, f"{ONLY}{flags}\n")
    converged(machine, authenticated_connection_timeout=9)
    assert machine.files[MAIN].decode() == after_conf
    assert machine.files[DEFAULTS].decode() == f"{ONLY}{after_flags}\n"
    assert converged(machine, authenticated_connection_timeout=9).edits == []


def test_changes_tell_lines():
    machine = host("# a\ntimeout 600 # b\n", ONLY + "IMAP4S=yes\nIMAP4S_FLAGS='-t 5'\n")
    picture = converged(machine, authenticated_connection_timeout=9, pre_authenticated_connection_timeout=8)
    assert sorted(tuple(change) for change in picture.made if change.before) == [
        (DEFAULTS, 7, "IMAP4S_FLAGS='-t 5'", "IMAP4S_FLAGS='-t 9'"),
        (MAIN, 2, "timeout 600 # b", "timeout 9 # b"),
    ]
    added = [tuple(change) for change in picture.made if not change.before]
    assert added == [(MAIN, 3, None, "authenticate_timeout 8")]


def test_a_line_that_is_added_after_a_comment_without_an_end_is_told_alone():
    machine = host("timeout 8\n# the end")
    picture = converged(machine, pre_authenticated_connection_timeout=5)
    assert machine.files[MAIN] == b"timeout 8\n# the end\nauthenticate_timeout 5\n"
    assert [tuple(change) for change in picture.made] == [(MAIN, 3, None, "authenticate_timeout 5")]


def test_a_flag_over_a_line_in_the_file_is_an_override():
    picture = converged(host("timeout 600\n", ONLY + "FLAGS='-t 5'\n"), authenticated_connection_timeout=600)
    entry = picture.settings[AUTHENTICATED]
    assert (entry["drift"], entry["file"], entry["line"]) == ("override", DEFAULTS, 6)


def test_without_a_file_of_options_nothing_is_made_up():
    machine = host()
    del machine.files[MAIN]
    server = Perdition(machine)
    place = server.values[AUTHENTICATED].places[0]
    with pytest.raises(HostError, match="make an empty /etc/perdition/perdition.conf and run again"):
        server.edited([Edit(AUTHENTICATED, place, 9)])


def test_who_else_takes_the_value_is_told():
    shared = ONLY + "POP3=yes\n"
    assert Perdition(host()).values[AUTHENTICATED].remark is None
    remark = Perdition(host("", shared)).values[AUTHENTICATED].remark
    assert remark == "What /etc/perdition/perdition.conf says there counts for perdition.pop3 as well."
    apart = Perdition(host("timeout 6\n", shared + "IMAP4_FLAGS='-t 5'\n")).values[AUTHENTICATED]
    assert apart.remark is None


# checking


def test_what_is_to_be_known_of_both_time_outs_is_told_once():
    machine = host("timeout 8\nauthenticate_timeout 6\n", ONLY + "POP3=yes\n")
    result = _workflow.converge(machine, {AUTHENTICATED: 9, PRE_AUTHENTICATED: 7}, "perdition", False, check_mode=True)
    shared = [warning for warning in result["warnings"] if "counts for perdition.pop3 as well" in warning]
    assert len(shared) == 1


def test_perdition_reads_a_copy_before_it_counts():
    machine = host("timeout 600\n", ONLY + "FLAGS='-t 5'\n")
    server = Perdition(machine)
    machine.commands.clear()
    server.check(machine, {MAIN: b"timeout 9\n", DEFAULTS: (ONLY + "FLAGS='-t 6'\n").encode()})
    (command,) = machine.commands
    assert command[:5] == ["/usr/sbin/perdition.imap4", "-t", "6", "--config_file", "/scratch/0.conf"]
    assert machine.files[MAIN] == b"timeout 600\n"
    machine.answers["--inetd_mode"] = lambda command: Model(machine, [command[0], "-t", "7"]).answer()
    with pytest.raises(Rejected, match="perdition.imap4 makes 7 of the 5 that /etc/default/perdition:6 would say"):
        server.check(machine, {MAIN: b"timeout 9\n"})
    with pytest.raises(SyntaxProblem, match="expected a newline after the last line"):
        server.check(machine, {MAIN: b"timeout 9"})


# presence and processes


@pytest.mark.parametrize(
    ("defaults", "processes", "expected"),
    [
        (ONLY, [], True),
        ("RUN_PERDITION=yes\n", [], True),
        ("RUN_PERDITION='no'\n", [], False),
        ("", [], False),
        (ONLY + "IMAP4=no\n", [], False),
        ("RUN_PERDITION=no\n", [IMAP4], True),
        ("RUN_PERDITION=no\n", [process(9, "perdition.pop3: daemon")], False),
        ("RUN_PERDITION=no\n", [process(9, "perdition.imap4: connect (192.0.2.1:5->192.0.2.2:143)")], False),
    ],
)
def test_presence(defaults, processes, expected):
    assert Perdition.present(host("", defaults, processes)) is expected
    assert not Perdition.present(FakeHost({DEFAULTS: defaults}))


def test_a_daemon_whose_options_cannot_be_seen_is_refused():
    for daemon in (IMAPS, process(9, "perdition: daemon")):
        with pytest.raises(HostError, match=r"perdition(\.imaps)? \(process \d+\) was not started as /etc/default/"):
            Perdition(host(processes=[IMAP4, daemon]))
    with pytest.raises(HostError, match="/etc/systemd/system/perdition.service starts Perdition with options of its"):
        Perdition(host(files={"/etc/systemd/system/perdition.service": ""}))


def test_a_daemon_of_another_unit_is_refused():
    machine = host()
    machine.units = {90: "perdition"}
    assert Perdition(machine).values
    machine.units = {90: "second-front"}
    with pytest.raises(HostError, match=r"perdition.imap4 \(process 90\) was not started as /etc/default/"):
        Perdition(machine)


def test_two_daemons_of_the_same_name_are_refused():
    second = process(95, "perdition.imap4: daemon", 2000, name="perdition.imap4")
    with pytest.raises(HostError, match=r"perdition.imap4 runs more than once \(processes 90 and 95\)"):
        Perdition(host(processes=(IMAP4, second)))
    forked = second._replace(parent=90)
    assert Perdition(host(processes=(forked, IMAP4))).serving.since == 1000


def test_the_oldest_daemon_for_imap_tells_what_runs():
    machine = host("timeout 6\n", ONLY + "IMAP4S=yes\n", [IMAP4, process(91, "perdition.imaps: daemon", 900)])

    def running():
        return _convergence.running(Perdition(machine), {})[AUTHENTICATED]

    machine.ctimes = {MAIN: 900}
    assert running() == (6,)
    machine.ctimes = {DEFAULTS: 901}
    assert running() is None
    machine.process_list = [process(9, "perdition.pop3: daemon", 2000)]
    assert running() is None


# where it listens, and what stands behind it


@pytest.mark.parametrize(
    ("conf", "flags", "expected"),
    [
        ("", "", [Endpoint("127.0.0.1", 143)]),
        ("listen_port 2143\n", "", [Endpoint("127.0.0.1", 2143)]),
        ("bind_address 192.0.2.1,[::1]:2144,127.0.0.2:99\n", "-l 2143",
         [Endpoint("192.0.2.1", 2143), Endpoint("::1", 2144), Endpoint("127.0.0.2", 99)]),
        ("bind_address 127.0.0.2\n", "-b 127.0.0.3", [Endpoint("127.0.0.2", 143)]),
        ("ssl_mode ssl_listen,tls_outgoing\n", "", [Endpoint("127.0.0.1", 143, True)]),
        ("ssl_mode tls_listen\n", "", [Endpoint("127.0.0.1", 143)]),
        ("", "-P IMAP4S", [Endpoint("127.0.0.1", 993, True)]),
        ("listen_port nonsense\n", "", []),
    ],
)  # fmt: skip
def test_endpoints(conf, flags, expected):
    assert Perdition(host(conf, f"{ONLY}FLAGS='{flags}'\n")).endpoints == expected


def test_only_instances_that_run_answer():
    server = Perdition(host("", ONLY + "IMAP4S=yes\n"))
    assert server.endpoints == [Endpoint("127.0.0.1", 143)]
    assert len(Perdition(host("", ONLY + "IMAP4S=yes\n", [])).endpoints) == 2


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ("", []),
        ("outgoing_server localhost\n", [Endpoint("127.0.0.1", 143)]),
        ("outgoing_server 127.0.0.1\noutgoing_port 10143\n", [Endpoint("127.0.0.1", 10143)]),
        ("outgoing_server u@127.0.0.1:99,[::1]:98\n", [Endpoint("127.0.0.1", 99), Endpoint("::1", 98)]),
        ("outgoing_server 127.0.0.1\nssl_mode ssl_outgoing\n", [Endpoint("127.0.0.1", 143, True)]),
        ("outgoing_server 127.0.0.1\nmap_library_opt /srv/popmap\n", [Endpoint("127.0.0.1", 143), None]),
        ("outgoing_server 127.0.0.1\nmap_library_opt /srv/none\n", [Endpoint("127.0.0.1", 143)]),
        ("outgoing_server 127.0.0.1\nmap_library libperditiondb_mysql.so.0\n", [Endpoint("127.0.0.1", 143), None]),
        ('outgoing_server 127.0.0.1\nmap_library ""\n', [Endpoint("127.0.0.1", 143)]),
        ("outgoing_server 127.0.0.1\nclient_server_specification\n", [Endpoint("127.0.0.1", 143), None]),
    ],
)
def test_backends(conf, expected):
    assert Perdition(host(conf, files={"/srv/popmap": ""})).backends == expected


def test_a_chain_with_dovecot_on_the_same_host():
    machine = host("outgoing_server localhost:10143\ntimeout 600\n", files=DOVECOT_FILES)
    machine.programs |= DOVECOT_PROGRAMS
    machine.process_list += [process(50, "/usr/sbin/dovecot -F", name="dovecot")]
    machine.listener_list = [listener(10143, 50)]
    machine.answers["/usr/sbin/dovecot"] = (0, "2.3.19.1")
    chain = _chain.observe(machine, "auto")
    assert [server.server_type for server in chain] == ["perdition", "dovecot"]
    picture = _convergence.compare(chain, {AUTHENTICATED: 1801}, {}, {})
    assert picture.settings[AUTHENTICATED]["drift"] == "unenforceable"
    picture = _convergence.compare(chain, {AUTHENTICATED: 5}, {}, {})
    assert picture.settings[AUTHENTICATED]["drift"] == "value"
    assert [remark[:34] for remark in picture.remarks] == ["perdition counts its time-out anew"]


def test_another_server_that_is_not_behind_it_is_no_chain():
    machine = host("outgoing_server 203.0.113.9\n", files=DOVECOT_FILES)
    machine.programs |= DOVECOT_PROGRAMS
    machine.answers["/usr/sbin/dovecot"] = (0, "2.3.19.1")
    with pytest.raises(HostError, match="this host has perdition and dovecot, which do not form a chain"):
        _chain.observe(machine, "auto")


@pytest.mark.parametrize("path", ["/etc/perdition/perdition.conf", "/etc/default/perdition"])
def test_a_daemon_that_sees_other_files_than_this_host_is_refused(path):
    machine = host("timeout 7\n")
    machine.mounted = {90: [path]}
    with pytest.raises(HostError, match=rf"\(process 90\) does not see this host's {path}, because"):
        Perdition(machine)
