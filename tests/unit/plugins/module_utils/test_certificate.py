# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from ansible_collections.mailops.imap.plugins.module_utils._certificate import describe

KEY = ec.generate_private_key(ec.SECP256R1())


def name(*parts):
    return x509.Name([x509.RelativeDistinguishedName([x509.NameAttribute(*attribute) for attribute in part])
                      for part in parts])


def certificate(subject, issuer, not_after=datetime.datetime(2027, 1, 31, 23, 59, 59)):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(KEY.public_key())
        .serial_number(2 ** 150)
        .not_valid_before(datetime.datetime(1999, 1, 1))
        .not_valid_after(not_after)
        .sign(KEY, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


PLAIN = name([(NameOID.COMMON_NAME, "imap.example.org")])


@pytest.mark.parametrize("subject", [
    PLAIN,
    name(),
    name([(NameOID.COUNTRY_NAME, "DE")], [(NameOID.STATE_OR_PROVINCE_NAME, "Hessen")], [(NameOID.LOCALITY_NAME, "K\u00f6ln")],
         [(NameOID.STREET_ADDRESS, "Road 1")], [(NameOID.ORGANIZATION_NAME, "Mail")],
         [(NameOID.ORGANIZATIONAL_UNIT_NAME, "IMAP")], [(NameOID.USER_ID, "7")],
         [(NameOID.DOMAIN_COMPONENT, "example")], [(NameOID.COMMON_NAME, "imap.example.org")]),
    name([(NameOID.EMAIL_ADDRESS, "root@example.org")], [(NameOID.SERIAL_NUMBER, "42")]),
    name([(NameOID.COMMON_NAME, "one"), (NameOID.ORGANIZATION_NAME, "two")], [(NameOID.COMMON_NAME, "three")]),
    name([(NameOID.COMMON_NAME, ' a, "b" + c; <d> \\ ')]),
    name([(NameOID.COMMON_NAME, "#hash"), (NameOID.ORGANIZATION_NAME, "trailing ")]),
    name([(NameOID.COMMON_NAME, "\u90f5\u4fbf", _ASN1Type.BMPString)]),
    name([(NameOID.COMMON_NAME, "\U0001f4e7", _ASN1Type.UniversalString)]),
    name([(NameOID.COMMON_NAME, "x" * 60)], [(NameOID.ORGANIZATION_NAME, "y" * 64)], [(NameOID.LOCALITY_NAME, "z" * 128)]),
    name([(x509.ObjectIdentifier("2.999.1234567.1"), "far away")]),
], ids=lambda subject: subject.rfc4514_string()[:30])
def test_names_are_those_of_rfc_4514(subject):
    assert describe(certificate(subject, PLAIN))["subject"] == subject.rfc4514_string()
    assert describe(certificate(PLAIN, subject))["issuer"] == subject.rfc4514_string()
    assert describe(certificate(PLAIN, subject))["subject"] == "CN=imap.example.org"


@pytest.mark.parametrize("year", [1999, 2027, 2049, 2050, 9999])
def test_end_of_validity(year):
    moment = datetime.datetime(year, 12, 31, 23, 59, 58)
    assert describe(certificate(PLAIN, PLAIN, moment))["not_after"] == "%s-12-31T23:59:58Z" % year
