# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What playbooks and roles do on the controller, before any server is contacted. No server of these tests can be."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.mailops.imap.plugins.module_utils import _contract
from ansible_collections.mailops.imap.plugins.plugin_utils import _validation

ROOT = Path(__file__).parents[2]
HASH = "$6$mailops$" + "a" * 86
PROXY = {"imap_proxy_certificate": "/etc/ssl/own.pem", "imap_proxy_private_key": "/etc/ssl/own.key"}


class Answer:
    """What ``ansible-playbook`` said: ``said`` with its white space made even, ``unreachable`` hosts, ``status``."""

    def __init__(self, done):
        self.status = done.returncode
        self.said = " ".join((done.stdout + done.stderr).split())
        self.unreachable = sum(int(count) for count in re.findall(r"unreachable=(\d+)", done.stdout))
        self.messages = re.findall(r'"msg": "((?:[^"\\]|\\.)*)"', done.stdout)


@pytest.fixture(name="play")
def _play(tmp_path):
    def play(playbook, hosts, *options):
        """Run a playbook, by name or as a list of plays, for ``hosts``: name to variables. Returns an Answer."""
        here = {"ansible_host": "127.0.0.2", "ansible_port": 1, "imap_settings_authenticated_connection_timeout": 1800}
        inventory = tmp_path / "inventory.json"
        inventory.write_text(json.dumps({"imap_servers": {"hosts": {name: {**here, **hosts[name]} for name in hosts}}}))
        if not isinstance(playbook, str):
            (tmp_path / "playbook.yml").write_text(json.dumps(playbook))
            playbook = str(tmp_path / "playbook.yml")
        command = [sys.executable, "-m", "ansible", "playbook", f"--inventory={inventory}", playbook, *options]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment.update(
            ANSIBLE_COLLECTIONS_PATH=str(ROOT.parents[2]), ANSIBLE_FORCE_COLOR="false", HOME=str(tmp_path)
        )
        done = subprocess.run(command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)
        return Answer(done)

    return play


def role(name, **variables):
    """A play of one role."""
    return [{"hosts": "imap_servers", "gather_facts": False, "roles": [{"role": f"mailops.imap.{name}", **variables}]}]


@pytest.mark.parametrize("path", sorted(ROOT.glob("playbooks/*.yml")), ids=lambda path: path.stem)
def test_every_playbook_has_a_sound_syntax(play, path):
    assert play(f"mailops.imap.{path.stem}", {"one": {}}, "--syntax-check").status == 0


def test_right_variables_are_taken(play):
    answer = play("mailops.imap.site", {
        "one": {"imap_server_users": [{"name": "alice", "password_hash": HASH}],
                "imap_server_cyrus_options": {"tls_session_timeout": 60, "client_timeout": "10s"},
                "imap_proxy_listen_addresses": ["192.0.2.1"], "imap_proxy_auth_port": 993},
    })  # fmt: skip
    assert answer.unreachable == 1, answer.said


def test_a_variable_that_is_almost_one_of_the_role_is_told(play):
    own = {"imap_settings_authentication_connection_timeout": 60, "imap_settings_of_the_office_next_door": 1}
    answer = play(role("imap_settings"), {"one": own})
    assert (
        "imap_settings_authentication_connection_timeout is no variable of the role imap_settings and does nothing; "
        "imap_settings_authenticated_connection_timeout may be meant." in answer.said
    ), answer.said
    assert answer.said.count("is no variable of the role") == 1
    assert answer.unreachable == 1, answer.said


def test_the_variables_of_the_role_are_known():
    specification = yaml.safe_load((ROOT / "roles/imap_settings/meta/argument_specs.yml").read_text())
    options = specification["argument_specs"]["main"]["options"]
    assert sorted([*options, "imap_settings_result"]) == sorted(_validation.ROLE_VARIABLES)


@pytest.mark.parametrize("plays", ["mailops.imap.site", role("imap_settings")], ids=["site", "role"])
def test_one_wrong_host_stops_the_others(play, plays):
    answer = play(plays, {"one": {}, "two": {"imap_settings_authenticated_connection_timeout": 0}, "three": {}})
    assert answer.status
    assert answer.unreachable == 0, answer.said
    # ansible-core 2.16 makes a text of the number.
    assert re.search(r'authenticated_connection_timeout is (?:0|\\"0\\"), but', answer.said), answer.said


VALIDATE = [{"hosts": "imap_servers", "gather_facts": False, "tasks": [
    {"import_role": {"name": "mailops.imap.imap_settings", "tasks_from": "validate"}},
]}]  # fmt: skip


def test_null_clears_a_list_and_leaves_every_other_setting_alone(play):
    nulls = {f"imap_settings_{name}": None for name in _contract.SETTINGS}
    lists = [name for name, setting in _contract.SETTINGS.items() if setting.kind == "list"]
    assert len(lists) == 4
    answer = play(VALIDATE, {"one": nulls})
    assert answer.status == 0, answer.said
    for name in lists:
        del nulls[f"imap_settings_{name}"]
    answer = play(VALIDATE, {"one": nulls})
    assert "no setting is given, but at least one of" in answer.said, answer.said


WRONG = [
    {"authenticated_connection_timeout": 0},
    {"authenticated_connection_timeout": 18001},
    {"pre_authenticated_connection_timeout": 201},
    {"authenticated_connection_timeout": -5},
    {"authenticated_connection_timeout": "abc"},
    {"authenticated_connection_timeout": "1.5h"},
    {"authenticated_connection_timeout": ""},
    {"authenticated_connection_timeout": True},
    {"authenticated_connection_timeout": "1e3"},
    {"authenticated_connection_timeout": "30:00"},
    {"authenticated_connection_timeout": "5h1s", "pre_authenticated_connection_timeout": 0},
]


