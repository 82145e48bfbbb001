# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ansible_collections.mailops.imap.plugins.module_utils import _convergence
from ansible_collections.mailops.imap.plugins.module_utils._servers.base import Endpoint, Place, Server, Serving, Value
from ansible_collections.mailops.imap.plugins.module_utils._servers.elsewhere import Elsewhere

NAME = "authenticated_connection_timeout"
OTHER = "pre_authenticated_connection_timeout"
ENDLESS = float("inf")


class Model(Server):
    """A server that obeys whatever its places say, within its bounds."""

    def __init__(self, server_type="front", places=((60, 60),), minimum=1, maximum=10**6, since=10.0, identity="p1",
                 changed_at=5.0, doubtful=False, running=True, name=NAME, follows=None):  # fmt: skip
        super().__init__()
        self.server_type = server_type
        self.services = (f"{server_type}.service",)
        self.version = "1"
        self.changed_at = changed_at
        self.serving = Serving(since, identity, doubtful) if running else None
        self.values = {
            name: Value(
                tuple(Place(*pair, f"/etc/{server_type}", number, False, number) for number, pair in enumerate(places)),
                minimum, maximum, f"{server_type} has bounds", follows,
            )
        }  # fmt: skip

    def make(self, edits):
        """Do what the edits ask and restart."""
        for edit in edits:
            value = self.values[edit.setting]
            places = [
                place._replace(configured=edit.value, effective=edit.value) if place == edit.place else place
                for place in value.places
            ]
            self.values[edit.setting] = value._replace(places=tuple(places))
        self.serving = Serving(20.0, "p2")


def compare(chain, wanted, records=None, applied=None, name=NAME):
    return _convergence.compare(chain, {name: wanted}, records or {}, applied or {})


# kinds of drift


@pytest.mark.parametrize(
    ("front", "wanted", "drift", "edits", "restart"),
    [
        ({}, 60, None, 0, False),
        ({}, 61, "value", 1, True),
        ({"places": ((60, 60), (61, 61))}, 60, "value", 1, True),
        ({"places": ((None, 86400),)}, 60, "missing", 1, True),
        ({"places": ((None, 86400),)}, 86400, None, 0, False),
        ({"places": ((10, 1800),)}, 10, "value", 1, True),
        ({"places": ((60, 60), (60, ENDLESS))}, 60, "value", 1, True),
        ({"places": ((60.5, 60.5),)}, 60, "value", 1, True),
        ({"minimum": 70}, 60, None, 0, False),
        ({"minimum": 70}, 65, "unenforceable", 0, False),
        ({"maximum": 70}, 71, "unenforceable", 0, False),
        ({"minimum": 1800, "maximum": 1800, "places": ((None, 1800),)}, 1799, "unenforceable", 0, False),
        ({"minimum": 1800, "maximum": 1800, "places": ((None, 1800),)}, 1800, None, 0, False),
        (
            {"minimum": 1800, "maximum": 1800, "places": ((None, 1800), (None, ENDLESS))},
            1800,
            "unenforceable",
            0,
            False,
        ),
        ({"changed_at": 11.0}, 60, "restart_pending", 0, True),
        ({"running": False}, 60, "restart_pending", 0, True),
        ({"doubtful": True}, 60, "restart_pending", 0, True),
    ],
)
def test_one_server(front, wanted, drift, edits, restart):
    server = Model(**front)
    picture = compare([server], wanted)
    entry = picture.settings[NAME]
    assert entry["drift"] == drift and entry["in_sync"] is (drift is None)
    assert len(picture.edits) == edits
    assert picture.restart == ([server] if restart else [])
    assert bool(picture.unenforceable) is (drift == "unenforceable")
    assert [each["setting"] for each in picture.drift] == ([NAME] if drift else [])
    assert (entry["reason"] is None) is (drift is None)
    assert (entry["cause"] is None) is (drift is None)


