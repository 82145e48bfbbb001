# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an Exchange server is reached and as whom: a task's options first, then the host's usual variables. Pure.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from ansible.module_utils.parsing.convert_bool import boolean

CONFIGURATION_OF_EXCHANGE = "Microsoft.Exchange"
CONFIGURATION_OF_WINDOWS = "Microsoft.PowerShell"

#: Variables of the connection plugins ansible.builtin.psrp and winrm that say how to log in to the host.
VARIABLES = (
    "ansible_connection",
    "ansible_host",
    "ansible_user",
    "ansible_password",
    "ansible_port",
    "ansible_psrp_host",
    "ansible_psrp_user",
    "ansible_psrp_port",
    "ansible_psrp_protocol",
    "ansible_psrp_path",
    "ansible_psrp_auth",
    "ansible_psrp_cert_validation",
    "ansible_psrp_cert_trust_path",
    "ansible_psrp_ca_cert",
    "ansible_psrp_connection_timeout",
    "ansible_psrp_read_timeout",
    "ansible_psrp_operation_timeout",
    "ansible_psrp_message_encryption",
    "ansible_psrp_proxy",
    "ansible_psrp_ignore_proxy",
    "ansible_psrp_certificate_key_pem",
    "ansible_psrp_certificate_pem",
    "ansible_psrp_credssp_auth_mechanism",
    "ansible_psrp_negotiate_delegate",
    "ansible_psrp_negotiate_hostname_override",
    "ansible_psrp_negotiate_send_cbt",
    "ansible_psrp_negotiate_service",
    "ansible_winrm_user",
    "ansible_winrm_pass",
    "ansible_winrm_password",
    "ansible_winrm_port",
    "ansible_winrm_scheme",
    "ansible_winrm_path",
    "ansible_winrm_transport",
    "ansible_winrm_server_cert_validation",
    "ansible_winrm_ca_trust_path",
    "ansible_winrm_cert_pem",
    "ansible_winrm_cert_key_pem",
    "ansible_winrm_kerberos_hostname_override",
)

#: What pypsrp takes by the names that the connection plugin psrp gives to its variables, and winrm's variable for it.
_HANDED_ON = {
    "certificate_key_pem": "ansible_winrm_cert_key_pem",
    "certificate_pem": "ansible_winrm_cert_pem",
    "credssp_auth_mechanism": None,
    "negotiate_hostname_override": "ansible_winrm_kerberos_hostname_override",
}

_PROTOCOLS = ("http", "https")

#: The values of variables that pypsrp would refuse in words of its own.
_CHOICES = {
    "ansible_psrp_auth": ("auto", "kerberos", "negotiate", "ntlm", "basic", "credssp", "certificate"),
    "ansible_psrp_protocol": _PROTOCOLS,
    "ansible_psrp_credssp_auth_mechanism": ("auto", "kerberos", "ntlm"),
    "ansible_psrp_message_encryption": ("auto", "always", "never"),
    "ansible_winrm_scheme": _PROTOCOLS,
}

_AUTH_OF_WINRM = ("kerberos", "ntlm", "basic", "credssp", "certificate")


class OptionProblem(Exception):
    """Options that do not go together; the text is one sentence for the user."""


