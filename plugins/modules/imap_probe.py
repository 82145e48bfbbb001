#!/usr/bin/python
# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: imap_probe
short_description: Measure how long an IMAP server lets idle connections live
version_added: "0.1.0"
author:
  - The mailops.imap developers (@mailops)
description:
  - Connects to an IMAP server as a mail client does, and reports its greeting, its capabilities and its TLS certificate.
  - Then, if O(measure) asks for it, leaves connections idle and measures when the server closes them.
  - Without O(measure) it is a health check. It tries again until a greeting comes, so that it can be used right after a
    restart. A connection that is refused or closed before the greeting, and a greeting that begins with C(BYE), are tried
    again; anything else that is wrong, for example the certificate or the password, fails at once.
  - It runs on the managed host, which is the server itself. Use C(delegate_to) to measure from elsewhere.
  - All connections are served by one thread that looks at its sockets every few milliseconds and decrypts later what
    came, because threads of Python wait for each other. TLS session tickets and other messages of TLS itself do not count
    as traffic.
extends_documentation_fragment:
  - mailops.imap.attributes
  - mailops.imap.attributes.info_module
attributes:
  async:
    support: full
  platform:
    support: full
    platforms: posix
options:
  host:
    description:
      - Name or address of the server.
      - The certificate of the server must be valid for it, see O(validate_certs).
    type: str
    default: 127.0.0.1
  port:
    description:
      - Port of the server.
      - The default is V(993) with O(tls=implicit), and V(143) otherwise.
    type: int
  tls:
    description:
      - How the connections are encrypted.
    type: str
    choices:
      none: They are not.
      starttls: With the command C(STARTTLS) after the greeting.
      implicit: From the first byte (IMAPS).
    default: none
  validate_certs:
    description:
      - Whether the certificate of the server must be valid. If V(false), the password goes to whoever answers.
    type: bool
    default: true
  ca_path:
    description:
      - File on the host where the module runs, with the certificates (PEM) that are trusted instead of those of the
        operating system.
    type: path
  username:
    description:
      - Who logs in. Without it nobody does, and only V(pre_authenticated) can be measured.
    type: str
  password:
    description:
      - Password of O(username).
      - It is never sent over a connection that is not encrypted, unless the server is on the loopback interface or
        O(allow_cleartext=true).
    type: str
  login_method:
    description:
      - How O(username) logs in.
      - V(plain_initial_response) is tried even if the server does not announce C(SASL-IR).
    type: str
    choices:
      login: With the command C(LOGIN).
      plain: With the command C(AUTHENTICATE PLAIN), the credentials being sent when the server asks for them.
      plain_initial_response: With the command C(AUTHENTICATE PLAIN) and the credentials in the same line (RFC 4959).
    default: login
  allow_cleartext:
    description:
      - Whether the password may be sent over a connection to another host that is not encrypted.
    type: bool
    default: false
  measure:
    description:
      - The kinds of idle connection to measure. All of them are measured at the same time.
    type: list
    elements: str
    choices:
      pre_authenticated: The client connects, encrypts the connection as O(tls) says, and does not log in. The time starts
        when the TCP connection is made.
      authenticated: The client logs in and sends nothing more. The time starts when the server has answered the login.
      idle: The client logs in and sends C(IDLE) (RFC 2177). The time starts when the server has answered C(IDLE).
    default: []
  connections:
    description:
      - How many connections of each kind in O(measure) there are at once.
      - At most 32 of them are being opened or logged in at one time, because servers queue few new connections, and a
        mail proxy closes those whose login takes too long.
    type: int
    default: 1
  max_wait:
    description:
      - The longest time in seconds that the module waits in each of its phases, each of which begins with the end of
        the one before.
      - First, from the first attempt to connect to the end of the login and logout that find out whether the server is
        there and what it can do.
      - Then, if O(measure) is not empty, from the first connection to the moment when all measured connections are idle.
      - Then, for each connection, the idle time. A connection that is still open after this time is not waited for.
      - So the module ends after O(max_wait) without O(measure), and with it after the time that the logins take plus
        O(max_wait), which is never more than three times O(max_wait).
    type: float
    default: 30
seealso:
  - module: mailops.imap.imap_settings
  - module: mailops.imap.imap_restart
  - name: RFC 9051, section 5.4
    description: What IMAP says about idle time-outs.
    link: https://www.rfc-editor.org/rfc/rfc9051#section-5.4
  - name: RFC 2177
    description: The command IDLE.
    link: https://www.rfc-editor.org/rfc/rfc2177