@pytest.mark.parametrize(
    ("front", "back", "wanted", "drift", "edits", "restart"),
    [
        # A backend may have more than is desired, never less.
        (60, {"places": ((None, 1800),), "minimum": 1800, "maximum": 1800}, 60, None, [], []),
        (1800, {"places": ((None, 1800), (None, ENDLESS)), "minimum": 1800, "maximum": 1800}, 1800, None, [], []),
        (1801, {"places": ((None, 1800),), "minimum": 1800, "maximum": 1800}, 1801, "unenforceable", [], []),
        (
            60,
            {"places": ((None, 1800),), "minimum": 1800, "maximum": 1800},
            1801,
            "unenforceable",
            ["front"],
            ["front"],
        ),
        (7200, {"places": ((1920, 1920),), "minimum": 1800}, 7200, "value", ["back"], ["back"]),
        (60, {"places": ((1920, 1920),), "minimum": 1800}, 7200, "value", ["front", "back"], ["back", "front"]),
        (60, {"places": ((10, 10),), "minimum": 1800}, 60, "value", ["back"], ["back"]),
        (60, {"places": ((1920, 1920),), "minimum": 1800, "running": False}, 60, "restart_pending", [], ["back"]),
        (60, {"places": ((1920, 1920),), "minimum": 1800, "changed_at": 99}, 60, "restart_pending", [], ["back"]),
    ],
)
def test_a_chain(front, back, wanted, drift, edits, restart):
    chain = [Model(places=((front, front),)), Model("back", **back)]
    picture = compare(chain, wanted)
    assert picture.settings[NAME]["drift"] == drift
    assert [server.server_type for server, dummy in picture.edits] == edits
    assert [server.server_type for server in picture.restart] == restart
    assert [member["server_type"] for member in picture.settings[NAME]["members"]] == ["front", "back"]


def test_the_effective_value_is_the_smallest_along_the_chain():
    chain = [
        Model(places=((7200, 7200), (3600, 3600))),
        Model("back", places=((None, 1800),), minimum=1800, maximum=1800),
    ]
    picture = compare(chain, 7200)
    assert picture.settings[NAME]["effective"] == picture.settings[NAME]["running"] == 1800
    assert picture.after[NAME] == {"configured": 7200, "effective": 1800, "running": 1800}
    assert picture.unenforceable == [
        f"{NAME} of 7200 seconds cannot be enforced here, because back has bounds; ask for at most 1800 seconds"
    ]


def test_only_the_front_counts_before_login():
    chain = [Model(name=OTHER), Model("back", name=OTHER, places=((None, 5),), minimum=5, maximum=5)]
    picture = compare(chain, 60, name=OTHER)
    assert picture.settings[OTHER]["in_sync"] and "members" not in picture.settings[OTHER]


@pytest.mark.parametrize("endpoint", [None, Endpoint("192.0.2.9", 143)])
def test_a_backend_elsewhere_promises_half_an_hour(endpoint):
    front = Model(places=((1800, 1800),))
    chain = [front, Elsewhere(endpoint, front)]
    picture = compare(chain, 1800)
    assert picture.settings[NAME]["in_sync"] and "is taken to keep idle connections for 1800" in picture.remarks[0]
    assert "counts its time-out anew" not in picture.remarks[0]
    picture = compare(chain, 1801)
    assert picture.settings[NAME]["drift"] == "unenforceable"
    assert "cannot be seen from this host" in picture.unenforceable[0]
    front.counts_anew_for_backends = True
    assert "front counts its time-out anew whenever" in compare([front, Elsewhere(endpoint, front)], 1800).remarks[0]


def test_a_server_behind_the_first_that_has_the_setting_must_have_it_or_more():
    limit = "max_connections_per_user"
    chain = [Model(), Model("middle", name=limit), Model("back", name=limit, places=((90, 90),))]
    picture = _convergence.compare(chain, {limit: 70}, {}, {})
    assert [(server.server_type, edit.value) for server, edit in picture.edits] == [("middle", 70)]
    assert picture.settings[limit]["effective"] == 60 and picture.after[limit]["effective"] == 70


