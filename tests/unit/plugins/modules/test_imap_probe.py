# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json

import pytest
import yaml
from ansible.module_utils import basic

from ansible_collections.mailops.imap.plugins.modules import imap_probe
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.imap_test_server import ImapServer

try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:  # ansible-core before 2.19
    @contextlib.contextmanager
    def patch_module_args(options):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode("utf-8"))
            yield

PASSWORD = "s3cret word"


@pytest.fixture(name="run")
def fixture_run(capfd):
    """Return a function that runs the module as Ansible does, and returns its result and exit status."""
    def run(**options):
        with patch_module_args(options), pytest.raises(SystemExit) as end:
            imap_probe.main()
        printed = capfd.readouterr()
        assert PASSWORD not in printed.out
        assert printed.err == ""
        return json.loads(printed.out), end.value.code

    return run


def test_health_check(run):
    with ImapServer() as server:
        result, status = run(port=server.port, max_wait=5)
    assert status == 0
    assert result["changed"] is False
    assert result["greeting"] == "* OK test server ready"
    assert result["measurements"] == []


@pytest.mark.parametrize("check_mode", [False, True])
def test_measurement_in_check_mode_too(run, check_mode):
    with ImapServer(("alice", PASSWORD), dict(idle=0.4)) as server:
        result, status = run(port=str(server.port), username="alice", password=PASSWORD, measure="idle", max_wait="5",
                             _ansible_check_mode=check_mode)
        recorded = server.idle_sessions("idle")[0].lifetime("idle")
    assert status == 0
    assert result["changed"] is False
    assert result["measurements"] == [dict(kind="idle", connection=1, seconds=pytest.approx(recorded, abs=0.15), closed=True,
                                           closed_by="server", bye=None, error=None)]


def test_results_are_those_of_the_documentation(run):
    documented = yaml.safe_load(imap_probe.RETURN)
    with ImapServer(timeouts=dict(pre_authenticated=0.3)) as server:
        result, _status = run(port=server.port, measure=["pre_authenticated"], max_wait=5)
    assert set(result) - {"changed", "invocation"} == set(documented)
    assert set(result["measurements"][0]) == set(documented["measurements"]["contains"])


def test_failure_is_one_sentence(run):
    with ImapServer(("alice", "another"), refusal=b"wrong password s3cret word!") as server:
        result, status = run(port=server.port, username="alice", password=PASSWORD, max_wait=5)
    assert status == 1
    assert result["failed"] is True
    assert result["msg"] == (f"127.0.0.1 port {server.port} refused LOGIN for username=alice: NO wrong password ********!; "
                             "check username and password.")
    assert "exception" not in result
    assert "\n" not in result["msg"]


@pytest.mark.parametrize("options, words", [
    (dict(username="alice"), "password"),
    (dict(password=PASSWORD), "username"),
    (dict(tls="ssl"), "tls"),
    (dict(measure=["sleepy"]), "measure"),
    (dict(login_method="cram-md5"), "login_method"),
    (dict(max_wait="soon"), "max_wait"),
    (dict(max_wait=0), "max_wait"),
    (dict(measure=["authenticated"]), "measure=authenticated"),
    (dict(host="192.0.2.1", username="alice", password=PASSWORD), "allow_cleartext=true"),
])
def test_bad_options(run, options, words):
    result, status = run(**options)
    assert status == 1
    assert words in result["msg"]
