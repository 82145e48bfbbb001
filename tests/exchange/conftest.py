# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulator and this folder's helpers are imported by their own names."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _services

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]


@pytest.fixture(name="slept", autouse=True)
def fixture_slept(monkeypatch):
    """The seconds that were waited before restarts. Nobody waits for them, as the simulators' clocks need no waiting."""
    slept = []
    monkeypatch.setattr(_services, "time", SimpleNamespace(sleep=slept.append))
    return slept