def test_a_setting_that_no_server_has_is_refused_by_name():
    front = Model()
    picture = _convergence.compare([front, Model("back")], {"banner": "hello", NAME: 60}, {}, {})
    assert picture.unenforceable == [
        "banner cannot be set here, because front -> back has no such setting; leave it out for this host"
    ]
    assert picture.settings["banner"]["drift"] == "unenforceable" and not picture.settings["banner"]["in_sync"]
    assert picture.settings[NAME]["in_sync"] and picture.edits == [] and picture.restart == []
    front.lacks = {"banner": "it always says the same"}
    assert "because it always says the same" in compare([front], "hello", name="banner").unenforceable[0]


def test_text_is_compared_as_text():
    server = Model(name="banner", places=(("old", "old"), ("new", "new")), minimum=None, maximum=None)
    picture = compare([server], "new", name="banner")
    entry = picture.settings["banner"]
    assert (entry["drift"], entry["effective"], len(picture.edits)) == ("value", "old", 1)
    assert entry["reason"] == '/etc/front:0 says "old"'
    assert picture.after["banner"] == {"configured": "new", "effective": "new", "running": "new"}
    fixed = Model(name="banner", places=((None, "ready"),), minimum="ready", maximum="ready")
    assert compare([fixed], "ready", name="banner").settings["banner"]["in_sync"]
    assert "cannot be enforced here" in compare([fixed], "other", name="banner").unenforceable[0]


def test_no_limit_is_returned_as_text():
    server = Model(name="max_connections", places=((ENDLESS, ENDLESS),))
    entry = compare([server], 70, name="max_connections").settings["max_connections"]
    assert (entry["configured"], entry["effective"], entry["running"]) == ("unlimited",) * 3
    assert entry["reason"] == "/etc/front:0 says unlimited"


def test_what_there_is_to_know_is_told_only_to_those_who_ask_for_the_setting():
    server = Model()
    server.values[NAME] = server.values[NAME]._replace(remark="Mind the gap.")
    server.values[OTHER] = Value((Place(None, 60),), 60, 60)
    assert compare([server], 60).remarks == ["Mind the gap."]
    assert compare([server], 60, name=OTHER).remarks == []
    assert compare([Model(places=((60, 60),)), server], 60).remarks == ["Mind the gap."]


def test_the_way_out_fits_the_bound():
    limited = {"name": "max_connections", "places": ((100, 100),), "minimum": 50, "maximum": 200}
    assert compare([Model(**limited)], 201, name="max_connections").unenforceable[0].endswith(
        "; ask for at most 200 connections"
    )
    assert compare([Model(**limited)], 49, name="max_connections").unenforceable[0].endswith(
        "; ask for at least 50 connections"
    )
    assert "role mailops.imap.imap_proxy" in compare([Model(minimum=70)], 65).unenforceable[0]


def test_a_value_that_follows_another_one_cannot_differ_from_it():
    server = Model(places=((60, 60),))
    server.values[OTHER] = Value((Place(None, 60),), 60, 60, "there is none of its own", NAME)
    picture = _convergence.compare([server], {NAME: 90, OTHER: 60}, {}, {})
    assert picture.settings[OTHER]["drift"] == "unenforceable"
    assert _convergence.compare([server], {NAME: 60, OTHER: 60}, {}, {}).drift == []
    picture = _convergence.compare([server], {NAME: 90, OTHER: 90}, {}, {})
    assert [each["drift"] for each in picture.drift] == ["value", "missing"] and picture.unenforceable == []
    assert [edit.setting for dummy, edit in picture.edits] == [NAME]
    assert picture.after[OTHER]["effective"] == 90
    assert len(_convergence.compare([server], {NAME: 10**7, OTHER: 10**7}, {}, {}).unenforceable) == 2
    assert _convergence.compare([server], {OTHER: 60}, {}, {}).drift == []


