# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import logging
import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pypsrp.exceptions
import pypsrp.powershell
import pypsrp.wsman
import pytest
import requests.exceptions
import spnego.exceptions
from pypsrp.complex_objects import GenericComplexObject, PSInvocationState

from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _options, _session

SECRET = "hunter2-hunter2"
ENDPOINT = _options.Endpoint(
    "ex01", 80, "PowerShell", "http", "Microsoft.Exchange", ("kerberos", "negotiate"), "admin@EXAMPLE.COM", SECRET
)
URL = "http://ex01:80/PowerShell"
FAULT = pypsrp.exceptions.WSManFaultError
#: A session ends so: the pool, and what is left of it by a new logon.
CLOSED = ["pool", "connection", "shell", "connection"]


class Wire:
    """Stands in for pypsrp. ``opening`` are what the tries of opening a session raise, in order;
    ``tried`` are the authentication methods, ``closed`` counts what was closed; ``encrypts`` is whether messages are to
    be encrypted, and ``encryption`` what they are once somebody is logged in; ``made`` is whether the answer to a shell's
    making came, without its id; ``ran`` is the last pipeline.
    """

    encrypts, encryption, made, ran = False, None, False, None

    def __init__(self, monkeypatch, opening=()):
        self.opening, self.tried, self.closed = list(opening), [], []
        self.pipeline = SimpleNamespace(error=[], warning=[], output=[], state=PSInvocationState.COMPLETED, raises=None)
        monkeypatch.setattr(pypsrp.wsman, "WSMan", self.connect)
        monkeypatch.setattr(pypsrp.powershell, "RunspacePool", self.make_pool)
        monkeypatch.setattr(pypsrp.powershell, "PowerShell", self.power_shell)

    def connect(self, host, **options):
        self.tried.append(options["auth"])
        self.options = options
        transport = SimpleNamespace(
            session="lost", encryption=self.encryption, wrap_required=self.encrypts, _build_session=SimpleNamespace
        )
        return SimpleNamespace(transport=transport, close=lambda: self.closed.append("connection"))

    def make_pool(self, connection, configuration_name):
        def open_pool():
            for problem in self.opening[:1]:
                del self.opening[0]
                raise problem

        def close_pool():
            self.closed.append("pool")
            raise ConnectionError(f"gone, {SECRET}")

        shell = SimpleNamespace(id="ID", opened=self.made, _selector_set=None, close=lambda: self.closed.append("shell"))
        self.shell = shell
        self.pool = SimpleNamespace(open=open_pool, close=close_pool, shell=shell, _receive=list)
        return self.pool

    def power_shell(self, pool):
        run = self.pipeline

        def invoke():
            if run.raises:
                raise run.raises

        shell = SimpleNamespace(
            id="PIPELINE",
            add_cmdlet=lambda name: shell,
            add_parameters=lambda parameters: shell,
            invoke=invoke,
            streams=SimpleNamespace(error=run.error, warning=run.warning),
            had_errors=False,
            state=run.state,
            output=run.output,
        )
        self.ran = shell
        return shell


def kerberos_error(number, words="as MIT's library says it"):
    """An exception of the package krb5, which pyspnego lets through as it is."""
    problem = Exception(words)
    problem.err_code = number
    return problem


def record(words, identifier="x"):
    exception = GenericComplexObject()
    exception.adapted_properties["Message"] = words
    return SimpleNamespace(fq_error=identifier, exception=exception, details_message=None, message=None)


@pytest.fixture(name="wire")
def fixture_wire(monkeypatch):
    return Wire(monkeypatch)


def failing(wire, **pipeline):
    """The sentence that a cmdlet's failure gives."""
    vars(wire.pipeline).update(pipeline)
    with pytest.raises(_session.ExchangeError) as failure, _session.opened(ENDPOINT) as session:
        session.invoke("Set-ImapSettings", Server="EX01")
    assert wire.closed == CLOSED
    return str(failure.value)


# the library


