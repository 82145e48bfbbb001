# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ansible_collections.mailops.imap.plugins.module_utils import _convergence
from ansible_collections.mailops.imap.plugins.module_utils._host import HostError
from ansible_collections.mailops.imap.plugins.module_utils._servers.base import Endpoint, Rejected, Server
from ansible_collections.mailops.imap.plugins.module_utils._servers.cyrus import Cyrus
from ansible_collections.mailops.imap.plugins.module_utils._syntax import colon, text
from ansible_collections.mailops.imap.plugins.module_utils._syntax.text import SyntaxProblem
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.fake_host import (
    CYR_INFO,
    CYRMASTER,
    CYRUS_CONF,
    CYRUS_PROGRAMS,
    IMAPD_CONF,
    FakeHost,
    cyrus_answers,
    process,
)

AUTHENTICATED = "authenticated_connection_timeout"
PRE_AUTHENTICATED = "pre_authenticated_connection_timeout"
SERVICES = 'SERVICES {\n  imap cmd="imapd -U 30" listen="127.0.0.1:10143" prefork=0\n}\n'
MASTER = process(50, "/usr/sbin/cyrmaster -l 32 -C /etc/imapd.conf -M /etc/cyrus.conf", 1000)
ENDLESS = float("inf")


def host(imapd="", services=SERVICES, files=(), processes=(MASTER,), **other):
    return FakeHost(
        {IMAPD_CONF: imapd, CYRUS_CONF: services, **dict(files)},
        CYRUS_PROGRAMS,
        processes,
        answers=other.pop("answers", cyrus_answers()),
        **other,
    )


def effective(*arguments, **options):
    """The seconds that connections live in each state, without doubles."""
    return sorted({place.effective for place in Cyrus(host(*arguments, **options)).values[AUTHENTICATED].places})


def converged(machine, seconds, front=None):
    """Bring ``machine`` to ``seconds``, as a backend where there is a ``front``; return the picture."""
    server = Cyrus(machine)
    chain = [server] if front is None else [front, server]
    picture = _convergence.compare(chain, {AUTHENTICATED: seconds}, {}, {})
    files, changes = server.edited([edit for member, edit in picture.edits if member is server])
    machine.files.update(files)
    picture.changes = changes
    return picture


# effective values


@pytest.mark.parametrize(
    ("imapd", "expected"),
    [
        ("", [1920]),
        ("timeout: 45\n", [2700]),
        ("timeout: 3600s\n", [3600]),
        ("timeout: 1h30\n", [5400]),
        ("timeout: 1d\n", [86400]),
        ("TimeOut:45m\n", [2700]),
        ("  timeout:\t45m  \n", [2700]),
        ("timeout: \\\n 45m\n", [2700]),
        ("time\\\nout: 4\\\n5m\n", [2700]),
        ("timeout: 45m \\\n", [1920]),
        ("# timeout: 50m\ntimeout: 45m", [2700]),
        ("# a comment that goes on \\\ntimeout: 45m\n", [1920]),
        # Raised for commands, but not for IDLE.
        ("timeout: 1m\n", [60, 1800]),
        ("timeout: 30m\n", [1800]),
        ("timeout: 29\n", [1740, 1800]),
        ("imapidletimeout: 10s\n", [10, 1920]),
        ("timeout: 45m\nimapidletimeout: 10s\n", [10, 2700]),
        ("timeout: 1m\nimapidletimeout: 2h\n", [1800, 7200]),
        ("timeout: 45m\nimapidletimeout: 0\n", [2700]),
        ("timeout: 45m\nimapidletimeout: -5m\n", [2700]),
        ("timeout: 0\n", [1800, ENDLESS]),
        ("timeout: -1\nimapidletimeout: 0\n", [1800, ENDLESS]),
        # A service's own value overrules the general one, wherever it stands.
        ("imap_timeout: 50m\ntimeout: 45m\n", [3000]),
        ("timeout: 45m\nIMAP_Timeout: 50m\n", [3000]),
        ("timeout: 45m\nimaps_timeout: 50m\n", [2700]),
        ("timeout: 45m\npop3_timeout: 5m\n", [2700]),
        ("timeout: 45m\nimap_imapidletimeout: 5s\n", [5, 2700]),
    ],
)
def test_what_cyrus_makes_of_it(imapd, expected):
    assert effective(imapd, answers=cyrus_answers("3.10.2")) == expected