@dataclass(frozen=True)
class Endpoint:
    """One PowerShell endpoint: its address, the session ``configuration`` there, and how to log in.

    ``auth`` lists the methods in the order in which they are tried; ``verify`` is True, False or the path of a bundle
    of certificates; ``connection_timeout``, ``read_timeout`` and ``operation_timeout`` are seconds; ``extra`` is handed
    to pypsrp as it is. The password is left out when the Endpoint is shown.
    """

    host: str
    port: int
    path: str
    protocol: str
    configuration: str
    auth: tuple
    user: Optional[str] = None
    password: Optional[str] = field(default=None, repr=False)
    verify: object = True
    connection_timeout: int = 30
    read_timeout: int = 30
    operation_timeout: int = 20
    extra: dict = field(default_factory=dict, repr=False)

    @property
    def url(self):
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.protocol}://{host}:{self.port}/{self.path.strip('/')}"

    @property
    def who(self):
        """Who logs in, for sentences."""
        if self.user:
            return f"the user {self.user}"
        return "the user of the certificate" if self.auth == ("certificate",) else "the user of the Kerberos ticket"

    @property
    def whose(self):
        """Whose ticket it is, for sentences."""
        return f" of {self.user}" if self.user else ""

    @property
    def right(self):
        """What an account needs there, for sentences."""
        if self.configuration == CONFIGURATION_OF_EXCHANGE:
            return "that the account may use remote PowerShell (Set-User -RemotePowerShellEnabled)"
        return "that the account is a local administrator there"

    def options(self, *names):
        """Return the suboptions of ``exchange`` that say where this is, for sentences."""
        prefix = "" if self.configuration == CONFIGURATION_OF_EXCHANGE else "services_"
        *first, last = (prefix + name for name in names)
        return f"{', '.join(first)} and {last} in the option exchange"

    @property
    def service(self):
        """What Kerberos is asked a ticket for (the service principal name, without the realm)."""
        host = self.extra.get("negotiate_hostname_override") or self.host
        return f"{self.extra.get('negotiate_service', 'HTTP')}/{host}"


def endpoints(options, variables, inventory_hostname):
    """Return ``(exchange, windows)``: the Endpoint of Exchange, and the one of Windows PowerShell on the same host.

    ``options`` are the suboptions of ``exchange`` with their defaults; ``variables`` are those of VARIABLES that the
    host has. Raises OptionProblem.
    """
    given = _Given(options, variables)
    windows_like = str(given.variable("ansible_connection") or "").rpartition(".")[2] in ("psrp", "winrm")
    # Variables may be numbers, or types of Ansible's own.
    host = str(given("host", "ansible_psrp_host", "ansible_host") or inventory_hostname)
    common = {
        "user": given("user", "ansible_psrp_user", "ansible_winrm_user", "ansible_user"),
        "password": given("password", "ansible_winrm_pass", "ansible_winrm_password", "ansible_password"),
        "verify": _verify(given),
        "extra": _extra(given),
    }
    for name, default in (("connection_timeout", 30), ("read_timeout", 30), ("operation_timeout", 20)):
        common[name] = _number(name, given(name, f"ansible_psrp_{name}"), default)
    for name in ("user", "password"):
        common[name] = None if common[name] is None else str(common[name])
    common["read_timeout"] = max(common["read_timeout"], common["operation_timeout"] + 1)

    auth = given("auth", "ansible_psrp_auth") or _winrm_auth(given) or "auto"
    protocol = given("protocol") or ("https" if auth in ("basic", "certificate") else "http")
    exchange = Endpoint(
        host=host,
        port=_number("port", given("port"), 443 if protocol == "https" else 80),
        path=options.get("path") or "PowerShell",
        protocol=protocol,
        configuration=CONFIGURATION_OF_EXCHANGE,
        auth=_methods(auth, protocol, given, "auth", common),
        **common,
    )

    auth = given("services_auth") or auth
    port = given(
        "services_port", "ansible_psrp_port", "ansible_winrm_port", *(["ansible_port"] if windows_like else [])
    )
    protocol = given("services_protocol", "ansible_psrp_protocol", "ansible_winrm_scheme")
    if not protocol:
        secure = windows_like or auth in ("basic", "certificate")
        if port is not None:
            secure = _number("services_port", port) != 5985
        protocol = "https" if secure else "http"
    windows = Endpoint(
        host=given("services_host") or host,
        port=_number("services_port", port, 5986 if protocol == "https" else 5985),
        path=str(given("services_path", "ansible_psrp_path", "ansible_winrm_path") or "wsman"),
        protocol=protocol,
        configuration=CONFIGURATION_OF_WINDOWS,
        auth=_methods(auth, protocol, given, "services_auth", common) if _reached(options) else (auth,),
        **common,
    )
    return exchange, windows


def _number(option, value, default=None):
    """Return a variable or an option as int, ``default`` where it is None. Raises OptionProblem."""
    try:
        number = int(default if value is None else value)
    except (TypeError, ValueError, OverflowError):
        number = 0
    if number < 1:
        raise OptionProblem(
            f"{option} is {value!r}, but must be a whole number above 0; change the option or variable."
        )
    return number