def test_nothing_imports_pypsrp_until_a_session_is_opened():
    program = (
        "import sys; from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _task;"
        "sys.exit(any(name.split('.')[0] in ('pypsrp', 'requests', 'spnego') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0


def test_a_missing_library_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "pypsrp.powershell", None)
    with pytest.raises(_session.ExchangeError, match="pypsrp is missing on the controller; install pypsrp"):
        with _session.opened(ENDPOINT):
            pass


def test_the_librarys_own_warnings_do_not_reach_the_terminal(wire, capfd):
    with _session.opened(ENDPOINT):
        logging.getLogger("pypsrp.wsman").error("Failed to parse")
    assert capfd.readouterr().err == ""


def test_what_a_server_warns_of_beside_any_cmdlet_does_not_reach_the_terminal(wire, recwarn):
    with _session.opened(ENDPOINT):
        wire.pool._process_runspacepool_warning(SimpleNamespace(data="mind this"))
    assert not recwarn.list


# opening


def test_kerberos_comes_first_and_is_enough(wire):
    with _session.opened(ENDPOINT):
        assert wire.tried == ["kerberos"]


@pytest.mark.parametrize(
    "problem",
    [
        pypsrp.exceptions.AuthenticationError("Failed to authenticate the user"),
        spnego.exceptions.SpnegoError(base_error=SimpleNamespace(maj_code=851968, min_code=-1765328230)),  # no KDC
        ImportError("gssapi"),
        spnego.exceptions.FeatureMissingError(spnego.exceptions.NegotiateOptions.wrapping_winrm),
        kerberos_error(-1765328228, "Cannot contact any KDC"),
        kerberos_error(-1765328347, "Clock skew too great"),
        ValueError("incompatible with the specified auth_provider"),
    ],
)
def test_negotiate_follows_where_there_is_no_kerberos(monkeypatch, problem):
    wire = Wire(monkeypatch, [problem])
    with _session.opened(ENDPOINT):
        assert wire.tried == ["kerberos", "negotiate"]


@pytest.mark.parametrize(
    "number, words",
    [
        (-1765328360, "Kerberos refused the password of the user admin@EXAMPLE.COM"),
        (-1765328360 + (1 << 32), "Kerberos refused the password of the user admin@EXAMPLE.COM"),
        (-1765328353, "Kerberos refused the password of the user admin@EXAMPLE.COM"),
        (-1765328378, "Kerberos does not know the user admin@EXAMPLE.COM; write ansible_user as user@DOMAIN"),
        (-1765328366, "the account of the user admin@EXAMPLE.COM is locked or disabled"),
        (-1765328361, "the password of the user admin@EXAMPLE.COM has expired"),
    ],
)
@pytest.mark.parametrize("library", ["gssapi", "krb5"])
def test_a_user_whom_kerberos_refused_is_not_tried_again(monkeypatch, library, number, words):
    problem = kerberos_error(number)
    if library == "gssapi":
        problem = spnego.exceptions.SpnegoError(base_error=SimpleNamespace(maj_code=851968, min_code=number))
    wire = Wire(monkeypatch, [problem])
    with pytest.raises(_session.ExchangeError, match=words), _session.opened(ENDPOINT):
        pass
    assert wire.tried == ["kerberos"] and wire.closed == CLOSED


@pytest.mark.parametrize("problem", [ImportError("gssapi"), kerberos_error(-1765328243), kerberos_error(-1765328228)])
def test_without_a_password_nothing_follows_kerberos(monkeypatch, problem):
    wire = Wire(monkeypatch, [problem])
    with pytest.raises(_session.ExchangeError), _session.opened(replace(ENDPOINT, password=None)):
        pass
    assert wire.tried == ["kerberos"]


def test_where_both_methods_fail_both_are_told_in_one_sentence(monkeypatch):
    problems = [kerberos_error(-1765328228, "Cannot contact any KDC"), pypsrp.exceptions.AuthenticationError(SECRET)]
    wire = Wire(monkeypatch, problems)
    with pytest.raises(_session.ExchangeError) as failure, _session.opened(ENDPOINT):
        pass
    assert re.fullmatch(
        f"No domain controller .*KDC; without Kerberos: {URL} refused the user .* by Negotiate, which is Kerberos or, where "
        "that gives no ticket, NTLM; .*",
        str(failure.value),
    )
    assert wire.tried == ["kerberos", "negotiate"] and SECRET not in str(failure.value)


