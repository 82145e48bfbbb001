# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _clixml, _values
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange._clixml import Bag

SECONDS = st.integers(min_value=0, max_value=10**7)
LOGIN = {1: "PlainTextLogin", 2: "PlainTextAuthentication", 3: "SecureLogin"}
BINDINGS = ["[::]:993", "0.0.0.0:993"]


def timespan_text(seconds):
    """Seconds as System.TimeSpan writes them."""
    days, rest = divmod(seconds, 86400)
    return (f"{days}." if days else "") + f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"


def iso_text(seconds):
    """Seconds as <TS> has them: xs:duration, parts that are zero left out."""
    days, rest = divmod(seconds, 86400)
    parts = [(rest // 3600, "H"), (rest % 3600 // 60, "M"), (rest % 60, "S")]
    time = "".join(f"{number}{unit}" for number, unit in parts if number)
    return f"P{f'{days}D' if days else ''}{f'T{time}' if time else ''}" if days or time else "PT0S"


# timespans


@given(SECONDS)
def test_a_timespan_is_the_same_seconds_in_every_form(seconds):
    text = timespan_text(seconds)
    for wire in (
        text,
        f"{text}.0000000",
        iso_text(seconds),
        Bag(text, {}),
        Bag(None, {"Ticks": seconds * 10**7}),
        Bag(None, {"TotalSeconds": float(seconds)}),
        Bag(text, {"Ticks": seconds * 10**7, "TotalSeconds": float(seconds), "Days": 0}),
        _clixml.read(f"<TS>{iso_text(seconds)}</TS>"),
    ):
        assert _values.read("timespan", wire) == seconds


@given(SECONDS)
def test_a_timespan_is_sent_in_the_form_that_it_is_read_in(seconds):
    sent = _values.write("timespan", seconds)
    assert sent == timespan_text(seconds) and _values.read("timespan", sent) == seconds


def test_a_day_is_not_sent_as_24_hours():
    assert _values.write("timespan", 86400) == "1.00:00:00"
    assert _values.write("timespan", 30) == "00:00:30"


@pytest.mark.parametrize(
    "properties",
    [
        {"Ticks": "18000000000"},
        {"TotalSeconds": "1800"},
        {"TotalMilliseconds": 1800000},
        {"Days": 0, "Hours": 0, "Minutes": 30, "Seconds": 0, "Milliseconds": 0},
        {"Hours": 0, "Minutes": "29", "Seconds": "60"},
        {"IsUnlimited": False, "Value": Bag("00:30:00", {"Ticks": 18000000000})},
        {"IsUnlimited": False, "Value": "PT30M"},
    ],
)
def test_a_timespan_comes_in_bags_of_every_kind(properties):
    assert _values.read("timespan", Bag(None, properties)) == 1800


def test_a_timespan_that_is_not_whole_seconds_is_not_rounded():
    assert _values.read("timespan", "00:00:30.5000000") == Fraction(61, 2)
    assert _values.read("timespan", "PT30.5S") == Fraction(61, 2)
    assert not _values.same("timespan", 30, _values.read("timespan", "PT30.5S"))


@pytest.mark.parametrize(
    "wire",
    [
        *("30", "", "P", "PT", "30:00", "half an hour", True, 30, Bag("30", {}), [30]),
        *(Bag(None, {"Ticks": True}), Bag("Unlimited", {"IsUnlimited": True}), Bag(None, {"Ticks": float("nan")})),
    ],
)
def test_what_is_no_timespan_is_not_taken_for_one(wire):
    if wire == "":
        assert _values.read("timespan", wire) is None
    else:
        with pytest.raises(ValueError):
            _values.read("timespan", wire)


# sizes


@given(st.integers(min_value=0, max_value=10**15))
def test_a_size_is_the_same_bytes_in_every_form(size):
    for separator in (",", ".", " ", "\u00a0", "'", ""):
        grouped = f"{size:,}".replace(",", separator)
        text = f"1.5 MB ({grouped} bytes)"
        for wire in (
            text,
            Bag(text, {}),
            Bag(text, {"IsUnlimited": False, "Value": Bag(text, {})}),
            Bag(None, {"IsUnlimited": False, "Value": size}),
            size,
            str(size),
            _values.write("size", size),
        ):
            assert _values.read("size", wire) == size


@pytest.mark.parametrize("wire", ["Unlimited", "unlimited", Bag("Unlimited", {}), Bag(None, {"IsUnlimited": True})])
def test_unlimited_is_unlimited(wire):
    assert _values.read("size", wire) == _values.UNLIMITED
    assert _values.write("size", _values.UNLIMITED) == "unlimited"
    assert _values.shown(_values.UNLIMITED) == "unlimited"


def test_a_size_with_a_unit_counts_in_powers_of_1024():
    assert _values.read("size", "2MB") == _values.read("size", "2 MB (2,097,152 bytes)") == 2097152


@pytest.mark.parametrize(
    "wire, size",
    [
        ("1,5 MB", 1572864),
        ("1.5 MB", 1572864),
        ("1,572,864 bytes", 1572864),
        ("1.024", 1024),
        ("1.024 bytes", 1024),
        ("1024B", 1024),
        (Bag(None, {"IsUnlimited": "False", "Value": "1 KB"}), 1024),
        (Bag(None, {"IsUnlimited": "True", "Value": None}), _values.UNLIMITED),
    ],
)
def test_sizes_of_other_cultures_and_in_other_bags(wire, size):
    assert _values.read("size", wire) == size


@pytest.mark.parametrize(
    "wire",
    [
        *("much", "2 XB", [1], Bag(None, {"Bytes": 1}), True, "1,024 KB", "1.024 KB", 1.5, "1.5", -1, "-1"),
        *(Bag(None, {"IsUnlimited": False}), Bag("", {"IsUnlimited": False, "Value": None})),
    ],
)
def test_what_is_no_size_is_not_taken_for_one(wire):
    with pytest.raises(ValueError):
        _values.read("size", wire)


# the rest


@pytest.mark.parametrize("number, name", LOGIN.items())
def test_a_choice_comes_by_name_or_by_number(number, name):
    for wire in (name, name.upper(), number, str(number), Bag(name, {}, number), Bag(None, {}, number)):
        assert _values.read("choice", wire, LOGIN) == name


@pytest.mark.parametrize("wire", [Bag(None, {"value__": 3}), Bag("SecureLogin", {"value__": 3}), 3.0, " securelogin "])
def test_a_choice_comes_in_other_bags(wire):
    assert _values.read("choice", wire, LOGIN) == "SecureLogin"


@pytest.mark.parametrize("wire", ["Telnet", 4, "4", Bag("Telnet", {}, 9), True, 3.7, [3], Bag(None, {"X": 3})])
def test_a_choice_that_is_not_known_is_refused(wire):
    with pytest.raises(ValueError):
        _values.read("choice", wire, LOGIN)


@pytest.mark.parametrize(
    "wire",
    [
        BINDINGS,
        Bag(None, {}, BINDINGS),
        Bag("{[::]:993, 0.0.0.0:993}", {}),
        "{[::]:993, 0.0.0.0:993}",
        [Bag(entry, {}) for entry in BINDINGS],
        [Bag(None, {"Address": "::", "Port": 993}), Bag(None, {"Address": "0.0.0.0", "Port": 993})],
        "[::]:993,0.0.0.0:993",
        "[::]:993 0.0.0.0:993",
        "[::]:993;0.0.0.0:993",
        Bag("System.Collections.ArrayList", {"Count": 2}, BINDINGS),
        [Bag(None, {}, entry) for entry in BINDINGS],
    ],
)
def test_a_list_is_the_same_in_every_form(wire):
    assert _values.read("list", wire) == BINDINGS


@pytest.mark.parametrize(
    "wire", ["[::]:993", Bag("[::]:993", {}), Bag(None, {"Address": "::", "Port": 993}), Bag("", {"Address": "::", "Port": 993})]
)
def test_a_list_of_one_entry_may_come_as_that_entry(wire):
    assert _values.read("list", wire) == BINDINGS[:1]


@pytest.mark.parametrize(
    "wire",
    [
        *("System.Collections.ArrayList", "{[::]:993, 0.0...}", "{[::]:993, 0.0.0.0:\u2026}", 993, [993]),
        *(Bag(None, {"Count": 1}), [Bag(None, {"Count": 1})], [BINDINGS]),
    ],
)
def test_what_is_no_list_is_not_taken_for_one(wire):
    with pytest.raises(ValueError):
        _values.read("list", wire)


@pytest.mark.parametrize("wire", [None, "", [], "{}", Bag("", {}), Bag(None, {}, []), Bag("A.List", {"Count": 0}, []), [None]])
def test_an_empty_list_is_the_same_in_every_form_and_is_sent_as_null(wire):
    assert _values.read("list", wire) == []
    assert _values.same("list", [], _values.read("list", wire))
    assert _values.write("list", []) is None


@given(st.lists(st.sampled_from(["mail.example.com:993:SSL", "mail.example.com:143:TLS", "a:1:SSL"]), unique=True))
def test_lists_are_compared_without_order_and_case(entries):
    assert _values.same("list", entries, [entry.upper() for entry in reversed(entries)])
    assert not _values.same("list", entries, [*entries, "b:2:SSL"])


def test_addresses_in_lists_are_compared_in_their_one_form():
    assert _values.same("list", ["[::1]:993"], ["[0:0:0:0:0:0:0:1]:993"])
    assert not _values.same("list", ["[::1]:993"], ["[::1]:143"])


def test_names_and_paths_are_compared_without_case_and_a_banner_is_not():
    assert _values.same("name", "Mail.Example.COM", "mail.example.com")
    assert not _values.same("name", "mail_ex.example.com", "mailex.example.com")
    assert _values.same("address", "https://m.example.com:443/owa", "HTTPS://m.example.com/owa")
    assert not _values.same("address", "https://m.example.com:444/owa", "https://m.example.com/owa")
    assert _values.same("path", "C:\\Logs\\Imap4\\", "c:\\logs\\imap4")
    assert _values.same("address", "https://MAIL.example.com", "https://mail.example.com/")
    assert not _values.same("address", "https://mail.example.com/owa", "https://mail.example.com/OWA")
    assert not _values.same("text", "Ready.", "ready.")


def test_a_text_that_is_no_address_is_compared_as_it_is():
    assert _values.same("address", "https://[m", "https://[m")
    assert not _values.same("address", "https://[m", "https://mail.example.com/owa")


@pytest.mark.parametrize("kind", ["text", "name", "path", "address"])
def test_no_text_and_the_empty_text_are_the_same_and_sent_as_null(kind):
    assert _values.same(kind, "", _values.read(kind, None)) and _values.write(kind, "") is None


@pytest.mark.parametrize("wire", [True, "True", "true", Bag("True", {}, True)])
def test_a_boolean_comes_as_itself_or_as_text(wire):
    assert _values.read("boolean", wire) is True


def test_a_number_is_no_boolean_and_a_boolean_no_number():
    for kind, wire in (("boolean", 1), ("boolean", "yes"), ("number", True)):
        with pytest.raises(ValueError):
            _values.read(kind, wire)
    assert _values.read("number", "2147483647") == _values.read("number", Bag(None, {}, 2147483647)) == 2147483647
    assert _values.write("boolean", False) is False and _values.write("number", 0) == 0


@given(st.integers(min_value=0, max_value=2**31 - 1))
def test_a_number_is_the_same_in_every_culture(number):
    for separator in (",", ".", " ", "\u00a0", "\u2009", "\u202f", "'", "\u2019", ""):
        assert _values.read("number", f"{number:,}".replace(",", separator)) == number
    assert _values.read("number", float(number)) == number


def test_a_number_may_be_grouped_as_in_india():
    assert _values.read("number", "2,14,74,83,647") == 2147483647


@pytest.mark.parametrize("wire", ["16.5", 16.5, "1,0", "1,0000", "1.000,000", "1_000", "0x10", "Unlimited", [16], float("inf")])
def test_what_is_no_number_is_not_taken_for_one(wire):
    with pytest.raises(ValueError):
        _values.read("number", wire)


def test_what_is_not_understood_is_shown_as_it_came():
    with pytest.raises(ValueError, match=r"^'much' is no number$"):
        _values.read("number", Bag("much", {}))
    with pytest.raises(ValueError, match=r"^an object with Foo, Bar is no timespan$"):
        _values.read("timespan", Bag(None, {"Foo": 1, "Bar": 2}))


def test_an_address_comes_as_an_object_too():
    assert _values.read("address", Bag(None, {"OriginalString": "https://m.example.com/owa"})) == "https://m.example.com/owa"


# objects on the wire


def test_an_object_has_both_its_adapted_and_its_extended_properties():
    read = _clixml.read(
        '<Obj RefId="0"><TN RefId="0"><T>Deserialized.X</T></TN><ToString>x</ToString>'
        '<Props><I32 N="A">1</I32><Nil N="B"/><B N="C">true</B></Props><MS><S N="D">two_x000A_lines</S></MS></Obj>'
    )
    assert read == Bag("x", {"A": 1, "B": None, "C": True, "D": "two\nlines"})


def test_an_object_may_hold_lists_numbers_dictionaries_and_references():
    read = _clixml.read(
        '<Obj RefId="0"><Props><Obj N="List" RefId="1"><TN RefId="0"><T>Some.MultiValuedProperty</T></TN>'
        '<LST><S>a</S><S>b</S></LST></Obj><Ref N="Again" RefId="1"/>'
        '<Obj N="Enum" RefId="2"><TNRef RefId="0"/><ToString>SecureLogin</ToString><I32>3</I32></Obj>'
        '<Obj N="Table" RefId="3"><DCT><En><S N="Key">k</S><I64 N="Value">7</I64></En></DCT></Obj></Props></Obj>'
    )
    assert read.properties == {
        "List": ["a", "b"],
        "Again": ["a", "b"],
        "Enum": Bag("SecureLogin", {}, 3),
        "Table": Bag(None, {"k": 7}),
    }


def test_a_character_beyond_the_basic_plane_comes_as_two_escapes():
    assert _clixml.read("<S>_xD83D__xDE00_ _x005F_x</S>") == "\U0001f600 _x"


@pytest.mark.parametrize("xml", ["", "<Obj", '<Ref RefId="9"/>', "no xml"])
def test_what_is_no_object_is_refused(xml):
    with pytest.raises(ValueError):
        _clixml.read(xml)
