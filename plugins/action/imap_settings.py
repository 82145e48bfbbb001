# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.mailops.imap.plugins.plugin_utils import _validation
from ansible_collections.mailops.imap.plugins.plugin_utils._action import RoutedAction
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _task


class ActionModule(RoutedAction):
    """Converges Exchange from the controller; on other servers the module does all."""

    module = "mailops.imap.imap_settings"

    def refusal(self):
        return _validation.refusal(self._task.args)

    def on_exchange(self, task_vars):
        return _task.converge(self, task_vars)
