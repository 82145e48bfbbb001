# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes as the collection's options take them: bytes in, bytes out.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import re

_WEIGHTS = {"": 1, "B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}

#: What a size written as text looks like, as a regular expression that JSON Schema understands too.
PATTERN = "^(?:[0-9]{1,15} ?(?:B|KB|MB|GB|TB)?|unlimited|Unlimited)$"


def parse(value):
    """Return the bytes that ``value`` stands for: int, or infinity for "unlimited".

    ``value`` is a whole number of bytes or text: ``1024``, ``"1024"``, ``"10MB"``, ``"10 MB"`` or ``"unlimited"``.
    Raises ValueError for anything else, booleans included.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        if value in ("unlimited", "Unlimited"):
            return float("inf")
        match = re.fullmatch("([0-9]{1,15}) ?(B|KB|MB|GB|TB|)", value)
        if match:
            return int(match.group(1)) * _WEIGHTS[match.group(2)]
    raise ValueError("not a size")
