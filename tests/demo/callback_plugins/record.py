# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write what the modules of the collection returned, and the recap, to the file that DEMO_RECORD names."""

from __future__ import annotations

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: notification
short_description: Keep the results of mailops.imap modules for the demo
description: For the demo only.
"""


class CallbackModule(CallbackBase):
    """``{"results": [{"host", "module", "result"}], "changed": {host: number}, "failed": {host: number}}``"""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self._results = []

    def _keep(self, result, **_options):
        action = result._task.action
        if action.startswith("mailops.imap."):
            kept = {"host": result._host.get_name(), "module": action.rsplit(".", 1)[1], "result": result._result}
            self._results.append(kept)

    v2_runner_on_ok = v2_runner_on_failed = _keep

    def v2_playbook_on_stats(self, stats):
        recap = {host: stats.summarize(host) for host in stats.processed}
        record = {
            "results": self._results,
            "changed": {host: numbers["changed"] for host, numbers in recap.items()},
            "failed": {host: numbers["failures"] + numbers["unreachable"] for host, numbers in recap.items()},
        }
        with open(os.environ["DEMO_RECORD"], "w", encoding="utf-8") as stream:
            json.dump(record, stream, default=str)
