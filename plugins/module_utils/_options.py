# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the modules, made from the contract and from the table of server types.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

from . import _exchange
from ._contract import RANGES, SETTINGS
from ._servers import SERVER_TYPES

#: Option to its choices, the default first.
CHOICES = {
    "server_type": ("auto", *SERVER_TYPES, "exchange"),
    "ranges": RANGES,
    "unenforceable": ("fail", "report"),
}


def choice(name):
    """Return the specification of the option ``name`` of CHOICES."""
    return {"type": "str", "choices": list(CHOICES[name]), "default": CHOICES[name][0]}


def argument_spec():
    """Return the argument_spec of imap_settings."""
    return {
        **{name: {"type": "raw"} for name in SETTINGS},
        **{name: choice(name) for name in CHOICES},
        **_exchange.OPTIONS,
    }


def info_spec():
    """Return the argument_spec of imap_settings_info."""
    return {"server_type": choice("server_type"), **_exchange.OPTIONS}


def restart_spec():
    """Return the argument_spec of imap_restart."""
    return {
        "services": {"type": "list", "elements": "str", "required": True},
        "max_wait": {"type": "float"},
        **_exchange.HEALTH_OPTIONS,
        **_exchange.OPTIONS,
    }
