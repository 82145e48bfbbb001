# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings, their kinds, units and ranges: the one table that everything else reads.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple, Optional

from . import _duration, _size

UNLIMITED = float("inf")

#: The longest time-out that any server type's own documentation can express (a signed 32-bit number of milliseconds).
LONGEST = 2147483
#: The largest number that Exchange takes for a limit (an Int32), and the servers of Linux besides.
LARGEST = 2147483647

SMALLEST = "smallest"
FRONT = "front"


class Setting(NamedTuple):
    """One row of the contract.

    ``kind`` is a key of KINDS. ``minimum`` and ``maximum`` are what Exchange's console takes, ``product_minimum`` and
    ``product_maximum`` what any product does, in ``unit``; all are None where there are no bounds. ``choices`` are
    those of a choice. ``scope`` says what holds along a chain of servers: SMALLEST value of all, or that of the FRONT,
    the server that clients talk to. ``details`` are sentences for the documentation of the option.
    """

    name: str
    description: str
    kind: str
    unit: str = ""
    minimum: Optional[int] = None
    maximum: Optional[int] = None
    product_minimum: Optional[int] = None
    product_maximum: Optional[int] = None
    choices: tuple = ()
    scope: str = FRONT
    details: tuple = ()


def _duration_setting(name, description, maximum, scope, details):
    return Setting(name, description, "duration", "seconds", 1, maximum, 1, LONGEST, (), scope, details)


def _limit(name, description, unit="connections", smallest=1, details=()):
    return Setting(name, description, "integer", unit, smallest, LARGEST, smallest, LARGEST, (), SMALLEST, details)


def _choice(name, description, *choices):
    return Setting(name, description, "choice", choices=choices)


#: Bounds of the time-outs: Exchange 2010's console, Connection tab. The rest are the parameters of Set-ImapSettings,
#: as Microsoft's documentation of Exchange 2007 to SE has them.
#: A front's time-out for clients that have not logged in also covers its login at the backend (nginx 1.22.1,
#: ngx_mail_proxy_module.c, measured), so the backend's own is never reached.
SETTINGS = {
    row.name: row
    for row in (
        _duration_setting(
            "authenticated_connection_timeout",
            "How long an idle connection may live once its user has logged in.",
            18000,
            SMALLEST,
            (
                "From 1 to 18000 seconds unless O(ranges=product).",
                "RFC 3501 and RFC 9051 ask for at least 1800 seconds. Smaller values are set, with a warning.",
            ),
        ),
        _duration_setting(
            "pre_authenticated_connection_timeout",
            "How long a connection may live whose user has not logged in.",
            200,
            FRONT,
            (
                "From 1 to 200 seconds unless O(ranges=product).",
                "On a mail proxy this also bounds the proxy's own login at the backend, so values below 10 seconds "
                "bring a warning.",
            ),
        ),
        _limit("max_connections", "How many connections the server takes at once."),
        _limit("max_connections_from_single_ip", "How many connections the server takes at once from one address."),
        _limit("max_connections_per_user", "How many connections the server takes at once from one user."),
        _limit("max_command_size", "How long a single command may be.", "bytes", 40),
        Setting("banner", "The text that the server greets with.", "text"),
        _choice(
            "login_type", "How clients may log in.", "PlainTextLogin", "PlainTextAuthentication", "SecureLogin"
        ),
        _choice(
            "calendar_item_retrieval_option",
            "What clients see of calendar items.",
            "iCalendar",
            "IntranetUrl",
            "InternetUrl",
            "Custom",
        ),
        _choice(
            "message_retrieval_mime_format",
            "The format that clients get messages in.",
            "TextOnly",
            "HtmlOnly",
            "HtmlAndTextAlternative",
            "TextEnrichedOnly",
            "TextEnrichedAndTextAlternative",
            "BestBodyFormat",
            "Tnef",
        ),
        Setting("owa_server_url", "The address of Outlook on the web for C(calendar_item_retrieval_option=Custom).", "text"),
        Setting("ssl_bindings", "Addresses and ports that take TLS from the first byte.", "list"),
        Setting("unencrypted_or_tls_bindings", "Addresses and ports that take STARTTLS or no TLS.", "list"),
        Setting("x509_certificate_name", "The host name in the certificate to use.", "text"),
        Setting(
            "proxy_target_port",
            "The port on other servers that connections are handed on to.",
            "integer",
            minimum=1,
            maximum=65535,
            product_minimum=1,
            product_maximum=65535,
        ),
        Setting("show_hidden_folders_enabled", "Whether clients see hidden folders.", "boolean"),
        Setting("enable_exact_rfc822_size", "Whether the size of a message is worked out exactly.", "boolean"),
        Setting("internal_connection_settings", "What clients inside are told to connect to.", "list"),
        Setting("external_connection_settings", "What clients outside are told to connect to.", "list"),
        Setting("enable_gssapi_and_ntlm_auth", "Whether clients may log in with GSSAPI and NTLM.", "boolean"),
        Setting("enforce_certificate_errors", "Whether a wrong certificate of a server ends a connection.", "boolean"),
        _choice(
            "extended_protection_policy",
            "How far clients must use Extended Protection for Authentication.",
            "None",
            "Allow",
            "Require",
        ),
        Setting("protocol_log_enabled", "Whether the protocol log is written.", "boolean"),
        Setting("log_file_location", "The folder of the protocol log.", "text"),
        _choice(
            "log_file_roll_over_settings", "How often a new protocol log begins.", "Hourly", "Daily", "Weekly", "Monthly"
        ),
        Setting("log_per_file_size_quota", "How large a protocol log may grow.", "size", "bytes"),
        Setting("suppress_read_receipt", "Whether a second read receipt is kept back.", "boolean"),
    )
}