@pytest.mark.parametrize(
    ("imapd", "version", "expected"),
    [
        ("imapidletimeout: 10s\n", "3.6.1", [60, 1920]),
        ("imapidletimeout: 10s\n", "3.8.4", [60, 1920]),
        ("imapidletimeout: 10s\n", "3.10.0", [10, 1920]),
        ("imapidletimeout: 10s\nimapidlepoll: 4\n", "3.6.1", [10, 1920]),
        ("imapidletimeout: 10s\nimapidlepoll: 1m\nimap_imapidlepoll: 20\n", "3.6.1", [20, 1920]),
        # Without IDLE.
        ("imapidletimeout: 10s\nimapidlepoll: 0\n", "3.6.1", [1920]),
        ("imapidletimeout: 10s\nimapidlepoll: 0\n", "3.10.2", [1920]),
    ],
)
def test_before_3_10_idle_ends_only_when_cyrus_looks_after_it(imapd, version, expected):
    assert effective(imapd, answers=cyrus_answers(version)) == expected


def test_who_asks_is_told_how_often_cyrus_looks_after_idle():
    def remark(imapd, version):
        return Cyrus(host(imapd, answers=cyrus_answers(version))).values[AUTHENTICATED].remark

    assert "only every 60 seconds (imapidlepoll)" in remark("", "3.6.1")
    assert "only every 300 seconds (imapidlepoll)" in remark("imapidlepoll: 5m\n", "3.8.0")
    assert remark("imapidlepoll: 1\n", "3.6.1") is None
    assert remark("", "3.10.2") is None


def test_each_service_counts():
    services = (
        'SERVICES {\nimap cmd="imapd" listen="imap"\nimaps cmd="imapd -s" listen="imaps"\n'
        'pop3 cmd="pop3d" listen="pop3"\n}'
    )
    assert effective("timeout: 45m\nimaps_timeout: 50m\npop3_timeout: 99m\n", services) == [2700, 3000]


def test_included_files_count():
    files = {"/etc/imapd-local.conf": "timeout: 45m\n"}
    machine = host("admins: cyrus\n@include: /etc/imapd-local.conf\n", files=files)
    (place,) = Cyrus(machine).values[AUTHENTICATED].places
    assert (place.effective, place.file, place.line) == (2700, "/etc/imapd-local.conf", 1)


@pytest.mark.parametrize(
    ("imapd", "words"),
    [
        ("timeout: soon\n", 'imapd.conf:1: expected a duration after timeout, not "soon"'),
        ("\ntimeout: 5q\n", "imapd.conf:2: expected a duration"),
        ("timeout: 5m\ntimeout: 6m\n", "imapd.conf:2: expected timeout only once"),
        ("timeout 5m\n", 'imapd.conf:1: expected "key: value"'),
        ("a: b\ntimeout :5m\n", 'imapd.conf:2: expected "key: value"'),
        ("a: b\ntimeout:\n", 'imapd.conf:2: expected "key: value"'),
        ("@include: /etc/imapd.conf\n", "expected a file that is included once"),
    ],
)
def test_what_cyrus_could_not_read_is_refused_with_its_line(imapd, words):
    with pytest.raises(SyntaxProblem) as problem:
        Cyrus(host(imapd))
    assert words in str(problem.value)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("5", 300), ("5s", 5), ("5m", 300), ("1h30", 5400), ("1d1h1m1s", 90061), ("5s5s", 10), ("1s1d", 86401),
        ("0", 0),
        ("-5", -300), ("-1h", -3600), ("2147483647s", 2147483647), ("2147483648s", None), ("99999999d", None),
        ("", None), ("-", None), ("--5", None), ("m", None), ("5 m", None), ("1.5h", None), ("5M", None),
        ("5w", None), ("5m\n", None),
    ],
)  # fmt: skip
def test_durations(written, seconds):
    assert colon.seconds(written, "m") == seconds


