# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The forms in which values go over the wire, and the texts that parameters take."""

from __future__ import annotations
from xml.etree import ElementTree


import pytest
from exchange_simulator import FORMS, simulator
from exchange_simulator.client import connected, errors, properties, settings


def items(value):
    """The texts of a list, which pypsrp gives as the text of an <LST> element."""
    return [
        element.text if element.tag == "S" else element.findtext("ToString")
        for element in ElementTree.fromstring(value.property_sets[0])
    ]


@pytest.mark.parametrize(
    "seconds, text, duration",
    [
        (30, "00:00:30", "PT30S"),
        (90, "00:01:30", "PT1M30S"),
        (1800, "00:30:00", "PT30M"),
        (3600, "01:00:00", "PT1H"),
        (86400, "1.00:00:00", "P1D"),
        (100000, "1.03:46:40", "P1DT3H46M40S"),
    ],
)
def test_a_timespan_has_three_forms(seconds, text, duration):
    with simulator() as exchange:
        exchange.settings["AuthenticatedConnectionTimeout"] = seconds
        assert settings(exchange)["AuthenticatedConnectionTimeout"] == text
        exchange.form = "primitive"
        assert settings(exchange)["AuthenticatedConnectionTimeout"] == duration
        exchange.form = "property_bag"
        value = settings(exchange)["AuthenticatedConnectionTimeout"]
        assert value.to_string == text
        assert value.types[0] == "Microsoft.Exchange.Data.EnhancedTimeSpan"
        assert value.adapted_properties["TotalSeconds"] == seconds
        assert value.adapted_properties["Ticks"] == seconds * 10**7


@pytest.mark.parametrize(
    "size, text",
    [
        (0, "0 B (0 bytes)"),
        (512, "512 B (512 bytes)"),
        (2097152, "2 MB (2,097,152 bytes)"),
        (1610612736, "1.5 GB (1,610,612,736 bytes)"),
        (None, "Unlimited"),
    ],
)
def test_a_size_says_its_bytes(size, text):
    with simulator() as exchange:
        exchange.settings["LogPerFileSizeQuota"] = size
        assert settings(exchange)["LogPerFileSizeQuota"] == text
        exchange.form = "property_bag"
        value = settings(exchange)["LogPerFileSizeQuota"]
        assert value.to_string == text
        assert value.adapted_properties["IsUnlimited"] is (size is None)
        exchange.form = "primitive"
        assert settings(exchange)["LogPerFileSizeQuota"] == ("Unlimited" if size is None else size)


@pytest.mark.parametrize("form", FORMS)
def test_a_list_keeps_its_elements_in_each_form(form):
    with simulator(form=form) as exchange:
        read = settings(exchange)
        assert items(read["SSLBindings"]) == ["[::]:993", "0.0.0.0:993"]
        assert items(read["InternalConnectionSettings"]) == ["ex01.example.test:993:SSL", "ex01.example.test:143:TLS"]
        assert items(read["ExternalConnectionSettings"]) == []


@pytest.mark.parametrize("form, number", [("string", None), ("property_bag", 3), ("primitive", None)])
def test_an_enumeration_is_its_name_or_has_its_number(form, number):
    with simulator(form=form) as exchange:
        value = settings(exchange)["LoginType"]
        assert str(value) == "SecureLogin"
        assert getattr(value, "property_sets", [None]) == [number]


def test_a_text_without_value_is_empty_and_an_address_without_value_is_null():
    with simulator() as exchange:
        exchange.settings["X509CertificateName"] = None
        read = settings(exchange)
        assert read["X509CertificateName"] == ""
        assert read["OwaServerUrl"] is None


@pytest.mark.parametrize(
    "text, seconds", [("00:45:00", 2700), ("0.00:45:00", 2700), ("0:45", 2700), ("00:45:00.0000000", 2700)]
)
def test_a_timespan_is_read_as_net_reads_it(text, seconds):
    with simulator() as exchange, connected(exchange) as client:
        assert not errors(client.run("Set-ImapSettings", AuthenticatedConnectionTimeout=text))
        assert exchange.settings["AuthenticatedConnectionTimeout"] == seconds


