# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every setting, in every form that a value of its kind may have on the wire: in sync, and found wrong and set."""

from __future__ import annotations

import pytest

from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _clixml, _parameters, _route, _values
from ansible_collections.mailops.imap.tests.unit.plugins.plugin_utils.fake_exchange import FakeExchange

TIMESPANS = {900: ("00:15:00", "PT15M"), 90: ("00:01:30", "PT1M30S")}
SIZES = {2097152: "2 MB (2,097,152 bytes)", 1048576: "1 MB (1,048,576 bytes)"}


def timespan_forms(seconds, row):
    text, iso = TIMESPANS[seconds]
    yield "text", text
    yield "text with a fraction", f"{text}.0000000"
    yield "TS", _clixml.read(f"<TS>{iso}</TS>")
    yield "object with its text alone", _clixml.read(f'<Obj RefId="0"><ToString>{text}</ToString></Obj>')
    yield "object around it", _clixml.read(f'<Obj RefId="0"><TS>{iso}</TS><MS><S N="Note">x</S></MS></Obj>')
    yield "object around its text", _clixml.read(f'<Obj RefId="0"><S>{text}</S><MS><S N="Note">x</S></MS></Obj>')
    yield "object with Ticks", _clixml.read(f'<Obj RefId="0"><Props><I64 N="Ticks">{seconds}0000000</I64></Props></Obj>')
    yield "object with TotalSeconds", _clixml.read(
        f'<Obj RefId="0"><Props><Db N="TotalSeconds">{seconds}</Db></Props></Obj>'
    )


def size_forms(size, row):
    text = SIZES[size]
    yield "text", text
    yield "number", _clixml.read(f"<U64>{size}</U64>")
    yield "object with its text alone", _clixml.read(f'<Obj RefId="0"><ToString>{text}</ToString></Obj>')
    yield "object around it", _clixml.read(
        f'<Obj RefId="0"><ToString>{text}</ToString><U64>{size}</U64><MS><S N="Note">x</S></MS></Obj>'
    )
    yield "object around its text", _clixml.read(f'<Obj RefId="0"><S>{text}</S><MS><S N="Note">x</S></MS></Obj>')
    yield "object in an object", _clixml.read(
        f'<Obj RefId="0"><Props><B N="IsUnlimited">false</B><Obj N="Value" RefId="1"><ToString>{text}</ToString></Obj>'
        "</Props></Obj>"
    )


def number_forms(number, row):
    yield "I32", _clixml.read(f"<I32>{number}</I32>")
    yield "text", str(number)
    yield "object around it", _clixml.read(f'<Obj RefId="0"><ToString>{number}</ToString><I32>{number}</I32></Obj>')


def boolean_forms(value, row):
    yield "B", _clixml.read(f"<B>{str(value).lower()}</B>")
    yield "text", str(value)
    yield "object around it", _clixml.read(
        f'<Obj RefId="0"><ToString>{value}</ToString><B>{str(value).lower()}</B></Obj>'
    )


def choice_forms(name, row):
    (number,) = (number for number, choice in row.choices.items() if choice == name)
    yield "text", name
    yield "number", number
    yield "object with text and number", _clixml.read(
        f'<Obj RefId="0"><ToString>{name}</ToString><I32>{number}</I32></Obj>'
    )
    yield "object with a number alone", _clixml.read(f'<Obj RefId="0"><I32>{number}</I32></Obj>')


def text_forms(text, row):
    yield "text", text
    yield "object with its text alone", _clixml.read(f'<Obj RefId="0"><ToString>{text}</ToString></Obj>')
    yield "object around it", _clixml.read(f'<Obj RefId="0"><S>{text}</S><MS><S N="Note">x</S></MS></Obj>')


def address_forms(text, row):
    yield from text_forms(text, row)
    yield "URI", _clixml.read(f"<URI>{text}</URI>")
    yield "object with AbsoluteUri", _clixml.read(
        f'<Obj RefId="0"><Props><S N="AbsoluteUri">{text}</S></Props></Obj>'
    )


