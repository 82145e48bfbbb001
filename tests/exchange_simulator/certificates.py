# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certificate authority of a test's own, and certificates of a server and of a client, as files in a folder."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificates:
    """Paths of the authority's certificate, and of the server's and the client's certificates and keys; the hash of the
    server's for channel bindings.
    """

    authority: Path
    certificate: Path
    key: Path
    client_certificate: Path
    client_key: Path
    digest: bytes


def make_certificates(folder, names=("localhost", "127.0.0.1"), expired=False, client="administrator"):
    """Make an authority, a certificate for these names, which was valid until yesterday if `expired`, and a client's."""
    now = datetime.datetime.now(datetime.timezone.utc)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Exchange simulator authority")
    authority = (
        x509.CertificateBuilder()
        .subject_name(authority_name)
        .issuer_name(authority_name)
        .public_key(authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=60))
        .not_valid_after(now + datetime.timedelta(days=60))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .add_extension(_usage(signs=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )

    def issue(name, end):
        key = ec.generate_private_key(ec.SECP256R1())
        return key, (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(authority_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=30))
            .not_valid_after(end)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
            .add_extension(_usage(signs=False), critical=True)
        )

    key, builder = issue(names[0], now - datetime.timedelta(days=1) if expired else now + datetime.timedelta(days=30))
    alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
    certificate = builder.add_extension(alternatives, critical=False).sign(authority_key, hashes.SHA256())
    client_key, builder = issue(client, now + datetime.timedelta(days=30))
    client_certificate = builder.sign(authority_key, hashes.SHA256())

    folder = Path(folder)
    made = Certificates(
        folder / "authority.pem",
        folder / "certificate.pem",
        folder / "key.pem",
        folder / "client-certificate.pem",
        folder / "client-key.pem",
        certificate.fingerprint(hashes.SHA256()),
    )
    _write(made.authority, authority)
    _write(made.certificate, certificate, made.key, key)
    _write(made.client_certificate, client_certificate, made.client_key, client_key)
    return made


def _name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _write(path, certificate, key_path=None, key=None):
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    if key:
        plain = serialization.NoEncryption()
        key_path.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        )


def _usage(signs):
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
