# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values of settings: what a parameter takes, and the forms in which a property comes back over the wire.

In memory a timespan is a number of seconds, a size a number of bytes (None is unlimited), a list a list of texts, and
everything else a text, an integer or a boolean.
"""

from __future__ import annotations

import datetime
import functools
import re
from urllib.parse import urlsplit

from psrpcore import types
from psrpcore.types import PSNoteProperty, PSObject, _serializer

FORMS = ("string", "property_bag", "primitive")
TIMESPAN = "Microsoft.Exchange.Data.EnhancedTimeSpan"
ASSEMBLY = "Version=15.0.0.0, Culture=neutral, PublicKeyToken=31bf3856ad364e35"
SIZE = (
    "Microsoft.Exchange.Data.Unlimited`1[[Microsoft.Exchange.Data.ByteQuantifiedSize, Microsoft.Exchange.Data, "
    f"{ASSEMBLY}]]"
)
UNITS = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}


class Unconvertible(Exception):
    """An argument that PowerShell cannot make into a value of a parameter's type."""


def _exact_duration(value):
    """Text of a <TS> element. psrpcore 0.3.1 itself strips the zeros of whole seconds and writes 30 s as PT3S."""
    sign = "-" if value < datetime.timedelta(0) else ""
    value = abs(value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    parts = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M")) if number)
    if seconds or fraction or not (parts or value.days):
        parts += f"{seconds}{fraction}S"
    return f"{sign}P{f'{value.days}D' if value.days else ''}{'T' if parts else ''}{parts}"


_serializer._serialize_duration = _exact_duration


def bag(type_names, to_string=None, **properties):
    """An object as it is seen from afar: the names of its types, its text and its properties."""
    value = PSObject()
    value.PSObject.type_names = [*type_names, "System.Object"]
    value.PSObject.to_string = to_string
    value.PSObject.adapted_properties = [PSNoteProperty(name, content) for name, content in properties.items()]
    return value


@functools.lru_cache(maxsize=None)
def _enumeration_type(type_name, choices, first):
    """A .NET enumeration whose values psrpcore serialises as PowerShell does: with their text and their number."""
    members = {choice: number for number, choice in enumerate(choices, first)}
    return types.PSType([type_name])(types.PSEnumBase(type_name.rpartition(".")[2], members))


def dotnet_enumeration(type_name, numbers, name):
    """A value of a .NET enumeration, {name: number}."""
    names = tuple(sorted(numbers, key=numbers.get))
    return _enumeration_type(type_name, names, numbers[names[0]])[name]


def moment(time):
    """A time as a <DT>."""
    return types.PSDateTime.fromisoformat(time.isoformat())


def note(name, value):
    """A note property, such as PowerShell adds to an object."""
    return PSNoteProperty(name, value)


def timespan_text(seconds):
    """Seconds as .NET writes a TimeSpan, [d.]hh:mm:ss."""
    days, rest = divmod(seconds, 86400)
    return f"{f'{days}.' if days else ''}{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"


def size_text(size):
    """Bytes as Exchange writes a quantified size, "2 MB (2,097,152 bytes)"; None is "Unlimited"."""
    if size is None:
        return "Unlimited"
    unit = max((unit for unit in UNITS if size >= UNITS[unit]), key=UNITS.get, default="B")
    return f"{size / UNITS[unit]:.4g} {unit} ({size:,} bytes)"


# --- from the wire


def parse(parameter, argument):
    """The value that an argument of a parameter stands for; Unconvertible has the reason, in .NET's words."""
    return _PARSERS[parameter.kind](parameter, argument)


def _timespan(parameter, argument):
    if isinstance(argument, datetime.timedelta):
        return int(argument.total_seconds())
    if isinstance(argument, int) and not isinstance(argument, bool):
        return 0  # Guess: a number is taken as ticks of 100 ns, as [timespan]30 takes it.
    # A bare number in a text is a number of days (.NET's TimeSpan.Parse).
    match = re.fullmatch(r"\s*(?:(\d+)|(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.0{1,7})?)?)\s*", str(argument))
    if not match:
        raise Unconvertible("String was not recognized as a valid TimeSpan.")
    only, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    if hours > 23 or minutes > 59 or seconds > 59:
        raise Unconvertible(
            "The TimeSpan could not be parsed because at least one of the numeric components is out of range or "
            "contains too many digits."
        )
    return (only + days) * 86400 + hours * 3600 + minutes * 60 + seconds


def _integer(parameter, argument):
    try:
        value = int(str(argument)) if not isinstance(argument, bool) else int(argument)
    except ValueError:
        raise Unconvertible("Input string was not in a correct format.") from None
    if not -(2**31) <= value < 2**31:
        raise Unconvertible("Value was either too large or too small for an Int32.")
    return value


def _text(parameter, argument):
    return None if argument is None or argument == "" else str(argument)


def _uri(parameter, argument):
    if argument is None or argument == "":
        return None
    if not urlsplit(str(argument)).scheme:
        raise Unconvertible("Invalid URI: The format of the URI could not be determined.")
    return str(argument)


def _boolean(parameter, argument):
    if isinstance(argument, (bool, int)):
        return bool(argument)
    raise Unconvertible(
        "Boolean parameters accept only Boolean values and numbers, such as $True, $False, 1 or 0 instead."
    )


def _enumeration(parameter, argument):
    text = str(argument)
    if text.isdigit() and parameter.first <= int(text) < parameter.first + len(parameter.choices):
        return parameter.choices[int(text) - parameter.first]
    for choice in parameter.choices:
        if choice.lower() == text.lower():
            return choice
    raise Unconvertible(
        f"Unable to match the identifier name {text} to a valid enumerator name. Specify one of the following "
        f"enumerator names and try again: {', '.join(parameter.choices)}"
    )


def _size(parameter, argument):
    if isinstance(argument, int) and not isinstance(argument, bool):
        return int(argument)
    text = str(argument).strip()
    if text.lower() == "unlimited":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB)?(?:\s*\(([\d,]+) bytes\))?", text, re.IGNORECASE)
    if not match:
        raise Unconvertible(f"The string '{text}' isn't a valid byte quantified size.")
    if match[3]:
        return int(match[3].replace(",", ""))
    return int(float(match[1]) * UNITS[(match[2] or "B").upper()])