class _Given:
    """The first of an option and some variables that is given."""

    def __init__(self, options, variables):
        self.options = options
        self.variables = variables

    def variable(self, name):
        value = self.variables.get(name)
        return None if value == "" else value

    def __call__(self, option, *variables):
        if self.options.get(option) not in (None, ""):
            return self.options[option]
        return next((self.variable(name) for name in variables if self.variable(name) is not None), None)


def _reached(options):
    return options.get("access") == "snap_in" or options.get("look_at_services", True)


def _winrm_auth(given):
    transports = given.variable("ansible_winrm_transport") or ()
    transports = transports if isinstance(transports, (list, tuple)) else str(transports).split(",")
    return next((str(name).strip() for name in transports if str(name).strip() in _AUTH_OF_WINRM), None)


def _methods(auth, protocol, given, option, login):
    """Return the authentication methods in their order; ``login`` has the ``user``, the ``password`` and ``extra``.

    Exchange answers Kerberos where it refuses Negotiate, so Kerberos comes first. Basic is never tried unasked: it
    hands the password to whoever answers. DOMAIN\\user is a name of Windows' own, which Kerberos does not have.
    """
    named_by_windows = "\\" in (login["user"] or "")
    if auth == "auto":
        return ("negotiate",) if named_by_windows else ("kerberos", "negotiate")
    if auth == "kerberos" and named_by_windows:
        raise OptionProblem(
            f"{option} is kerberos and the user is {login['user']}, but Kerberos takes user@DOMAIN only, the domain in "
            "capitals; write ansible_user so."
        )
    if auth == "basic" and protocol == "http" and not given.options.get("allow_unencrypted"):
        raise OptionProblem(
            f"{option} is basic and the protocol is http, which would send the password in clear; use https, another "
            "method, or set allow_unencrypted in the option exchange."
        )
    if auth == "certificate" and protocol == "http":
        raise OptionProblem(f"{option} is certificate and the protocol is http, but certificates need https; set it.")
    missing = [name for name, value in _needed(auth, login).items() if not value]
    if missing:
        raise OptionProblem(f"{option} is {auth}, which needs {' and '.join(missing)}; set what is missing.")
    return (auth,)


def _needed(auth, login):
    """Return what a method cannot do without: the variable's name to its value."""
    if auth in ("basic", "credssp"):
        return {"ansible_user": login["user"], "ansible_password": login["password"]}
    if auth == "certificate":
        return {
            f"ansible_psrp_{name}": login["extra"].get(name) for name in ("certificate_pem", "certificate_key_pem")
        }
    return {}


def _verify(given):
    if given.options.get("validate_certs") is not None:
        wanted = given.options["validate_certs"]
    else:
        named = given("", "ansible_psrp_cert_validation", "ansible_winrm_server_cert_validation")
        wanted = named not in ("ignore", False)
    if not wanted:
        return False
    return (
        given("ca_cert", "ansible_psrp_cert_trust_path", "ansible_psrp_ca_cert", "ansible_winrm_ca_trust_path") or True
    )


def _extra(given):
    for name, choices in _CHOICES.items():
        value = given.variable(name)
        if value is not None and value not in choices:
            raise OptionProblem(f"{name} is {value}, but must be one of {', '.join(choices)}; change it.")
    extra = {name: given("", f"ansible_psrp_{name}", *([winrm] if winrm else [])) for name, winrm in _HANDED_ON.items()}
    extra["proxy"] = given.variable("ansible_psrp_proxy")
    extra["encryption"] = given.variable("ansible_psrp_message_encryption")
    # The name that Windows' own client asks a ticket for; the connection plugin's own default is another.
    extra["negotiate_service"] = given.variable("ansible_psrp_negotiate_service") or "HTTP"
    for name, variable in (
        ("negotiate_delegate", "ansible_psrp_negotiate_delegate"),
        ("negotiate_send_cbt", "ansible_psrp_negotiate_send_cbt"),
        ("no_proxy", "ansible_psrp_ignore_proxy"),
    ):
        if given.variable(variable) is not None:
            try:
                extra[name] = boolean(given.variable(variable))
            except TypeError:
                raise OptionProblem(
                    f"{variable} is {given.variable(variable)}, but must be true or false; change it."
                ) from None
    return {name: value for name, value in extra.items() if value is not None}
