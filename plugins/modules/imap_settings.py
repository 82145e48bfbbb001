#!/usr/bin/python
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: imap_settings
short_description: Make an IMAP server close idle connections on time
version_added: 0.1.0
author:
  - The mailops.imap developers (@mailops)
description:
  - Converges how long an idle IMAP connection may live, before and after its user has logged in.
  - Finds the IMAP server on the host, or the chain of an nginx mail proxy and the server behind it, and works out for
    each setting what is configured, what the server makes of it, and what the process that serves now was started with.
  - Never reports a value as converged that the server will not obey. What is compiled into a server, or silently raised
    by it, is named.
  - The new configuration is read by the server's own parser before any file changes. Files change all or none.
  - The services that RV(services) names must be restarted for the change to count; use M(mailops.imap.imap_restart) in
    a handler, or the role P(mailops.imap.imap_settings#role), which does both. While they have not been, every further
    run reports C(changed) again.
extends_documentation_fragment:
  - mailops.imap.attributes
  - mailops.imap.attributes.actiongroup_imap
  - mailops.imap.settings
  - mailops.imap.settings.server_type
  - mailops.imap.exchange
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
    platforms: debian, windows
requirements:
  - The Python package jsonschema on the controller
  - The Python package pypsrp on the controller, for Microsoft Exchange alone
notes:
  - Values are also checked on the controller, against a JSON Schema and before the host is contacted.
  - On Linux, runs as root on the target server.
  - Microsoft Exchange is reached from the controller; see O(exchange). This support is tested against a protocol
    simulator, not against Exchange.
  - Which settings a version of Exchange has is in the guides on server types and on Exchange. Values outside of what Microsoft documents
    for a version bring a warning; Microsoft's documents contradict each other, so the server has the last word, and
    what it says fails the task. Check mode does not ask the server whether it would take a value.
  - On Exchange, RV(settings.running) and C(restart_pending) come of comparing when the settings' object in Active
    Directory was last changed with when the services started. A change of any setting of the object counts, and so does
    one by somebody else. The time is that of the domain controller that answered, so replication and clocks that differ
    shift it by as much. Where either time cannot be seen, RV(settings.running) is V(none), nothing but the task's own
    change is called pending, and a warning says so.
  - Where a backend of the chain itself listens on port 143 or 993 of an address that other hosts reach, a warning says
    so, because the clients that connect there are past the mail proxy and its time-outs.
  - Dovecot without a mail proxy never closes a connection that waits in IDLE, because it tells the client that it is still
    there every C(imap_idle_notify_interval), unless that is 0 or longer than 1800 seconds and C(imap_hibernate_timeout)
    is not set. nginx does not mind that and closes such a connection on time, whereas Perdition counts its time-out anew.
    Courier 5.2 without a mail proxy never closes one that waits in IDLE with a mailbox selected. Warnings say so where
    O(authenticated_connection_timeout) is asked for.
  - The configuration of a backend on another host cannot be seen from the mail proxy's, nor that of a server that
    Dovecot's passdb hands clients on to. It is taken to keep idle connections for 1800 seconds, and a warning says so,
    as far as the configuration shows that there is such a server.
seealso:
  - module: mailops.imap.imap_settings_info
  - module: mailops.imap.imap_restart
  - module: mailops.imap.imap_probe
"""

EXAMPLES = r"""
- name: Close idle connections after 30 minutes, and after one minute before login
  mailops.imap.imap_settings:
    authenticated_connection_timeout: 30m
    pre_authenticated_connection_timeout: 60
  register: imap
  notify: Restart IMAP4 service

- name: The same on a Microsoft Exchange server that the controller reaches with Kerberos
  mailops.imap.imap_settings:
    server_type: exchange
    authenticated_connection_timeout: 30m
    pre_authenticated_connection_timeout: 60
    external_connection_settings: [] # cleared
    exchange:
      user: admin@EXAMPLE.COM
      password: "{{ vaulted_password }}"
  delegate_to: localhost

# The handler that belongs to it:
# - name: Restart IMAP4 service
#   mailops.imap.imap_restart:
#     services: "{{ imap.services }}"
"""

RETURN = r"""
server_type:
  description: The type of the server that clients talk to; V(none) in check mode on a host that has none yet.
  returned: success, and when a value cannot be enforced
  type: str
  sample: nginx
server_version:
  description: Its version.
  returned: success, and when a value cannot be enforced
  type: str
  sample: 1.22.1
identity:
  description: The full name of the Exchange server that was worked on.
  returned: success, on Exchange
  type: str
  sample: mbx01.example.com
chain:
  description: The servers that a client's connection goes through, the one that it talks to first.
  returned: success, and when a value cannot be enforced
  type: list
  elements: dict
  sample:
    - server_type: nginx
      server_version: 1.22.1
    - server_type: dovecot
      server_version: 2.3.19.1
settings:
  description:
    - Each setting that was asked for, by its name, as it was found before any change.
    - The same in check mode.
  returned: success, and when a value cannot be enforced
  type: dict
  contains:
    desired:
      description: What the task asks, in the unit of the setting (seconds, bytes or connections).
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
      description: Whether desired, effective and running agree.
      type: bool
    drift:
      description: What kind of drift there is, one of V(value), V(missing), V(override), V(unenforceable) and
        V(restart_pending), or V(none).
      type: str
    cause:
      description: V(intended) where the playbook asks for something new, V(corrective) where somebody changed the
        server; V(none) on Exchange, which keeps no record that would tell.
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
  sample:
    authenticated_connection_timeout:
      desired: 1800
      configured: 300
      effective: 300
      running: 300
      in_sync: false
      drift: value
      cause: corrective
      reason: /etc/nginx/mailops-imap/settings.conf:4 says 300 seconds
      file: /etc/nginx/mailops-imap/settings.conf
      line: 4
drift:
  description: The settings that are off, each as in RV(settings) with its name as C(setting).
  returned: success, and when a value cannot be enforced
  type: list
  elements: dict
changes:
  description: The lines that were changed or added, or would be in check mode; on Exchange, the parameters that were set.
  returned: success, and when a value cannot be enforced
  type: list
  elements: dict
  contains:
    server_type:
      description: The type of the server whose line it is.
      type: str
    file:
      description: The file; V(none) on Exchange.
      type: str
    line:
      description: The number of the line after the change; V(none) on Exchange.
      type: int
    before:
      description: What the line said; V(none) for one that was added.
      type: str
    after:
      description: What it says now.
      type: str
  sample:
    - server_type: nginx
      file: /etc/nginx/mailops-imap/settings.conf
      line: 4
      before: proxy_timeout 300s;
      after: proxy_timeout 1800s;
restart_required:
  description: Whether RV(services) must be restarted for the desired values to be in force.
  returned: success, and when a value cannot be enforced
  type: bool
services:
  description:
    - The services to restart, in this order.
    - On Exchange those that run, or, with O(exchange.look_at_services=false), those that its version has.
  returned: success, and when a value cannot be enforced
  type: list
  elements: str
  sample: [nginx]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.mailops.imap.plugins.module_utils import _contract, _options, _workflow
from ansible_collections.mailops.imap.plugins.module_utils._host import Host, HostError


def main():
    module = AnsibleModule(
        argument_spec=_options.argument_spec(),
        required_one_of=[list(_contract.SETTINGS)],
        supports_check_mode=True,
    )
    given = {name: value for name, value in module.params.items() if value is not None}
    desired, violations = _contract.desired(given, given["ranges"])
    if violations:
        module.fail_json(msg=_contract.refusal(violations))
    try:
        result = _workflow.converge(
            Host(),
            desired,
            server_type=module.params["server_type"],
            keep_going=module.params["unenforceable"] == "report",
            check_mode=module.check_mode,
        )
    except _workflow.NotEnforceable as problem:
        for warning in problem.result.pop("warnings"):
            module.warn(warning)
        module.fail_json(msg=str(problem), **problem.result)
    except HostError as problem:
        module.fail_json(msg=str(problem))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
