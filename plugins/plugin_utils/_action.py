# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins share whose task is done from the controller where the server is Exchange.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ._exchange import _task


class RoutedAction(ActionBase):
    """Refuses wrong options on the controller, and goes to Exchange from there; elsewhere ``module`` does the rest.

    ``module`` is the module's full name.
    """

    module = ""

    def refusal(self):
        """Return the message that refuses the task's options, or None where all are allowed."""
        raise NotImplementedError

    def on_exchange(self, task_vars):
        """Return the result of the task on Exchange."""
        raise NotImplementedError

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        self._task.args = _task.plain(self._task.args)
        refusal = self.refusal()
        if refusal:
            return {**result, "failed": True, "msg": refusal}
        try:
            if _task.goes_to_exchange(self):
                return {**result, **self.on_exchange(task_vars)}
        except _task.OptionProblem as problem:
            return {**result, "failed": True, "msg": str(problem)}
        arguments = _task.for_linux(self._task.args)
        return {**result, **self._execute_module(module_name=self.module, module_args=arguments, task_vars=task_vars)}