def test_version_and_bounds():
    server = Cyrus(host("timeout: 45m\n"))
    value = server.values[AUTHENTICATED]
    assert server.version == "3.6.1"
    assert (value.minimum, value.maximum) == (1800, 2147483647)
    assert "Cyrus 3.6.1 silently uses 30 minutes (1800 seconds) instead of any smaller time-out" in value.reason
    assert server.values[PRE_AUTHENTICATED].effective == 2700 and server.values[PRE_AUTHENTICATED].fixed


# editing


@pytest.mark.parametrize(
    ("imapd", "expected"),
    [
        ("", "timeout: 7200s\n"),
        ("admins: cyrus", "admins: cyrus\ntimeout: 7200s\n"),
        ("admins: cyrus\r\n", "admins: cyrus\r\ntimeout: 7200s\r\n"),
        ("admins: cyrus\n# more \\\n", "admins: cyrus\n# more \\\n\ntimeout: 7200s\n"),
        ("# more \\", "# more \\\n\ntimeout: 7200s\n"),
        ("# first\nTimeOut :x\n".replace(" :x", ":\t45m  "), "# first\nTimeOut:\t7200s  \n"),
        ("timeout: \\\n 45m\nx: y\n", "timeout: \\\n 7200s\nx: y\n"),
        ("timeout: 1m\n", "timeout: 7200s\n"),
        ("timeout: 1m\nimapidletimeout: 10s\n", "timeout: 7200s\nimapidletimeout: 7200s\n"),
        ("imapidletimeout: 10s\n", "imapidletimeout: 7200s\ntimeout: 7200s\n"),
        ("timeout: 45m\nimap_timeout: 50m\n", "timeout: 45m\nimap_timeout: 7200s\n"),
        ("time\\\nout: 4\\\n5m # x\n".replace(" # x", ""), "time\\\nout: 7200s\n"),
        ("timeout: 0\n", "timeout: 7200s\n"),
        ("timeout: 2h\n", "timeout: 2h\n"),
    ],
)
def test_a_value_is_edited_where_it_is_in_force(imapd, expected):
    machine = host(imapd)
    converged(machine, 7200)
    assert machine.files[IMAPD_CONF].decode() == expected
    assert effective(expected) == [7200]
    assert converged(machine, 7200).edits == []


def test_changes_tell_lines():
    picture = converged(host("a: b\nTimeout: 45m\nimapidletimeout: 10s\n"), 7200)
    assert [tuple(change) for change in picture.changes] == [
        (IMAPD_CONF, 2, "timeout: 45m", "timeout: 7200s"),
        (IMAPD_CONF, 3, "imapidletimeout: 10s", "imapidletimeout: 7200s"),
    ]
    assert [tuple(change) for change in converged(host("a: b"), 7200).changes] == [
        (IMAPD_CONF, 2, None, "timeout: 7200s")
    ]


@pytest.mark.parametrize(
    "imapd", ["", "timeout: 1m\n", "timeout: 60s\nimapidletimeout: 60s\n", "imapidletimeout: 60\n"]
)
def test_less_than_half_an_hour_is_never_called_in_sync(imapd):
    machine = host(imapd)
    picture = converged(machine, 60)
    assert picture.settings[AUTHENTICATED]["drift"] == "unenforceable"
    assert picture.unenforceable and picture.edits == []


def test_the_time_before_login_cannot_differ_from_the_one_after_it():
    server = Cyrus(host())
    picture = _convergence.compare([server], {AUTHENTICATED: 7200, PRE_AUTHENTICATED: 1920}, {}, {})
    assert picture.settings[PRE_AUTHENTICATED]["drift"] == "unenforceable"
    picture = _convergence.compare([server], {PRE_AUTHENTICATED: 60}, {}, {})
    assert "has no time-out of its own for this" in picture.unenforceable[0]


KEYS = some.sampled_from(
    ["timeout", "imap_timeout", "imapidletimeout", "imap_imapidletimeout", "imaps_timeout", "admins"]
)
VALUES = some.sampled_from(["5", "45m", "1m", "0", "2h", "7200s", "-1", "10s"])


