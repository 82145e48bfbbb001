# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.mailops.imap.plugins.module_utils import _contract

AUTHENTICATED = "authenticated_connection_timeout"
PRE_AUTHENTICATED = "pre_authenticated_connection_timeout"
LONGEST = 2147483


def desired(authenticated=None, pre_authenticated=None, ranges="console"):
    return _contract.desired({AUTHENTICATED: authenticated, PRE_AUTHENTICATED: pre_authenticated, "other": 1}, ranges)


@pytest.mark.parametrize(
    ("authenticated", "pre_authenticated", "ranges", "values"),
    [
        (1, 1, "console", {AUTHENTICATED: 1, PRE_AUTHENTICATED: 1}),
        (18000, 200, "console", {AUTHENTICATED: 18000, PRE_AUTHENTICATED: 200}),
        ("5h", "3m20s", "console", {AUTHENTICATED: 18000, PRE_AUTHENTICATED: 200}),
        (LONGEST, LONGEST, "product", {AUTHENTICATED: LONGEST, PRE_AUTHENTICATED: LONGEST}),
        (None, "00:01:00", "console", {PRE_AUTHENTICATED: 60}),
        (None, None, "console", {}),
    ],
)
def test_values_in_range(authenticated, pre_authenticated, ranges, values):
    assert desired(authenticated, pre_authenticated, ranges) == (values, [])


@pytest.mark.parametrize(
    "value", [0, 18001, -5, "abc", "1.5h", "", True, 1e3, "1e3", "30:00", "18001", "5h1s", [5], 1.5]
)
def test_a_refused_value_is_named_with_what_is_allowed(value):
    values, violations = desired(authenticated=value)
    assert values == {}
    assert len(violations) == 1
    shown = {True: "true", 1e3: "1000.0"}.get(value) if isinstance(value, (bool, float)) and value != 1.5 else None
    shown = shown or (f'"{value}"' if isinstance(value, str) else str(value))
    assert violations[0].startswith(f"{AUTHENTICATED} is {shown}, but must be 1 to 18000 seconds, written as ")


@pytest.mark.parametrize(("value", "ranges"), [(201, "console"), (LONGEST + 1, "product"), (0, "product")])
def test_each_setting_and_range_has_its_own_bounds(value, ranges):
    values, violations = desired(pre_authenticated=value, ranges=ranges)
    assert values == {}
    allowed = "1 to 200" if ranges == "console" else f"1 to {LONGEST}"
    assert f"{PRE_AUTHENTICATED} is {value}, but must be {allowed} seconds" in violations[0]


def test_both_values_wrong_are_one_message():
    message = _contract.refusal(desired(18001, 201)[1])
    assert message.startswith("Nothing was changed: ")
    assert f"{AUTHENTICATED} is 18001, but must be 1 to 18000 seconds" in message
    assert f"{PRE_AUTHENTICATED} is 201, but must be 1 to 200 seconds" in message
    assert message.count("\n") == 0 and message.endswith(".")


def advice(authenticated=None, pre_authenticated=None, behind_front=True, found=()):
    given = {AUTHENTICATED: authenticated, PRE_AUTHENTICATED: pre_authenticated}
    given = {name: value for name, value in given.items() if value is not None}
    return _contract.advice(given, dict(found), behind_front)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"authenticated": 1800}, []),
        ({"authenticated": 1799}, ["RFC 3501 and RFC 9051"]),
        ({"authenticated": 1741}, ["RFC 3501 and RFC 9051"]),
        ({"authenticated": 1740}, ["RFC 3501 and RFC 9051", "RFC 2177"]),
        ({"authenticated": 1800, "pre_authenticated": 200}, []),
        ({"authenticated": 100, "pre_authenticated": 100}, ["RFC 3501 and RFC 9051", "RFC 2177"]),
        ({"authenticated": 100, "pre_authenticated": 101}, ["RFC 3501 and RFC 9051", "RFC 2177", "swapped"]),
        ({"pre_authenticated": 101, "found": {AUTHENTICATED: 100}}, ["swapped"]),
        ({"pre_authenticated": 100, "found": {AUTHENTICATED: 100, PRE_AUTHENTICATED: 300}}, []),
        ({"pre_authenticated": 101, "found": {AUTHENTICATED: float("inf")}}, []),
        ({"found": {AUTHENTICATED: 5, PRE_AUTHENTICATED: 6}}, []),
        ({"pre_authenticated": 10}, []),
        ({"pre_authenticated": 9}, ["below 10 seconds"]),
        ({"pre_authenticated": 9, "behind_front": False}, []),
    ],
)
def test_advice_comes_once_for_each_broken_rule(values, words):
    warnings = advice(**values)
    assert len(warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings))


