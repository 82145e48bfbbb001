# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import contextlib
import json
import resource
import selectors
import socket
import ssl
import statistics
import threading
import time

import pytest

from ansible_collections.mailops.imap.plugins.module_utils import _connection, _probe
from ansible_collections.mailops.imap.plugins.module_utils._probe import ProbeError, probe
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.imap_test_server import (
    Certificate,
    Ended,
    ImapServer,
)

# How far a measured time may be from what the server recorded. Server and client share one interpreter and a busy machine;
# with hundreds of threads in it a few of them may be held up much longer, hence the median.
TOLERANCE = 0.25
TOLERANCE_OF_A_CROWD = 1.0
# How much longer than documented a probe may take on a busy machine.
SLACK = 1.0
PASSWORD = "s3cret word"
LOGIN = dict(username="alice", password=PASSWORD)
CREDENTIALS = ("alice", PASSWORD)
ALL_KINDS = ["pre_authenticated", "authenticated", "idle"]
TIMEOUTS = dict(pre_authenticated=0.4, authenticated=0.9, idle=0.6)


@pytest.fixture(scope="module", name="certificate")
def fixture_certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(name="unused_port")
def fixture_unused_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def elapsed():
    """Yield a list that holds the seconds which the block took, once it has ended."""
    seconds = []
    started = time.monotonic()
    try:
        yield seconds
    finally:
        seconds.append(time.monotonic() - started)


def failure(**options):
    """Return the sentence with which the probe fails, and how long it took; the sentence never holds the password."""
    with elapsed() as seconds, pytest.raises(ProbeError) as problem:
        probe(**options)
    sentence = str(problem.value)
    assert PASSWORD not in sentence
    assert "\n" not in sentence
    return sentence, seconds[0]


def assert_measured(result, server, kind, count=1):
    """The probe measured what the server recorded, connection by connection."""
    since = {"pre_authenticated": "accepted"}.get(kind, kind)
    entries = [entry for entry in result["measurements"] if entry["kind"] == kind]
    assert [entry["connection"] for entry in entries] == list(range(1, count + 1))
    assert [entry["error"] for entry in entries] == [None] * count
    assert all(entry["closed"] for entry in entries)
    measured = sorted(entry["seconds"] for entry in entries)
    recorded = sorted(session.lifetime(since) for session in server.idle_sessions(kind))
    assert len(recorded) == count
    differences = [abs(one - other) for one, other in zip(measured, recorded)]
    assert statistics.median(differences) < TOLERANCE
    assert max(differences) < (TOLERANCE if count < 10 else TOLERANCE_OF_A_CROWD)


# The first connection


def test_greeting_only():
    with ImapServer() as server:
        result = probe(port=server.port)
    assert result == dict(greeting="* OK test server ready", capabilities=["IMAP4rev1", "STARTTLS", "AUTH=PLAIN"],
                          capabilities_after_login=None, tls=None, measurements=[])
    assert [session.lines for session in server.sessions] == [[b"A1 CAPABILITY", b"A2 LOGOUT"]]


def test_capabilities_of_the_greeting_are_enough():
    with ImapServer(greeting=b"* OK [CAPABILITY IMAP4rev1 ID] ready") as server:
        assert probe(port=server.port)["capabilities"] == ["IMAP4rev1", "ID"]
    assert [session.lines for session in server.sessions] == [[b"A1 LOGOUT"]]


def test_capabilities_after_login_are_asked_for():
    with ImapServer(CREDENTIALS) as server:
        assert probe(port=server.port, **LOGIN)["capabilities_after_login"] == ["IMAP4rev1", "IDLE"]


def test_capabilities_after_login_of_the_answer_are_enough():
    with ImapServer(CREDENTIALS, login_words=b"[CAPABILITY IMAP4rev1 MOVE] in") as server:
        assert probe(port=server.port, **LOGIN)["capabilities_after_login"] == ["IMAP4rev1", "MOVE"]
    assert [line.split()[1] for line in server.sessions[0].lines] == [b"CAPABILITY", b"LOGIN", b"LOGOUT"]


def test_slow_greeting_is_waited_for():
    with ImapServer(greeting_delay=0.5) as server, elapsed() as seconds:
        assert probe(port=server.port, max_wait=10)["greeting"] == "* OK test server ready"
    assert seconds[0] >= 0.5


def test_no_greeting():
    with ImapServer(greeting_delay=3) as server:
        sentence, seconds = failure(port=server.port, max_wait=0.6)
    assert "127.0.0.1 port %s did not send its greeting in time" % server.port in sentence
    assert "max_wait=0.6" in sentence
    assert 0.6 <= seconds < 0.6 + SLACK


