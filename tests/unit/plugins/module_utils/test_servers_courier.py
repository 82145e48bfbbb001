# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.mailops.imap.plugins.module_utils import _chain, _convergence
from ansible_collections.mailops.imap.plugins.module_utils._host import HostError
from ansible_collections.mailops.imap.plugins.module_utils._servers.base import Endpoint, Rejected, Server
from ansible_collections.mailops.imap.plugins.module_utils._servers.courier import Courier
from ansible_collections.mailops.imap.plugins.module_utils._syntax.text import SyntaxProblem

from .fake_host import FakeHost, process

AUTHENTICATED, PRE_AUTHENTICATED = "authenticated_connection_timeout", "pre_authenticated_connection_timeout"
CONNECTIONS, FROM_SINGLE_IP = "max_connections", "max_connections_from_single_ip"
LOGIN, PLAIN, TLS = "/usr/lib/courier/courier/imaplogin", "/etc/courier/imapd", "/etc/courier/imapd-ssl"
STARTED = 1000
TCPD = "/usr/sbin/couriertcpd -address=0 -maxprocs={} -maxperip={} -access=/etc/courier/imapaccess.dat -nodnslookup"
BOTH = "MAXDAEMONS=40\nMAXPERIP=20\n"


def tcpd(pid=60, started=STARTED, maxprocs=40, maxperip=20, options=""):
    command = TCPD.format(maxprocs, maxperip) + options
    return process(pid, f"{command} 143 /usr/lib/courier/courier/imaplogin /usr/bin/imapd Maildir", started)


def tls_tcpd(pid=70, started=STARTED, maxprocs=40, maxperip=20):
    command = TCPD.format(maxprocs, maxperip) + " 993 /usr/bin/couriertls -server -tcpd -user=courier"
    return process(pid, f"{command} /usr/lib/courier/courier/imaplogin /usr/bin/imapd Maildir", started)


POP3 = process(80, TCPD.format(40, 4) + " 110 /usr/lib/courier/courier/courierpop3login /usr/bin/pop3d Maildir")


def shell(command):
    """Run what a FakeHost is asked to run, with what stands for its files in the place of the two copies."""
    texts = [machine_files[path] for path in command[-2:]]
    script = "\n".join(part.decode() for part in texts) + "\n" + command[4].split(";", 2)[2]
    done = subprocess.run(["/bin/sh", "-c", script], stdout=subprocess.PIPE, check=True)
    return 0, done.stdout.decode().strip()


machine_files = {}


def host(plain=BOTH, tls="", processes=(tcpd(),), files=(), changed=STARTED + 1):
    """A host with Courier, whose files changed after its daemons started unless ``changed`` says otherwise."""
    machine = FakeHost(
        {LOGIN: "", PLAIN: plain, TLS: tls, **dict(files)},
        {LOGIN},
        processes,
        answers={"--version": (0, "Courier 1.0.16 (Courier-IMAP 5.0.13)/x86_64-pc-linux-gnu/2023"), "/bin/sh": shell},
    )
    machine.ctimes = {PLAIN: changed, TLS: changed}
    machine_files.clear()
    machine_files.update(machine.files)
    return machine


def effective(name, *arguments, **options):
    return [place.effective for place in Courier(host(*arguments, **options)).values[name].places]


def converged(machine, **desired):
    """Bring ``machine`` to ``desired``; return the picture, with the changes."""
    server = Courier(machine)
    picture = _convergence.compare([server], desired, {}, {})
    files, picture.made = server.edited([edit for dummy, edit in picture.edits])
    machine.files.update(files)
    return picture


TWO = (tcpd(), tls_tcpd())


# effective values


@pytest.mark.parametrize(("name", "seconds"), [(AUTHENTICATED, 1800), (PRE_AUTHENTICATED, 60)])
def test_a_time_out_that_is_compiled_in_can_only_be_confirmed(name, seconds):
    server = Courier(host())
    assert server.values[name].effective == seconds and server.values[name].fixed
    assert converged(host(), **{name: seconds}).settings[name]["in_sync"]
    refused = converged(host(), **{name: seconds - 1})
    assert refused.settings[name]["drift"] == "unenforceable"
    assert "Courier 5.0.13 closes such a connection after" in refused.unenforceable[0]
    assert "mailops.imap.imap_proxy" in refused.unenforceable[0]


