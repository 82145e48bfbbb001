# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ansible_collections.mailops.imap.plugins.module_utils import _duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0),
        (1800, 1800),
        (-5, -5),
        ("1800", 1800),
        ("007", 7),
        ("30m", 1800),
        ("1h30m", 5400),
        ("1d", 86400),
        ("1d2h3m4s", 93784),
        ("90s", 90),
        ("00:30:00", 1800),
        ("5:00:00", 18000),
        ("23:59:59", 86399),
        ("1.00:00:00", 86400),
        ("999999999", 999999999),
    ],
)
def test_what_counts_as_a_duration(written, seconds):
    assert _duration.parse(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        True, False, None, 1.0, 1.5, float("nan"), 1e3, [], {}, b"5",
        "", " ", " 5", "5 ", "5\n", "abc", "-5", "+5", "1.5h", "1e3", "30:00", "24:00:00", "1:2:3", "00:60:00",
        "00:00:60",
        "5M", "5H", "m", "5m5m", "5s5m", "1h 30m", "1w", "5ms", "1.1.00:00:00", ".00:00:00", "1000000000", "\u0665",
        "0x10",
    ],
)  # fmt: skip
def test_what_does_not(written):
    with pytest.raises(ValueError):
        _duration.parse(written)


@given(some.integers(0, 9999), some.integers(0, 23), some.integers(0, 59), some.integers(0, 59))
def test_every_way_to_write_it_is_the_same_time(days, hours, minutes, seconds):
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert _duration.parse(f"{days}.{hours:02}:{minutes:02}:{seconds:02}") == total
    assert _duration.parse(f"{days}d{hours}h{minutes}m{seconds}s") == total
    assert _duration.parse(total) == _duration.parse(str(total)) == total


@given(some.text(alphabet="0123456789dhms.:- \n", max_size=12))
def test_the_pattern_for_editors_matches_what_is_parsed(written):
    try:
        _duration.parse(written)
        parsed = True
    except ValueError:
        parsed = False
    # "$" also matches before a line feed at the end, which no editor's "$" does.
    assert (re.search(_duration.PATTERN.replace("$", r"\Z"), written) is not None) == parsed
