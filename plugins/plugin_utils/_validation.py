# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins share: options are refused on the controller, all violations in one message.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import difflib

from ansible_collections.mailops.imap.plugins.module_utils import _contract, _exchange, _options

from . import _schema
from ._exchange import _task

_OPTIONS = tuple(_options.argument_spec())
_PREFIX = "imap_settings_"
#: The variables of the role imap_settings, and what it registers.
ROLE_VARIABLES = tuple(
    _PREFIX + name for name in (*_OPTIONS, *_exchange.HEALTH_OPTIONS, "health_max_wait", "result")
)


def refusal(options):
    """Return the message that refuses ``options`` (name to value), or None where all are allowed."""
    unknown = sorted(set(options) - set(_OPTIONS))
    try:
        violations = [f"{name} is no option, but {', '.join(_OPTIONS)} are" for name in unknown] + _schema.violations(
            options
        )
    except RuntimeError as problem:
        return str(problem)
    exchange = {name: value for name, value in options.items() if name in _exchange.OPTIONS}
    violations += _task.violations(exchange, _exchange.OPTIONS)
    if not violations and not _contract.desired(options, "product")[0]:
        violations.append(f"no setting is given, but at least one of {', '.join(_contract.SETTINGS)} must be")
    return _contract.refusal(violations) if violations else None


def misspelt(variables):
    """Return a warning (list of str) for each of ``variables`` (names) that is almost one of ROLE_VARIABLES."""
    strange = sorted(name for name in variables if name.startswith(_PREFIX) and name not in ROLE_VARIABLES)
    meant = {name: difflib.get_close_matches(name, ROLE_VARIABLES, 1, 0.8) for name in strange}
    return [
        f"{name} is no variable of the role imap_settings and does nothing; {close[0]} may be meant."
        for name, close in meant.items()
        if close
    ]
