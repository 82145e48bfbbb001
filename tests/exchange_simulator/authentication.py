# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who a connection belongs to (Basic, certificates, NTLM, Kerberos, CredSSP), and the encryption that the last three bring.

As on IIS and WinRM, NTLM, Kerberos and CredSSP authenticate a connection: what follows on it needs no further header.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import struct
import threading
from dataclasses import dataclass, field

import spnego
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

BOUNDARY = "Encrypted Boundary"
PROTOCOLS = {
    "CredSSP": "application/HTTP-CredSSP-session-encrypted",
    "Kerberos": "application/HTTP-Kerberos-session-encrypted",
}
SPNEGO = "application/HTTP-SPNEGO-session-encrypted"
BY_CERTIFICATE = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
CREDSSP_PART = 16384  # Of a longer message, CredSSP encrypts parts of this size (MS-WSMV 2.2.9.1.3).
CHANNEL_BOUND = 0x800  # GSS_C_CHANNEL_BOUND_FLAG: MIT's acceptor lets in who does not bind, and tells.
_environment = threading.Lock()


@contextlib.contextmanager
def _variables(**wanted):
    """Environment variables while a token is looked at: there the libraries find users' hashes and the keytab.

    One that was not there is emptied and not removed afterwards: clients in other threads, which read the whole
    environment for proxies, would stumble over the gap.
    """
    wanted = {name: value for name, value in wanted.items() if value}
    with _environment:
        before = {name: os.environ.get(name, "") for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            os.environ.update(before)


@dataclass
class Authority:
    """Who may log on and how.

    `users` is {name: password}; each may give the name alone, DOMAIN\\name or name@domain. `mechanisms` are offered
    in this order: Negotiate, Kerberos, NTLM, CredSSP, Basic; Certificate stands in no header. `ntlm_file` and `keytab` are paths; `bindings` is the hash of the
    certificate, when extended protection asks for channel bindings.
    """

    users: dict[str, str]
    domain: str
    mechanisms: tuple[str, ...]
    ntlm_file: str
    hostname: str = "localhost"
    keytab: str | None = None
    bindings: bytes | None = None
    log: list = field(default_factory=list)

    def __post_init__(self):
        netbios = self.domain.partition(".")[0].upper()
        with open(self.ntlm_file, "w", encoding="utf-8") as stream:
            for name, password in self.users.items():
                stream.write(f":{name}:{password}\n{netbios}:{name}:{password}\n:{name}@{self.domain}:{password}\n")

    def knows(self, name, password):
        plain = re.sub(r"^[^\\]*\\|@.*$", "", name).lower()
        return any(plain == user.lower() and password == known for user, known in self.users.items())

    def context(self, scheme):
        """The acceptor of a Negotiate, Kerberos or NTLM exchange."""
        bindings = (
            GssChannelBindings(application_data=b"tls-server-end-point:" + self.bindings) if self.bindings else None
        )
        with _variables(NTLM_USER_FILE=self.ntlm_file, KRB5_KTNAME=self.keytab):
            return spnego.server(
                hostname=self.hostname,
                service="http",
                protocol=scheme.lower(),
                channel_bindings=bindings,
                options=(
                    spnego.NegotiateOptions.wrapping_winrm
                    if scheme in ("Negotiate", "Kerberos")
                    else spnego.NegotiateOptions.none
                ),
            )

    def step(self, context, token):
        with _variables(NTLM_USER_FILE=self.ntlm_file, KRB5_KTNAME=self.keytab):
            return context.step(token)


def _flags(context):
    """The flags of a Kerberos context as gssapi gives them; pyspnego's own leave some out."""
    while not hasattr(context, "actual_flags"):
        context = context._context
    return int(context.actual_flags)


@dataclass
class Refused(Exception):
    """A 401 with these WWW-Authenticate headers."""

    challenges: list[str]


class Login:
    """The state of one connection; `certificate` gives the client's, as ssl does, or None.

    `mechanism` is Basic, Certificate, NTLM, Kerberos or CredSSP once the user is known.
    """

    def __init__(self, authority, certificate=lambda: None):
        self.authority = authority
        self.certificate = certificate
        self.context = None
        self.scheme = None
        self.user = None
        self.mechanism = None

    def check(self, header):
        """Look at an Authorization header (or None); returns headers for the answer, or raises Refused."""
        scheme, _space, rest = (header or "").partition(" ")
        offered = {name.lower(): name for name in self.authority.mechanisms}
        if not header:
            if self.user and self.mechanism != "Basic":
                return {}
            raise self._refused()
        if scheme == BY_CERTIFICATE:
            return self._check_certificate()
        if scheme.lower() not in offered:
            raise self._refused()
        try:
            data = base64.b64decode(rest, validate=True)
        except ValueError:
            raise self._refused() from None
        if scheme.lower() == "basic":
            name, _colon, password = data.decode("utf-8", "replace").partition(":")
            if not self.authority.knows(name, password):
                raise self._refused()
            self._known(name, "Basic")
            return {}
        return self._token(offered[scheme.lower()], data)

    def _check_certificate(self):
        # Guess: as WinRM, 401 where there is none, or none that is mapped to a user; IIS may say 403.
        names = dict(pair for pairs in (self.certificate() or {}).get("subject", ()) for pair in pairs)
        if names.get("commonName") not in self.authority.users:
            self.authority.log.append("Certificate refused")
            raise self._refused()
        self._known(names["commonName"], "Certificate")
        return {}

    def _token(self, scheme, token):
        if self.context is None or self.context.complete:
            self.context, self.scheme, self.user = self._new_context(scheme), scheme, None
        try:
            answer = self.authority.step(self.context, token)
        except (SpnegoError, AttributeError, KeyError) as problem:
            # pyspnego stumbles over a token that came too late or early, or is of another mechanism than it has.
            self.context = None
            self.authority.log.append(f"{scheme} refused: {problem}")
            raise self._refused() from None
        header = f"{scheme} {base64.b64encode(answer).decode()}" if answer else None
        if not self.context.complete:
            raise Refused([header])
        mechanism = {"ntlm": "NTLM", "kerberos": "Kerberos"}[self.context.negotiated_protocol]
        if scheme == "CredSSP":
            mechanism = "CredSSP"
        if mechanism == "Kerberos" and self.authority.bindings and not _flags(self.context) & CHANNEL_BOUND:
            self.authority.log.append(f"{scheme} refused: not bound to the channel")
            raise self._refused()
        self._known(self.context.client_principal, mechanism)
        return {"WWW-Authenticate": header} if header else {}

    def _new_context(self, scheme):
        try:
            return self.authority.context(scheme)
        except (SpnegoError, ImportError) as problem:
            self.authority.log.append(f"{scheme} not available: {problem}")
            raise self._refused() from None

    def _known(self, user, mechanism):
        if self.user is None:
            self.authority.log.append(f"{mechanism} {user}")
        self.user, self.mechanism = user, mechanism

    def _refused(self):
        self.context = self.user = None
        basic = f'Basic realm="{self.authority.domain}"'
        offered = [name for name in self.authority.mechanisms if name != "Certificate"]
        return Refused([basic if name == "Basic" else name for name in offered])

    # --- encryption (MS-WSMV 2.2.9.1)

    def decrypt(self, data):
        """The message in a multipart/encrypted body; ValueError, if it cannot be read."""
        parts = [part for part in re.split(rb"--\s*Encrypted Boundary(?:--)?\r\n", data) if part]
        message = b""
        if len(parts) % 2:
            raise ValueError("an encrypted message has a header for each part")
        for header, body in zip(parts[::2], parts[1::2]):
            length = int(re.search(rb"Length=(\d+)", header)[1])
            sealed = re.sub(rb"^\s*Content-Type: application/octet-stream\r\n", b"", body)
            (size,) = struct.unpack("<i", sealed[:4])
            try:
                clear = self.context.unwrap_winrm(sealed[4 : 4 + size], sealed[4 + size :])
            except SpnegoError as problem:
                raise ValueError(str(problem)) from None
            if len(clear) != length:
                raise ValueError("an encrypted message has another length than it says")
            message += clear
        return message

    def encrypt(self, message, space):
        """(Content-Type, body); `space` puts a blank before each boundary, which Exchange does and Windows does not."""
        protocol = PROTOCOLS.get(self.scheme, SPNEGO)
        mark = f"--{' ' if space else ''}{BOUNDARY}"
        size = CREDSSP_PART if self.scheme == "CredSSP" else len(message) or 1
        parts = [message[start : start + size] for start in range(0, len(message), size)]
        body = b""
        for part in parts:
            header, sealed, padding = self.context.wrap_winrm(part)
            body += (
                f"{mark}\r\n\tContent-Type: {protocol}\r\n"
                f"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={len(part) + padding}\r\n"
                f"{mark}\r\n\tContent-Type: application/octet-stream\r\n"
            ).encode()
            body += struct.pack("<i", len(header)) + header + sealed
        body += f"{mark}--\r\n".encode()
        kind = "x-multi-encrypted" if len(parts) > 1 else "encrypted"
        return f'multipart/{kind};protocol="{protocol}";boundary="{BOUNDARY}"', body