def test_greeting_that_stalls_within_its_line():
    def stall(session):
        session.send_bytes(b"* OK rea")
        session.line(time.monotonic() + 5)

    with ImapServer(script=stall) as server:
        sentence, seconds = failure(port=server.port, max_wait=0.6)
    assert "did not send its greeting in time" in sentence
    assert 0.6 <= seconds < 0.6 + SLACK


def test_nobody_listens(unused_port):
    sentence, seconds = failure(port=unused_port, max_wait=0.8)
    assert "did not accept the connection: Connection refused" in sentence
    assert 0.7 <= seconds < 0.8 + SLACK


def test_server_that_starts_late(unused_port):
    with contextlib.ExitStack() as stack:
        start = threading.Timer(0.5, lambda: stack.enter_context(ImapServer(port=unused_port)))
        start.start()
        with elapsed() as seconds:
            assert probe(port=unused_port, max_wait=10)["greeting"] == "* OK test server ready"
        start.join()
    assert 0.4 <= seconds[0] < 0.5 + SLACK


@pytest.mark.parametrize("how", ["end", "reset"])
def test_connections_closed_before_the_greeting_are_tried_again(how):
    def close_twice(session):
        if session.number < 2:
            session.close(how)
        else:
            session.converse()

    with ImapServer(script=close_twice) as server:
        assert probe(port=server.port, max_wait=10)["greeting"] == "* OK test server ready"
    assert len(server.sessions) == 3


def test_bye_greeting_is_tried_again():
    def busy_twice(session):
        if session.number < 2:
            session.send(b"* BYE too many connections")
        else:
            session.converse()

    with ImapServer(script=busy_twice) as server:
        assert probe(port=server.port, max_wait=10)["greeting"] == "* OK test server ready"
    assert len(server.sessions) == 3


def test_bye_greeting_for_ever():
    with ImapServer(script=lambda session: session.send(b"* BYE too many connections")) as server:
        sentence, seconds = failure(port=server.port, max_wait=0.6)
    assert "did not send its greeting: it said BYE too many connections (tried for max_wait=0.6 s)" in sentence
    assert seconds < 0.6 + SLACK


@pytest.mark.parametrize("max_wait, words", [
    (0.6, "it said BYE too many connections"), (1.5, "did not send its greeting in time"),
])
def test_an_attempt_cut_short_by_the_deadline_says_nothing_new(max_wait, words):
    """The third attempt, after 0.15 s, is not answered."""
    def busy_twice(session):
        if session.number < 2:
            session.send(b"* BYE too many connections")
        else:
            session.line(time.monotonic() + 5)

    with ImapServer(script=busy_twice) as server:
        sentence, _seconds = failure(port=server.port, max_wait=max_wait)
    assert words in sentence
    assert len(server.sessions) == 3


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2", b"220 smtp.test ESMTP", b"", b"* NO", b"\xff\x00\x1b[2J"])
def test_other_protocols_fail_at_once(greeting):
    with ImapServer(greeting=greeting) as server:
        sentence, seconds = failure(port=server.port, max_wait=20)
    assert "is no IMAP server, because it began with" in sentence
    assert sentence.isprintable()
    assert len(server.sessions) == 1
    assert seconds < 10


def test_line_without_end():
    def babble(session):
        while True:
            session.send_bytes(b"x" * 65536)

    with ImapServer(script=babble) as server:
        sentence, seconds = failure(port=server.port, max_wait=20)
    assert "a line of more than 65536 bytes" in sentence
    assert seconds < 10


def test_server_that_stays_after_logout():
    with ImapServer(stays_after_logout=True) as server, elapsed() as seconds:
        probe(port=server.port, max_wait=30)
    assert seconds[0] < 1 + SLACK


@pytest.mark.parametrize("first", ["refuses", "is silent"])
def test_the_next_address_is_tried(monkeypatch, unused_port, first):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(ImapServer())
        address = ("127.0.0.1", unused_port)
        if first == "is silent":
            # A full queue of connections that nobody accepts: the kernel does not answer any more.
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            address = listener.getsockname()
            for _number in range(3):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(address)
        monkeypatch.setattr(_probe.socket, "getaddrinfo", lambda *_arguments, **_options: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", address),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port)),
        ])
        assert probe(host="imap.test", max_wait=2)["greeting"] == "* OK test server ready"