@given(
    some.dictionaries(KEYS, VALUES),
    some.sampled_from(["\n", "\r\n", "\n# note\n", "\n\n"]),
    some.booleans(),
    some.integers(1800, 18000),
)
def test_any_configuration_converges_in_one_step(options, between, last, seconds):
    machine = host(between.join(f"{key}: {value}" for key, value in options.items()) + (between if last else ""))
    before = machine.files[IMAPD_CONF].decode()
    picture = converged(machine, seconds)
    assert effective(machine.files[IMAPD_CONF].decode()) == [seconds]
    assert converged(machine, seconds).edits == []
    after = machine.files[IMAPD_CONF].decode()
    for change in picture.changes:
        after = after.replace(change.after, change.before or "", 1)
    assert after.split() == before.split()


# limits

CONNECTIONS = "max_connections"
ADDRESS = "max_connections_from_single_ip"
USER = "max_connections_per_user"
TWO = (
    'SERVICES {\n\timap\tcmd="imapd" listen="127.0.0.1:143"\tmaxchild=100 # many\n'
    '\timaps cmd="imapd -s" listen="127.0.0.1:993"\n  pop3 cmd="pop3d" listen="110" maxchild=5\n}\n'
)


def limited(machine, **limits):
    """Bring ``machine`` to ``limits``; return the picture."""
    server = Cyrus(machine)
    picture = _convergence.compare([server], limits, {}, {})
    files, picture.changes = server.edited([edit for dummy, edit in picture.edits])
    server.check(machine, files)
    machine.files.update(files)
    return picture


@pytest.mark.parametrize(
    ("imapd", "address", "user"),
    [
        ("", [ENDLESS], [ENDLESS]),
        ("maxlogins_per_host: 0\nmaxlogins_per_user: 0\n", [ENDLESS], [ENDLESS]),
        # Measured: of three connections from one address two can log in, and three of one user.
        ("maxlogins_per_host: 3\nmaxlogins_per_user: 3\n", [2], [3]),
        ("maxlogins_per_host: 1\nmaxlogins_per_user: 1\n", [0], [1]),
        ("maxlogins_per_host: -1\nmaxlogins_per_user: -1\n", [0], [0]),
        ("maxlogins_per_host: 010\nmaxlogins_per_user: 0x10\n", [7], [16]),
        ("maxlogins_per_host: 9\nimap_maxlogins_per_host: 4\nimaps_maxlogins_per_user: 2\n", [3, 8], [2, ENDLESS]),
    ],
)
def test_logins_that_are_let_in(imapd, address, user):
    server = Cyrus(host(imapd, services=TWO))
    assert sorted(place.effective for place in server.values[ADDRESS].places) == address
    assert sorted(place.effective for place in server.values[USER].places) == user


def test_a_number_that_is_none_is_refused_with_its_line():
    with pytest.raises(SyntaxProblem, match=r'/etc/imapd\.conf:2: expected a number after maxlogins_per_user, not "9x"'):
        Cyrus(host("a: b\nmaxlogins_per_user: 9x\n"))


@pytest.mark.parametrize(
    ("maxchild", "connections"),
    [
        ("maxchild=7", 7), ("", ENDLESS), ("maxchild=-1", ENDLESS), ("maxchild=0", 0), ('maxchild="12"', 12),
        # As Cyrus reads them, measured.
        ("maxchild=abc", 0), ("maxchild=2x", 2), ("maxchild=", 0), ("maxchild='-1'", 0), ('maxchild=" 2"', 2),
        ("maxchild=1 maxchild=3", 1),
    ],
)  # fmt: skip
def test_connections_that_a_service_takes(maxchild, connections):
    server = Cyrus(host(services=f'SERVICES {{\n imap cmd="imapd" listen="127.0.0.1:143" {maxchild}\n}}'))
    (place,) = server.values[CONNECTIONS].places
    assert (place.effective, place.file, place.line) == (connections, CYRUS_CONF, 2)
    assert (place.configured is None) is (maxchild == "")


