# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide's server type does what the guide says, with nothing but its file and its row."""

from __future__ import annotations

import importlib.util
import re
import textwrap
import types
from pathlib import Path

import pytest

from ansible_collections.mailops.imap.plugins.module_utils import _servers, _workflow
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.fake_host import FakeHost, process

GUIDE = Path(__file__).parents[2] / "docs/docsite/rst/adding_a_server_type.rst"
MAIN = "/etc/exampled.conf"
NAME = "authenticated_connection_timeout"


@pytest.fixture(name="machine")
def fixture_machine(monkeypatch):
    """A host with the guide's daemon, whose type is in the table."""
    (source,) = re.findall(r"code-block:: python\n\n((?:    .*\n|\n)*?    +class .*\n(?:    .*\n|\n)*)", GUIDE.read_text())
    module = types.ModuleType(f"{_servers.__name__}.example")
    module.__package__ = _servers.__name__
    exec(textwrap.dedent(source), module.__dict__)  # pylint: disable=exec-used
    monkeypatch.setitem(_servers.SERVER_TYPES, "example", module.Example)
    answers = {"--version": (0, "1.0"), "--check": (0, ""), "systemctl restart": (0, ""), "journalctl": (0, "")}
    host = FakeHost({MAIN: "# mine\nidle 60\n"}, {"/usr/sbin/exampled"}, [process(7, "exampled")], (), answers)
    host.units = {7: "exampled"}
    return host


def converge(machine, desired, check_mode=False):
    return _workflow.converge(machine, desired, server_type="auto", keep_going=False, check_mode=check_mode)


def test_it_is_found_and_looked_at(machine):
    result = _workflow.look(machine, "auto")
    assert (result["server_type"], result["server_version"]) == ("example", "1.0")
    assert {name: entry["effective"] for name, entry in result["settings"].items()} == {
        NAME: 60, "pre_authenticated_connection_timeout": 120,
    }  # fmt: skip


def test_it_is_converged_and_restarted(machine):
    result = converge(machine, {NAME: 1800})
    assert machine.files[MAIN] == b"# mine\nidle 1800\n"
    assert result["changed"] and result["services"] == ["exampled"]
    assert [(change["before"], change["after"]) for change in result["changes"]] == [("idle 60", "idle 1800")]
    assert not converge(machine, {NAME: 1800}, check_mode=True)["changes"]
    assert _workflow.restart(machine, ["exampled"], 5, lambda *endpoint: None, False)["changed"]


def test_what_it_will_not_obey_is_told(machine):
    with pytest.raises(_workflow.NotEnforceable, match="exampled closes such a connection after 120 seconds"):
        converge(machine, {"pre_authenticated_connection_timeout": 60})
    with pytest.raises(_workflow.NotEnforceable, match="as many connections as there is memory for"):
        converge(machine, {"max_connections": 5})
    assert machine.written == []


@pytest.fixture(name="write_generated")
def fixture_write_generated():
    """What writes the documentation, imported before the guide's type is in the table."""
    path = GUIDE.parents[3] / "tests/ci/write_generated.py"
    specification = importlib.util.spec_from_file_location("write_generated", path)
    write_generated = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(write_generated)
    return write_generated


def test_the_documentation_is_made_from_the_row(write_generated, machine):
    table = write_generated.table()
    assert "``idle``" in table and "as many connections as there is memory for" in table
    assert "nginx, " in write_generated.options() and ", example, exchange." in write_generated.options()