def test_an_address_that_accepts_has_all_the_time(monkeypatch, unused_port):
    with ImapServer(greeting_delay=1.3) as server:
        monkeypatch.setattr(_probe.socket, "getaddrinfo", lambda *_arguments, **_options: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in (server.port, unused_port)])
        assert probe(host="imap.test", max_wait=2)["greeting"] == "* OK test server ready"


def test_name_that_does_not_resolve():
    sentence, _seconds = failure(host="no-such-host.invalid", max_wait=5)
    assert "host=no-such-host.invalid" in sentence


def test_resolver_that_hangs(monkeypatch):
    monkeypatch.setattr(_probe.socket, "getaddrinfo", lambda *_arguments, **_options: time.sleep(2) or [])
    sentence, seconds = failure(host="imap.test", max_wait=0.5)
    assert "no name server answered within max_wait=0.5 s" in sentence
    assert 0.5 <= seconds < 0.5 + SLACK


# TLS


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls(certificate, tls, version):
    with ImapServer(CREDENTIALS, TIMEOUTS, tls, certificate.context(version, tickets=8)) as server:
        result = probe(port=server.port, tls=tls, ca_path=certificate.path, measure=ALL_KINDS, max_wait=10, **LOGIN)
    assert result["capabilities"] == ["IMAP4rev1", "AUTH=PLAIN"]
    assert result["tls"]["version"] == version.name.replace("_", ".")
    assert result["tls"]["cipher"]
    assert result["tls"]["subject"] == result["tls"]["issuer"] == certificate.x509.subject.rfc4514_string()
    assert result["tls"]["not_after"] == certificate.x509.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    for kind in ALL_KINDS:
        assert_measured(result, server, kind)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_certificate_without_trust_fails_at_once(certificate, tls):
    with ImapServer(tls=tls, tls_context=certificate.context()) as server:
        sentence, seconds = failure(port=server.port, tls=tls, max_wait=20, **LOGIN)
    assert "certificate that is not trusted: self-signed certificate" in sentence.replace("self signed", "self-signed")
    assert "ca_path" in sentence and "validate_certs=false" in sentence
    assert len(server.sessions) == 1
    assert seconds < 10
    assert not any(b"LOGIN" in line for line in server.sessions[0].lines)


def test_certificate_of_another_host_fails_at_once(certificate, monkeypatch):
    with ImapServer(tls="implicit", tls_context=certificate.context()) as server:
        monkeypatch.setattr(_probe.socket, "getaddrinfo", lambda *_arguments, **_options: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))])
        sentence, _seconds = failure(host="other.test", port=server.port, tls="implicit", ca_path=certificate.path)
        assert probe(host="imap.test", port=server.port, tls="implicit", ca_path=certificate.path)["greeting"]
    assert "is not valid for 'other.test'" in sentence


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_certificate_that_is_not_checked_is_described(certificate, tls):
    with ImapServer(tls=tls, tls_context=certificate.context()) as server:
        result = probe(port=server.port, tls=tls, validate_certs=False)
    assert result["tls"]["subject"] == certificate.x509.subject.rfc4514_string()


def test_implicit_tls_with_a_server_that_speaks_plain_text():
    with ImapServer() as server:
        sentence, seconds = failure(port=server.port, tls="implicit", max_wait=20)
    assert "did not finish the TLS handshake: " in sentence and "check port and tls" in sentence
    assert seconds < 10


def test_tls_handshake_that_stalls():
    with ImapServer(script=lambda session: session.octets(100000, time.monotonic() + 5)) as server:
        sentence, seconds = failure(port=server.port, tls="implicit", max_wait=0.6)
    assert "did not finish the TLS handshake in time" in sentence
    assert seconds < 0.6 + SLACK


def test_starttls_that_is_refused():
    with ImapServer() as server:
        sentence, _seconds = failure(port=server.port, tls="starttls", **LOGIN)
    assert "refused STARTTLS: BAD unknown command" in sentence
    assert [line.split()[1] for line in server.sessions[0].lines] == [b"STARTTLS"]


@pytest.mark.parametrize("pause", [0, 0.2])
def test_plain_text_after_starttls_is_never_taken_for_an_encrypted_answer(certificate, pause):
    """The injected line, in the same packet or in a later one, would be a complete answer to CAPABILITY."""
    injected = b"* CAPABILITY INJECTED\r\nA2 OK done\r\n"

    def inject(session):
        session.send(b"* OK ready")
        session.line(time.monotonic() + 5)
        if not pause:
            session.send_bytes(b"A1 OK begin TLS now\r\n" + injected)
        else:
            session.send(b"A1 OK begin TLS now")
            time.sleep(pause)
            session.send_bytes(injected)
        session.start_tls()
        session.converse()

    with ImapServer(script=inject, tls_context=certificate.context()) as server:
        sentence, _seconds = failure(port=server.port, tls="starttls", ca_path=certificate.path, **LOGIN)
    assert ("before encryption" if not pause else "did not finish the TLS handshake") in sentence
    assert not any(b"LOGIN" in line for session in server.sessions for line in session.lines)


