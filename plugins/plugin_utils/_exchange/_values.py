# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of Exchange's settings in every form they come in over the wire, read, compared and written. Pure.

How a type arrives depends on the versions at both ends: as text, as a bag of properties, or as a type of PowerShell's
own. The forms are those seen in published output of Exchange 2010 and newer; one setting may come in any of them.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import ipaddress
import re
from fractions import Fraction
from urllib.parse import urlsplit, urlunsplit

from ._clixml import Bag

UNLIMITED = float("inf")

_TICKS = 10_000_000  # in a second: System.TimeSpan.TicksPerSecond

#: System.TimeSpan's ToString(): [-][d.]hh:mm:ss[.fffffff]
_TIMESPAN = re.compile(r"(-)?(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,7}))?")

#: xs:duration, the text of <TS>; PowerShell writes days, hours, minutes and seconds.
_DURATION = re.compile(r"(-)?P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d+))?S)?)?")

#: Microsoft.Exchange.Data.ByteQuantifiedSize's ToString(), "2 MB (2,097,152 bytes)"; the separator is the server's
#: culture's.
_SIZE_IN_BYTES = re.compile(r"\(([^()a-zA-Z]*\d[^()a-zA-Z]*)bytes?\)", re.IGNORECASE)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB)?", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


def read(kind, wire, choices=None):
    """Return the canonical Python value of ``wire``, None where there is none.

    ``kind`` is one of KINDS: ``timespan`` gives seconds (int, or Fraction where they are not whole), ``size`` bytes
    (int, or UNLIMITED), ``number`` int, ``boolean`` bool, ``choice`` a name of ``choices`` (number to name), ``list``
    a list of str, ``text``, ``name``, ``path`` and ``address`` str. Raises ValueError where ``wire`` is none of that.
    """
    if isinstance(wire, Bag) and wire.value is None and not wire.properties:
        wire = wire.text
    if isinstance(wire, Bag) and wire.value is not None and kind not in ("choice", "list"):
        # A simple value becomes an object as soon as somebody gives it a property of his own.
        wire = wire.value
    if kind == "list":
        return _read_list(wire)
    if wire is None or wire == "":
        return None
    return KINDS[kind](wire, choices)


def write(kind, value):
    """Return what is sent for the canonical ``value``: text, number, boolean, list of text, or None, which clears.

    A time is sent as ``[d.]hh:mm:ss`` and never as a bare number, because .NET reads "30" as 30 days.
    """
    if value is None or value in ("", []):
        return None
    if kind == "timespan":
        days, rest = divmod(int(value), 86400)
        text = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
        return f"{days}.{text}" if days else text
    if kind == "size":
        return "unlimited" if value in (UNLIMITED, "unlimited") else f"{int(value)}B"
    if kind == "list":
        return [_bare(entry) for entry in value]
    return _bare(value)


def _bare(value):
    """Return a value as plain Python, which is what PowerShell's types are chosen by; Ansible's own carry marks."""
    if isinstance(value, bool):
        return value
    return int(value) if isinstance(value, int) else "".join(value)


def same(kind, left, right):
    """Whether two canonical values are the same to Exchange: lists without order or case, names and paths without case,
    nothing and the empty text alike.
    """
    return _comparable(kind, left) == _comparable(kind, right)


def shown(value):
    """Return a canonical value as it is returned to users."""
    if value == UNLIMITED:
        return "unlimited"
    return float(value) if isinstance(value, Fraction) else value


def _comparable(kind, value):
    if value is None or value in ("", []):
        return None
    if kind == "list":
        return sorted(_binding(entry) for entry in value)
    if kind == "size":
        return UNLIMITED if value == "unlimited" else value
    if kind == "name":
        return value.casefold()
    if kind == "choice":
        return value.replace("_", "").casefold()
    if kind == "path":
        return value.replace("/", "\\").rstrip("\\").casefold()
    if kind == "address":
        try:
            parts = urlsplit(value)
        except ValueError:
            # It is no address; the server says so in its own words.
            return value
        return urlunsplit(
            parts._replace(scheme=parts.scheme.lower(), netloc=_without_default_port(parts), path=parts.path or "/")
        )
    return value


def _without_default_port(parts):
    """Return host and port of an address in small letters; System.Uri leaves out the port that goes without saying."""
    host, port = parts.netloc.lower(), {"https": ":443", "http": ":80"}.get(parts.scheme.lower())
    return host[: -len(port)] if port and host.endswith(port) else host


def _binding(entry):
    """Return an entry of a list for comparison; an IPv6 address before a port in its one canonical form."""
    text = entry.strip().casefold()
    address, colon, port = text.rpartition(":")
    try:
        return f"[{ipaddress.IPv6Address(address.strip('[]'))}]{colon}{port}"
    except ValueError:
        return text