def test_each_imap_service_gets_its_limit_and_no_other_byte_changes():
    machine = host(services=TWO)
    picture = limited(machine, max_connections=40)
    assert machine.files[CYRUS_CONF].decode() == TWO.replace("maxchild=100", "maxchild=40").replace(
        'listen="127.0.0.1:993"', 'listen="127.0.0.1:993" maxchild=40'
    )
    assert machine.files[IMAPD_CONF] == b""
    assert [tuple(change) for change in picture.changes] == [
        (CYRUS_CONF, 2, "imap maxchild=100", "imap maxchild=40"),
        (CYRUS_CONF, 3, None, "imaps maxchild=40"),
    ]
    assert limited(machine, max_connections=40).edits == []


@pytest.mark.parametrize(
    ("listen", "times"),
    [('"imap"', 2), ('"*:143"', 2), ('"localhost:imap"', 2), ('"imap" proto=tcp4', None), ('"127.0.0.1:143"', None),
     ('"/run/imap"', None)],
)  # fmt: skip
def test_limits_that_count_apart_are_told(listen, times):
    server = Cyrus(host(services=f'SERVICES {{\n imap cmd="imapd" listen={listen}\n}}'))
    remark = server.values[CONNECTIONS].remark
    assert (f"up to {times} times max_connections" in remark) if times else remark is None
    assert "(imap, imaps)" in Cyrus(host(services=TWO)).values[CONNECTIONS].remark


@pytest.mark.parametrize(
    ("imapd", "expected"),
    [
        ("", "maxlogins_per_host: 21\nmaxlogins_per_user: 5\n"),
        ("a: b", "a: b\nmaxlogins_per_host: 21\nmaxlogins_per_user: 5\n"),
        ("maxlogins_per_user: 0\nmaxlogins_per_host: 0x5 \n", "maxlogins_per_user: 5\nmaxlogins_per_host: 21 \n"),
        ("maxlogins_per_user: 5\r\nimap_maxlogins_per_host: 3\r\n",
         "maxlogins_per_user: 5\r\nimap_maxlogins_per_host: 21\r\n"),
        ("maxlogins_per_host: 025\nmaxlogins_per_user: 5\n", "maxlogins_per_host: 025\nmaxlogins_per_user: 5\n"),
    ],
)  # fmt: skip
def test_logins_are_written_as_cyrus_counts_them(imapd, expected):
    machine = host(imapd)
    limited(machine, max_connections_from_single_ip=20, max_connections_per_user=5)
    assert machine.files[IMAPD_CONF].decode() == expected
    assert limited(machine, max_connections_from_single_ip=20, max_connections_per_user=5).edits == []


def test_everything_at_once_changes_each_file_once_and_tells_every_line():
    machine = host("a: b", services=TWO)
    picture = limited(
        machine, max_connections=40, max_connections_per_user=5, authenticated_connection_timeout=3600
    )
    assert machine.files[IMAPD_CONF] == b"a: b\ntimeout: 3600s\nmaxlogins_per_user: 5\n"
    assert [tuple(change)[:3] for change in picture.changes] == [
        (IMAPD_CONF, 2, None),
        (IMAPD_CONF, 3, None),
        (CYRUS_CONF, 2, "imap maxchild=100"),
        (CYRUS_CONF, 3, None),
    ]


@pytest.mark.parametrize("imapd", ["proc_path: /run/cyrus/proc\n", "configdirectory: /run/cyrus\n"])
def test_processes_that_died_and_count_on_are_remarked_on(imapd):
    files = dict.fromkeys(["/run/cyrus/proc/71", "/run/cyrus/proc/72", "/run/cyrus/proc/73", "/proc/72/stat"], "")
    for name in (ADDRESS, USER):
        remark = Cyrus(host(imapd, files=files)).values[name].remark
        assert "files such as /run/cyrus/proc/71 (2 in all), which Cyrus counts as connections" in remark
    assert Cyrus(host(imapd, files={"/run/cyrus/proc/72": "", "/proc/72/stat": ""})).values[USER].remark is None
    assert Cyrus(host(imapd)).values[USER].remark is None