def test_capabilities_from_before_encryption_are_forgotten(certificate):
    with ImapServer(greeting=b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready", credentials=CREDENTIALS,
                    tls="starttls", tls_context=certificate.context()) as server:
        result = probe(port=server.port, tls="starttls", ca_path=certificate.path, **LOGIN)
    assert result["capabilities"] == ["IMAP4rev1", "AUTH=PLAIN"]


def test_preauth_rules_starttls_out(certificate):
    with ImapServer(greeting=b"* PREAUTH hello", tls="starttls", tls_context=certificate.context()) as server:
        sentence, _seconds = failure(port=server.port, tls="starttls", ca_path=certificate.path, **LOGIN)
    assert "PREAUTH, which rules STARTTLS out" in sentence
    assert server.sessions[0].lines == []


@pytest.mark.parametrize("content, words", [("no certificate here", "holds PEM certificates"), (None, "can be read")])
def test_ca_path_must_hold_certificates(tmp_path, content, words):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    sentence, _seconds = failure(tls="implicit", ca_path=str(path))
    assert "ca_path=%s" % path in sentence and words in sentence


# Logging in


AWKWARD = [
    ("alice", "secret"),
    ("alice@example.org", ""),
    ('q"uote', 'back\\slash and "quotes"'),
    ("umlaut-\u00fc", "p\u00e4ssw\u00f6rd \U0001f511"),
    ("tab\tuser", "line\r\nA9 LOGOUT"),
    ("paren(){}%*", "{5}"),
    ("surrogate", "byte-\udcff"),
    ("long" * 100, "x" * 300000),
    ("8-bit long", "\u00e9" * 150000),
]


@pytest.mark.parametrize("login_method", ["login", "plain", "plain_initial_response"])
@pytest.mark.parametrize("credentials", AWKWARD, ids=lambda pair: ascii(pair[0])[:20])
def test_login_carries_any_username_and_password(login_method, credentials):
    with ImapServer(credentials) as server:
        result = probe(port=server.port, username=credentials[0], password=credentials[1], login_method=login_method)
    assert result["capabilities_after_login"] == ["IMAP4rev1", "IDLE"]
    assert server.sessions[0].credentials == server.credentials


@pytest.mark.parametrize("tls", ["none", "implicit"])
def test_password_larger_than_what_the_system_sends_at_once(certificate, tls):
    credentials = ("alice", "\u00e9" * 4000000)
    with ImapServer(credentials, tls=tls, tls_context=certificate.context()) as server:
        result = probe(port=server.port, tls=tls, ca_path=certificate.path, username=credentials[0],
                       password=credentials[1])
    assert result["capabilities_after_login"] == ["IMAP4rev1", "IDLE"]


@pytest.mark.parametrize("login_method, lines", [
    ("login", [b'A2 LOGIN "alice" "s3cret word"']),
    ("plain", [b"A2 AUTHENTICATE PLAIN", base64.b64encode(b"\0alice\0s3cret word")]),
    ("plain_initial_response", [b"A2 AUTHENTICATE PLAIN " + base64.b64encode(b"\0alice\0s3cret word")]),
])
def test_login_methods(login_method, lines):
    with ImapServer(CREDENTIALS) as server:
        probe(port=server.port, login_method=login_method, **LOGIN)
    assert server.sessions[0].lines[1:-2] == lines


@pytest.mark.parametrize("login_method", ["login", "plain", "plain_initial_response"])
@pytest.mark.parametrize("refusal", [b"[AUTHENTICATIONFAILED] Authentication failed.",
                                     b"LOGIN alice s3cret word failed", b"AGFsaWNlAHMzY3JldCB3b3Jk is wrong"])
def test_wrong_password_fails_at_once_and_is_not_repeated(login_method, refusal):
    with ImapServer(("alice", "another"), refusal=refusal) as server:
        sentence, seconds = failure(port=server.port, login_method=login_method, measure=ALL_KINDS, max_wait=20, **LOGIN)
    assert "for username=alice: NO" in sentence and sentence.endswith("; check username and password")
    assert "AGFsaWNlAHMzY3JldCB3b3Jk" not in sentence
    assert len(server.sessions) == 1
    assert seconds < 10