def test_a_bare_number_is_a_number_of_days():
    with simulator(ranges={"AuthenticatedConnectionTimeout": (1, 10**9)}) as exchange, connected(exchange) as client:
        client.run("Set-ImapSettings", AuthenticatedConnectionTimeout="30")
        assert exchange.settings["AuthenticatedConnectionTimeout"] == 30 * 86400


@pytest.mark.parametrize(
    "parameter, argument, reason",
    [
        ("AuthenticatedConnectionTimeout", "soon", "not recognized as a valid TimeSpan"),
        ("AuthenticatedConnectionTimeout", "00:60:00", "numeric components is out of range"),
        ("MaxConnections", "many", "not in a correct format"),
        ("MaxConnections", "2147483648", "too large or too small for an Int32"),
        ("ProtocolLogEnabled", "true", "Boolean parameters accept only Boolean values"),
        ("LoginType", "Sometimes", "Unable to match the identifier name Sometimes"),
        ("LogPerFileSizeQuota", "2 miles", "isn't a valid byte quantified size"),
        ("SSLBindings", "everywhere", "isn't a valid IPBinding"),
        ("ExternalConnectionSettings", ["mail.example.test"], "isn't a valid ProtocolConnectionSettings"),
        ("OwaServerUrl", "mail", "Invalid URI"),
    ],
)
def test_an_argument_of_the_wrong_type_ends_the_pipeline(parameter, argument, reason):
    with simulator() as exchange, connected(exchange) as client:
        shell = client.run("Set-ImapSettings", **{parameter: argument})
        assert shell.had_errors
        (message,) = errors(shell)
        assert message.startswith(f"Cannot process argument transformation on parameter '{parameter}'.")
        assert reason in message


@pytest.mark.parametrize(
    "parameter, argument, kept",
    [
        ("LogPerFileSizeQuota", "2MB", 2097152),
        ("LogPerFileSizeQuota", "2 MB (2,097,152 bytes)", 2097152),
        ("LogPerFileSizeQuota", 1024, 1024),
        ("LogPerFileSizeQuota", "unlimited", None),
        ("LoginType", "plaintextlogin", "PlainTextLogin"),
        ("LoginType", 2, "PlainTextAuthentication"),
        ("ProtocolLogEnabled", True, True),
        ("MaxConnections", "5", 5),
        ("OwaServerUrl", "https://mail.example.test/owa", "https://mail.example.test/owa"),
        ("SSLBindings", ["192.0.2.1:993"], ["192.0.2.1:993"]),
        ("SSLBindings", "192.0.2.1:993", ["192.0.2.1:993"]),
        ("ExternalConnectionSettings", ["mail.example.test:993:SSL"], ["mail.example.test:993:SSL"]),
    ],
)
def test_an_argument_is_converted(parameter, argument, kept):
    with simulator() as exchange, connected(exchange) as client:
        assert not errors(client.run("Set-ImapSettings", **{parameter: argument}))
        assert exchange.settings[parameter] == kept


def test_null_clears_a_list():
    with simulator() as exchange, connected(exchange) as client:
        exchange.settings["ExternalConnectionSettings"] = ["mail.example.test:993:SSL"]
        assert not errors(client.run("Set-ImapSettings", ExternalConnectionSettings=None))
        assert exchange.settings["ExternalConnectionSettings"] == []


def test_a_list_can_be_edited():
    with simulator() as exchange, connected(exchange) as client:
        edit = {"Add": "192.0.2.1:993", "Remove": ["[::]:993"]}
        assert not errors(client.run("Set-ImapSettings", SSLBindings=edit))
        assert exchange.settings["SSLBindings"] == ["0.0.0.0:993", "192.0.2.1:993"]


def test_times_have_the_server_s_offset_and_are_given_in_utc_too():
    with simulator(utc_offset=2) as exchange:
        read = settings(exchange)
        assert read["WhenChanged"].endswith("+02:00")
        assert read["WhenChangedUTC"].endswith("Z")


def test_a_server_s_version_is_a_text_or_has_its_numbers():
    with simulator(form="property_bag") as exchange, connected(exchange) as client:
        value = properties(client.run("Get-ExchangeServer").output[0])["AdminDisplayVersion"]
        assert value.to_string == "Version 15.2 (Build 1118.7)"
        assert [value.adapted_properties[name] for name in ("Major", "Minor", "Build", "Revision")] == [15, 2, 1118, 7]