def test_every_wrong_value_is_refused_each_server_with_all_of_its_own_in_one_message(play):
    hosts = {f"host{i}": {f"imap_settings_{name}": wrong[name] for name in wrong} for i, wrong in enumerate(WRONG)}
    answer = play("mailops.imap.site", hosts)
    assert answer.unreachable == 0, answer.said
    for name, wrong in zip(hosts, WRONG):
        [message] = re.findall(rf"fatal: \[{name}\]: FAILED! => (.*?)(?=fatal: |PLAY RECAP)", answer.said)
        assert "Nothing was changed" in message
        for setting in wrong:
            allowed = "must be 1 to 200 seconds" if setting.startswith("pre") else "must be 1 to 18000 seconds"
            assert re.search(rf"[ ;]{setting} is [^;]*{allowed}", message), message


def test_all_that_is_wrong_with_an_installation_is_in_one_message(play):
    answer = play("mailops.imap.site", {
        "one": {"imap_server_backend_port": 0,
                "imap_server_users": [{"name": "Bob", "password_hash": "secret"}, {"name": "eve"}],
                "imap_server_certificate": "/etc/ssl/own.pem",
                "imap_server_certificate_names": [],
                "imap_server_cyrus_options": {"Timeout": 1},
                "imap_server_remove_default_site": "perhaps",
                "imap_proxy_tls_protocols": ["SSLv9"],
                "imap_proxy_starttls_port": "abc",
                "imap_proxy_tls_port": 10144,
                "imap_proxy_listen_addresses": ["0.0.0.0", "imap.example.com"]},
    })  # fmt: skip
    assert answer.unreachable == 0, answer.said
    [message] = [message for message in answer.messages if "imap_server_backend_port is 0;" in message]
    for words in (
        'login name \\"Bob\\"', 'no usable password_hash for \\"eve\\" and \\"Bob\\"',
        "imap_server_certificate is set alone", "imap_server_certificate_names is []",
        "imap_server_cyrus_options has Timeout", "imap_server_remove_default_site",
        'imap_proxy_tls_protocols has \\"SSLv9\\"', 'imap_proxy_starttls_port is \\"abc\\"',
        "imap_proxy_tls_port and imap_proxy_auth_port are both 10144",
        'imap_proxy_listen_addresses has \\"imap.example.com\\"',
    ):  # fmt: skip
        assert message.count(words) == 1, message
    assert message.count("imap_proxy_starttls_port") == 1, message
    assert "secret" not in answer.said


@pytest.mark.parametrize(
    "name",
    ["timeout", "Timeout", "imap_timeout", "imapidletimeout", "IMAP_imapidletimeout", "maxlogins_per_host",
     "imap_maxlogins_per_user", "maxchild"],
)  # fmt: skip
def test_an_option_of_cyrus_that_the_settings_own_is_refused_however_it_is_written(play, name):
    answer = play("mailops.imap.site", {"one": {"imap_server_cyrus_options": {name: 1}}})
    assert answer.unreachable == 0
    assert f"imap_server_cyrus_options has {name}, which" in answer.said


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"imap_proxy_backend_address": "imap.example.com"}, 'imap_proxy_backend_address is \\"imap.example.com\\"'),
        ({"imap_proxy_backend_address": "192.0.2.1", "imap_proxy_backend_port": 143,
          "imap_proxy_listen_addresses": ["192.0.2.1"]},
         "imap_proxy_starttls_port and the port of the backend are both 143"),
        ({"imap_proxy_backend_port": 993}, "imap_proxy_tls_port and the port of the backend are both 993"),
        ({"imap_proxy_tls_port": 143}, "imap_proxy_starttls_port and imap_proxy_tls_port are both 143"),
        ({"imap_proxy_auth_port": 10143}, "imap_proxy_auth_port and the port of the backend are both 10143"),
        ({"imap_proxy_auth_port": 65536}, "imap_proxy_auth_port is 65536"),
        ({"imap_proxy_listen_addresses": "0.0.0.0"}, 'imap_proxy_listen_addresses is \\"0.0.0.0\\"; give a list'),
        ({"imap_proxy_listen_addresses": []}, "imap_proxy_listen_addresses is []"),
        ({"imap_proxy_listen_addresses": ["::", "::"]}, "imap_proxy_listen_addresses names an address twice"),
        ({"imap_proxy_tls_protocols": []}, "imap_proxy_tls_protocols is []"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_front_that_cannot_be_is_refused(play, variables, words):
    answer = play([{"hosts": "imap_servers", "gather_facts": False, "tasks": [
        {"import_role": {"name": "mailops.imap.imap_proxy", "tasks_from": "validate"}},
        {"ping": {}},
    ]}], {"one": {**PROXY, **variables}})  # fmt: skip
    assert answer.unreachable == 0, answer.said
    assert words in answer.said


@pytest.mark.parametrize(
    "address", [{"imap_proxy_backend_address": "192.0.2.10"}, {"imap_proxy_listen_addresses": ["192.0.2.1"]}]
)
def test_the_backend_of_a_front_may_have_its_port_at_another_address(play, address):
    answer = play(role("imap_proxy"), {"one": {**PROXY, **address, "imap_proxy_backend_port": 143}})
    assert answer.unreachable == 1, answer.said