def test_login_method_that_the_server_does_not_know():
    def refuse_authenticate(session):
        session.send(b"* OK [CAPABILITY IMAP4rev1] ready")
        session.send(session.line(time.monotonic() + 5).split()[0] + b" BAD invalid command")

    with ImapServer(CREDENTIALS, script=refuse_authenticate) as server:
        sentence, _seconds = failure(port=server.port, login_method="plain", **LOGIN)
    assert sentence.endswith("BAD invalid command; check login_method and tls")


def test_escaped_password_is_not_repeated():
    with ImapServer(refusal=b'wrong: "a\\"b\\\\c"') as server:
        sentence, _seconds = failure(port=server.port, username="alice", password='a"b\\c')
    assert 'NO wrong: "********"' in sentence


def test_server_that_repeats_the_password_everywhere():
    with ImapServer(("alice", "sesame"), dict(authenticated=0.3), bye=b"good bye sesame",
                    login_words=b"[CAPABILITY IMAP4rev1 X=sesame] hello sesame") as server:
        result = probe(port=server.port, username="alice", password="sesame", measure=["authenticated"], max_wait=10)
    assert result["capabilities_after_login"] == ["IMAP4rev1", "X=********"]
    assert result["measurements"][0]["bye"] == "good bye ********"
    assert "sesame" not in json.dumps(result)


@pytest.mark.parametrize("login_method", ["plain", "plain_initial_response"])
def test_login_that_stalls(login_method):
    with ImapServer(CREDENTIALS, login_delay=3) as server:
        sentence, seconds = failure(port=server.port, login_method=login_method, max_wait=0.6, **LOGIN)
    assert "did not answer AUTHENTICATE PLAIN in time; raise max_wait=0.6" in sentence
    assert 0.6 <= seconds < 0.6 + SLACK


def test_server_that_closes_instead_of_answering_the_login():
    def close(session):
        session.send(b"* OK ready")
        session.line(time.monotonic() + 5)
        session.send(b"* CAPABILITY IMAP4rev1", b"A1 OK")
        session.line(time.monotonic() + 5)
        session.send(b"* BYE s3cret word was wrong")

    with ImapServer(script=close) as server:
        sentence, seconds = failure(port=server.port, max_wait=20, **LOGIN)
    assert "did not answer LOGIN: it closed the connection and said BYE ******** was wrong" in sentence
    assert seconds < 10


def test_login_disabled():
    capabilities = dict(capabilities=lambda encrypted, state: b"IMAP4rev1 STARTTLS LOGINDISABLED")
    with ImapServer(CREDENTIALS, **capabilities) as server:
        sentence, _seconds = failure(port=server.port, **LOGIN)
        assert "LOGINDISABLED" in sentence and "tls=starttls" in sentence
        assert not any(b"LOGIN" in line for line in server.sessions[0].lines)


def test_preauthenticated_connections_need_no_login():
    with ImapServer(timeouts=TIMEOUTS, greeting=b"* PREAUTH hello alice") as server:
        result = probe(port=server.port, measure=ALL_KINDS, max_wait=10, **LOGIN)
    assert result["capabilities_after_login"] == ["IMAP4rev1", "IDLE"]
    assert not any(b"LOGIN" in line for session in server.sessions for line in session.lines)
    by_kind = {entry["kind"]: entry for entry in result["measurements"]}
    assert "greets with PREAUTH" in by_kind["pre_authenticated"]["error"]
    assert by_kind["pre_authenticated"]["seconds"] is None
    assert_measured(result, server, "authenticated")
    assert_measured(result, server, "idle")


@pytest.mark.parametrize("host, loopback", [
    ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True),
    ("192.0.2.1", False), ("10.0.0.1", False), ("::", False), ("2001:db8::1", False), ("::ffff:192.0.2.1", False),
    ("fe80::1%1", False),
])
def test_what_is_loopback(host, loopback):
    found = socket.getaddrinfo(host, 143, type=socket.SOCK_STREAM)
    assert [_probe._is_loopback((entry[0], entry[4])) for entry in found] == [loopback]


def test_password_is_not_sent_in_clear_text_to_another_host(monkeypatch, certificate):
    monkeypatch.setattr(_probe, "_is_loopback", lambda address: False)
    with ImapServer(CREDENTIALS) as server:
        sentence, _seconds = failure(port=server.port, **LOGIN)
        assert "allow_cleartext=true" in sentence
        assert server.sessions == []
        assert probe(port=server.port)["greeting"]
        assert probe(port=server.port, allow_cleartext=True, **LOGIN)["capabilities_after_login"]
    with ImapServer(CREDENTIALS, tls="starttls", tls_context=certificate.context()) as server:
        assert probe(port=server.port, tls="starttls", ca_path=certificate.path, **LOGIN)["capabilities_after_login"]


