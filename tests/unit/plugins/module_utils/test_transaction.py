# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.mailops.imap.plugins.module_utils import _transaction
from ansible_collections.mailops.imap.plugins.module_utils._host import Host, HostError
from ansible_collections.mailops.imap.plugins.module_utils._servers.base import Server, Serving


@pytest.fixture(name="place")
def fixture_place(tmp_path, monkeypatch):
    """A folder with two files, and the collection's own folder in it."""
    monkeypatch.setattr(_transaction, "_RECORD", f"{tmp_path}/state/record.json")
    monkeypatch.setattr(_transaction, "_FOLDER", f"{tmp_path}/state")
    monkeypatch.setattr(_transaction, "_PREVIOUS", f"{tmp_path}/state/previous")
    monkeypatch.setattr(_transaction, "_LOCK", f"{tmp_path}/state/lock")
    (tmp_path / "one").write_bytes(b"old one")
    (tmp_path / "two").write_bytes(b"old two")
    return tmp_path


def files(place, state):
    return {str(place / name): f"{state} {name}".encode() for name in ("one", "two")}


def contents(place):
    return {str(place / name): (place / name).read_bytes() for name in ("one", "two")}


class Failing(Host):
    """A host that fails to write certain paths from a certain write of them on."""

    def __init__(self, **failing):
        super().__init__()
        self.failing = failing

    def write(self, path, content, instead_of=None):
        name = os.path.basename(path)
        self.failing[name] = self.failing.get(name, 99) - 1
        if self.failing[name] < 0:
            raise HostError(f"Cannot replace {name}: No space left on device.")
        super().write(path, content, instead_of)


def test_all_files_change_and_can_be_put_back(place):
    host = Host()
    _transaction.commit(host, files(place, "old"), files(place, "new"))
    assert contents(place) == files(place, "new")
    assert _transaction.restore(host) == (sorted(files(place, "old")), [])
    assert contents(place) == files(place, "old")


def test_what_counts_is_what_was_there_when_the_server_last_came_up(place):
    host = Host()
    _transaction.commit(host, files(place, "old"), files(place, "new"))
    _transaction.commit(host, files(place, "new"), files(place, "newer"))
    _transaction.restore(host)
    assert contents(place) == files(place, "old")
    _transaction.confirm(host)
    assert _transaction.restore(host) == ([], [])
    _transaction.confirm(host)


def test_what_somebody_else_wrote_since_is_not_overwritten_when_the_rest_is_put_back(place):
    host = Host()
    _transaction.commit(host, files(place, "old"), files(place, "new"))
    (place / "two").write_bytes(b"by hand")
    one, two = sorted(files(place, "old"))
    assert _transaction.restore(host) == ([one], [two])
    assert contents(place) == {one: b"old one", two: b"by hand"}


def test_what_somebody_else_wrote_is_what_is_put_back_after_a_later_change(place):
    host = Host()
    one, two = sorted(files(place, "old"))
    _transaction.commit(host, files(place, "old"), files(place, "new"))
    (place / "two").write_bytes(b"by hand")
    _transaction.commit(host, {two: b"by hand"}, {two: b"newer two"})
    assert _transaction.restore(host) == ([one, two], [])
    assert contents(place) == {one: b"old one", two: b"by hand"}


def test_a_file_that_changed_meanwhile_is_not_overwritten(place):
    (place / "two").write_bytes(b"by hand")
    with pytest.raises(
        HostError, match="two was changed by somebody else while this run was looking at it; run again."
    ):
        _transaction.commit(Host(), files(place, "old"), files(place, "new"))
    assert contents(place) == {**files(place, "old"), str(place / "two"): b"by hand"}