@pytest.mark.parametrize(
    ("plain", "tls", "expected"),
    [
        ("MAXDAEMONS=40\n", "", [40]),
        ("MAXDAEMONS=40\nMAXDAEMONS='50' # more\n", "", [50]),
        ('MAXDAEMONS="12 "\n', "", [12]),
        ("MAXDAEMONS=007\n", "", [7]),
        # Each start script reads its own file last.
        ("MAXDAEMONS=40\n", "MAXDAEMONS=30\n", [40, 30]),
        ("", "MAXDAEMONS=30\n", [30]),
        # couriertcpd's last option wins, and TCPDOPTS comes after the others.
        ("MAXDAEMONS=40\nTCPDOPTS='-nodnslookup -maxprocs=11'\n", "", [11]),
        ("MAXDAEMONS=40\nTCPDOPTS='-maxprocs=11 -maxprocs=12'\n", "", [12]),
        ("MAXDAEMONS=40\n", "TCPDOPTS='-maxprocs=11'\n", [11]),
        ("MAXDAEMONS=40\nTCPDOPTS=-nodnslookup\n", "TCPDOPTS='-maxprocs=11'\n", [40, 11]),
        ("MAXDAEMONS=40\nTCPDOPTS='-nodnslookup -maxprocsarg=3'\n", "", [40]),
    ],
)
def test_what_couriertcpd_is_started_with(plain, tls, expected):
    assert effective(CONNECTIONS, plain + "MAXPERIP=4\n", tls, TWO) == expected


def test_the_running_daemons_count():
    files = {"plain": "MAXDAEMONS=40\nMAXPERIP=4\n", "tls": "MAXDAEMONS=30\n"}
    assert effective(CONNECTIONS, **files, processes=[tcpd(), POP3]) == [40]
    assert effective(CONNECTIONS, **files, processes=[tls_tcpd(), POP3]) == [30]
    wanted = {"/etc/systemd/system/multi-user.target.wants/courier-imap-ssl.service": ""}
    assert effective(CONNECTIONS, **files, processes=[], files=wanted) == [30]


def test_a_limit_for_a_network_bounds_that_for_an_address():
    value = Courier(host(BOTH + "TCPDOPTS='-maxperc=3'\n")).values[FROM_SINGLE_IP]
    assert (value.places[0].configured, value.effective, value.maximum) == (20, 3, 3)
    assert "-maxperc=3 in /etc/courier/imapd:3 lets a network of 256 addresses" in value.reason


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ("MAXPERIP=4\n", "/etc/courier/imapd: expected a line MAXDAEMONS=, without which couriertcpd does not start"),
        ("MAXPERIP=4\nMAXDAEMONS=0\n", 'imapd:2: expected a number from 1 after MAXDAEMONS=, not "0"'),
        ("MAXPERIP=4\nMAXDAEMONS=' 5'\n", 'imapd:2: expected a number from 1 after MAXDAEMONS=, not " 5"'),
        ("MAXPERIP=4\nMAXDAEMONS=$LIMIT\n", "imapd:2: expected a value without expansions after MAXDAEMONS="),
        ("MAXPERIP=4\nMAXDAEMONS=5\nTCPDOPTS=\"$OPTIONS\"\n", "imapd:3: expected a value without expansions"),
        ("if true; then MAXDAEMONS=5; fi\n", "imapd:1: expected NAME=value, and no other command of a shell"),
    ],
)
def test_what_cannot_be_known_is_refused_with_its_line(plain, words):
    with pytest.raises(SyntaxProblem) as problem:
        Courier(host(plain))
    assert words in str(problem.value)


def test_values_of_a_shell_that_do_not_matter_do_not_matter():
    assert effective(CONNECTIONS, BOTH + 'IMAP_CAPABILITY_TLS="$IMAP_CAPABILITY AUTH=PLAIN"\n') == [40]


