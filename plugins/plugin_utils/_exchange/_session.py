# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions with PowerShell on another host: the only place that knows pypsrp, which is imported when it is needed.

Everything that goes wrong comes out as ExchangeError, whose text is one sentence for the user.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import logging
import re
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import NamedTuple

from . import _clixml, _kerberos
from ._options import CONFIGURATION_OF_EXCHANGE

_OPENING = "when the session was opened"

#: WSMan fault codes (MS-WSMV, and seen in the wild): no answer within the operation's time, which asks for another try;
#: no such resource; the shell is gone; access denied.
_TIMED_OUT = 2150858793
_NO_SUCH_RESOURCE = (2150858811, 2150859002)
_SHELL_IS_GONE = (2150858843, 2150858770, 995)
_ACCESS_DENIED = (5, 2147942405)

#: Words of Exchange's throttling and of WinRM's quotas; there is no one code for them.
_WORDS_OF_THROTTLING = (
    "exceeded the maximum number",
    "maximum number of concurrent",
    "quota",
    "throttl",
    "maxconcurrency",
    "concurrent shells",
    "too many",
)


#: The beginning of an object that pypsrp hands back as XML.
_OBJECT = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?<Obj\b")

#: Seconds that a session may take to open, as by PowerShell's own OpenTimeout (New-PSSessionOption).
_PATIENCE = 180

#: Seconds that an answer may take when a session is closed.
_FAREWELL = 10

#: Words of OpenSSL 1.1 to 3.5 for an answer that is not of TLS at all.
_WORDS_OF_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG")


class ExchangeError(Exception):
    """What went wrong, as one sentence for the user, without secrets. ``changed`` is true where something on the server
    was, or may have been, changed before.
    """

    changed = False


class Changed(ExchangeError):
    """What went wrong after something was, or may have been, changed."""

    changed = True


class Refused(ExchangeError):
    """A cmdlet that ran and failed, in the server's own words."""


class _Question(Exception):
    """A server wants to know something of whoever is at the screen; the text says what, on one line."""


class Answer(NamedTuple):
    """What a cmdlet gave: its ``objects`` (see _clixml) and its ``warnings`` (list of str, each on one line)."""

    objects: list
    warnings: list


class Session:
    """An open session; ``user`` is who it is for."""

    def __init__(self, endpoint, pool):
        self.user = endpoint.user or endpoint.who
        self._endpoint = endpoint
        self._pool = pool

    def invoke(self, cmdlet, **parameters):
        """Run a cmdlet and return its Answer. A parameter that is None is sent as $null.

        Raises Refused where the cmdlet fails, and where it writes any error: a failed pipeline raises nothing by
        itself, and pypsrp's ``had_errors`` stays False for errors that do not end the pipeline. Raises ExchangeError
        where its answer does not come, so that nobody knows what it did.
        """
        from pypsrp.complex_objects import PSInvocationState
        from pypsrp.powershell import PowerShell

        with _one_sentence(self._endpoint, f"while {cmdlet} ran"):
            pipeline = PowerShell(self._pool)
            pipeline.add_cmdlet(cmdlet).add_parameters(parameters)
            # It is asked for by the id that was chosen here, also where the answer to its making repeats none.
            pipeline._command_id = pipeline.id
            pipeline.invoke()
            if pipeline.streams.error or pipeline.had_errors or pipeline.state != PSInvocationState.COMPLETED:
                raise Refused(_refusal(cmdlet, self.user, pipeline.streams.error))
            outputs = [_plain(output) for output in pipeline.output if output is not None]
            # A list that was not unrolled on the server counts as what is in it.
            objects = [entry for output in outputs for entry in (output if isinstance(output, list) else [output])]
            return Answer(objects, [" ".join(str(warning.message).split()) for warning in pipeline.streams.warning])


@contextmanager
def opened(endpoint):
    """Yield a Session at an Endpoint, and close it whatever happens."""
    try:
        import pypsrp.powershell
        import pypsrp.wsman
    except ImportError:
        raise ExchangeError(
            "The Python package pypsrp is missing on the controller; install pypsrp[kerberos] where Ansible runs."
        ) from None
    # Without a handler, Python writes this logger's warnings to the terminal, tracebacks included.
    logging.getLogger("pypsrp").addHandler(logging.NullHandler())
    connection, pool = _open(endpoint, pypsrp.wsman.WSMan, pypsrp.powershell.RunspacePool)
    try:
        yield Session(endpoint, pool)
    finally:
        _close(connection, pool)