@pytest.mark.parametrize("last", ["index.json", "one"])
def test_a_file_that_changes_while_others_are_written_is_not_overwritten(place, last):
    class Interfering(Host):
        def write(self, path, content, instead_of=None):
            super().write(path, content, instead_of)
            if os.path.basename(path) == last:
                (place / "two").write_bytes(b"by hand")

    with pytest.raises(HostError, match="^Nothing was changed: .*two was changed by somebody else while this run was"):
        _transaction.commit(Interfering(), files(place, "old"), files(place, "new"))
    assert contents(place) == {**files(place, "old"), str(place / "two"): b"by hand"}


def test_when_the_second_file_fails_the_first_is_as_it_was(place):
    with pytest.raises(HostError, match="^Nothing was changed: Cannot replace two: No space left on device."):
        _transaction.commit(Failing(two=0), files(place, "old"), files(place, "new"))
    assert contents(place) == files(place, "old")


def test_a_file_that_was_replaced_before_the_failure_is_put_back_too(place, monkeypatch):
    failed = []

    def fail(folder):
        if (place / "two").read_bytes() == b"new two" and not failed:
            failed.append(folder)
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(Host, "_synchronise", staticmethod(fail))
    with pytest.raises(HostError, match="Input/output error"):
        _transaction.commit(Host(), files(place, "old"), files(place, "new"))
    assert contents(place) == files(place, "old")


def test_a_roll_back_that_fails_names_the_file(place):
    with pytest.raises(HostError) as problem:
        _transaction.commit(Failing(one=1, two=0), files(place, "old"), files(place, "new"))
    assert str(problem.value) == (
        "Cannot replace two: No space left on device. What had changed before could not be put back: "
        "Cannot replace one: No space left on device."
    )


def test_a_file_that_somebody_changes_before_the_roll_back_is_left_and_named(place):
    class Interfering(Host):
        def write(self, path, content, instead_of=None):
            if os.path.basename(path) == "two":
                (place / "one").write_bytes(b"by hand")
                raise HostError("Cannot replace two: No space left on device.")
            super().write(path, content, instead_of)

    with pytest.raises(HostError) as problem:
        _transaction.commit(Interfering(), files(place, "old"), files(place, "new"))
    assert str(problem.value) == (
        "Cannot replace two: No space left on device. What had changed before could not be put back: "
        f"{place}/one was changed by somebody else meanwhile."
    )
    assert contents(place) == {**files(place, "old"), str(place / "one"): b"by hand"}


def test_nothing_changes_when_the_old_state_cannot_be_kept(place):
    with pytest.raises(HostError, match="^Nothing was changed: Cannot replace index.json: No space left on device."):
        _transaction.commit(Failing(**{"index.json": 0}), files(place, "old"), files(place, "new"))
    assert contents(place) == files(place, "old")


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"5", b'{"a": 5}', b'{"a": ["x", []]}', b'{"a": ["0-../x", []]}',
                                    b'{"a": ["0-x", 5]}', b"\xff"])  # fmt: skip
def test_a_damaged_index_is_told(place, damage):
    host = Host()
    _transaction.commit(host, files(place, "old"), files(place, "new"))
    (place / "state" / "previous" / "index.json").write_bytes(damage)
    for run in (
        lambda: _transaction.restore(host),
        lambda: _transaction.commit(host, files(place, "new"), files(place, "x")),
    ):
        with pytest.raises(HostError, match="index.json is damaged; remove the folder .*/previous and run again."):
            run()
    assert contents(place) == files(place, "new")


COMMITTER = """
import sys
from ansible_collections.mailops.imap.plugins.module_utils import _transaction
from ansible_collections.mailops.imap.plugins.module_utils._host import Host
folder, host = sys.argv[1], Host()
_transaction._PREVIOUS = folder + "/state/previous"
paths = [folder + "/one", folder + "/two"]
print(flush=True)
sys.stdin.readline()
for number in range(1000):
    old = {path: host.read(path) for path in paths}
    _transaction.commit(host, old, {path: b"%d %s" % (number, path[-3:].encode()) for path in paths})
"""