def test_one_address_of_another_host_is_enough_to_keep_the_password(monkeypatch):
    with ImapServer(CREDENTIALS) as server:
        monkeypatch.setattr(_probe.socket, "getaddrinfo", lambda *_arguments, **_options: [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, server.port)) for host in ("127.0.0.1", "192.0.2.1")])
        sentence, _seconds = failure(host="imap.test", port=server.port, **LOGIN)
    assert "imap.test" in sentence and "not encrypted" in sentence
    assert server.sessions == []


# Measuring


@pytest.mark.parametrize("login_method", ["login", "plain", "plain_initial_response"])
def test_kinds(login_method):
    with ImapServer(CREDENTIALS, TIMEOUTS) as server:
        result = probe(port=server.port, measure=ALL_KINDS, login_method=login_method, max_wait=10, **LOGIN)
    assert [entry["kind"] for entry in result["measurements"]] == ALL_KINDS
    assert [entry["closed_by"] for entry in result["measurements"]] == ["server"] * 3
    assert [entry["bye"] for entry in result["measurements"]] == [None] * 3
    for kind in ALL_KINDS:
        assert_measured(result, server, kind)


def test_pre_authenticated_needs_no_credentials():
    with ImapServer(timeouts=TIMEOUTS) as server:
        result = probe(port=server.port, measure=["pre_authenticated"], max_wait=10)
    assert_measured(result, server, "pre_authenticated")


def test_time_starts_where_it_should():
    """A slow greeting counts before the login only; a slow login does not count at all."""
    with ImapServer(CREDENTIALS, dict(TIMEOUTS, pre_authenticated=1.6), greeting_delay=0.5, login_delay=0.5) as server:
        result = probe(port=server.port, measure=ALL_KINDS, max_wait=10, **LOGIN)
    for kind in ALL_KINDS:
        assert_measured(result, server, kind)
    by_kind = {entry["kind"]: entry["seconds"] for entry in result["measurements"]}
    assert by_kind["pre_authenticated"] > 1.3 > by_kind["authenticated"]


@pytest.mark.parametrize("tls, measure", [("none", ALL_KINDS), ("implicit", ALL_KINDS), ("starttls", ["authenticated"])])
def test_a_hundred_connections_at_once(certificate, tls, measure):
    def spread(number):
        return 2 + number % 100 / 100

    timeouts = dict(pre_authenticated=spread, authenticated=spread, idle=spread)
    with ImapServer(CREDENTIALS, timeouts, tls, certificate.context()) as server:
        result = probe(port=server.port, tls=tls, ca_path=certificate.path, measure=measure, connections=100,
                       max_wait=30, **LOGIN)
        for kind in measure:
            assert_measured(result, server, kind, count=100)
    # All of them were open at the same time.
    sessions = [session for kind in measure for session in server.idle_sessions(kind)]
    if tls == "none":
        assert max(session.times["accepted"] for session in sessions) < min(session.times["closed"] for session in sessions)


@pytest.mark.parametrize("close, tls, closed_by", [
    ("end", "none", "server"), ("reset", "none", "reset"), ("end", "implicit", "server"), ("reset", "implicit", "reset"),
    ("notify", "implicit", "server"),
])
def test_how_the_server_closes(certificate, close, tls, closed_by):
    with ImapServer(CREDENTIALS, TIMEOUTS, tls, certificate.context(), close=close) as server:
        result = probe(port=server.port, tls=tls, ca_path=certificate.path, measure=ALL_KINDS, max_wait=10, **LOGIN)
    assert [entry["closed_by"] for entry in result["measurements"]] == [closed_by] * 3
    for kind in ALL_KINDS:
        assert_measured(result, server, kind)


@pytest.mark.parametrize("tls", ["none", "implicit"])
def test_bye_is_kept(certificate, tls):
    with ImapServer(CREDENTIALS, TIMEOUTS, tls, certificate.context(), bye=b"Idle for too long") as server:
        result = probe(port=server.port, tls=tls, ca_path=certificate.path, measure=ALL_KINDS, max_wait=10, **LOGIN)
    assert [entry["bye"] for entry in result["measurements"]] == ["Idle for too long"] * 3
    for kind in ALL_KINDS:
        assert_measured(result, server, kind)


