# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every version of Exchange through the whole of an administrator's day: check, apply, restart, again, drift, mistakes,
faults.
"""

from __future__ import annotations

import pytest
from world import TIMEOUTS, VERSIONS, exchange, ran, restart, way_in

from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _parameters, _route
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange._session import ExchangeError

RELEASES = dict(zip(VERSIONS, _parameters.RELEASES))


@pytest.fixture(name="server", params=VERSIONS, ids=str)
def fixture_server(request):
    with exchange(request.param) as server:
        yield server
        assert server.open_shells == 0 and server.shells_created > 0


@pytest.fixture(name="access")
def fixture_access(server):
    return way_in(server)


def test_check_mode_foretells_and_changes_nothing(server, access):
    before = dict(server.settings)
    result = _route.converge(access, TIMEOUTS, check_mode=True)
    assert result["changed"] and {entry["setting"]: entry["desired"] for entry in result["drift"]} == TIMEOUTS
    assert server.settings == before and ran(server, "Set-ImapSettings") == []
    done = _route.converge(access, TIMEOUTS)
    assert {**result, "warnings": None} == {**done, "warnings": None}


def test_apply_changes_what_differs_and_names_the_services(server, access):
    server.settings["PreAuthenticatedConnectionTimeout"] = 90
    result = _route.converge(access, TIMEOUTS)
    assert server.settings["AuthenticatedConnectionTimeout"] == 900
    assert ran(server, "Set-ImapSettings") == [{"Server": "EX01", "AuthenticatedConnectionTimeout": "00:15:00"}]
    assert result["restart_required"] and result["services"] == list(server.version.services)


def test_the_version_is_told(server, access):
    result = _route.look(access)
    release = RELEASES[server.version.name]
    assert _parameters.version(result["server_version"]).release == release
    known = {row.parameter for row in _parameters.PARAMETERS.values() if _parameters.has(release, row.setting)}
    assert known == set(server.version.parameters) - {"LiveIdBasicAuthReplacement"}
    assert set(result["settings"]) == {row.setting for row in _parameters.PARAMETERS.values() if row.parameter in known}


def test_restart_restarts_each_service_once(server, access):
    result = _route.converge(access, TIMEOUTS)
    done = restart(server, result["services"], result["identity"].partition(".")[0])
    assert done["services"] == list(server.version.services)
    assert [service.starts for service in server.services.values()] == [1] * len(server.version.services)


def test_a_second_run_changes_nothing(server, access):
    restart(server, _route.converge(access, TIMEOUTS)["services"])
    result = _route.converge(access, TIMEOUTS)
    assert (result["changed"], result["drift"], result["restart_required"]) == (False, [], False)
    assert {name: entry["running"] for name, entry in result["settings"].items()} == TIMEOUTS
    assert len(ran(server, "Set-ImapSettings")) == 1


def test_a_restart_that_did_not_happen_is_found_by_every_later_run(server, access):
    _route.converge(access, TIMEOUTS)
    for _run in range(2):
        result = _route.converge(access, TIMEOUTS)
        assert result["changed"] and result["services"] == list(server.version.services)
        assert {entry["drift"] for entry in result["drift"]} == {"restart_pending"}
        assert result["settings"]["authenticated_connection_timeout"]["running"] is None
    restart(server, result["services"])
    assert not _route.converge(access, TIMEOUTS)["changed"]


def test_drift_is_found_and_corrected(server, access):
    restart(server, _route.converge(access, TIMEOUTS)["services"])
    server.organization.local.write({"AuthenticatedConnectionTimeout": 1200})
    result = _route.look(access)
    assert result["settings"]["authenticated_connection_timeout"]["configured"] == 1200
    result = _route.converge(access, TIMEOUTS)
    assert [(entry["setting"], entry["drift"]) for entry in result["drift"]] == [
        ("authenticated_connection_timeout", "value"),
        ("pre_authenticated_connection_timeout", "restart_pending"),
    ]
    assert server.settings["AuthenticatedConnectionTimeout"] == 900
    restart(server, result["services"])
    assert not _route.converge(access, TIMEOUTS)["drift"]


def test_a_value_that_the_server_refuses_fails_in_its_own_words_and_changes_nothing(server, access):
    before = dict(server.settings)
    with pytest.raises(ExchangeError) as failure:
        _route.converge(access, {"authenticated_connection_timeout": 20, "max_connections_per_user": 8})
    minimum = server.version.parameters["AuthenticatedConnectionTimeout"].minimum
    assert 'The value "00:00:20" of property "AuthenticatedConnectionTimeout"' in str(failure.value) and minimum > 20
    assert server.settings == before and server.open_shells == 0


def test_what_the_version_lacks_is_refused_by_name(server, access):
    release = RELEASES[server.version.name]
    wanted = {"enable_exact_rfc822_size": True, "suppress_read_receipt": True, "banner": "Ready."}
    lacking = [name for name in wanted if not _parameters.has(release, name)]
    if not lacking:
        assert _route.converge(access, wanted)["changed"]
        return
    with pytest.raises(_route.NotEnforceable) as failure:
        _route.converge(access, wanted)
    assert all(f"{name} cannot be set on Exchange {release}" in str(failure.value) for name in lacking)
    assert server.settings["Banner"] != "Ready."


def test_a_format_that_came_later_is_refused_where_it_is_not_yet(server, access):
    wanted = {"message_retrieval_mime_format": "Tnef"}
    if server.version.name != "2007":
        assert _route.converge(access, wanted)["changed"] and server.settings["MessageRetrievalMimeFormat"] == "Tnef"
        return
    with pytest.raises(_route.NotEnforceable, match="cannot be Tnef on Exchange 2007 RTM, which has it from 2007 SP1 on"):
        _route.converge(access, wanted)
    assert ran(server, "Set-ImapSettings") == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_numbers_of_choices_are_those_of_the_version(version):
    for row in _parameters.PARAMETERS.values():
        parameter = VERSIONS[version].parameters.get(row.parameter)
        if row.kind == "choice" and parameter:
            assert dict(enumerate(parameter.choices, parameter.first)).items() <= row.choices.items()


def test_a_server_that_is_not_there_is_told_and_nothing_is_changed(server, access):
    before = dict(server.settings)
    with pytest.raises(ExchangeError, match="'EX09' couldn't be found"):
        _route.converge(access, TIMEOUTS, identity="EX09")
    assert server.settings == before


def test_a_late_greeting_is_waited_for_and_a_missing_one_is_told(server, access):
    services = _route.converge(access, TIMEOUTS)["services"]
    server.faults.imap_delay = 0.3
    assert restart(server, services)["services"] == services
    server.faults.imap_refused = True
    with pytest.raises(ExchangeError, match=f"{services[-1]} came back, but 127.0.0.1 port {server.imap_port} did not"):
        restart(server, services, max_wait=0.3)


def test_a_service_that_does_not_start_again_is_told(server, access):
    services = _route.converge(access, TIMEOUTS)["services"]
    server.faults.restart_fails = ("MSExchangeIMAP4",)
    with pytest.raises(ExchangeError, match="MSExchangeIMAP4 was not restarted and may be down: .*Failed to start service"):
        restart(server, services)


def test_a_session_that_drops_before_the_change_leaves_everything_as_it_was(server, access):
    before = dict(server.settings)
    server.faults.drop_after = 6
    with pytest.raises(ExchangeError, match="was lost while .* ran; run the task again"):
        _route.converge(access, TIMEOUTS)
    server.faults.drop_after = None
    assert server.settings == before
    server.service.shells.clear()  # The server closes what its client left behind.


def test_an_answer_that_is_lost_after_the_change_is_made_good_by_the_next_run(server, access):
    class Dropping(dict):
        """Cuts the connection as soon as a setting was changed."""

        def update(self, *changes, **more):
            super().update(*changes, **more)
            server.faults.cut = True

    server.organization.local.settings = Dropping(server.settings)
    with pytest.raises(ExchangeError, match="^It is not known whether the settings of EX01 were set, which"):
        _route.converge(access, TIMEOUTS)
    server.faults.cut = False
    server.organization.local.settings = dict(server.settings)
    server.service.shells.clear()
    result = _route.converge(access, TIMEOUTS)
    assert result["changed"] and {entry["drift"] for entry in result["drift"]} == {"restart_pending"}
