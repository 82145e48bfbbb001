# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What the modules of this collection say about check mode, diff mode, platforms and action groups."""

    DOCUMENTATION = r"""
options: {}
attributes:
  async:
    description: Supports being used with the C(async) keyword.
    support: none
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
  diff_mode:
    description: Returns details on what has changed, or would change in check mode, when in diff mode.
  idempotent:
    description: When run twice in a row outside check mode with the same arguments, the second run changes nothing.
  platform:
    description: Operating systems that the module can run on.
    support: full
"""

    ACTIONGROUP_IMAP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/mailops.imap.imap) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - mailops.imap.imap
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module does not change anything.
  diff_mode:
    support: N/A
    details:
      - This module does not change anything.
  idempotent:
    support: full
    details:
      - This module does not change anything.
"""