# the kinds of settings


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("max_connections", 1, 1),
        ("max_connections", "2147483647", 2147483647),
        ("banner", "IMAP4 ready: #1", "IMAP4 ready: #1"),
        ("banner", "", ""),
        ("show_hidden_folders_enabled", True, True),
        ("show_hidden_folders_enabled", "False", False),
        ("show_hidden_folders_enabled", "yes", True),
        ("login_type", "SecureLogin", "SecureLogin"),
        ("ssl_bindings", ["0.0.0.0:993"], ["0.0.0.0:993"]),
        ("ssl_bindings", [], []),
        ("ssl_bindings", None, []),
        ("log_per_file_size_quota", "10MB", 10485760),
        ("log_per_file_size_quota", "2 KB", 2048),
        ("log_per_file_size_quota", 0, 0),
        ("log_per_file_size_quota", "unlimited", _contract.UNLIMITED),
    ],
)
def test_each_kind_is_read(name, written, value):
    assert _contract.desired({name: written}, "console") == ({name: value}, [])


@pytest.mark.parametrize(
    ("name", "written", "allowed"),
    [
        ("max_connections", 0, "a whole number, 1 to 2147483647"),
        ("max_connections", 2147483648, "a whole number, 1 to 2147483647"),
        ("max_connections", "1e3", "a whole number, 1 to 2147483647"),
        ("max_connections", True, "a whole number, 1 to 2147483647"),
        ("max_connections", "1\n", "a whole number, 1 to 2147483647"),
        ("max_command_size", 39, "a whole number, 40 to 2147483647"),
        ("proxy_target_port", 65536, "a whole number, 1 to 65535"),
        ("banner", "two\nlines", "text on one line"),
        ("banner", 5, "text on one line"),
        ("show_hidden_folders_enabled", 1, "true or false"),
        ("show_hidden_folders_enabled", "maybe", "true or false"),
        ("login_type", "securelogin", "one of PlainTextLogin, PlainTextAuthentication, SecureLogin"),
        ("ssl_bindings", "0.0.0.0:993", "a list of texts, or null to clear it"),
        ("ssl_bindings", [""], "a list of texts, or null to clear it"),
        ("log_per_file_size_quota", "10 PB", 'a number of bytes, a size such as "10MB", or "unlimited"'),
        ("log_per_file_size_quota", "10MB\n", 'a number of bytes, a size such as "10MB", or "unlimited"'),
        ("log_per_file_size_quota", -1, 'a number of bytes, a size such as "10MB", or "unlimited"'),
    ],
)
def test_each_kind_says_what_is_allowed(name, written, allowed):
    values, violations = _contract.desired({name: written}, "console")
    assert values == {} and violations == [f"{name} is {json.dumps(written)}, but must be {allowed}"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("authenticated_connection_timeout", 1800, "1800 seconds"),
        ("authenticated_connection_timeout", 1.5, "1.5 seconds"),
        ("max_connections", 2147483647, "2147483647 connections"),
        ("max_connections", _contract.UNLIMITED, "unlimited"),
        ("proxy_target_port", 1993, "1993"),
        ("banner", 'say "x"', '"say \\"x\\""'),
        ("banner", "gr\xfcn", '"gr\xfcn"'),
        ("show_hidden_folders_enabled", True, "true"),
        ("ssl_bindings", ["a"], '["a"]'),
    ],
)
def test_messages_say_values_with_their_unit(name, value, words):
    assert _contract.said(name, value) == words