"""

EXAMPLES = r"""
- name: Wait until the server greets
  mailops.imap.imap_probe:
    max_wait: 60

- name: Measure all idle connections with IMAPS, from the controller
  mailops.imap.imap_probe:
    host: imap.example.org
    tls: implicit
    username: alice
    password: "{{ alice_password }}"
    measure:
      - pre_authenticated
      - authenticated
      - idle
    max_wait: 2000
  delegate_to: localhost
  register: probe

- name: Be sure that idle connections are closed after 1800 seconds
  ansible.builtin.assert:
    that:
      - item.closed
      - (item.seconds - 1800) | abs < 0.5
  loop: "{{ probe.measurements | rejectattr('kind', 'equalto', 'pre_authenticated') }}"

- name: Measure 200 connections that nobody logs in on
  mailops.imap.imap_probe:
    tls: starttls
    ca_path: /etc/ssl/certs/ssl-cert-snakeoil.pem
    host: imap.example.org
    measure: [pre_authenticated]
    connections: 200
    max_wait: 90
"""

RETURN = r"""
greeting:
  description: The greeting line of the server, as it was sent. With O(tls=starttls) it was not encrypted.
  returned: success
  type: str
  sample: "* OK IMAP4 ready"
capabilities:
  description: What the server can do before the login; on an encrypted connection, what it says there.
  returned: success
  type: list
  elements: str
  sample: [IMAP4rev1, SASL-IR, AUTH=PLAIN]
capabilities_after_login:
  description: What the server can do after the login, or V(none) if nobody logged in.
  returned: success
  type: list
  elements: str
  sample: [IMAP4rev1, IDLE, UIDPLUS]
tls:
  description: How the connection was encrypted, or V(none) with O(tls=none).
  returned: success
  type: dict
  contains:
    version:
      description: Version of TLS.
      type: str
      sample: TLSv1.3
    cipher:
      description: Name of the cipher in OpenSSL's words.
      type: str
      sample: TLS_AES_256_GCM_SHA384
    subject:
      description: Subject of the server's certificate, as RFC 4514 writes it.
      type: str
      sample: CN=imap.example.org,O=Example
    issuer:
      description: Issuer of the server's certificate, as RFC 4514 writes it.
      type: str
      sample: CN=Example CA,O=Example
    not_after:
      description: When the server's certificate ends, in UTC.
      type: str
      sample: "2027-01-31T23:59:59Z"
measurements:
  description:
    - One entry for each connection that was measured, in the order of O(measure).
    - A connection that could not be measured does not fail the module; look at RV(measurements[].error).
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: The kind of connection, see O(measure).
      type: str
      sample: idle
    connection:
      description: Number of the connection among those of its kind, from 1 to O(connections).
      type: int
      sample: 1
    seconds:
      description:
        - How long the server let the connection live, in seconds.
        - It is V(none) if the connection was still open after O(max_wait), or if it could not be measured.
      type: float
      sample: 1800.012
    closed:
      description: Whether the server closed the idle connection within O(max_wait).
      type: bool
      sample: true
    closed_by:
      description:
        - How the connection ended. V(server) if the server ended the stream (TLS close_notify or TCP FIN, whichever came
          first), V(reset) if the connection was reset (TCP RST), V(none) if neither was seen.
      type: str
      sample: server
    bye:
      description: What the server said in C(* BYE) before it closed, or V(none) if it said nothing.
      type: str
      sample: Disconnected for inactivity.
    error:
      description: Why the connection could not be measured, or V(none).
      type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.mailops.imap.plugins.module_utils._probe import ProbeError, probe


def main():
    module = AnsibleModule(
        argument_spec=dict(
            host=dict(type="str", default="127.0.0.1"),
            port=dict(type="int"),
            tls=dict(type="str", choices=["none", "starttls", "implicit"], default="none"),
            validate_certs=dict(type="bool", default=True),
            ca_path=dict(type="path"),
            username=dict(type="str"),
            password=dict(type="str", no_log=True),
            login_method=dict(type="str", choices=["login", "plain", "plain_initial_response"], default="login"),
            allow_cleartext=dict(type="bool", default=False),
            measure=dict(type="list", elements="str", choices=["pre_authenticated", "authenticated", "idle"], default=[]),
            connections=dict(type="int", default=1),
            max_wait=dict(type="float", default=30),
        ),
        required_together=[("username", "password")],
        supports_check_mode=True,
    )
    try:
        result = probe(**module.params)
    except ProbeError as error:
        module.fail_json(msg=f"{error}.")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
