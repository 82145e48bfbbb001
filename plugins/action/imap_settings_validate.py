# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.mailops.imap.plugins.plugin_utils import _validation
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _task


class ActionModule(ActionBase):
    """Checks the options on the controller and contacts nobody."""

    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        if self._task._role:
            result["warnings"] = _validation.misspelt(task_vars)
        refusal = _validation.refusal(_task.plain(self._task.args))
        if refusal:
            return {**result, "failed": True, "msg": refusal}
        return {**result, "changed": False}
