# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.mailops.imap.plugins.module_utils import _contract
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _parameters
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange._clixml import Bag

DISPLAYED = {
    "Version 8.0 (Build 685.24)": ("8.0.685.24", "2007 RTM"),
    "Version 8.1 (Build 240.6)": ("8.1.240.6", "2007 SP1"),
    "Version 8.3 (Build 83.6)": ("8.3.83.6", "2007 SP1"),
    "Version 14.3 (Build 123.4)": ("14.3.123.4", "2010"),
    "Version 15.0 (Build 1497.2)": ("15.0.1497.2", "2013"),
    "Version 15.1 (Build 2507.6)": ("15.1.2507.6", "2016"),
    "Version 15.2 (Build 1118.7)": ("15.2.1118.7", "2019"),
    "Version 15.2 (Build 2562.17)": ("15.2.2562.17", "SE"),
    "15.2.2562.17": ("15.2.2562.17", "SE"),
}


@pytest.mark.parametrize("displayed, expected", DISPLAYED.items())
def test_the_version_tells_the_release(displayed, expected):
    assert _parameters.version(displayed) == expected
    assert _parameters.version(Bag(displayed, {})) == expected


def test_the_version_may_come_as_a_bag():
    assert _parameters.version(Bag(None, {"Major": 15, "Minor": 1, "Build": 2507, "Revision": 6})).release == "2016"


@pytest.mark.parametrize("displayed", ["Version 6.5 (Build 7638.2)", "Version 16.0 (Build 1.1)", "", None])
def test_a_version_that_is_not_known_is_refused(displayed):
    with pytest.raises(ValueError):
        _parameters.version(displayed)


def test_every_setting_of_the_contract_has_a_parameter():
    assert set(_contract.SETTINGS) <= set(_parameters.PARAMETERS) and len(_parameters.PARAMETERS) == 27


@pytest.mark.parametrize(
    "release, count", [("2007 RTM", 16), ("2007 SP1", 17), ("2010", 27), ("2013", 27), ("2016", 27), ("SE", 27)]
)
def test_a_release_has_as_many_settings_as_its_documentation_says(release, count):
    assert sum(_parameters.has(release, name) for name in _parameters.PARAMETERS) == count


def test_what_a_release_lacks_is_refused_by_name_all_in_one_go():
    desired = {"log_file_location": "C:\\Logs", "enable_exact_rfc822_size": True, "message_retrieval_mime_format": "Tnef"}
    assert list(_parameters.violations("2007 RTM", {**desired, "banner": "x"}).values()) == [
        "log_file_location cannot be set on Exchange 2007 RTM, whose Set-ImapSettings has no -LogFileLocation; leave it "
        "out for this host",
        "enable_exact_rfc822_size cannot be set on Exchange 2007 RTM, whose Set-ImapSettings has no "
        "-EnableExactRFC822Size; leave it out for this host",
        "message_retrieval_mime_format cannot be Tnef on Exchange 2007 RTM, which has it from 2007 SP1 on",
    ]
    assert len(_parameters.violations("2007 SP1", desired)) == 1
    assert _parameters.violations("2010", desired) == {}


@pytest.mark.parametrize(
    "release, authenticated, pre_authenticated",
    [
        ("2007 RTM", None, None),
        ("2007 SP1", (1, 18000), (1, 200)),
        ("2010", (1, 86400), (1, 3600)),
        ("2013", (30, 86400), (30, 3600)),
        ("SE", (30, 3600), (30, 3600)),
    ],
)
def test_documented_ranges_span_the_documents_that_contradict_each_other(release, authenticated, pre_authenticated):
    assert _parameters.documented_range(release, "authenticated_connection_timeout") == authenticated
    assert _parameters.documented_range(release, "pre_authenticated_connection_timeout") == pre_authenticated


def test_a_value_outside_of_the_documented_range_is_doubted_and_not_refused():
    (doubt,) = _parameters.doubts("2019", {"pre_authenticated_connection_timeout": 20, "max_connections": 5, "banner": ""})
    assert doubt.startswith("pre_authenticated_connection_timeout is 20, but what Microsoft documents for Exchange 2019")
    assert _parameters.violations("2019", {"pre_authenticated_connection_timeout": 20}) == {}
