# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulator's envelopes have the shape of those of Windows, as pypsrp's own test data recorded them.

The source package of pypsrp has these recordings (Windows Server 2016 and others). `make test-exchange` fetches them
with pip into a folder that MAILOPS_IMAP_TRANSCRIPTS names; without it the comparison is skipped.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import yaml
from exchange_simulator import simulator, wsman

FOLDER = Path(os.environ.get("MAILOPS_IMAP_TRANSCRIPTS") or "/nonexistent")
LOGIN = SimpleNamespace(user="administrator", mechanism="NTLM")
# Disconnected sessions and lists of shells, which no client here uses.
NOT_SIMULATED = {"Disconnect", "Connect", "Reconnect", "Enumerate"}
TIMED_OUT = "2150858793"
NOT_PLAYED = {
    "test_psrp_with_jea_configuration",  # another configuration
    "test_psrp_set_runspaces",  # psrpcore 0.3.1 does not find the number of a call that the client spells CI
    "test_psrp_run_protocol_version_2.1",  # the server chooses the shell's identifier
}
ANSWERED_OTHERWISE = {
    ("test_psrp_small_msg_size", "Get"),  # the configuration of WinRM, which the simulator has not
    ("test_psrp_is_alive_invalid_selectors", "Get"),  # a selector that nobody knows
}


def paths(element, prefix=""):
    """Every path of elements below an element, with the attributes that tell parts of a message from each other."""
    name = element.tag.replace("{", "").replace("}", " ")
    marks = "".join(f"[{key}={element.get(key)}]" for key in ("Name", "State") if element.get(key))
    here = f"{prefix}/{name}{marks}" + "".join(f"@{key}" for key in sorted(element.attrib))
    return {here}.union(*(paths(child, here) for child in element))


def kind(envelope):
    """What an answer is an answer to; for a fault its number."""
    answers = envelope.findtext("s:Header/a:Action", namespaces=wsman.NAMES)
    fault = envelope.find(f".//{{{wsman.FAULT}}}WSManFault")
    return fault.get("Code") if fault is not None else answers


def action(request):
    return re.search(r"Action[^>]*>[^<]*/(\w+)<", request)[1]


def transcripts():
    """[(name, [(request, answer)])] of the recordings of runspace pools that the simulator can play."""
    found = []
    for path in sorted(FOLDER.glob("test_psrp_*.yml")):
        messages = [
            (message["request"], message["response"])
            for message in yaml.safe_load(path.read_text(encoding="utf-8"))["messages"]
            if message.get("response")
        ]
        actions = {action(request) for request, _answer in messages}
        if not actions & NOT_SIMULATED and path.stem not in NOT_PLAYED:
            found.append((path.stem, messages))
    return found


@pytest.fixture(scope="module", name="recorded")
def recorded_():
    """{kind: [paths of an answer]} of Windows."""
    shapes = defaultdict(list)
    for _name, messages in transcripts():
        for _request, answer in messages:
            envelope = ElementTree.fromstring(answer)
            shapes[kind(envelope)].append(paths(envelope))
    if not shapes:
        pytest.skip("no recorded transcripts: MAILOPS_IMAP_TRANSCRIPTS names no folder that has them")
    return shapes


@pytest.fixture(scope="module", name="played")
def played_(recorded):
    """[(transcript, request, answer)]: what the simulator says to the requests of the recordings, in their order."""
    answers = []
    for name, messages in transcripts():
        with simulator() as exchange:
            for request, answer in messages:
                # Where Windows had nothing to say, there is no need to wait long for that.
                patience = "0.1" if kind(ElementTree.fromstring(answer)) == TIMED_OUT else "2"
                hurried = re.sub(r"(?<=<wsman:OperationTimeout>)PT\d+S(?=<)", f"PT{patience}S", request)
                _status, answer = exchange.service.answer(hurried.encode(), "/wsman", LOGIN, "127.0.0.1")
                answers.append((name, ElementTree.fromstring(request), ElementTree.fromstring(answer)))
    return answers


def test_recorded_requests_are_answered_as_windows_answered_them(recorded, played):
    """But for Receive: into how many answers the words of a command fall depends on how fast it says them."""
    kinds = [kind(answer) for _name, _request, answer in played]
    assert set(kinds) <= set(recorded)
    windows = [(action(request), answer) for _name, messages in transcripts() for request, answer in messages]
    differing = {
        (name, asked)
        for (name, _request, _answer), ours, (asked, answer) in zip(played, kinds, windows)
        if asked != "Receive" and ours != kind(ElementTree.fromstring(answer))
    }
    assert differing == ANSWERED_OTHERWISE
    for name in ("Create", "Delete", "Get"):
        assert f"{wsman.TRANSFER}/{name}Response" in kinds
    for name in ("Command", "Receive", "Send", "Signal"):
        assert f"{wsman.SHELL}/{name}Response" in kinds


def test_an_answer_has_all_that_windows_always_sends(recorded, played):
    for name, _request, answer in played:
        always = set.intersection(*recorded[kind(answer)])
        assert always <= paths(answer), name


def test_an_answer_has_nothing_that_windows_never_sends(recorded, played):
    for name, _request, answer in played:
        assert paths(answer) <= set.union(*recorded[kind(answer)]), name


def test_an_answer_relates_to_its_request(played):
    for name, request, answer in played:
        asked = request.findtext("s:Header/a:MessageID", namespaces=wsman.NAMES)
        assert answer.findtext("s:Header/a:RelatesTo", namespaces=wsman.NAMES) == asked, name


@pytest.mark.parametrize(
    "change, code",
    [
        (("PT20S", "PT0.1S"), TIMED_OUT),
        (("PT20S", "PT-1S"), "2150858767"),
        (('Name="ShellId">', 'Name="ShellId">0'), "2150858843"),
        (("<rsp:DesiredStream", '<rsp:DesiredStream CommandId="0"'), "2150858843"),
    ],
)
def test_a_fault_has_the_shape_of_a_recorded_one(recorded, change, code):
    _name, messages = next(one for one in transcripts() if one[0] == "test_psrp_open_runspace")
    create, receive = [request for request, _answer in messages][:2]
    with simulator() as exchange:
        exchange.service.answer(create.encode(), "/wsman", LOGIN, "127.0.0.1")
        for _index in range(2):  # what the pool has to say
            exchange.service.answer(receive.encode(), "/wsman", LOGIN, "127.0.0.1")
        status, answer = exchange.service.answer(receive.replace(*change).encode(), "/wsman", LOGIN, "127.0.0.1")
    envelope = ElementTree.fromstring(answer)
    assert (status, kind(envelope)) == (500, code)
    assert any(paths(envelope) == ever for ever in recorded[code])