def test_what_the_server_says_meanwhile_is_not_a_close():
    with ImapServer(CREDENTIALS, dict(idle=0.9), still_here=0.1) as server:
        result = probe(port=server.port, measure=["idle"], max_wait=10, **LOGIN)
    assert_measured(result, server, "idle")


@pytest.mark.parametrize("tls", ["none", "implicit"])
def test_connections_that_stay_open(certificate, tls):
    with ImapServer(CREDENTIALS, tls=tls, tls_context=certificate.context(), still_here=0.1) as server:
        with elapsed() as seconds:
            result = probe(port=server.port, tls=tls, ca_path=certificate.path, measure=ALL_KINDS, connections=5,
                           max_wait=1.2, **LOGIN)
        assert 1.2 <= seconds[0] < 1.2 + SLACK
    assert len(result["measurements"]) == 15
    for entry in result["measurements"]:
        assert (entry["seconds"], entry["closed"], entry["closed_by"], entry["error"]) == (None, False, "none", None)


def test_each_connection_has_its_own_deadline(monkeypatch):
    """The second connection is opened 0.5 s after the first, and lives for 1.0 s."""
    monkeypatch.setattr(_connection, "UNSETTLED_AT_ONCE", 1)
    with ImapServer(timeouts=dict(pre_authenticated=1.0), greeting_delay=0.5) as server:
        result = probe(port=server.port, measure=["pre_authenticated"], connections=2, max_wait=1.3)
    assert_measured(result, server, "pre_authenticated", count=2)


@pytest.mark.parametrize("kind, delay", [
    ("pre_authenticated", "greeting_delay"), ("authenticated", "greeting_delay"), ("authenticated", "login_delay"),
])
def test_few_connections_are_opened_at_once(kind, delay):
    with ImapServer(CREDENTIALS, dict(TIMEOUTS, pre_authenticated=1.5), **{delay: 0.3}) as server:
        result = probe(port=server.port, measure=[kind], connections=40, max_wait=10, **LOGIN)
    assert_measured(result, server, kind, count=40)
    accepted = sorted(session.times["accepted"] for session in server.sessions[1:])
    for early, late in zip(accepted, accepted[32:]):
        assert late - early >= 0.25


def test_bye_without_close_is_still_open():
    def say_bye(session):
        session.send(b"* OK [CAPABILITY IMAP4rev1] ready")
        if session.number == 0:
            session.line(time.monotonic() + 5)
        else:
            session.send(b"* BYE going, but not yet")
            session.line(time.monotonic() + 5)

    with ImapServer(script=say_bye) as server:
        entry = probe(port=server.port, measure=["pre_authenticated"], max_wait=0.6)["measurements"][0]
    assert (entry["seconds"], entry["closed"], entry["bye"]) == (None, False, "going, but not yet")


def test_server_that_never_stops_talking():
    def talk(session):
        session.send(b"* OK [CAPABILITY IMAP4rev1] ready")
        if session.number == 0:
            session.line(time.monotonic() + 5)
        while session.number:
            session.send(*[b"* OK Still here"] * 1000)

    with ImapServer(script=talk) as server, elapsed() as seconds:
        result = probe(port=server.port, measure=["pre_authenticated"], connections=3, max_wait=0.8)
    assert [entry["seconds"] for entry in result["measurements"]] == [None] * 3
    assert seconds[0] < 2 * 0.8 + SLACK


def test_what_is_not_read_yet_stays_with_the_system():
    class Silent(_connection.Connection):
        def run(self):
            yield

    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Silent(None, time.monotonic() + 10)
        connection._socket = ours
        connection._connected = True
        for _number in range(50):
            theirs.send(b"* OK Still here\r\n")
            connection.receive(time.monotonic(), selectors.EVENT_READ)
        assert len(connection._inbox) < 10
        assert len(ours.recv(65536)) > 500


@pytest.mark.parametrize("after_deadline, seen", [(-0.1, "Closed"), (0.1, "TimeUp")])
def test_the_time_of_arrival_decides_whether_it_was_in_time(after_deadline, seen):
    """Both are looked at long after the deadline."""
    class Patient(_connection.Connection):
        def run(self):
            try:
                yield
            except (_connection.Closed, _connection.TimeUp) as end:
                self.end = type(end).__name__

    deadline = time.monotonic() + 10
    connection = Patient(None, deadline)
    connection.open(None)
    connection._inbox.append((deadline + after_deadline, _connection.Closed("server")))
    connection.expire(deadline + 5)
    assert connection.end == seen


