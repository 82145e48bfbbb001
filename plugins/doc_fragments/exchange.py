# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options that only hosts with Microsoft Exchange have."""

    DOCUMENTATION = r"""
options:
  identity:
    description:
      - The Exchange server to work on, by name, full name or distinguished name.
      - By default the server that answers at the host; on a task that is delegated to another Exchange host, the one
        that is called like the host of the play.
      - Of no meaning for other server types.
    type: str
  exchange:
    description:
      - How the controller reaches Microsoft Exchange. Of no meaning for other server types, and never sent to them.
      - What is left out is taken from the host's variables for the connection plugins
        P(ansible.builtin.psrp#connection) and P(ansible.builtin.winrm#connection), such as C(ansible_host), C(ansible_user), C(ansible_password) and
        C(ansible_psrp_cert_validation).
    type: dict
    suboptions:
      access:
        description:
          - With V(remoting), through C(/PowerShell/) and the session configuration C(Microsoft.Exchange), for Exchange
            2010 and newer.
          - With V(snap_in), through Windows PowerShell, into which Exchange's snap-in is loaded, for Exchange 2007.
            There Exchange's cmdlets log in to Active Directory in their turn, which takes O(exchange.auth=credssp), Kerberos
            with delegation, or O(exchange.auth=basic) with https.
        type: str
        choices: [remoting, snap_in]
        default: remoting
      host:
        description:
          - The host of the endpoint. By default C(ansible_host), or the name in the inventory.
        type: str
      user:
        description:
          - The user. By default C(ansible_user). With Kerberos it is C(user@DOMAIN); without any, the ticket in the
            controller's cache is used.
        type: str
      password:
        description:
          - The password. By default C(ansible_password).
        type: str
      auth:
        description:
          - How to log in. By default C(ansible_psrp_auth), or else V(auto).
          - With V(auto), Kerberos is tried, and Negotiate, which may end at NTLM, where there is a password but no Kerberos.
            A user or password that Kerberos refuses is not tried again; a user C(DOMAIN\user) goes to Negotiate at once.
          - V(kerberos) takes a user C(user@DOMAIN) and the Python packages of C(pypsrp[kerberos]).
          - V(certificate) needs https, C(ansible_psrp_certificate_pem) and C(ansible_psrp_certificate_key_pem).
          - V(credssp) needs the user, the password and the Python packages of C(pypsrp[credssp]).
          - V(basic) needs https, unless O(exchange.allow_unencrypted=true).
        type: str
        choices: [auto, kerberos, negotiate, ntlm, basic, credssp, certificate]
      protocol:
        description:
          - The protocol of the endpoint. By default V(http), whose messages Kerberos and Negotiate encrypt, and
            V(https) for O(exchange.auth=basic) and O(exchange.auth=certificate).
        type: str
        choices: [http, https]
      port:
        description:
          - The port of the endpoint. By default 80 for http and 443 for https.
        type: int
      path:
        description:
          - The path of the endpoint.
        type: str
        default: PowerShell
      look_at_services:
        description:
          - Whether to look at the services too, which takes an account that may open Windows PowerShell at C(/wsman).
          - With V(false), services are neither looked at nor restarted, which somebody has to do by other means. A
            change returns C(restart_required=true), and C(services) with the names that the version has. A later run
            cannot tell whether they have been restarted since, and says so in a warning, with the time of the change.
          - With V(true) nothing is set where they cannot be looked at. M(mailops.imap.imap_settings_info), which only
            reads, returns C(running) empty then, and says why in a warning.
        type: bool
        default: true
      services_host:
        description:
          - The host of the services, when it is neither O(exchange.host) nor reached by the server's full name.
        type: str
      services_auth:
        description:
          - How to log in to Windows PowerShell. By default as O(exchange.auth).
        type: str
        choices: [auto, kerberos, negotiate, ntlm, basic, credssp, certificate]
      services_protocol:
        description:
          - The protocol of Windows PowerShell. By default C(ansible_psrp_protocol) or C(ansible_winrm_scheme), or by
            the port; V(http) where nothing is said and the host's connection is neither C(psrp) nor C(winrm).
        type: str
        choices: [http, https]
      services_port:
        description:
          - The port of Windows PowerShell. By default that of the host's connection C(psrp) or C(winrm), or else 5985
            for http and 5986 for https.
        type: int
      services_path:
        description:
          - The path of Windows PowerShell. By default C(ansible_psrp_path), or C(wsman).
        type: str
      validate_certs:
        description:
          - Whether the server's certificate must be trusted. By default as C(ansible_psrp_cert_validation) says, or
            V(true).
        type: bool
      ca_cert:
        description:
          - The path of a file with the authorities to trust. By default C(ansible_psrp_ca_cert).
        type: path
      allow_unencrypted:
        description:
          - Whether O(exchange.auth=basic) may send the password over http, readable by all on the way.
        type: bool
        default: false
      connection_timeout:
        description:
          - How many seconds a connection may take to be made. By default C(ansible_psrp_connection_timeout), or 30.
        type: int
      read_timeout:
        description:
          - How many seconds an answer may take. By default C(ansible_psrp_read_timeout), or 30.
        type: int
      operation_timeout:
        description:
          - After how many seconds the server shall say that it is still working. By default
            C(ansible_psrp_operation_timeout), or 20.
        type: int
"""
