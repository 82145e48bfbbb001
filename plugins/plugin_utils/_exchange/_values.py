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
_SIZE = re.compile(r"(\d+(?:[.,]\d{1,2})?)\s*(KB|MB|GB|TB)", re.IGNORECASE)
_SIZE_UNITS = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}

#: A whole number, in groups where a culture writes it so: "2,147,483,647", "2.147.483.647", "2 147 483 647".
_WHOLE = re.compile("-?(?:\\d+|\\d{1,3}([.,'\u2019 \u00a0\u2009\u202f])(?:\\d{2,3}\\1)*\\d{3})")

#: What a timespan's own properties are in seconds: the whole of it, or its parts.
_WHOLES = (("Ticks", Fraction(1, _TICKS)), ("TotalSeconds", 1), ("TotalMilliseconds", Fraction(1, 1000)))
_PARTS = (("Days", 86400), ("Hours", 3600), ("Minutes", 60), ("Seconds", 1), ("Milliseconds", Fraction(1, 1000)))


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
    if isinstance(wire, Bag) and "IsUnlimited" in wire.properties:
        # Microsoft.Exchange.Data.Unlimited, whatever it is of.
        unlimited = str(wire.properties["IsUnlimited"]).casefold() == "true"
        inner = "Unlimited" if unlimited else wire.properties.get("Value")
        inner = wire.text if inner in (None, "") else inner
        if inner in (None, ""):
            raise ValueError(f"{wire!r} says no value")
        return read(kind, inner, choices)
    if kind != "list" and (wire is None or wire == ""):
        return None
    try:
        return KINDS[kind](wire, choices)
    except ValueError as problem:
        raise ValueError(f"{wire!r} is {problem}") from None


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
        known = {name: _fraction(value) for name, value in wire.properties.items()}
        for name, seconds in _WHOLES:
            if known.get(name) is not None:
                return _whole(known[name] * seconds)
        if not wire.text and any(known.get(name) is not None for name, seconds in _PARTS):
            return _whole(sum((known.get(name) or 0) * seconds for name, seconds in _PARTS))
        wire = wire.text
    if isinstance(wire, str):
        match = _TIMESPAN.fullmatch(wire.strip()) or _DURATION.fullmatch(wire.strip())
        if match and any(match.groups()[1:]):
            sign, days, hours, minutes, seconds, fraction = match.groups()
            whole = sum(
                int(n or 0) * weight for n, weight in zip((days, hours, minutes, seconds), (86400, 3600, 60, 1))
            )
            return _whole((-1 if sign else 1) * (whole + Fraction(int(fraction or 0), 10 ** len(fraction or ""))))
    raise ValueError("no timespan")


def _fraction(value):
    """Return a number as Fraction, None for what is none."""
    try:
        return Fraction(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else None
    except (ValueError, OverflowError, ZeroDivisionError):
        return None


def _whole(seconds):
    return int(seconds) if seconds.denominator == 1 else seconds


def _read_size(wire, choices):
    if isinstance(wire, Bag):
        wire = wire.text
    if wire == UNLIMITED:
        return UNLIMITED
    if isinstance(wire, str):
        if wire.strip().casefold() == "unlimited":
            return UNLIMITED
        match = _SIZE_IN_BYTES.search(wire)
        if match:
            return int(re.sub(r"\D", "", match.group(1)))
        match = _SIZE.fullmatch(wire.strip())
        if match:
            return int(Fraction(match.group(1).replace(",", ".")) * _SIZE_UNITS[match.group(2).upper()])
        wire = re.sub(r"(?<=\d)\s*(?:B|bytes?)$", "", wire.strip(), flags=re.IGNORECASE)
    try:
        number = _read_number(wire, choices)
    except ValueError:
        number = -1
    if number < 0:
        raise ValueError("no size")
    return number


def _read_number(wire, choices):
    if isinstance(wire, Bag):
        wire = wire.text
    if isinstance(wire, int) and not isinstance(wire, bool):
        return wire
    if isinstance(wire, float) and wire.is_integer():
        return int(wire)
    if isinstance(wire, str) and _WHOLE.fullmatch(wire.strip()):
        return int(re.sub(r"[^\d-]", "", wire))
    raise ValueError("no number")


def _read_boolean(wire, choices):
    if isinstance(wire, Bag):
        wire = wire.text
    if isinstance(wire, str) and wire.strip().casefold() in ("true", "false"):
        return wire.strip().casefold() == "true"
    if isinstance(wire, bool):
        return wire
    raise ValueError("neither true nor false")


def _read_choice(wire, choices):
    if isinstance(wire, Bag):
        wire = wire.text or (wire.properties.get("value__") if wire.value is None else wire.value)
    if isinstance(wire, str):
        folded = _comparable("choice", wire.strip())
        for name in choices.values():
            if _comparable("choice", name) == folded:
                return name
    try:
        return choices[_read_number(wire, choices)]
    except (ValueError, KeyError):
        raise ValueError(f"none of {', '.join(choices.values())}") from None


def _read_text(wire, choices):
    if isinstance(wire, Bag):
        wire = wire.properties.get("AbsoluteUri") or wire.properties.get("OriginalString") or wire.text
    if isinstance(wire, str):
        return wire
    raise ValueError("no text")


def _read_list(wire, choices):
    if isinstance(wire, Bag):
        # A list of one entry may come as that entry.
        wire = wire.value if wire.value is not None else wire.text or ([wire] if wire.properties else [])
    if isinstance(wire, str):
        # A list turned into text on its way, "{[::]:993, 0.0.0.0:993}", or the only entry.
        wire = [entry for entry in re.split(r"[\s,;]+", wire.strip("{} ")) if entry]
        # Each entry has a port; what has none is the name of a type, and what ends in dots was cut off.
        if any(":" not in entry or entry.endswith(("...", "\u2026")) for entry in wire):
            raise ValueError("no list")
    if not isinstance(wire, (list, type(None))):
        raise ValueError("no list")
    return [_read_text(_entry_text(entry), None).strip() for entry in wire or () if entry not in (None, "")]


def _entry_text(entry):
    """Return an entry of a list as text; one that came as an address or a host name with its port is put together."""
    if isinstance(entry, Bag) and entry.value is not None:
        return entry.value
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