def list_forms(entries, row):
    texts = "".join(f"<S>{entry}</S>" for entry in entries)
    objects = "".join(
        f'<Obj RefId="{number}"><ToString>{entry}</ToString></Obj>' for number, entry in enumerate(entries, 1)
    )
    yield "LST", _clixml.read(f'<Obj RefId="0"><LST>{texts}</LST></Obj>')
    yield "LST of objects", _clixml.read(f'<Obj RefId="0"><LST>{objects}</LST></Obj>')
    yield "LST beside properties", _clixml.read(
        f'<Obj RefId="0"><LST>{texts}</LST><Props><I32 N="Count">{len(entries)}</I32></Props></Obj>'
    )
    yield "text of all", "{" + ", ".join(entries) + "}"
    yield "parts", [parts(entry) for entry in entries]
    if len(entries) == 1:
        yield "text of the only one", entries[0]


def parts(entry):
    """An entry as an object without a text: address or host name, port, and how it is encrypted."""
    host, colon, rest = entry.rpartition("]:") if entry.startswith("[") else entry.partition(":")
    port, colon, encryption = rest.partition(":")
    name = "Hostname" if encryption else "Address"
    return _clixml.read(
        f'<Obj RefId="0"><Props><S N="{name}">{host.strip("[]")}</S><I32 N="Port">{port}</I32>'
        + (f'<S N="EncryptionType">{encryption}</S>' if encryption else "")
        + "</Props></Obj>"
    )


#: Kind to two values and to the function that gives their forms.
KINDS = {
    "timespan": (900, 90, timespan_forms),
    "size": (2097152, 1048576, size_forms),
    "number": (2000, 1500, number_forms),
    "boolean": (True, False, boolean_forms),
    "text": ("At your service.", "At your Service.", text_forms),
    "name": ("mail.example.com", "imap.example.com", text_forms),
    "path": ("D:\\Logs\\Imap4", "E:\\Logs\\Imap4", text_forms),
    "address": ("https://mail.example.com/owa", "https://mail.example.com/mail", address_forms),
}
LISTS = {
    "bindings": (["192.0.2.1:993", "[2001:db8::1]:993"], ["192.0.2.1:993"], list_forms),
    "connections": (["mail.example.com:993:SSL", "mail.example.com:143:TLS"], ["mail.example.com:143:TLS"], list_forms),
}


def cases():
    """Yield a row of PARAMETERS, a value, another one, and the form and the wire of the first."""
    for row in _parameters.PARAMETERS.values():
        if row.kind == "choice":
            names = list(row.choices.values())
            pairs = [(name, names[position - 1], choice_forms) for position, name in enumerate(names)]
        else:
            kind = LISTS if row.kind == "list" else KINDS
            key = ("bindings" if row.setting.endswith("bindings") else "connections") if kind is LISTS else row.kind
            left, right, forms = kind[key]
            pairs = [(left, right, forms), (right, left, forms)]
        for value, other, forms in pairs:
            for form, wire in forms(value, row):
                yield pytest.param(row, value, other, wire, id=f"{row.setting}-{value}-{form}")


def test_there_are_values_for_every_setting():
    assert {case.values[0].setting for case in cases()} == set(_parameters.PARAMETERS)


@pytest.mark.parametrize("row, value, other, wire", list(cases()))
def test_a_setting_is_in_sync_in_every_form_and_set_where_it_is_not(row, value, other, wire):
    exchange = FakeExchange(**{row.parameter: wire})
    result = _route.converge(exchange.access(), {row.setting: value})
    assert (result["changed"], result["settings"][row.setting]["configured"]) == (False, value)
    result = _route.converge(exchange.access(), {row.setting: other})
    assert [(entry["setting"], entry["drift"]) for entry in result["drift"]] == [(row.setting, "value")]
    assert exchange.did("Set-ImapSettings") == [{"Server": "EX01", row.parameter: _values.write(row.kind, other)}]