def test_settings_that_are_not_asked_for_are_left_out():
    server = Model()
    server.values[OTHER] = server.values[NAME]
    assert list(compare([server], 60).settings) == [NAME]
    assert list(_convergence.compare([server], None, {}, {}).settings) == [NAME, OTHER]
    assert _convergence.compare([server], {}, {}, {}).settings == {}


def test_a_look_without_a_desired_state():
    picture = _convergence.compare([Model(places=((5, 1800),))], None, {}, {})
    entry = picture.settings[NAME]
    assert (entry["desired"], entry["configured"], entry["effective"], entry["running"]) == (None, 5, 1800, 1800)
    assert entry["in_sync"] and entry["cause"] is None and picture.edits == []
    picture = _convergence.compare([Model(changed_at=11)], None, {}, {})
    assert picture.settings[NAME]["drift"] == "restart_pending" and picture.settings[NAME]["running"] is None


# reasons and causes


def test_of_several_places_the_one_in_force_is_told_of():
    places = ((60, 60), (20, 20), (30, 30))
    seen = _convergence.compare([Model(places=places)], None, {}, {}).settings[NAME]
    assert (seen["configured"], seen["effective"], seen["line"]) == (20, 20, 1)
    entry = compare([Model(places=places)], 20).settings[NAME]
    assert (entry["configured"], entry["line"], entry["reason"]) == (30, 2, "/etc/front:2 says 30 seconds")


def test_the_reason_names_what_is_wrong():
    def reason(wanted=5, **options):
        return compare([Model(**options)], wanted).settings[NAME]["reason"]

    assert reason() == "/etc/front:0 says 60 seconds"
    assert reason(places=((None, 60),)) == "no file says it, so the default of front, 60 seconds, counts"
    assert reason(places=((5, 60),)) == "front makes 60 seconds of the 5 seconds that are written"
    assert reason(60, running=False) == "front is not running"
    assert reason(60, changed_at=99) == "front has not been restarted since its configuration changed"
    server = Model()
    (place,) = server.values[NAME].places
    server.values[NAME] = server.values[NAME]._replace(places=(place._replace(overrides=True),))
    assert compare([server], 5).settings[NAME]["reason"] == "/etc/front:0 overrules a more general value"
    assert compare([server], 5).settings[NAME]["drift"] == "override"


@pytest.mark.parametrize(
    ("applied", "options", "cause"),
    [
        ({}, {}, "intended"),
        ({NAME: 60}, {}, "intended"),
        ({NAME: 5}, {}, "corrective"),
        ({NAME: 5}, {"places": ((5, 5),), "changed_at": 99}, "intended"),
    ],
)
def test_the_cause_tells_who_brought_the_drift_about(applied, options, cause):
    assert compare([Model(**options)], 5, applied=applied).settings[NAME]["cause"] == cause


# what runs


@pytest.mark.parametrize(
    ("record", "options", "known"),
    [
        ({}, {}, (60,)),
        ({}, {"changed_at": 10.0}, (60,)),
        ({}, {"changed_at": 10.1}, None),
        ({}, {"running": False}, None),
        ({"identity": "p1", "running": {NAME: [9]}}, {}, (9,)),
        ({"identity": "p1", "running": {NAME: [9]}}, {"changed_at": 99}, (9,)),
        ({"identity": "p1", "running": {}}, {"changed_at": 99}, None),
        ({"identity": "p0", "running": {NAME: [9]}}, {}, (60,)),
        ({"identity": "p0", "running": {NAME: [60]}}, {"changed_at": 99}, None),
        ({"identity": None, "running": {NAME: [9]}}, {"identity": None}, (60,)),
        ({}, {"doubtful": True}, None),
        ({"identity": "p0", "running": {NAME: [9]}}, {"doubtful": True}, None),
        ({"identity": "p0", "running": {NAME: [60]}}, {"doubtful": True}, (60,)),
        ({"identity": "p0", "running": {NAME: [60]}}, {"doubtful": True, "changed_at": 99}, None),
    ],
)
def test_what_the_serving_process_was_started_with(record, options, known):
    assert _convergence.running(Model(**options), record) == {NAME: known}