_ELEMENTS = {
    "Microsoft.Exchange.Data.IPBinding": r"(\[[0-9a-fA-F:.]+\]|\d{1,3}(\.\d{1,3}){3}):\d{1,5}",
    "Microsoft.Exchange.Data.ProtocolConnectionSettings": r"[A-Za-z0-9._-]+:\d{1,5}(:(SSL|TLS))?",
}


def _list(parameter, argument):
    if argument is None:
        return []
    items = argument if isinstance(argument, (list, tuple)) else [argument]
    for item in items:
        if not re.fullmatch(_ELEMENTS[parameter.element], str(item), re.IGNORECASE):
            raise Unconvertible(f"The string '{item}' isn't a valid {parameter.element.rsplit('.', 1)[1]}.")
    return [str(item) for item in items]


_PARSERS = {
    "timespan": _timespan,
    "integer": _integer,
    "text": _text,
    "uri": _uri,
    "boolean": _boolean,
    "enumeration": _enumeration,
    "size": _size,
    "list": _list,
}


# --- to the wire


def serialise(parameter, value, form):
    """A property's value in one of FORMS.

    string is what Exchange 2016 sent to a client of pypsrp in a recorded answer of Get-Mailbox: <S> for timespans
    ("14.00:00:00"), sizes ("30 GB (32,212,254,720 bytes)", "Unlimited"), enumerations, and texts even when they have no
    value; an object with <LST> of <S> for lists; <DT> for times. property_bag is on record for Exchange Online, whose
    client saw Deserialized.Microsoft.Exchange.Data.ByteQuantifiedSize. Guess: so could a timespan be sent. Guess:
    primitive, where a timespan is a <TS> and a size a number; no version is known to send that.
    """
    if value is None and parameter.kind in ("text", "uri"):
        return "" if parameter.kind == "text" else None
    return _SERIALISERS.get(parameter.kind, lambda parameter, value, form: value)(parameter, value, form)


def _send_timespan(parameter, seconds, form):
    if form == "string":
        return timespan_text(seconds)
    if form == "primitive":
        return types.PSDuration(seconds=seconds)
    return bag(
        [TIMESPAN, "System.ValueType"],
        timespan_text(seconds),
        Days=seconds // 86400,
        Hours=seconds % 86400 // 3600,
        Milliseconds=0,
        Minutes=seconds % 3600 // 60,
        Seconds=seconds % 60,
        Ticks=types.PSInt64(seconds * 10**7),
        TotalDays=types.PSDouble(seconds / 86400),
        TotalHours=types.PSDouble(seconds / 3600),
        TotalMilliseconds=types.PSDouble(seconds * 1000),
        TotalMinutes=types.PSDouble(seconds / 60),
        TotalSeconds=types.PSDouble(seconds),
    )


def _send_size(parameter, size, form):
    if form == "primitive" and size is not None:
        return types.PSInt64(size)
    if form != "property_bag":
        return size_text(size)
    inner = (
        None
        if size is None
        else bag(["Microsoft.Exchange.Data.ByteQuantifiedSize", "System.ValueType"], size_text(size))
    )
    return bag([SIZE, "System.ValueType"], size_text(size), IsUnlimited=size is None, Value=inner)


def _send_enumeration(parameter, name, form):
    if form != "property_bag":
        return name
    return _enumeration_type(parameter.type_name, parameter.choices, parameter.first)[name]


def _send_list(parameter, items, form):
    if form == "property_bag":
        items = [bag([parameter.element], item, **_parts(parameter, item)) for item in items]
    value = types.PSList(items)
    value.PSObject.type_names = [
        f"Microsoft.Exchange.Data.MultiValuedProperty`1[[{parameter.element}, Microsoft.Exchange.Data, {ASSEMBLY}]]",
        "Microsoft.Exchange.Data.MultiValuedPropertyBase",
        "System.Object",
    ]
    return value


def _parts(parameter, item):
    if parameter.element.endswith("IPBinding"):
        address, port = item.rsplit(":", 1)
        return {"Address": address.strip("[]"), "Port": int(port)}
    host, port, encryption = (item.split(":") + [None])[:3]
    return {"Hostname": host, "Port": int(port), "EncryptionType": encryption}


def _send_uri(parameter, address, form):
    return types.PSUri(address)


_SERIALISERS = {
    "timespan": _send_timespan,
    "size": _send_size,
    "enumeration": _send_enumeration,
    "list": _send_list,
    "uri": _send_uri,
}