def test_connections_that_have_not_logged_in_are_remarked_on():
    remark = Cyrus(host()).values[ADDRESS].remark
    assert remark.startswith("Cyrus refuses logins alone: connections that have not logged in are not limited, but count")


def test_an_address_cannot_be_limited_behind_a_proxy_that_hides_it():
    server = Cyrus(host("maxlogins_per_host: 21\n"))
    server.stand_behind(Endpoint("127.0.0.1", 10143), Server())
    picture = _convergence.compare([server], {ADDRESS: 20}, {}, {})
    assert picture.edits == [] and picture.settings[ADDRESS]["drift"] == "unenforceable"
    assert picture.settings[ADDRESS]["effective"] == "unlimited"
    (message,) = picture.unenforceable
    assert "the proxy in front hands all clients on from its own address" in message
    assert message.endswith("; leave it out for this host")
    server = Cyrus(host("maxlogins_per_host: 21\n"))
    server.stand_behind(Endpoint("127.0.0.1", 10143, proxy_protocol=True), Server())
    assert _convergence.compare([server], {ADDRESS: 20}, {}, {}).unenforceable == []


@pytest.mark.parametrize("name", ["max_command_size", "banner"])
def test_what_cyrus_lacks_is_refused_by_name(name):
    picture = _convergence.compare([Cyrus(host())], {name: 100}, {}, {})
    (message,) = picture.unenforceable
    assert message.startswith(f"{name} cannot be set here, because ") and "Cyrus" in message


# files in the language


@given(
    some.binary(max_size=60)
    | some.text(alphabet="ab:_-@# \\\n\r\t\xa0", max_size=40).map(lambda value: value.encode("latin-1"))
)
def test_any_bytes_are_read_or_refused(content):
    source = text.decode(content)
    try:
        file = colon.File("/etc/imapd.conf", source)
    except SyntaxProblem as problem:
        assert str(problem).startswith("/etc/imapd.conf:")
        return
    for option in file.options:
        assert source[option.start : option.end].replace("\\\n", "") == option.value


def test_bytes_of_other_letters_are_no_blanks():
    file = colon.File("x", text.decode("defaultdomain: caf\u00e0\n".encode()))
    assert file.options[0].value == "caf\xc3\xa0"


# cyrus.conf


@pytest.mark.parametrize(
    ("services", "endpoints"),
    [
        ('SERVICES {\n\timap\t\tcmd="imapd -U 30" listen="imap" prefork=0\n}\n', [Endpoint("127.0.0.1", 143)]),
        ('SERVICES{\nimaps cmd="imapd -s" listen="imaps"\n}', [Endpoint("127.0.0.1", 993, True)]),
        ("SERVICES {\n imap cmd=imapd listen=127.0.0.1:10143\n}", [Endpoint("127.0.0.1", 10143)]),
        ('Services {\n imap cmd="/usr/lib/cyrus/bin/imapd" listen="[::1]:143"\n}', [Endpoint("::1", 143)]),
        ('SERVICES {\n imap cmd="imapd" listen="*:143"\n imapl cmd="imapd" listen="localhost:imap"\n}',
         [Endpoint("127.0.0.1", 143), Endpoint("127.0.0.1", 143)]),
        ('SERVICES {\n imap cmd="imapd" listen="imap" proto="tcp6"\n}', [Endpoint("::1", 143)]),
        ('SERVICES {\n imap cmd="imapd -H" listen="192.0.2.1:143"\n}', [Endpoint("192.0.2.1", 143, False, True)]),
        ('SERVICES {\n imap cmd="imapd" listen="/run/imap"\n}', []),
        ('SERVICES {\n imap cmd="/usr/sbin/cyrus imapd -s" listen="993"\n}', [Endpoint("127.0.0.1", 993, True)]),
        ('SERVICES {\n imap cmd="imapd" listen="imap"\n} \nEVENTS {\n imapx cmd="imapd" listen="1"\n}',
         [Endpoint("127.0.0.1", 143)]),
        ('# SERVICES {\nSERVICES { # here\n# }\nimap cmd="imapd" # listen="1"\n}', []),
        ('SERVICES {\n imap listen="143" cmd="imapd" cmd="pop3d"\n}', [Endpoint("127.0.0.1", 143)]),
        ('SERVICES {\n a cmd="imapd" listen="1"\n}\nSERVICES {\n b cmd="imapd" listen="2"\n}',
         [Endpoint("127.0.0.1", 1)]),
    ],
)  # fmt: skip
def test_services(services, endpoints):
    assert Cyrus(host(services=services)).endpoints == endpoints