@pytest.mark.parametrize(
    "auth, package", [("kerberos", "install pypsrp[kerberos] where Ansible runs"), ("credssp", "install pypsrp[credssp]")]
)
def test_what_a_method_lacks_on_the_controller_is_told(monkeypatch, auth, package):
    Wire(monkeypatch, [ImportError("No module named 'x'")])
    with pytest.raises(_session.ExchangeError) as failure, _session.opened(replace(ENDPOINT, auth=(auth,))):
        pass
    assert package in str(failure.value)


def test_a_server_that_cannot_be_reached_is_not_tried_again(monkeypatch):
    wire = Wire(monkeypatch, [requests.exceptions.ConnectTimeout("ConnectTimeout")])
    with pytest.raises(_session.ExchangeError, match=f"{URL} cannot be reached; check the name, the port"):
        with _session.opened(ENDPOINT):
            pass
    assert wire.tried == ["kerberos"] and wire.closed == CLOSED


@pytest.mark.parametrize(
    "problem, sent",
    [
        (requests.exceptions.ConnectionError("Connection aborted"), True),
        (requests.exceptions.ReadTimeout("read"), True),
        (requests.exceptions.ChunkedEncodingError("Response ended prematurely"), True),
        (pypsrp.exceptions.WinRMTransportError("http", 403, ""), True),
        (FAULT(5, None, "Access is denied.", None, None, None), True),
        (AttributeError("'NoneType' object has no attribute 'unwrap_message'"), True),
        (requests.exceptions.ConnectionError("NewConnectionError"), False),
        (requests.exceptions.SSLError("self-signed certificate"), False),
        (pypsrp.exceptions.AuthenticationError("Failed"), False),
        (kerberos_error(-1765328360), False),
    ],
)
def test_a_shell_is_closed_by_its_id_where_only_the_answer_to_its_making_is_missing(monkeypatch, problem, sent):
    wire = Wire(monkeypatch, [problem])
    with pytest.raises(_session.ExchangeError), _session.opened(replace(ENDPOINT, auth=("ntlm",))):
        pass
    assert wire.shell.opened is sent and ("ID" in str(vars(wire.shell._selector_set or object))) is sent


def test_a_shell_is_closed_by_its_id_where_the_answer_to_its_making_has_none(monkeypatch):
    wire = Wire(monkeypatch, [FAULT(2150858843, None, "invalid selectors", None, None, None)])
    wire.made = True
    with pytest.raises(_session.ExchangeError), _session.opened(replace(ENDPOINT, auth=("ntlm",))):
        pass
    assert "ID" in str(vars(wire.shell._selector_set))


@pytest.mark.parametrize("encryption", [None, "of the login"])
def test_where_messages_are_encrypted_a_shell_is_closed_by_its_id_only_after_a_login(monkeypatch, encryption):
    wire = Wire(monkeypatch, [pypsrp.exceptions.AuthenticationError("Failed")])
    wire.encrypts, wire.encryption = True, encryption
    with pytest.raises(_session.ExchangeError), _session.opened(replace(ENDPOINT, auth=("ntlm",))):
        pass
    assert wire.shell.opened is (encryption is not None)


def test_a_session_is_closed_when_its_user_fails(wire):
    with pytest.raises(ZeroDivisionError), _session.opened(ENDPOINT):
        raise ZeroDivisionError
    assert wire.closed == CLOSED


def test_basic_over_http_goes_without_encryption_and_all_else_with_it(wire):
    with _session.opened(replace(ENDPOINT, auth=("basic",))):
        assert wire.options["encryption"] == "never"
    with _session.opened(ENDPOINT):
        assert "encryption" not in wire.options


# running


def test_a_cmdlet_is_asked_for_by_the_id_that_was_chosen_for_it(wire):
    with _session.opened(ENDPOINT) as session:
        session.invoke("Get-ImapSettings")
    assert wire.ran._command_id == "PIPELINE"