def test_what_is_compiled_in_runs_whatever_has_changed():
    server = Model(minimum=60, maximum=60, changed_at=99)
    written = server.values[NAME]
    assert compare([server], 60).settings[NAME]["drift"] == "restart_pending"
    server.values[NAME] = written._replace(places=(Place(None, 60),))
    assert compare([server], 60).settings[NAME]["drift"] is None
    server.values[NAME] = written._replace(places=(Place(None, 60),), follows="banner")
    assert compare([server], 60).settings[NAME]["drift"] == "restart_pending"


def test_a_running_process_with_the_desired_value_needs_no_restart_when_a_file_is_put_right():
    record = {"front": {"identity": "p1", "running": {NAME: [5]}}}
    picture = compare([Model(changed_at=99)], 5, records=record)
    assert len(picture.edits) == 1 and picture.restart == []


# whatever the chain

SECONDS = some.sampled_from([0, 1, 5, 60, 1799, 1800, 1920, 7200])


@some.composite
def chains(draw):
    chain = []
    for position in range(draw(some.integers(1, 3))):
        fixed = draw(some.booleans())
        bound = draw(SECONDS)
        places = draw(
            some.lists(some.tuples(some.none() | SECONDS, SECONDS | some.just(ENDLESS)), min_size=1, max_size=3)
        )
        chain.append(
            Model(
                f"type{position}",
                places,
                minimum=bound if fixed else draw(some.sampled_from([1, 1800])),
                maximum=bound if fixed else 10**6,
                identity=draw(some.sampled_from(["p1", None])),
                changed_at=draw(some.sampled_from([5.0, 15.0])),
                doubtful=draw(some.booleans()),
                running=draw(some.booleans()),
            )
        )
    return chain


RECORDS = some.dictionaries(
    some.sampled_from(["type0", "type1", "type2"]),
    some.fixed_dictionaries(
        {
            "identity": some.sampled_from(["p0", "p1"]),
            "running": some.dictionaries(some.just(NAME), some.lists(SECONDS, min_size=1)),
        }
    ),
)


@given(chains(), SECONDS, RECORDS, SECONDS)
def test_whatever_the_chain(chain, wanted, records, applied):
    picture = compare(chain, wanted, records, {NAME: applied})
    entry = picture.settings[NAME]

    def holds(position, seconds):
        return seconds == wanted or (position > 0 and seconds > wanted)

    everywhere = all(
        holds(position, place.effective)
        for position, server in enumerate(chain)
        for place in server.values[NAME].places
    )
    serving = all(
        known is not None and all(holds(position, seconds) for seconds in known)
        for position, server in enumerate(chain)
        for known in [_convergence.running(server, records.get(server.server_type, {}))[NAME]]
    )
    assert entry["in_sync"] is (everywhere and serving)
    if entry["in_sync"]:
        assert picture.edits == [] and picture.restart == [] and entry["effective"] == entry["running"] == wanted
    for server, edit in picture.edits:
        value = server.values[NAME]
        assert (
            not value.fixed
            and edit.value == wanted <= value.maximum
            and not holds(chain.index(server), edit.place.effective)
        )
    assert [chain.index(server) for server in picture.restart] == sorted(
        map(chain.index, picture.restart), reverse=True
    )
    # Once it is done, everything that can be obeyed is, and a second plan is empty.
    for server in chain:
        server.make([edit for member, edit in picture.edits if member is server])
    second = compare(chain, wanted)
    assert second.edits == [] and second.restart == []
    assert second.settings[NAME]["in_sync"] is not bool(picture.unenforceable)
    assert second.settings[NAME]["effective"] == picture.after[NAME]["effective"]