@pytest.mark.parametrize(
    ("tls", "processes", "there"),
    [
        ("", (tcpd(),), False),
        ("IMAPDSTARTTLS=NO\n", (tcpd(),), False),
        ("IMAPDSTARTTLS=YES\n", (tcpd(),), True),
        ("IMAPDSTARTTLS=$WANTED\n", (tcpd(),), True),
        ("IMAPDSTARTTLS=NO\n", TWO, True),
    ],
)
def test_handshakes_that_courier_waits_for_are_remarked_on(tls, processes, there):
    server = Courier(host(tls=tls, processes=processes))
    remark = server.values[PRE_AUTHENTICATED].remark
    assert ("silent during the handshake" in remark) if there else remark is None
    server.stand_behind(None, Server())
    assert server.values[PRE_AUTHENTICATED].remark is None


@pytest.mark.parametrize(("version", "there"), [("5.0.13", False), ("5.2.11", True)])
def test_idle_that_courier_never_ends_is_remarked_on(version, there):
    machine = host()
    machine.answers["--version"] = (0, f"Courier 1.4.1 (Courier-IMAP {version})/x86_64-pc-linux-gnu/2025")
    server = Courier(machine)
    remark = server.values[AUTHENTICATED].remark
    assert ("never while its client waits in IDLE with a mailbox selected" in remark) if there else remark is None
    server.stand_behind(None, Server())
    assert server.values[AUTHENTICATED].remark is None


def test_remarks_name_daemons_and_exceptions():
    assert Courier(host()).values[CONNECTIONS].remark is None
    both = Courier(host(processes=TWO)).values[CONNECTIONS].remark
    assert both == "Each of courier-imap and courier-imap-ssl counts its own connections, up to MAXDAEMONS."
    access = {
        "/etc/courier/imapaccess/webmail": "# 10\tallow,MAXCPERIP=7\n192.0.2.7\tallow,MAXCPERIP=100\n",
        "/etc/courier/imapaccess/other": "#192.0.2\tallow,MAXCPERIP=7\n",
    }
    remark = Courier(host(files=access)).values[FROM_SINGLE_IP].remark
    assert remark == "Addresses with MAXCPERIP in /etc/courier/imapaccess/webmail keep that."


@pytest.mark.parametrize("plain", ["IMAPACCESSFILE=\n", "IMAPACCESSFILE=${sysconfdir}/imapaccess\n"])
def test_where_the_access_file_is_matters_to_no_setting(plain):
    assert Courier(host(BOTH + plain)).values[FROM_SINGLE_IP].remark is None


# editing


@pytest.mark.parametrize(
    ("plain", "tls", "expected"),
    [
        ("MAXDAEMONS=40\n", "", "MAXDAEMONS=9\n"),
        ('# a\nMAXDAEMONS="40" # b\n', "", '# a\nMAXDAEMONS="9" # b\n'),
        ("MAXDAEMONS=1\nMAXDAEMONS='40'; X=1\n", "", "MAXDAEMONS=1\nMAXDAEMONS='9'; X=1\n"),
        ("export MAXDAEMONS=40", "", "export MAXDAEMONS=9"),
        ("MAXDAEMONS=4\\\n0\n", "", "MAXDAEMONS=9\n"),
        ('MAXDAEMONS=40\nTCPDOPTS="-a -maxprocs=11 -b"\n', "", 'MAXDAEMONS=40\nTCPDOPTS="-a -maxprocs=9 -b"\n'),
        ("MAXDAEMONS=9\n", "", "MAXDAEMONS=9\n"),
    ],
)
def test_a_number_is_edited_where_it_is_in_force(plain, tls, expected):
    machine = host("MAXPERIP=4\n" + plain, tls, TWO)
    converged(machine, max_connections=9)
    assert machine.files[PLAIN].decode() == "MAXPERIP=4\n" + expected
    assert converged(machine, max_connections=9).edits == []


def test_each_daemon_has_its_own_edited():
    machine = host("MAXDAEMONS=40\nMAXPERIP=4\n", "TLS=1\nMAXDAEMONS=30\n", TWO)
    picture = converged(machine, max_connections=9)
    assert (machine.files[PLAIN], machine.files[TLS]) == (b"MAXDAEMONS=9\nMAXPERIP=4\n", b"TLS=1\nMAXDAEMONS=9\n")
    assert [tuple(change) for change in picture.made] == [
        (PLAIN, 1, "MAXDAEMONS=40", "MAXDAEMONS=9"),
        (TLS, 2, "MAXDAEMONS=30", "MAXDAEMONS=9"),
    ]