def _open(endpoint, connect, make_pool):
    """Return an open connection and its pool, by the first of the endpoint's methods that works."""
    earlier = ""
    for auth in endpoint.auth:
        tried = replace(endpoint, auth=(auth,))
        try:
            return _open_with(tried, connect, make_pool)
        except Exception as problem:
            said = earlier + sentence(problem, tried, _OPENING)
            if auth == endpoint.auth[-1] or not _another_method_may_help(problem, tried):
                raise ExchangeError(_masked(said, endpoint)) from None
            earlier = f"{said.rstrip('.')}; without Kerberos: "
    raise AssertionError("an Endpoint has at least one authentication method")


def _open_with(endpoint, connect, make_pool):
    (auth,) = endpoint.auth
    connection = connect(
        endpoint.host,
        port=endpoint.port,
        username=endpoint.user,
        password=endpoint.password,
        ssl=endpoint.protocol == "https",
        path=endpoint.path.strip("/"),
        auth=auth,
        cert_validation=endpoint.verify,
        connection_timeout=endpoint.connection_timeout,
        read_timeout=endpoint.read_timeout,
        operation_timeout=endpoint.operation_timeout,
        **{**endpoint.extra, **_unencrypted(endpoint, auth)},
    )
    _follow_no_redirection(connection.transport)
    pool = make_pool(connection, configuration_name=endpoint.configuration)
    pool._receive = _patient(pool._receive)
    pool._process_host_call = _answer_nothing
    # What a server warns of beside any cmdlet, pypsrp would write to the terminal.
    pool._process_runspacepool_warning = lambda message: None
    try:
        pool.open()
    except BaseException as problem:
        if _may_have_made_a_shell(problem, connection.transport):
            _take_for_open(pool.shell)
        _close(connection, pool)
        raise
    return connection, pool


def _follow_no_redirection(transport):
    """Make the sessions of a pypsrp transport stay at their host: they would log in wherever they are sent."""
    build = transport._build_session

    def build_staying():
        session = build()
        session.max_redirects = 0
        return session

    transport._build_session = build_staying


def _patient(receive):
    """Return the method of a pypsrp pool that receives, which gives up only after _PATIENCE while the pool opens.

    Once it is open, pypsrp itself goes on to ask for what a cmdlet gives.
    """
    from pypsrp.exceptions import WSManFaultError

    until = time.monotonic() + _PATIENCE

    def receive_patiently(*arguments, **more):
        try:
            return receive(*arguments, **more)
        except WSManFaultError as problem:
            if problem.code != _TIMED_OUT or time.monotonic() >= until:
                raise
            return []

    return receive_patiently


def _answer_nothing(message, _response, _pipeline=None):
    """Take what a server says to the screen, and raise _Question for what it waits for an answer to.

    pypsrp would ask for what comes next, and ask again, for good.
    """
    method = str(message.data.mi)
    if method.startswith(("Get", "Read", "Prompt")):
        words = [argument for argument in message.data.mp or () if isinstance(argument, str) and argument]
        raise _Question(" ".join(" ".join((f"{method}:" if words else method, *words)).split()))
    return message.data


def _may_have_made_a_shell(problem, transport):
    """Whether the message that asks a server for a shell was sent and its sender not refused, so that there may be one,
    whatever has answered since.
    """
    import requests.exceptions
    from pypsrp.exceptions import AuthenticationError

    if transport.wrap_required:
        # Who logs in does so before there is a message, because it is encrypted with what the login gives.
        return transport.encryption is not None
    # Otherwise the login comes with the message, and to close the shell would be one more failed logon.
    refused = isinstance(problem, AuthenticationError) or _without_ticket(problem) or _of_credssp(problem)
    unsent = isinstance(problem, (requests.exceptions.SSLError, requests.exceptions.ProxyError))
    return not (refused or unsent or _unreachable(" ".join(str(problem).split())))


def _behind(problem):
    """Return the exception that is meant: pypsrp takes a page that is XHTML, as IIS writes them, for a fault without
    words.
    """
    from pypsrp.exceptions import WinRMTransportError, WSManFaultError

    if isinstance(problem, WSManFaultError) and not any((problem.code, problem.reason, problem.provider_fault)):
        if isinstance(problem.__context__, WinRMTransportError):
            return problem.__context__
    return problem


def _take_for_open(shell):
    """Make pypsrp delete a shell by the id that it chose, where the answer to its Create did not come or has none."""
    from pypsrp.wsman import SelectorSet

    if not shell.opened or shell._selector_set is None:
        shell._selector_set = SelectorSet()
        shell._selector_set.add_option("ShellId", shell.id)
        shell.opened = True


