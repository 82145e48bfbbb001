# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.mailops.imap.plugins.module_utils import _options
from ansible_collections.mailops.imap.plugins.plugin_utils._action import RoutedAction
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange import _task


class ActionModule(RoutedAction):
    """Restarts Exchange's services from the controller and is greeted there; on other servers the module does all."""

    module = "mailops.imap.imap_restart"

    def refusal(self):
        return _task.refusal(self._task.args, _options.restart_spec())

    def on_exchange(self, task_vars):
        return _task.restart(self, task_vars)