def test_the_second_of_two_values_is_an_override():
    picture = converged(host("MAXDAEMONS=40\nMAXPERIP=4\n", "MAXDAEMONS=30\n", TWO), max_connections=40)
    assert picture.settings[CONNECTIONS]["drift"] == "override"
    assert picture.settings[CONNECTIONS]["file"] == TLS
    picture = converged(host("MAXDAEMONS=40\nMAXPERIP=4\n"), max_connections=41)
    assert picture.settings[CONNECTIONS]["drift"] == "value"


@pytest.mark.parametrize(("name", "largest"), [(CONNECTIONS, 1000000), (FROM_SINGLE_IP, 2147483647)])
def test_more_than_couriertcpd_starts_with_is_unenforceable(name, largest):
    assert converged(host(), **{name: largest}).unenforceable == []
    assert "couriertcpd takes" in converged(host(), **{name: largest + 1}).unenforceable[0]


def test_what_courier_lacks_is_explained():
    assert set(Courier.lacks) == {"max_command_size", "banner"} and not set(Courier.lacks) & set(Courier.terms)
    assert set(Courier(host()).values) == set(Courier.terms)


# checking


def test_a_change_is_read_by_a_shell_before_it_counts():
    machine = host('MAXDAEMONS=40\nMAXPERIP="20"\nTCPDOPTS="-a -b"\n', "MAXDAEMONS=30\n", TWO)
    server = Courier(machine)
    seen = []

    def read(command):
        seen.append([machine.files[path].decode() for path in command[-2:]])
        machine_files.update(machine.files)
        return shell(command)

    machine.answers["/bin/sh"] = read
    server.check(machine, {TLS: b"MAXDAEMONS=9\n"})
    assert [order[-1] for order in seen] == ['MAXDAEMONS=40\nMAXPERIP="20"\nTCPDOPTS="-a -b"\n', "MAXDAEMONS=9\n"]
    assert machine.files[TLS] == b"MAXDAEMONS=30\n"
    machine.answers["/bin/sh"] = (0, "1|2|3")
    with pytest.raises(Rejected, match=r"a shell reads the configuration with this change as 1\|2\|3, not as 40\|20\|"):
        server.check(machine, {TLS: b"MAXDAEMONS=9\n"})
    with pytest.raises(SyntaxProblem):
        server.check(machine, {TLS: b"MAXDAEMONS=9\nrm -r x\n"})


@pytest.mark.parametrize("command", ["`date`", "$(date)"])
def test_commands_in_a_file_are_never_run(command):
    machine = host(f"{BOTH}NOW={command}\n")
    server = Courier(machine)
    machine.commands.clear()
    server.check(machine, {PLAIN: machine.files[PLAIN]})
    assert machine.commands == []


def test_an_address_cannot_be_limited_behind_a_proxy_that_hides_it():
    server = Courier(host(BOTH))
    server.stand_behind(Endpoint("127.0.0.1", 143, proxy_protocol=True), Server())
    assert _convergence.compare([server], {FROM_SINGLE_IP: 9}, {}, {}).unenforceable == []
    server.stand_behind(Endpoint("127.0.0.1", 143), Server())
    picture = _convergence.compare([server], {FROM_SINGLE_IP: 20}, {}, {})
    assert picture.edits == [] and picture.settings[FROM_SINGLE_IP]["drift"] == "unenforceable"
    assert picture.settings[FROM_SINGLE_IP]["effective"] == "unlimited"
    assert "MAXPERIP would count them as one" in picture.unenforceable[0]


# presence, processes, endpoints


def test_presence():
    wanted = {"/etc/systemd/system/multi-user.target.wants/courier-imap.service": ""}
    assert Courier.present(host())
    assert Courier.present(host(processes=[], files=wanted))
    assert not Courier.present(host(processes=[POP3]))
    assert not Courier.present(FakeHost({PLAIN: "", **wanted}))


