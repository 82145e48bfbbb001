#!/usr/bin/python
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: imap_settings_validate
short_description: Check IMAP settings on the controller, before any server is touched
version_added: 0.1.0
author:
  - The mailops.imap developers (@mailops)
description:
  - Checks the options of M(mailops.imap.imap_settings) against their types and ranges without connecting to the host.
  - Every violation is in one message, with the option, its value and what is allowed.
  - In a play of its own with C(any_errors_fatal=true), one wrong value for one host stops the run before any host is
    touched. The playbook C(mailops.imap.site) does that first.
extends_documentation_fragment:
  - mailops.imap.attributes
  - mailops.imap.attributes.actiongroup_imap
  - mailops.imap.settings
  - mailops.imap.settings.server_type
  - mailops.imap.exchange
  - mailops.imap.attributes.info_module
attributes:
  platform:
    support: full
    platforms: all
requirements:
  - The Python package jsonschema on the controller
notes:
  - Runs on the controller.
seealso:
  - module: mailops.imap.imap_settings
"""

EXAMPLES = r"""
- name: Check the settings of all servers before any of them is touched
  hosts: imap_servers
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: Check the settings
      mailops.imap.imap_settings_validate:
        authenticated_connection_timeout: "{{ imap_settings_authenticated_connection_timeout | default(omit) }}"
        pre_authenticated_connection_timeout: "{{ imap_settings_pre_authenticated_connection_timeout | default(omit) }}"
"""

RETURN = r"""
"""