NO_IMAP = [
    'SERVICES {\n #imap cmd="imapd" listen="imap"\n}',
    'START {\n imap cmd="imapd" listen="imap"\n}\n',
    'services {\n imap cmd="imapd" listen="imap"\n}',
    'SERVICESX {\n imap cmd="imapd" listen="imap"\n}',
    'SERVICES {\n pop3 cmd="pop3d" listen="pop3"\n}',
]


@pytest.mark.parametrize("services", NO_IMAP)
def test_without_an_imap_service_there_is_no_imap_server(services):
    assert not Cyrus.present(host(services=services))
    with pytest.raises(SyntaxProblem, match=r"/etc/cyrus\.conf:1: expected a service whose cmd is imapd"):
        Cyrus(host(services=services))


def test_a_service_that_is_there_twice_is_refused():
    with pytest.raises(SyntaxProblem, match=r"/etc/cyrus\.conf:3: expected a service imap only once"):
        Cyrus(host(services='SERVICES {\n imap cmd="imapd" listen="1"\n imap cmd="imapd" listen="2"\n}'))


@pytest.mark.parametrize(
    "command",
    ["imapd -C /srv/imapd.conf", "imapd -s -C/srv/x", "imapd -sDC /srv/x", "/usr/bin/nice -n 5 imapd -NC /srv/x"],
)
def test_a_service_with_another_configuration_is_refused(command):
    with pytest.raises(SyntaxProblem, match=r"/etc/cyrus\.conf:2: expected an imapd without -C"):
        Cyrus(host(services=f'SERVICES {{\n imap cmd="{command}" listen="imap"\n}}'))


def test_the_services_file_that_the_master_was_given_counts():
    master = process(50, "/usr/sbin/cyrmaster -C /etc/imapd.conf -M /srv/cyrus.conf", 1000)
    services = {"/srv/cyrus.conf": 'SERVICES {\n other cmd="imapd" listen="1143"\n}'}
    machine = host("other_timeout: 50m\n", files=services, processes=[master])
    server = Cyrus(machine)
    assert server.endpoints == [Endpoint("127.0.0.1", 1143)]
    assert server.values[AUTHENTICATED].effective == 3000
    assert [CYR_INFO, "-C", IMAPD_CONF, "-M", "/srv/cyrus.conf", "conf-lint"] in machine.commands


@pytest.mark.parametrize(
    "defaults",
    [
        '# M=1\nMASTERCONF="/srv/cyrus.conf"\n',
        "OPTIONS = -j 1 -M /srv/cyrus.conf\n",
        "OPTIONS='-j 1' \"-M  /srv/cyrus.conf\"\n;OPTIONS=-d\n",
    ],
)
def test_where_no_master_runs_the_services_file_is_that_of_the_unit(defaults):
    services = {"/srv/cyrus.conf": 'SERVICES {\n other cmd="imapd" listen="1143"\n}'}
    defaults = {"/etc/default/cyrus-imapd": defaults}
    machine = host(files={**services, **defaults}, processes=())
    machine.answers["systemctl show ExecStart"] = (
        0,
        f"ExecStart={{ argv[]={CYRMASTER} -l $LISTENQUEUE -C $CONF -M ${{MASTERCONF}} $OPTIONS ; ignore_errors=no }}\n"
        "Environment=LISTENQUEUE=32 CONF=/etc/imapd.conf MASTERCONF=/etc/cyrus.conf\n"
        "EnvironmentFiles=/etc/default/cyrus-imapd (ignore_errors=no)",
    )
    assert Cyrus(machine).endpoints == [Endpoint("127.0.0.1", 1143)]