def test_an_answer_has_plain_objects_and_warnings(wire):
    output = GenericComplexObject()
    output._xml = '<Obj RefId="0"><Props><TS N="A">PT30M</TS></Props></Obj>'
    wire.pipeline.output += [output, None, "text"]
    wire.pipeline.warning.append(SimpleNamespace(message="mind this "))
    with _session.opened(ENDPOINT) as session:
        answer = session.invoke("Get-ImapSettings")
    assert answer.objects[0].properties == {"A": "PT30M"} and answer.objects[1:] == ["text"]
    assert answer.warnings == ["mind this"]


@pytest.mark.parametrize("xml", ['<Obj RefId="0"/>', '\n <Obj RefId="0"/>', '<?xml version="1.0"?>\n<Obj RefId="0"/>'])
def test_an_object_is_read_however_its_xml_begins_and_whatever_list_it_is_in(wire, xml):
    output = GenericComplexObject()
    output._xml = xml
    wire.pipeline.output += [output, xml, [output, output]]
    with _session.opened(ENDPOINT) as session:
        assert session.invoke("Get-ImapSettings").objects == [(None, {}, None)] * 4


def test_a_hashtable_is_an_object_too(wire):
    timeout = GenericComplexObject()
    timeout._xml = '<Obj RefId="0"><ToString>00:30:00</ToString></Obj>'
    wire.pipeline.output.append({"AuthenticatedConnectionTimeout": timeout, "SSLBindings": ["[::]:993"]})
    with _session.opened(ENDPOINT) as session:
        (found,) = session.invoke("Get-ImapSettings").objects
    assert found.properties["AuthenticatedConnectionTimeout"].text == "00:30:00"
    assert found.properties["SSLBindings"] == ["[::]:993"]


def test_an_error_that_does_not_end_the_pipeline_is_a_failure(wire):
    assert failing(wire, error=[record("No.\r\n Never.")]) == 'Set-ImapSettings was refused: "No. Never."'


def test_several_errors_are_one_sentence_and_each_is_told_once(wire):
    records = [record("It is no.\nValid value."), record("Not either."), record("Not either.")]
    assert failing(wire, error=records) == 'Set-ImapSettings was refused: "It is no. Valid value." and "Not either."'


def test_a_refusal_is_told_from_an_answer_that_does_not_come(wire):
    vars(wire.pipeline).update(error=[record("No.")])
    with pytest.raises(_session.Refused), _session.opened(ENDPOINT) as session:
        session.invoke("Set-ImapSettings")
    vars(wire.pipeline).update(raises=requests.exceptions.ReadTimeout("read"))
    with pytest.raises(_session.ExchangeError) as failure, _session.opened(ENDPOINT) as session:
        session.invoke("Set-ImapSettings")
    assert not isinstance(failure.value, _session.Refused)


def test_a_warning_is_one_line(wire):
    wire.pipeline.warning.append(SimpleNamespace(message="mind\r\n  this "))
    with _session.opened(ENDPOINT) as session:
        assert session.invoke("Get-ImapSettings").warnings == ["mind this"]


def test_a_failed_pipeline_without_words_is_a_failure(wire):
    assert failing(wire, state=PSInvocationState.FAILED) == "Set-ImapSettings was refused: it did not say why."


@pytest.mark.parametrize(
    "identifier, words",
    [
        ("CommandNotFoundException", "is not there for admin@EXAMPLE.COM; give the account a management role"),
        ("NamedParameterNotFound,Set-ImapSettings", "the management roles of admin@EXAMPLE.COM hide the parameter"),
    ],
)
def test_what_roles_hide_says_so(wire, identifier, words):
    sentence = failing(wire, error=[record("The term is not recognized.", identifier)])
    assert words in sentence and sentence.endswith(': "The term is not recognized."')


