# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PRIVATE: only for this collection, may change at any time.

What a certificate says of itself, read from its DER form (RFC 5280). The ssl module decodes only certificates that it
has verified; a probe also has to name the certificate that it was told not to verify.
"""

from __future__ import annotations

# RFC 4514 section 3; every other attribute keeps its dotted number.
ATTRIBUTES = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
}
ENCODINGS = {0x14: "latin-1", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}  # TeletexString, UniversalString, BMPString
EXPLICIT_VERSION = 0xA0
UTC_TIME = 0x17


def describe(der):
    """Return {subject, issuer, not_after} of a certificate in DER form.

    subject and issuer are distinguished names as RFC 4514 writes them; not_after is ISO 8601 in UTC.
    """
    certificate = _children(_children(der)[0][1])
    fields = _children(certificate[0][1])
    if fields[0][0] == EXPLICIT_VERSION:
        del fields[0]
    issuer, validity, subject = (content for tag, content in fields[2:5])
    return {"subject": _name(subject), "issuer": _name(issuer), "not_after": _time(*_children(validity)[1])}


def _children(data):
    """Split the content of a DER value into the (tag, content) pairs that it holds."""
    found = []
    position = 0
    while position < len(data):
        tag, length = data[position], data[position + 1]
        position += 2
        if length & 0x80:
            digits = length & 0x7F
            length = int.from_bytes(data[position:position + digits], "big")
            position += digits
        found.append((tag, data[position:position + length]))
        position += length
    return found


def _name(data):
    """Write a distinguished name: RFC 4514 puts its last part first."""
    parts = []
    for _tag, attributes in reversed(_children(data)):
        pairs = [_children(content) for _tag, content in _children(attributes)]
        parts.append("+".join("%s=%s" % (_attribute(kind), _value(*value)) for (_tag, kind), value in pairs))
    return ",".join(parts)


def _attribute(data):
    numbers = [0]
    for byte in data:
        numbers[-1] = (numbers[-1] << 7) | (byte & 0x7F)
        if not byte & 0x80:
            numbers.append(0)
    first = min(numbers[0] // 40, 2)
    dotted = ".".join(str(number) for number in [first, numbers[0] - 40 * first] + numbers[1:-1])
    return ATTRIBUTES.get(dotted, dotted)


def _value(tag, data):
    text = data.decode(ENCODINGS.get(tag, "utf-8"), "replace")
    escaped = "".join("\\" + character if character in '\\,+"<>;' else character for character in text)
    escaped = escaped.replace("\0", "\\00")
    if escaped.endswith(" "):
        escaped = escaped[:-1] + "\\ "
    return "\\" + escaped if escaped.startswith((" ", "#")) else escaped


def _time(tag, data):
    digits = data.decode("ascii").rstrip("Z")
    if tag == UTC_TIME:
        digits = ("20" if digits < "50" else "19") + digits
    year, month, day, hour, minute, second = (digits[:4],) + tuple(digits[at:at + 2] for at in range(4, 14, 2))
    return "%s-%s-%sT%s:%s:%sZ" % (year, month, day, hour, minute, second)