RANGES = ("console", "product")

_TIMEOUTS = ("authenticated_connection_timeout", "pre_authenticated_connection_timeout")

#: How a boolean may be written; templates turn booleans into text.
BOOLEANS = {
    spelled: meant
    for meant, words in ((True, ("true", "yes", "on")), (False, ("false", "no", "off")))
    for word in words
    for spelled in (word, word.capitalize(), word.upper())
}
#: What no text may have: a configuration has one line for it.
CONTROL_CHARACTERS = r"[\x00-\x1f\x7f]"


def _integer(setting, written):
    if isinstance(written, str) and re.fullmatch("[0-9]{1,10}", written):
        return int(written)
    if isinstance(written, bool) or not isinstance(written, int):
        raise ValueError("not a whole number")
    return written


def _text(setting, written):
    if not isinstance(written, str) or re.search(CONTROL_CHARACTERS, written):
        raise ValueError("not text on one line")
    return written


def _boolean(setting, written):
    if isinstance(written, bool):
        return written
    if isinstance(written, str) and written in BOOLEANS:
        return BOOLEANS[written]
    raise ValueError("not a boolean")


def _chosen(setting, written):
    if not isinstance(written, str) or written not in setting.choices:
        raise ValueError("not one of the choices")
    return written


def _list(setting, written):
    if not isinstance(written, list) or not all(_text(setting, element) for element in written):
        raise ValueError("not a list of texts")
    return list(written)


def _bounds_in_words(setting, ranges):
    return "%d to %d" % bounds(setting, ranges)


class Kind(NamedTuple):
    """How a kind of setting is read: ``read(setting, written)`` returns the value or raises ValueError;
    ``allowed(setting, ranges)`` tells a user what may be written.
    """

    read: object
    allowed: object


#: Kind to how it is read. Values are seconds or bytes (int, or UNLIMITED), int, str, bool and list of str.
KINDS = {
    "duration": Kind(
        lambda setting, written: _duration.parse(written),
        lambda setting, ranges: f"{_bounds_in_words(setting, ranges)} {setting.unit}, written as a whole number or as a "
        'duration such as "30m", "1h30m" or "00:30:00"',
    ),
    "integer": Kind(_integer, lambda setting, ranges: f"a whole number, {_bounds_in_words(setting, ranges)}"),
    "text": Kind(_text, lambda setting, ranges: "text on one line"),
    "boolean": Kind(_boolean, lambda setting, ranges: "true or false"),
    "choice": Kind(_chosen, lambda setting, ranges: f"one of {', '.join(setting.choices)}"),
    "list": Kind(_list, lambda setting, ranges: "a list of texts, or null to clear it"),
    "size": Kind(
        lambda setting, written: _size.parse(written),
        lambda setting, ranges: 'a number of bytes, a size such as "10MB", or "unlimited"',
    ),
}


