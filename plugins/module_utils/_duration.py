# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations as the collection's options take them: seconds in, seconds out.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import re

# Nine digits hold 31 years in seconds; more is a slip of the keyboard.
_NUMBER = "[0-9]{1,9}"
_UNITS = f"(?=[0-9])(?:({_NUMBER})d)?(?:({_NUMBER})h)?(?:({_NUMBER})m)?(?:({_NUMBER})s)?"
_TIMESPAN = f"(?:({_NUMBER})[.])?([01]?[0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])"

#: What a duration written as text looks like, as a regular expression that JSON Schema understands too.
PATTERN = "^(?:{}|{}|{})$".format(*(re.sub(r"\((?!\?)", "(?:", part) for part in (_NUMBER, _UNITS, _TIMESPAN)))

_WEIGHTS = (86400, 3600, 60, 1)


def parse(value):
    """Return the seconds (int) that ``value`` stands for.

    ``value`` is a whole number or text: ``1800``, ``"1800"`` (a bare number is always seconds), ``"30m"``, ``"1h30m"``,
    or Exchange's own ``"[d.]hh:mm:ss"`` such as ``"00:30:00"`` and ``"1.00:00:00"``.
    Raises ValueError for anything else, booleans, ``1e3`` and ``"30:00"`` (minutes or hours?) included.
    """
    if isinstance(value, bool):
        raise ValueError("a boolean is not a duration")
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        if re.fullmatch(_NUMBER, value):
            return int(value)
        match = re.fullmatch(_UNITS, value) or re.fullmatch(_TIMESPAN, value)
        if match:
            return sum(int(number or 0) * weight for number, weight in zip(match.groups(), _WEIGHTS))
    raise ValueError("not a whole number of seconds and not a duration")
