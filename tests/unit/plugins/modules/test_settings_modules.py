# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ansible_collections.mailops.imap.plugins.module_utils import _contract, _exchange, _options, _workflow
from ansible_collections.mailops.imap.plugins.module_utils._host import HostError
from ansible_collections.mailops.imap.plugins.module_utils._servers import SERVER_TYPES
from ansible_collections.mailops.imap.plugins.modules import imap_restart, imap_settings, imap_settings_info

RESULT = {"changed": True, "warnings": ["mind this"], "settings": {}, "drift": [], "services": ["nginx"]}


class Ended(Exception):
    """The module has ended; the arguments are how, and with what."""


@pytest.fixture(name="run")
def fixture_run(monkeypatch):
    """Run a module's main() with options and return how it ended, and with what."""

    def run(module, options, check_mode=False, **functions):
        class Module:
            def __init__(self, argument_spec, required_one_of=(), supports_check_mode=False):
                assert supports_check_mode
                self.required_one_of = required_one_of
                self.params = {name: options.get(name, spec.get("default")) for name, spec in argument_spec.items()}
                self.check_mode = check_mode
                self.warnings = []

            def warn(self, text):
                self.warnings.append(text)

            def exit_json(self, **result):
                raise Ended("exit", {**result, "warned": self.warnings})

            def fail_json(self, **result):
                raise Ended("fail", result)

        monkeypatch.setattr(module, "AnsibleModule", Module)
        for name, function in functions.items():
            monkeypatch.setattr(_workflow, name, function)
        with pytest.raises(Ended) as ended:
            module.main()
        return ended.value.args

    return run


def failing(problem):
    def fail(*arguments, **options):
        raise problem

    return fail


def test_the_settings_go_to_the_workflow_in_seconds(run):
    called = {}

    def converge(host, desired, **options):
        called.update(options, desired=desired)
        return dict(RESULT)

    how, result = run(
        imap_settings,
        {
            "authenticated_connection_timeout": "30m",
            "pre_authenticated_connection_timeout": 60,
            "unenforceable": "report",
        },
        check_mode=True,
        converge=converge,
    )
    assert (how, result.pop("warned")) == ("exit", ["mind this"])
    assert result == {name: value for name, value in RESULT.items() if name != "warnings"}
    assert called == {
        "desired": {"authenticated_connection_timeout": 1800, "pre_authenticated_connection_timeout": 60},
        "server_type": "auto", "keep_going": True, "check_mode": True,
    }  # fmt: skip


def test_the_module_refuses_by_itself_and_touches_nothing(run):
    options = {"authenticated_connection_timeout": 18001, "pre_authenticated_connection_timeout": True}
    how, result = run(imap_settings, options, converge=failing(AssertionError("the host was touched")))
    assert how == "fail"
    assert "is 18001, but" in result["msg"] and "is true, but" in result["msg"]


def test_problems_are_one_sentence(run):
    options = {"authenticated_connection_timeout": 5}
    refused = _workflow.NotEnforceable("Nothing was changed: no.", {"changed": False, "drift": ["x"], "warnings": []})
    assert run(imap_settings, options, converge=failing(refused)) == (
        "fail", {"msg": "Nothing was changed: no.", "changed": False, "drift": ["x"]},
    )  # fmt: skip
    assert run(imap_settings, options, converge=failing(HostError("A sentence."))) == ("fail", {"msg": "A sentence."})
    assert run(imap_settings_info, {}, look=failing(HostError("A sentence."))) == ("fail", {"msg": "A sentence."})
    assert run(imap_restart, {"services": []}, restart=failing(HostError("A sentence."))) == (
        "fail",
        {"msg": "A sentence."},
    )


def test_information_and_restart(run):
    how, result = run(
        imap_settings_info,
        {"server_type": "nginx"},
        look=lambda host, server_type: {"type": server_type, "warnings": ["mind this"]},
    )
    assert how == "exit" and result == {"type": "nginx", "warned": ["mind this"]}
    how, result = run(
        imap_restart, {"services": ["nginx"], "max_wait": 7.0}, check_mode=True,
        restart=lambda host, services, max_wait, greet, check_mode: {"asked": [services, max_wait, check_mode]},
    )  # fmt: skip
    assert how == "exit" and result["asked"] == [["nginx"], 7.0, True]


@pytest.mark.parametrize("given, waited", [({}, 30), ({"max_wait": 0.0}, 0.0)])
def test_a_server_has_half_a_minute_to_greet_unless_told_otherwise(run, given, waited):
    options = {"services": ["nginx"], **given}
    _how, result = run(imap_restart, options, restart=lambda host, services, max_wait, *more: {"max_wait": max_wait})
    assert result["max_wait"] == waited


# the modules as they are run


def executed(module, options):
    """Run a module as Ansible does on a host, without root, and return what it says."""
    arguments = {"ANSIBLE_MODULE_ARGS": {**options, "_ansible_remote_tmp": "/tmp", "_ansible_keep_remote_files": False}}
    program = "import sys; from ansible_collections.mailops.imap.plugins.modules import {0} as m; m.main()".format(
        module
    )
    before = "from ansible.module_utils.testing import patch_module_args\n"
    with_arguments = (
        f"{before}import json\nwith patch_module_args({arguments['ANSIBLE_MODULE_ARGS']!r}):\n    {program}"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        import ansible.module_utils.testing  # noqa: F401

        command, given = [sys.executable, "-c", with_arguments], ""
    except ImportError:
        command, given = [sys.executable, "-c", program], json.dumps(arguments)
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, env=environment, check=False, timeout=60
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_at_least_one_setting_is_required():
    result = executed("imap_settings", {"server_type": "nginx"})
    assert result["failed"] and "one of the following is required" in result["msg"]


def test_choices_hold_on_the_server_too():
    result = executed("imap_settings", {"authenticated_connection_timeout": 5, "server_type": "exim"})
    assert result["failed"] and "server_type must be one of: auto, " in result["msg"]


def test_values_hold_on_the_server_too():
    for value, shown in ((18001, "18001"), (True, "true"), ("30:00", '"30:00"'), ("", '""')):
        result = executed("imap_settings", {"authenticated_connection_timeout": value})
        assert result["failed"] and f"is {shown}, but must be 1 to 18000 seconds" in result["msg"]


# one table


def test_every_option_is_in_the_argument_spec():
    spec = _options.argument_spec()
    assert list(spec) == [*_contract.SETTINGS, *_options.CHOICES, *_exchange.OPTIONS]
    assert set(_options.CHOICES["server_type"]) >= {"auto", *SERVER_TYPES}


def test_a_server_type_is_what_its_class_says():
    for name, kind in SERVER_TYPES.items():
        assert kind.server_type == name and kind.services and kind.socket_holders
        assert kind.terms and not set(kind.terms) & set(kind.lacks)
        assert {*kind.terms, *kind.lacks} <= set(_contract.SETTINGS)