def _unencrypted(endpoint, auth):
    return {"encryption": "never"} if auth == "basic" and endpoint.protocol == "http" else {}


def _close(connection, pool):
    # Of a server that has just not answered in time, nobody waits for as long again.
    with suppress(AttributeError):
        connection.transport.read_timeout = min(connection.transport.read_timeout, _FAREWELL)
    # What is said on the way out changes nothing any more, and must not hide why the session ended.
    with suppress(Exception):
        pool.close()
    with suppress(Exception):
        # pypsrp leaves the shell of a broken pool open, and after a break goes on with the keys of the lost connection,
        # which the server refuses; so the shell is closed with a new logon.
        connection.close()
        connection.transport.session = connection.transport.encryption = None
        pool.shell.close()
    with suppress(Exception):
        connection.close()


def _another_method_may_help(problem, endpoint):
    """Whether it was the method that failed, and nobody has judged the user or the password yet."""
    from pypsrp.exceptions import AuthenticationError

    if isinstance(problem, (AuthenticationError, ValueError)):
        # A ticket was had, but the server does not take it, or offers no method that takes it.
        return True
    # Without a ticket there is NTLM, which needs a password.
    return endpoint.password is not None and _without_ticket(problem) and not _kerberos.has_judged(problem)


def _without_ticket(problem):
    """Whether there was no ticket, for want of a library or of anything else."""
    from spnego.exceptions import FeatureMissingError, SpnegoError

    # Where a password is exchanged for a ticket, pyspnego lets krb5's own exceptions through.
    return isinstance(problem, (ImportError, FeatureMissingError, SpnegoError)) or _kerberos.number(problem) is not None


def _of_credssp(problem):
    return type(problem).__module__.startswith("requests_credssp")


def _plain(output):
    xml = getattr(output, "_xml", None) or output
    if isinstance(xml, str) and _OBJECT.match(xml):
        return _clixml.read(xml)
    if isinstance(output, dict):
        return _clixml.Bag(None, {str(name): _plain(value) for name, value in output.items()})
    return [_plain(entry) for entry in output] if isinstance(output, list) else output


def _refusal(cmdlet, user, records):
    """Return the sentence for a cmdlet that failed with error ``records``."""
    identifiers = " ".join(str(record.fq_error) for record in records)
    words = " and ".join(dict.fromkeys(_quoted(_words(record)) for record in records)) or "it did not say why."
    if "CommandNotFound" in identifiers:
        return (
            f"{cmdlet} is not there for {user}; give the account a management role that has it, such as Server "
            f"Management, and check that the endpoint is Exchange's: {words}"
        )
    if "NamedParameterNotFound" in identifiers:
        return (
            f"{cmdlet} does not take all that it was given; the management roles of {user} hide the parameter, or this "
            f"version of Exchange has none such: {words}"
        )
    return f"{cmdlet} was refused: {words}"


def _quoted(words):
    """Return a server's own words as they stand in a sentence: whole, whatever they have in them, on one line."""
    return f'"{" ".join(str(words).split())}"'


def _words(record):
    message = getattr(record, "details_message", None)
    exception = getattr(record, "exception", None)
    for properties in ("adapted_properties", "extended_properties"):
        message = message or getattr(exception, properties, {}).get("Message")
    return message or getattr(record, "message", None) or record


@contextmanager
def _one_sentence(endpoint, when):
    """Turn whatever the libraries raise into an ExchangeError without the password."""
    try:
        yield
    except ExchangeError as problem:
        raise type(problem)(_masked(str(problem), endpoint)) from None
    except Exception as problem:
        raise ExchangeError(_masked(sentence(problem, endpoint, when), endpoint)) from None


def _masked(text, endpoint):
    """Return ``text`` on one line, without secrets."""
    # What stands between the user of a proxy and its host, also where that is no address.
    proxy = re.search(":([^:]*)@", str(endpoint.extra.get("proxy", "")).partition("//")[2])
    text = " ".join(text.split())
    for secret in (endpoint.password, proxy and proxy.group(1)):
        secret = " ".join((secret or "").split())
        text = text.replace(secret, "********") if secret else text
    return text