def test_connections_that_fail_do_not_spoil_the_others():
    """The third and later ones are refused; a server that does so answers the others nevertheless."""
    def crowded(session):
        if session.number > 2:
            session.send(b"* BYE too many connections for s3cret word")
        else:
            session.converse()

    with ImapServer(CREDENTIALS, dict(authenticated=0.5), script=crowded) as server:
        result = probe(port=server.port, measure=["authenticated"], connections=6, max_wait=10, **LOGIN)
    good = [entry for entry in result["measurements"] if entry["error"] is None]
    bad = [entry for entry in result["measurements"] if entry["error"] is not None]
    assert len(good) == 2 and len(bad) == 4
    assert all(entry["seconds"] == pytest.approx(0.5, abs=TOLERANCE) for entry in good)
    for entry in bad:
        assert entry["error"].endswith("did not send its greeting: it said BYE too many connections for ********.")
        assert (entry["seconds"], entry["closed"], entry["closed_by"]) == (None, False, "none")


def test_connections_that_never_become_idle():
    def stall(session):
        if session.number == 0:
            session.converse()
        session.line(time.monotonic() + 5)

    with ImapServer(CREDENTIALS, script=stall) as server, elapsed() as seconds:
        result = probe(port=server.port, measure=["authenticated"], connections=40, max_wait=0.8, **LOGIN)
    assert seconds[0] < 2 * 0.8 + SLACK
    errors = [entry["error"].partition(" did not ")[2] for entry in result["measurements"]]
    assert set(errors) == {"send its greeting in time.", "deal with the connections before this one in time."}


def test_server_without_idle():
    with ImapServer(CREDENTIALS, script=refuse_idle) as server:
        result = probe(port=server.port, measure=["idle"], max_wait=10, **LOGIN)
    assert result["measurements"][0]["error"] == "127.0.0.1 port %s refused IDLE: BAD no such command." % server.port


def refuse_idle(session):
    session.send(b"* OK [CAPABILITY IMAP4rev1] ready")
    while True:
        tag, name, *_rest = session.line(time.monotonic() + 5).split()
        if name == b"LOGOUT":
            raise Ended()
        session.send(tag + (b" BAD no such command" if name == b"IDLE" else b" OK [CAPABILITY IMAP4rev1] done"))


def test_measured_times_are_differences_of_the_same_clock():
    """A step of the wall clock must not matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: 0.0)
        with ImapServer(timeouts=TIMEOUTS) as server:
            result = probe(port=server.port, measure=["pre_authenticated"], max_wait=10)
    assert_measured(result, server, "pre_authenticated")


# Options


@pytest.mark.parametrize("options, words", [
    (dict(max_wait=0), "max_wait=0"),
    (dict(max_wait=-1), "max_wait=-1"),
    (dict(max_wait=float("nan")), "max_wait=nan"),
    (dict(max_wait=float("inf")), "max_wait=inf"),
    (dict(connections=0), "connections=0"),
    (dict(port=0), "port=0"),
    (dict(port=65536), "port=65536"),
    (dict(measure=["pre_authenticated", "idle"]), "measure=idle"),
    (dict(username="nul\0", password="x"), "NUL"),
    (dict(username="x", password="nul\0"), "NUL"),
    (dict(host=""), "host="),
    (dict(host="a\0b"), "host="),
    (dict(host="." * 300), "host="),
])
def test_options_that_cannot_be_right(options, words):
    sentence, seconds = failure(**options)
    assert words in sentence
    assert seconds < 10


def test_more_connections_than_open_files(monkeypatch):
    monkeypatch.setattr(_probe.resource, "getrlimit", lambda what: (1000, 1000))
    with ImapServer() as server:
        for connections in (1000, 10**12):
            sentence, _seconds = failure(port=server.port, measure=["pre_authenticated"], connections=connections)
            assert f"connections={connections} ask" in sentence and "1000 open files; lower connections" in sentence
    assert server.sessions == []


def test_limit_of_open_files_is_raised_for_the_measurement(monkeypatch):
    limits = []
    serve = _probe.serve

    def note_limit(connections):
        limits.append(resource.getrlimit(resource.RLIMIT_NOFILE))
        serve(connections)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(_probe, "serve", note_limit)
    monkeypatch.setattr(_probe, "SPARE_FILES", 1000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))
    try:
        with ImapServer(timeouts=TIMEOUTS) as server:
            probe(port=server.port, measure=["pre_authenticated"], max_wait=10)
        limits.append(resource.getrlimit(resource.RLIMIT_NOFILE))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert limits == [(1000, hard), (1001, hard), (1000, hard)]