def test_only_daemons_that_run_are_restarted():
    folder = "/etc/systemd/system/multi-user.target.wants"
    wanted = {f"{folder}/{unit}.service": "" for unit in ("courier-imap", "courier-imap-ssl")}
    assert Courier(host(files=wanted)).services == ("courier-imap",)
    assert Courier(host(processes=TWO)).services == ("courier-imap", "courier-imap-ssl")
    assert Courier(host(processes=[], files=wanted)).services == ("courier-imap", "courier-imap-ssl")
    assert Courier.services == ("courier-imap", "courier-imap-ssl")


def running(machine, name=CONNECTIONS):
    return _convergence.running(Courier(machine), {})[name]


def test_the_older_daemon_tells_what_runs():
    processes = [tcpd(started=1200), tls_tcpd(started=1100)]
    assert running(host(processes=processes, changed=1100)) == (40,)
    assert running(host(processes=processes, changed=1101)) is None
    assert Courier(host(processes=[], files={
        "/etc/systemd/system/multi-user.target.wants/courier-imap.service": ""})).serving is None


def test_a_daemon_that_was_not_started_with_what_the_files_say_is_told():
    other = [tcpd(maxprocs=5)]
    with pytest.raises(HostError) as problem:
        Courier(host(processes=other, changed=STARTED))
    assert str(problem.value) == (
        "couriertcpd (process 60) runs with -maxprocs=5, but /etc/courier/imapd:1 says 40; have it started by "
        "courier-imap and run again."
    )
    assert running(host(processes=other)) is None
    options = host(BOTH + "TCPDOPTS=-maxprocs=5\n", processes=[tcpd(options=" -maxprocs=5")], changed=STARTED)
    assert running(options) == (5,)


@pytest.mark.parametrize(
    ("plain", "endpoints"),
    [
        ("ADDRESS=0\nPORT=143\n", [Endpoint("127.0.0.1", 143)]),
        ("PORT=imap\n", [Endpoint("127.0.0.1", 143)]),
        ("ADDRESS=192.0.2.1\nPORT=143,127.0.0.1.900\n", [Endpoint("192.0.2.1", 143), Endpoint("127.0.0.1", 900)]),
        ("ADDRESS=::1\nPORT=143\n", [Endpoint("::1", 143)]),
        ("", []),
    ],
)
def test_endpoints(plain, endpoints):
    assert Courier(host(BOTH + plain)).endpoints == endpoints


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ("-nodnslookup", [False, False]),
        ("-haproxy", [False, False]),
        ("-haproxy=5", [True, True]),
        ("-haproxy=5/port=143", [True, False]),
        ("-haproxy=/port=900,/port=993", [False, True]),
        ("-haproxy=/port=imap,/port=192.0.2.1.900", [True, False]),
        ("-haproxy=/port=0.143,/port=127.0.0.1.900", [True, True]),
        ("-haproxy=/port=143 -haproxy=/port=993", [False, False]),
    ],
)
def test_a_port_that_wants_a_proxy_header(options, headers):
    server = Courier(host(BOTH + f'PORT=143,127.0.0.1.900\nTCPDOPTS="{options}"\n'))
    assert [endpoint.proxy_protocol for endpoint in server.endpoints] == headers


def test_the_daemon_for_tls_has_ports_of_its_own():
    server = Courier(host(BOTH + "PORT=143\n", "SSLADDRESS=0\nSSLPORT=993\n", TWO))
    assert server.endpoints == [Endpoint("127.0.0.1", 143), Endpoint("127.0.0.1", 993, True)]


def test_courier_beside_another_server_is_no_chain():
    machine = host(files={"/etc/dovecot/dovecot.conf": "protocols = imap\n"})
    machine.programs |= {"/usr/sbin/dovecot", "/usr/lib/dovecot/imap"}
    machine.answers["/usr/sbin/dovecot"] = (0, "2.3.19.1")
    with pytest.raises(HostError, match="this host has dovecot and courier, which do not form a chain"):
        _chain.observe(machine, "auto")


@pytest.mark.parametrize("path", [PLAIN, TLS])
def test_a_daemon_that_sees_other_files_than_this_host_is_refused(path):
    machine = host(processes=TWO)
    machine.mounted = {70: [path]}
    with pytest.raises(HostError, match=rf"couriertcpd \(process 70\) does not see this host's {path}, because"):
        Courier(machine)
