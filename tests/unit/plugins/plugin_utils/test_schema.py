# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ansible_collections.mailops.imap.plugins.module_utils import _contract
from ansible_collections.mailops.imap.plugins.plugin_utils import _schema, _validation

AUTHENTICATED = "authenticated_connection_timeout"
PRE_AUTHENTICATED = "pre_authenticated_connection_timeout"


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(_schema.generated())


REFUSED = [0, 18001, -5, "abc", "1.5h", "", True, False, 1e3, "1e3", "30:00", "18001", "5h1s", 1.5, [], {}, "5\n", " 5"]


@pytest.mark.parametrize("value", REFUSED)
def test_what_is_refused(value):
    message = _validation.refusal({AUTHENTICATED: value})
    assert message == _contract.refusal(_contract.desired({AUTHENTICATED: value}, "console")[1])
    assert message.startswith(f"Nothing was changed: {AUTHENTICATED} is ")


@pytest.mark.parametrize(
    "options",
    [
        {AUTHENTICATED: 1},
        {AUTHENTICATED: 18000, PRE_AUTHENTICATED: 200},
        {AUTHENTICATED: "5h", PRE_AUTHENTICATED: None, "server_type": "nginx", "ranges": None},
        {PRE_AUTHENTICATED: 2147483, "ranges": "product", "unenforceable": "report"},
    ],
)
def test_what_is_allowed(options):
    assert _validation.refusal(options) is None


def test_every_violation_is_in_one_message():
    message = _validation.refusal(
        {
            AUTHENTICATED: 18001,
            PRE_AUTHENTICATED: 201,
            "server_type": "exim",
            "ranges": "any",
            "unenforceable": 5,
            "time": 1,
        }
    )
    for words in (
        f"{AUTHENTICATED} is 18001, but must be 1 to 18000 seconds",
        f"{PRE_AUTHENTICATED} is 201, but must be 1 to 200 seconds",
        'server_type is "exim", but must be one of auto, nginx, ',
        'ranges is "any", but must be one of console, product',
        "unenforceable is 5, but must be one of fail, report",
        f"time is no option, but {AUTHENTICATED}, ",
    ):
        assert words in message
    assert "\n" not in message


def test_the_range_goes_with_the_product():
    assert "1 to 2147483 seconds" in _validation.refusal({AUTHENTICATED: 2147484, "ranges": "product"})


@pytest.mark.parametrize("options", [{}, {AUTHENTICATED: None}, {"server_type": "nginx"}])
def test_a_task_without_a_setting_is_refused(options):
    assert "no setting is given, but at least one of" in _validation.refusal(options)


def test_a_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setattr(_schema, "jsonschema", None)
    assert _validation.refusal({AUTHENTICATED: 5}) == (
        "The Python package jsonschema is missing on the controller; install it where Ansible runs."
    )


ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers(-10, 3000000) | some.floats() | some.text(max_size=5)
    | some.from_regex(r"([0-9]{1,4}d)?([0-9]{1,3}h)?([0-9]{1,4}m)?([0-9]{1,6}s)?", fullmatch=True)
    | some.from_regex(r"([0-9]{1,2}\.)?[0-9]{1,2}:[0-9]{2}:[0-9]{2}\n?", fullmatch=True),
    lambda inner: some.lists(inner, max_size=2) | some.dictionaries(some.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)  # fmt: skip


@given(ANYTHING, ANYTHING, some.sampled_from(["console", "product"]))
def test_the_controller_refuses_what_the_server_refuses(authenticated, pre_authenticated, ranges):
    options = {AUTHENTICATED: authenticated, PRE_AUTHENTICATED: pre_authenticated}
    assert _schema.violations({**options, "ranges": ranges}) == _contract.desired(options, ranges)[1]


@pytest.mark.parametrize("name", list(_contract.SETTINGS))
@given(written=ANYTHING | some.text() | some.sampled_from([*_contract.BOOLEANS, "None", "Daily", "10MB", "7 KB", "unlimited"])
       | some.integers() | some.from_regex("[0-9]{1,11}\n?", fullmatch=True) | some.lists(some.text()))  # fmt: skip
def test_the_controller_refuses_what_the_server_refuses_for_every_setting(name, written):
    assert _schema.violations({name: written}) == _contract.desired({name: written}, "console")[1]


@given(ANYTHING)
def test_editors_are_told_what_the_schema_alone_can_tell(value):
    """Without the keywords of this collection's own, whatever is allowed passes."""
    for name in _contract.SETTINGS:
        if not _contract.desired({name: value}, "console")[1] and value is not None:
            jsonschema.Draft202012Validator(_schema.generated()).validate({f"imap_settings_{name}": value})