def sentence(problem, endpoint, when):
    """Return the sentence for an exception of pypsrp, or of the libraries below it, at an Endpoint."""
    import requests.exceptions
    import urllib3.exceptions
    from pypsrp import exceptions
    from spnego.exceptions import FeatureMissingError, SpnegoError

    problem = _behind(problem)
    url, user = endpoint.url, endpoint.who
    words = " ".join(str(problem).split())
    if isinstance(problem, _Question):
        return (
            f"{url} asked a question {when}, which nobody is there to answer; run it there by hand to see why: "
            f"{_quoted(words)}"
        )
    if isinstance(problem, exceptions.AuthenticationError):
        return _unauthenticated(words, url, endpoint)
    if isinstance(problem, (ImportError, FeatureMissingError)):
        return _library_missing(words, endpoint)
    if isinstance(problem, SpnegoError) or _kerberos.number(problem) is not None:
        if "kerberos" in endpoint.auth or endpoint.password is None:
            return _kerberos.sentence(problem, endpoint)
        return f"There is no logon for {user} at {url}; check ansible_user and ansible_password: {words}"
    if _of_credssp(problem):
        return _credssp(words, url, user)
    if isinstance(problem, requests.exceptions.SSLError):
        return _tls(words, url, endpoint)
    if isinstance(problem, requests.exceptions.ProxyError):
        return (
            f"The proxy on the way to {url} does not let the controller through; check ansible_psrp_proxy and the "
            "variables http_proxy and https_proxy of the environment, or set ansible_psrp_ignore_proxy to true."
        )
    if isinstance(problem, requests.exceptions.ReadTimeout):
        return f"{url} did not answer in time {when}; look at the server, or raise read_timeout in the option exchange."
    if isinstance(problem, (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        if _unreachable(words):
            return f"{url} cannot be reached; check the name, the port, and the firewall between."
        if when != _OPENING:
            return _lost(url, when)
        if endpoint.auth == ("certificate",):
            return _cut_off(words, url)
        return (
            f"The session with {url} was lost {when}; check that what is at that port speaks {endpoint.protocol}, and "
            "run the task again."
        )
    if isinstance(problem, exceptions.WinRMTransportError):
        return _http(problem, url, user, endpoint, when)
    if isinstance(problem, exceptions.WSManFaultError):
        return _fault(problem, url, user, endpoint, when)
    if isinstance(problem, (exceptions.InvalidRunspacePoolStateError, exceptions.InvalidPipelineStateError)):
        return _lost(url, when)
    if isinstance(problem, requests.exceptions.TooManyRedirects):
        where = problem.response.headers.get("Location") if problem.response is not None else None
        return (
            f"{url} redirects to {where or 'another address'}, which is not followed; take this path out of the "
            f"redirection on the server, or set {endpoint.options('protocol', 'host', 'port', 'path')} to where PowerShell "
            "is."
        )
    if isinstance(problem, (requests.exceptions.RequestException, urllib3.exceptions.LocationParseError)):
        return (
            f"{url} cannot be asked {when}; check {endpoint.options('host', 'port')}, and ansible_psrp_proxy: {words}"
        )
    if isinstance(problem, exceptions.InvalidPSRPOperation):
        return f"{url} refused a session to {user}; check its rights and whether the server throttles: {words}"
    if isinstance(problem, UnicodeError) and endpoint.auth == ("basic",):
        # Its words have letters of the password.
        return (
            f"Basic cannot carry the letters of the user or the password to {url}, only those of Latin-1; set auth in "
            "the option exchange to another method."
        )
    if isinstance(problem, OSError):
        return (
            f"A file for the login at {url} cannot be used; check ca_cert in the option exchange, or "
            f"ansible_psrp_certificate_pem and ansible_psrp_certificate_key_pem: {words}"
        )
    if when != _OPENING:
        return (
            f"What {url} answered {when} cannot be read; run the task again, and look at what is in between, such as a "
            f"proxy or a load balancer ({type(problem).__name__}: {words})."
        )
    return (
        f"What {url} answered {when} is not PowerShell remoting; check {endpoint.options('host', 'port', 'path')} "
        f"({type(problem).__name__}: {words})."
    )


def _unreachable(words):
    """Whether a ConnectionError with these words is one of no connection at all."""
    return any(
        text in words for text in ("NewConnectionError", "ConnectTimeout", "Failed to establish", "NameResolution")
    )


def _unauthenticated(words, url, endpoint):
    if "did not response with" in words:
        return f"{url} offers no Kerberos, Negotiate or NTLM; in the option exchange set auth to basic, with https."
    if endpoint.auth == ("kerberos",):
        return (
            f"{url} refused the Kerberos ticket{endpoint.whose}; check that {endpoint.service} is registered for that "
            f"server alone (setspn -Q {endpoint.service}), that its clock is right, and {endpoint.right}."
        )
    if endpoint.auth == ("certificate",):
        return (
            f"{url} refused the certificate; check that ansible_psrp_certificate_pem names one that the server maps to "
            f"an account, and {endpoint.right}."
        )
    how = ""
    if endpoint.auth == ("negotiate",):
        # pyspnego goes on from Kerberos to NTLM without a word.
        how = " by Negotiate, which is Kerberos or, where that gives no ticket, NTLM"
    return (
        f"{url} refused {endpoint.who}{how}; check the user (user@DOMAIN for Kerberos) and the password, and "
        f"{endpoint.right}."
    )


def _library_missing(words, endpoint):
    method, remedy = "Kerberos", "install pypsrp[kerberos] where Ansible runs, or set ansible_psrp_auth to ntlm"
    if endpoint.auth == ("credssp",):
        method, remedy = "CredSSP", "install pypsrp[credssp] where Ansible runs"
    return f"The Python packages for {method} are missing on the controller; {remedy}: {words}"


def _credssp(words, url, user):
    if "being an available" in words:
        return (
            f"{url} offers no CredSSP; enable it there (Enable-WSManCredSSP -Role Server), or set auth in the option "
            "exchange to another method."
        )
    return f"{url} refused {user} by CredSSP; check ansible_user and ansible_password: {words}"


def _tls(words, url, endpoint):
    if any(text in words for text in ("KEY_VALUES_MISMATCH", "PEM lib")):
        return (
            "ansible_psrp_certificate_pem and ansible_psrp_certificate_key_pem must name a certificate and its key, in "
            f"PEM and without a passphrase: {words}"
        )
    if endpoint.auth == ("certificate",) and ("ALERT" in words or "EOF" in words):
        return _cut_off(words, url)
    if any(text in words for text in _WORDS_OF_NO_TLS):
        return (
            f"What answers at {url} speaks no TLS; set {endpoint.options('protocol', 'port')} to those of http, or to "
            f"those of https: {words}"
        )
    if "expired" in words:
        return f"The certificate of {url} has expired; have it renewed on the server."
    return (
        f"The certificate of {url} is not trusted; give ca_cert in the option exchange, or the host's right name: "
        f"{words}"
    )


def _cut_off(words, url):
    # A server that does not trust a client's certificate breaks off, with an alert of TLS that arrives or not.
    return (
        f"{url} broke off when it saw the certificate; have that of ansible_psrp_certificate_pem issued by an authority "
        f"that the server trusts: {words}"
    )


def _lost(url, when):
    return f"The session with {url} was lost {when}; run the task again."


def _http(problem, url, user, endpoint, when):
    if problem.code == 404 and endpoint.configuration == CONFIGURATION_OF_EXCHANGE:
        return (
            f"There is no PowerShell at {url}; check {endpoint.options('host', 'port', 'path')}, and for Exchange 2007 "
            "set access to snap_in."
        )
    if problem.code == 404:
        return f"There is no PowerShell at {url}; check {endpoint.options('host', 'port', 'path')}."
    if problem.code in (401, 403):
        return f"{url} does not let {user} in (HTTP {problem.code}); check {endpoint.right}."
    if problem.code == 407:
        return f"The proxy on the way to {url} asks for a login (HTTP 407); check ansible_psrp_proxy."
    if problem.code in (429, 503):
        return f"{url} is busy or throttles (HTTP {problem.code}); wait, lower forks or serial, and run the task again."
    return f"{url} answered with HTTP {problem.code} {when}; look at the server's event log."


def _fault(problem, url, user, endpoint, when):
    words = _quoted(problem.provider_fault or problem.reason or problem)
    if any(text in words.casefold() for text in _WORDS_OF_THROTTLING):
        return f"{url} throttles {user}; close other sessions, lower forks or serial and try again: {words}"
    if problem.code in _NO_SUCH_RESOURCE:
        return (
            f"{url} has no session configuration {endpoint.configuration}; check "
            f"{endpoint.options('host', 'port', 'path')}: {words}"
        )
    if problem.code == _TIMED_OUT:
        return f"{url} did not answer in time {when}; look at the server, and run the task again: {words}"
    if problem.code in _SHELL_IS_GONE:
        return _lost(url, when)
    if problem.code in _ACCESS_DENIED:
        return (
            f"{url} does not let {user} open {endpoint.configuration}; the account lacks the right, so check "
            f"{endpoint.right}: {words}"
        )
    return f"{url} failed {when}; run the task again, and look at the server's event log where it goes on: {words}"
