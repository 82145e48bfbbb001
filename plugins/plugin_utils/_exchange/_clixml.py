# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as PowerShell sends them (CLIXML, MS-PSRP 2.2.5), read into plain Python values.

pypsrp hands back objects whose type it does not know, and lists inside such objects, as XML text; so the whole object
is read here. What is read: None, bool, int, float, str, list, and Bag for an object with properties.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional
from xml.etree import ElementTree


class Bag(NamedTuple):
    """An object: its ToString() as ``text``, its adapted and extended ``properties`` by name, and the ``value`` that it
    wraps: a list, or the number of an enumeration.
    """

    text: Optional[str]
    properties: dict
    value: object = None

    def __repr__(self):
        """What sentences say of it."""
        return repr(self.text) if self.text else f"an object with {', '.join(self.properties) or 'nothing in it'}"


_WHOLE_NUMBERS = ("By", "SB", "U16", "I16", "U32", "I32", "U64", "I64")
_FRACTIONS = ("Sg", "Db")
_LISTS = ("LST", "IE", "QUE", "STK")

#: A UTF-16 code unit that XML cannot hold, MS-PSRP 2.2.5.3.2.
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


def read(xml):
    """Return the plain Python value of one serialised object, ``xml`` being its text.

    Raises ValueError where it is no such object.
    """
    try:
        return _value(ElementTree.fromstring(xml), {})
    except (ElementTree.ParseError, KeyError) as problem:
        raise ValueError(f"not an object as PowerShell sends it: {problem}") from problem


def _value(element, seen):
    tag = element.tag.rpartition("}")[2]
    text = element.text or ""
    if tag == "Nil":
        return None
    if tag == "B":
        return text.lower() == "true"
    if tag in _WHOLE_NUMBERS:
        return int(text)
    if tag in _FRACTIONS:
        return float(text)
    if tag in _LISTS:
        return [_value(child, seen) for child in element]
    if tag == "Ref":
        return seen[element.attrib["RefId"]]
    if tag == "Obj":
        return _object(element, seen)
    return _unescaped(text)


def _object(element, seen):
    text, properties, wrapped = None, {}, None
    for child in element:
        tag = child.tag.rpartition("}")[2]
        if tag in ("TN", "TNRef"):
            continue
        if tag == "ToString":
            text = _unescaped(child.text or "")
        elif tag in ("Props", "MS"):
            properties.update({_unescaped(entry.attrib["N"]): _value(entry, seen) for entry in child})
        elif tag == "DCT":
            properties.update(_dictionary(child, seen))
        else:
            wrapped = _value(child, seen)
    value = wrapped if isinstance(wrapped, list) and not properties else Bag(text, properties, wrapped)
    seen[element.attrib.get("RefId")] = value
    return value


def _dictionary(element, seen):
    for entry in element:
        parts = {child.attrib.get("N"): _value(child, seen) for child in entry}
        yield str(parts["Key"]), parts["Value"]


def _unescaped(text):
    """Return ``text`` with its escaped UTF-16 code units put back."""
    if "_x" not in text:
        return text
    units = _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), text)
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