def _read_timespan(wire, choices):
    if isinstance(wire, Bag):
        for name, in_a_second in (("Ticks", _TICKS), ("TotalSeconds", 1), ("TotalMilliseconds", 1000)):
            if isinstance(wire.properties.get(name), (int, float)):
                return _whole(Fraction(wire.properties[name]) / in_a_second)
        wire = wire.text
    if isinstance(wire, str):
        match = _TIMESPAN.fullmatch(wire.strip()) or _DURATION.fullmatch(wire.strip())
        if match and any(match.groups()[1:]):
            sign, days, hours, minutes, seconds, fraction = match.groups()
            whole = sum(
                int(n or 0) * weight for n, weight in zip((days, hours, minutes, seconds), (86400, 3600, 60, 1))
            )
            return _whole((-1 if sign else 1) * (whole + Fraction(int(fraction or 0), 10 ** len(fraction or ""))))
    raise ValueError(f"{wire!r} is no timespan")


def _whole(seconds):
    return int(seconds) if seconds.denominator == 1 else seconds


def _read_size(wire, choices):
    if isinstance(wire, Bag):
        if wire.properties.get("IsUnlimited") is True:
            return UNLIMITED
        inner = wire.properties.get("Value")
        wire = _read_size(inner, choices) if inner not in (None, "") else wire.text
    if isinstance(wire, (int, float)) and not isinstance(wire, bool):
        return wire if wire == UNLIMITED else int(wire)
    if isinstance(wire, str):
        if wire.strip().casefold() == "unlimited":
            return UNLIMITED
        match = _SIZE_IN_BYTES.search(wire)
        if match:
            return int(re.sub(r"\D", "", match.group(1)))
        match = _SIZE.fullmatch(wire.strip())
        if match:
            return int(Fraction(match.group(1)) * _SIZE_UNITS[(match.group(2) or "").upper()])
    raise ValueError(f"{wire!r} is no size")


def _read_number(wire, choices):
    if isinstance(wire, Bag):
        wire = wire.text
    try:
        if not isinstance(wire, bool):
            return int(wire)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{wire!r} is no number")


def _read_boolean(wire, choices):
    if isinstance(wire, Bag):
        wire = wire.text
    if isinstance(wire, str) and wire.strip().casefold() in ("true", "false"):
        return wire.strip().casefold() == "true"
    if isinstance(wire, bool):
        return wire
    raise ValueError(f"{wire!r} is neither true nor false")


def _read_choice(wire, choices):
    if isinstance(wire, Bag):
        wire = wire.text if wire.text else wire.value
    if isinstance(wire, str) and not wire.strip().isdigit():
        folded = _comparable("choice", wire.strip())
        for name in choices.values():
            if _comparable("choice", name) == folded:
                return name
    elif int(wire) in choices:
        return choices[int(wire)]
    raise ValueError(f"{wire!r} is none of {', '.join(choices.values())}")


def _read_text(wire, choices):
    if isinstance(wire, Bag):
        wire = wire.properties.get("AbsoluteUri") or wire.text
    if isinstance(wire, str):
        return wire
    raise ValueError(f"{wire!r} is no text")


def _read_list(wire):
    if isinstance(wire, Bag):
        wire = wire.value if isinstance(wire.value, list) else wire.text
    if wire is None or wire == "":
        return []
    if isinstance(wire, str):
        # An object turned into text on its way, "{[::]:993, 0.0.0.0:993}", or the only entry.
        wire = re.split(r"\s*,\s*", wire.strip("{} ")) if wire.startswith("{") else [wire]
    return [_read_text(_entry_text(entry), None) for entry in wire if entry not in (None, "")]


def _entry_text(entry):
    """Return an entry of a list as text; one that came as an address or a host name with its port is put together."""
    if isinstance(entry, Bag) and not entry.text:
        properties = entry.properties
        host, port = properties.get("Address") or properties.get("Hostname"), properties.get("Port")
        host = host.text if isinstance(host, Bag) else host
        kind = properties.get("EncryptionType")
        kind = kind.text if isinstance(kind, Bag) else kind
        if host and port is not None:
            host = f"[{host}]" if ":" in host and not host.startswith("[") else host
            return ":".join(str(part) for part in (host, port, kind) if part not in (None, ""))
    return entry


KINDS = {
    "timespan": _read_timespan,
    "size": _read_size,
    "number": _read_number,
    "boolean": _read_boolean,
    "choice": _read_choice,
    "text": _read_text,
    "name": _read_text,
    "path": _read_text,
    "address": _read_text,
    "list": _read_list,
}