def test_killed_at_any_instant_each_file_is_whole_and_the_old_state_can_be_put_back(place):
    chance = random.Random(2)
    torn = attempts = 0
    while attempts < 25 or (not torn and attempts < 200):
        attempts += 1
        for path, content in files(place, "old").items():
            Host().write(path, content)
        _transaction.confirm(Host())
        child = subprocess.Popen(
            [sys.executable, "-c", COMMITTER, str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert child.stdout.readline() == b"\n"
        child.stdin.write(b"\n")
        child.stdin.flush()
        time.sleep(chance.random() / 20)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdin.close()
        child.stdout.close()
        found = contents(place)
        for path, content in found.items():
            state, name = content.split()
            assert name.decode() == os.path.basename(path)
        torn += len({content.split()[0] for content in found.values()}) > 1
        restored, left = _transaction.restore(Host())
        assert left == []
        if found != files(place, "old"):
            assert restored == sorted(found)
        assert contents(place) == files(place, "old")
    # Else nothing was killed while it mattered.
    assert torn


# the record


def server(identity="p1", server_type="nginx"):
    found = Server()
    found.server_type = server_type
    found.serving = Serving(1.0, identity)
    return found


def test_a_record_is_written_once_and_read_again(place):
    host = Host()
    record = _transaction.Record(host)
    record.saw(server(), {"a": (5, 6), "b": None})
    record.applied["a"] = 5
    record.write()
    path = place / "state" / "record.json"
    before = path.stat().st_ino
    again = _transaction.Record(host)
    assert again.servers == {"nginx": {"identity": "p1", "running": {"a": [5, 6]}}} and again.applied == {"a": 5}
    again.saw(server(), {"a": (5, 6)})
    again.write()
    assert path.stat().st_ino == before


def test_endless_times_come_back(place):
    record = _transaction.Record(Host())
    record.saw(server(), {"a": (1800, float("inf"))})
    record.write()
    assert _transaction.Record(Host()).servers["nginx"]["running"] == {"a": [1800, float("inf")]}


def test_what_is_no_single_process_is_not_remembered(place):
    record = _transaction.Record(Host())
    record.saw(server(identity=None), {"a": (5,)})
    found = server()
    found.serving = None
    record.saw(found, {"a": (5,)})
    assert record.servers == {}


GOOD = {"servers": {"nginx": {"identity": "p1", "running": {"a": [5]}}}, "applied": {"a": 5}}


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{", b"[]", b"5", b"null", b"\xff\xfe", b"{}",
        *(
            json.dumps({**GOOD, **change}).encode()
            for change in (
                {"servers": []}, {"servers": {"nginx": []}}, {"servers": {"nginx": {}}}, {"applied": None},
                {"applied": {"a": ["5"]}},
                {"servers": {"nginx": {"identity": 5, "running": {}}}},
                {"servers": {"nginx": {"identity": "p1", "running": []}}},
                {"servers": {"nginx": {"identity": "p1", "running": {"a": 5}}}},
                {"servers": {"nginx": {"identity": "p1", "running": {"a": [["x"]]}}}},
                {"servers": {"nginx": {"identity": "p1", "running": {"a": [True]}}}},
            )
        ),
    ],
)  # fmt: skip
def test_a_damaged_record_counts_as_none(place, damage):
    path = place / "state" / "record.json"
    path.parent.mkdir()
    path.write_bytes(damage)
    record = _transaction.Record(Host())
    assert (record.servers, record.applied) == ({}, {})
    path.write_text(json.dumps(GOOD))
    assert _transaction.Record(Host()).applied == {"a": 5}


def test_one_run_at_a_time(place, monkeypatch):
    monkeypatch.setattr(_transaction, "_PATIENCE", 0.1)
    with _transaction.lock(Host()):
        with pytest.raises(HostError, match="Another run has held"), _transaction.lock(Host()):
            pass