@pytest.mark.parametrize(
    "problem, words",
    [
        (pypsrp.exceptions.AuthenticationError("Failed"), f"{URL} refused the user admin@EXAMPLE.COM; check the user"),
        (pypsrp.exceptions.AuthenticationError("server did not response with"), "offers no Kerberos, Negotiate or NTLM"),
        (pypsrp.exceptions.WinRMTransportError("http", 404, ""), f"There is no PowerShell at {URL}; check host, port and path"),
        (pypsrp.exceptions.WinRMTransportError("http", 403, ""), "check that the account may use remote PowerShell"),
        (pypsrp.exceptions.WinRMTransportError("http", 503, ""), "is busy or throttles (HTTP 503); wait, lower forks"),
        (pypsrp.exceptions.WinRMTransportError("http", 500, ""), "answered with HTTP 500 while Set-ImapSettings ran"),
        (FAULT(2150858811, None, "no such URI", None, None, None), "has no session configuration Microsoft.Exchange"),
        (FAULT(2150858843, None, "shell was not found", None, None, None), "was lost while Set-ImapSettings ran"),
        (FAULT(5, None, "Access is denied.", None, None, None), "does not let the user admin@EXAMPLE.COM open"),
        (FAULT(1, None, None, None, None, "exceeded the maximum number of connections"), "throttles the user"),
        (FAULT(1, None, "This user load quota of 10 has been exceeded", None, None, None), "throttles the user"),
        (
            FAULT(1, None, "Something else.", None, None, None),
            "failed while Set-ImapSettings ran; run the task again, and look at the server's event log where it goes on: "
            '"Something else."',
        ),
        (FAULT(5, None, "No.", None, None, None), "so check that the account may use remote PowerShell (Set-User"),
        (requests.exceptions.ChunkedEncodingError("IncompleteRead"), "was lost while Set-ImapSettings ran; run the task"),
        (requests.exceptions.SSLError("certificate has expired"), f"The certificate of {URL} has expired; have it renewed"),
        (requests.exceptions.SSLError("self-signed certificate"), "is not trusted; give ca_cert in the option exchange"),
        (requests.exceptions.SSLError("[SSL: WRONG_VERSION_NUMBER] wrong version number"), "speaks no TLS; set protocol and port"),
        (requests.exceptions.SSLError("[SSL: RECORD_LAYER_FAILURE] record layer failure"), "speaks no TLS; set protocol and port"),
        (requests.exceptions.ReadTimeout("read"), "did not answer in time while Set-ImapSettings ran; look at the server"),
        (requests.exceptions.ConnectionError("Connection aborted"), "was lost while Set-ImapSettings ran; run the task again"),
        (pypsrp.exceptions.InvalidPipelineStateError(0, 1, "x"), "was lost while Set-ImapSettings ran"),
        (
            pypsrp.exceptions.InvalidPSRPOperation("Received a broken RunspacePoolState message"),
            f"{URL} refused a session to the user admin@EXAMPLE.COM; check its rights and whether the server throttles",
        ),
        (ValueError("no element found"), "cannot be read; run the task again, and look at what is in between, such as"),
    ],
)
def test_each_failure_is_a_sentence_that_says_what_to_do(wire, problem, words):
    sentence = failing(wire, raises=problem)
    assert words in sentence and "\n" not in sentence


def test_the_password_is_in_no_sentence_and_no_chain_of_exceptions(wire):
    for problem in (ValueError(f"cannot parse {SECRET}"), pypsrp.exceptions.AuthenticationError(SECRET)):
        assert SECRET not in failing(wire, raises=problem)
        wire.closed.clear()
    assert SECRET not in failing(wire, raises=None, error=[record(f"wrong: {SECRET}")])
    wire.closed.clear()
    vars(wire.pipeline).update(raises=ValueError(SECRET), error=[])
    with pytest.raises(_session.ExchangeError) as failure, _session.opened(ENDPOINT) as session:
        session.invoke("Get-ImapSettings")
    assert failure.value.__cause__ is None and failure.value.__suppress_context__


def test_a_password_with_blanks_is_in_no_sentence_either(monkeypatch):
    Wire(monkeypatch, [ValueError("no login with me  and\tyou")])
    endpoint = replace(ENDPOINT, auth=("ntlm",), password="me  and\tyou")
    with pytest.raises(_session.ExchangeError) as failure, _session.opened(endpoint):
        pass
    assert "no login with ********" in str(failure.value)


def test_the_password_is_not_logged(wire, caplog):
    caplog.set_level(logging.DEBUG)
    failing(wire, raises=ValueError(SECRET))
    assert SECRET not in caplog.text