def bounds(setting, ranges):
    """Return ``(minimum, maximum)`` of a Setting in its unit for ``ranges``, one of RANGES; None where there are none.

    With ``product`` the server type has the last word, so only what no product takes is refused here.
    """
    if ranges == "console":
        return setting.minimum, setting.maximum
    return setting.product_minimum, setting.product_maximum


def violation(setting, value, ranges):
    """Return the text that tells a user why ``value`` is refused and what is allowed."""
    shown = json.dumps(value, default=str)
    return f"{setting.name} is {shown}, but must be {KINDS[setting.kind].allowed(setting, ranges)}"


def desired(options, ranges):
    """Read the settings out of a task's options.

    ``options`` maps option names to what the user wrote. Names that are no setting are passed over, and so are values
    that are None, but for a list, which None clears.
    Returns ``(values, violations)``: setting name to value as KINDS says, and one text for each value that is refused.
    """
    values = {}
    violations = []
    for setting in SETTINGS.values():
        if setting.name not in options:
            continue
        written = options[setting.name]
        if written is None:
            if setting.kind == "list":
                values[setting.name] = []
            continue
        minimum, maximum = bounds(setting, ranges)
        try:
            value = KINDS[setting.kind].read(setting, written)
            if minimum is not None and not minimum <= value <= maximum:
                raise ValueError("out of bounds")
        except ValueError:
            violations.append(violation(setting, written, ranges))
        else:
            values[setting.name] = value
    return values, violations


def refusal(violations):
    """Return the one message that names every violation."""
    return "Nothing was changed: " + "; ".join(violations) + "."


def shown(value):
    """Return a value as modules return it: UNLIMITED as text, because JSON has no such number."""
    return "unlimited" if value == UNLIMITED else value


def said(name, value):
    """Return the value of the setting ``name`` as a message says it, with its unit."""
    if value == UNLIMITED:
        return "unlimited"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return json.dumps(value, ensure_ascii=False)
    number = int(value) if value == int(value) else value
    return f"{number} {SETTINGS[name].unit}".rstrip()


def advice(values, found, behind_front):
    """Return warnings (list of str) for values that are allowed but break a rule that mail clients rely on.

    ``values`` maps setting name to what is desired, ``found`` to what is in force for those that nobody asks for;
    ``behind_front`` is true where a mail proxy answers the clients.
    """
    authenticated = values.get("authenticated_connection_timeout")
    pre_authenticated = values.get("pre_authenticated_connection_timeout")
    warnings = []
    if authenticated is not None and authenticated < 1800:
        warnings.append(
            f"authenticated_connection_timeout of {authenticated} seconds is below the 1800 seconds that RFC 3501 and "
            "RFC 9051 (section 5.4) ask of an IMAP server; clients that rely on them lose their connection."
        )
    if authenticated is not None and authenticated <= 1740:
        warnings.append(
            f"authenticated_connection_timeout of {authenticated} seconds ends IDLE before the 29 minutes (1740 "
            "seconds) after which RFC 2177 clients renew it; they stop hearing of new mail."
        )
    both = [{**found, **values}.get(name) for name in _TIMEOUTS]
    if set(values) & set(_TIMEOUTS) and not {None, UNLIMITED} & set(both) and both[1] > both[0]:
        warnings.append(
            f"pre_authenticated_connection_timeout of {both[1]} seconds is longer than "
            f"authenticated_connection_timeout of {both[0]} seconds; the two are probably swapped."
        )
    if behind_front and pre_authenticated is not None and pre_authenticated < 10:
        warnings.append(
            f"pre_authenticated_connection_timeout of {pre_authenticated} seconds also bounds the mail proxy's own "
            "login at the backend; below 10 seconds slow logins fail and wrong passwords are answered with an internal "
            "error."
        )
    return warnings
