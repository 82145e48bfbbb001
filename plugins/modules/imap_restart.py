#!/usr/bin/python
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: imap_restart
short_description: Restart IMAP services and see that they answer again
version_added: 0.1.0
author:
  - The mailops.imap developers (@mailops)
description:
  - Made for the handler C(Restart IMAP4 service) of M(mailops.imap.imap_settings).
  - Has the server's own parser read the configuration first. A configuration that it refuses fails the task, and the
    server goes on serving.
  - Restarts the services in their order and waits until the IMAP greeting is back on every address that they listen on,
    or, on Exchange, at O(health_address).
  - When the server does not come back, the configuration from before the last change by M(mailops.imap.imap_settings)
    is put back, the services are restarted with it, and the task fails with the server's own words.
  - A restart and not a reload, because after a reload the connections that are open keep the old time-outs.
options:
  services:
    description:
      - The services to restart, in this order, as M(mailops.imap.imap_settings) returned them.
      - With an empty list, nothing happens.
    type: list
    elements: str
    required: true
  max_wait:
    description:
      - How many seconds each address has to greet again.
      - By default 30, and 60 on Exchange, whose services take up to half a minute to listen.
    type: float
  health_address:
    description:
      - On Exchange, the address or name at which the controller must be greeted.
      - By default the host that the services are on. Name another where the controller reaches IMAP there by another
        address; a load balancer would let other servers answer in this one's place.
      - Of no meaning for other server types, whose addresses are in their configuration.
    type: str
  health_port:
    description:
      - On Exchange, the port of that greeting. On V(993) TLS comes first, whatever the certificate, and on no other.
      - Of no meaning for other server types.
    type: int
    default: 143
extends_documentation_fragment:
  - mailops.imap.attributes
  - mailops.imap.exchange
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - Restarting changes no configuration.
  idempotent:
    support: none
    details:
      - Services are restarted each time. Use it in a handler.
  platform:
    support: full
    platforms: debian, windows
requirements:
  - The Python package pypsrp on the controller, for Microsoft Exchange alone
notes:
  - On Linux, runs as root on the target server.
  - Microsoft Exchange is reached from the controller; see O(exchange). This support is tested against a protocol
    simulator, not against Exchange.
  - With O(exchange.look_at_services=false), nothing is restarted, and a warning says so.
  - On Exchange, only services that exist and run are restarted, and looked at again. Then the controller waits for the
    greeting; without one the task fails, and no settings are put back. On a server where C(MSExchangeIMAP4BE) alone was
    restarted, nobody greets clients, so no greeting is waited for, and a warning says so.
seealso:
  - module: mailops.imap.imap_settings
  - module: mailops.imap.imap_probe
"""

EXAMPLES = r"""
# In handlers/main.yml, beside a task of mailops.imap.imap_settings that registers imap:
- name: Restart IMAP4 service
  mailops.imap.imap_restart:
    services: "{{ imap.services }}"

# The same for an Exchange server other than the one that answers at the host:
- name: Restart the IMAP4 services of an Exchange server
  mailops.imap.imap_restart:
    services: "{{ imap.services }}"
    identity: "{{ imap.identity }}"
    health_port: 993
"""

RETURN = r"""
services:
  description: The services that were restarted, in their order, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [nginx]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.mailops.imap.plugins.module_utils import _greeting, _options, _workflow
from ansible_collections.mailops.imap.plugins.module_utils._host import Host, HostError


def main():
    module = AnsibleModule(
        argument_spec=_options.restart_spec(),
        supports_check_mode=True,
    )
    max_wait = _greeting.MAX_WAIT if module.params["max_wait"] is None else module.params["max_wait"]
    try:
        result = _workflow.restart(Host(), module.params["services"], max_wait, _greeting.greet, module.check_mode)
    except HostError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
