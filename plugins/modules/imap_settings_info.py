#!/usr/bin/python
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: imap_settings_info
short_description: Look at how long an IMAP server lets idle connections live
version_added: 0.1.0
author:
  - The mailops.imap developers (@mailops)
description:
  - Returns what M(mailops.imap.imap_settings) returns, without a desired state, and what each setting can take on this
    host.
extends_documentation_fragment:
  - mailops.imap.attributes
  - mailops.imap.attributes.actiongroup_imap
  - mailops.imap.attributes.info_module
  - mailops.imap.settings.server_type
  - mailops.imap.exchange
attributes:
  platform:
    support: full
    platforms: debian, windows
requirements:
  - The Python package pypsrp on the controller, for Microsoft Exchange alone
notes:
  - On Linux, runs as root on the target server.
  - Microsoft Exchange is reached from the controller; see O(exchange). This support is tested against a protocol
    simulator, not against Exchange.
  - A configuration that the server's own parser refuses fails the task with the parser's words, because then it cannot
    be told what the server would make of it.
seealso:
  - module: mailops.imap.imap_settings
  - module: mailops.imap.imap_probe
"""

EXAMPLES = r"""
- name: Look at the IMAP server
  mailops.imap.imap_settings_info:
  register: imap

- name: Show how long an idle connection lives
  ansible.builtin.debug:
    msg: "{{ imap.settings.authenticated_connection_timeout.effective }} seconds"
"""

RETURN = r"""
server_type:
  description: The type of the server that clients talk to.
  returned: success
  type: str
  sample: nginx
server_version:
  description: Its version.
  returned: success
  type: str
  sample: 1.22.1
identity:
  description: The full name of the Exchange server that was looked at.
  returned: success, on Exchange
  type: str
  sample: mbx01.example.com
chain:
  description: The servers that a client's connection goes through, the one that it talks to first.
  returned: success
  type: list
  elements: dict
settings:
  description: Each setting that the server has, by its name, as in M(mailops.imap.imap_settings).
  returned: success
  type: dict
  contains:
    desired:
      description: Always V(none).
      type: raw
    configured:
      description: What the file says; V(none) where no file says anything.
      type: raw
    effective:
      description: What the server makes of it, the smallest along the chain; V(unlimited) where nothing limits it.
      type: raw
    running:
      description: What the process that serves now was started with; V(none) where that cannot be known.
      type: raw
    in_sync:
      description: Whether effective and running agree.
      type: bool
    drift:
      description: V(restart_pending), or V(none).
      type: str
    cause:
      description: Always V(none).
      type: str
    reason:
      description: Why the setting is off, in words.
      type: str
    file:
      description: The file that the value is in force from.
      type: str
    line:
      description: The line in RV(settings.file).
      type: int
    members:
      description: The same for each server of a chain.
      type: list
      elements: dict
    takes:
      description: The C(minimum) and the C(maximum) that can be enforced on this host, V(none) where there are no bounds, and
        the C(reason) for them.
      type: dict
drift:
  description: The settings that are off, each as in RV(settings) with its name as C(setting).
  returned: success
  type: list
  elements: dict
restart_required:
  description: Whether RV(services) must be restarted for the configured values to be in force.
  returned: success
  type: bool
services:
  description: The services to restart, in this order.
  returned: success
  type: list
  elements: str
  sample: [nginx]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.mailops.imap.plugins.module_utils import _options, _workflow
from ansible_collections.mailops.imap.plugins.module_utils._host import Host, HostError


def main():
    module = AnsibleModule(
        argument_spec=_options.info_spec(),
        supports_check_mode=True,
    )
    try:
        result = _workflow.look(Host(), module.params["server_type"])
    except HostError as problem:
        module.fail_json(msg=str(problem))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