def test_of_several_masters_the_one_with_imap_counts():
    other = process(40, "/usr/sbin/cyrmaster -M /srv/cyrus.conf", 900)
    child = process(51, "/usr/sbin/cyrmaster -M /etc/cyrus.conf", 1100, parent=50)
    machine = host(files={"/srv/cyrus.conf": "SERVICES {\n}"}, processes=[other, MASTER, child])
    assert Cyrus(machine).endpoints == [Endpoint("127.0.0.1", 10143)]
    machine.files["/srv/cyrus.conf"] = machine.files[CYRUS_CONF]
    with pytest.raises(HostError, match="More than one Cyrus serves IMAP on this host .processes 40 and 50"):
        Cyrus.present(machine)


# the processes that serve


def imapd(pid, started, parent=50):
    return process(pid, "imapd", started, parent)


def running(machine):
    return _convergence.running(Cyrus(machine), {})[AUTHENTICATED]


def test_the_oldest_imapd_tells_what_runs():
    machine = host("timeout: 45m\n", processes=[MASTER, imapd(51, 1200), imapd(52, 1100), imapd(53, 100, parent=9)])
    machine.ctimes = {IMAPD_CONF: 1100}
    assert running(machine) == (2700,)
    machine.ctimes = {IMAPD_CONF: 1101}
    assert running(machine) is None
    machine = host("timeout: 45m\n")
    machine.ctimes = {IMAPD_CONF: 5000}
    assert running(machine) == (2700,)


def test_services_that_changed_since_the_master_started_cannot_be_known():
    machine = host("timeout: 45m\n")
    machine.ctimes = {CYRUS_CONF: 1001}
    assert running(machine) is None


def test_without_a_master_nothing_serves():
    others = [process(9, "/usr/lib/postfix/sbin/master -w", 1), imapd(51, 1200, parent=9)]
    assert Cyrus(host(processes=others)).serving is None


def test_presence():
    assert Cyrus.present(host())
    assert not Cyrus.present(FakeHost({IMAPD_CONF: "", CYRUS_CONF: ""}))
    assert not Cyrus.present(FakeHost({IMAPD_CONF: ""}, CYRUS_PROGRAMS))
    machine = host()
    machine.programs = {CYRMASTER, CYR_INFO}
    assert not Cyrus.present(machine)


# checking


def test_a_configuration_that_cyrus_refuses_already_is_told_in_its_words():
    with pytest.raises(Rejected) as problem:
        Cyrus(host(answers=cyrus_answers(lint=(78, "fatal error: unparsable duration '5q' for timeout in line 3"))))
    assert str(problem.value) == (
        "cyr_info refuses the configuration as it is: fatal error: unparsable duration '5q' for timeout in line 3."
    )


def test_only_new_complaints_count_and_files_are_copies():
    machine = host("@include: /etc/local.conf\nspool: x\n", files={"/etc/local.conf": "timeout: 45m\n"})
    machine.answers["conf-lint"] = (0, "spool: x")
    server = Cyrus(machine)
    picture = _convergence.compare([server], {AUTHENTICATED: 7200}, {}, {})
    files, dummy = server.edited([edit for dummy, edit in picture.edits])
    assert list(files) == ["/etc/local.conf"]
    read = {}

    def lint(command):
        assert command[0] == CYR_INFO and command[3:] == ["-M", CYRUS_CONF, "conf-lint"]
        main = machine.files[command[2]].decode()
        read["main"], read["local"] = main, machine.files[main.split()[1]].decode()
        return 0, "spool: x" + read.get("new", "")

    machine.answers["conf-lint"] = lint
    server.check(machine, files)
    assert read["main"].startswith("@include: /scratch/") and read["local"] == "timeout: 7200s\n"
    assert machine.files["/etc/local.conf"] == b"timeout: 45m\n"
    read["new"] = "\nodd: y"
    with pytest.raises(Rejected, match="refuses the configuration with this change: odd: y"):
        server.check(machine, files)


def test_a_missing_include_is_one_sentence():
    with pytest.raises(HostError, match="Cannot read /etc/none.conf"):
        Cyrus(host("@include: /etc/none.conf\n"))
