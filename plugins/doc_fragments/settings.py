# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options that several modules of this collection share."""

    DOCUMENTATION = r"""
options:
  # begin generated: settings
  authenticated_connection_timeout:
    description:
      - How long an idle connection may live once its user has logged in.
      - Seconds, or a duration such as V(30m), V(1h30m), V(00:30:00) or V(1.00:00:00). A bare number is always seconds.
      - From 1 to 18000 seconds unless O(ranges=product).
      - RFC 3501 and RFC 9051 ask for at least 1800 seconds. Smaller values are set, with a warning.
      - Taken by the server types nginx, perdition, dovecot, cyrus, courier, exchange.
    type: raw
  pre_authenticated_connection_timeout:
    description:
      - How long a connection may live whose user has not logged in.
      - Seconds, or a duration such as V(30m), V(1h30m), V(00:30:00) or V(1.00:00:00). A bare number is always seconds.
      - From 1 to 200 seconds unless O(ranges=product).
      - On a mail proxy this also bounds the proxy's own login at the backend, so values below 10 seconds bring a
        warning.
      - Taken by the server types nginx, perdition, dovecot, cyrus, courier, exchange.
    type: raw
  max_connections:
    description:
      - How many connections the server takes at once.
      - A whole number from 1 to 2147483647.
      - Taken by the server types dovecot, cyrus, courier, exchange.
    type: raw
  max_connections_from_single_ip:
    description:
      - How many connections the server takes at once from one address.
      - A whole number from 1 to 2147483647.
      - Taken by the server types cyrus, courier, exchange.
    type: raw
  max_connections_per_user:
    description:
      - How many connections the server takes at once from one user.
      - A whole number from 1 to 2147483647.
      - Taken by the server types dovecot, cyrus, exchange.
    type: raw
  max_command_size:
    description:
      - How long a single command may be.
      - A whole number from 40 to 2147483647.
      - Taken by the server types dovecot, exchange.
    type: raw
  banner:
    description:
      - The text that the server greets with.
      - Text on one line.
      - Taken by the server types dovecot, exchange.
    type: raw
  login_type:
    description:
      - How clients may log in.
      - One of V(PlainTextLogin), V(PlainTextAuthentication), V(SecureLogin).
      - Taken by the server types exchange.
    type: raw
  calendar_item_retrieval_option:
    description:
      - What clients see of calendar items.
      - One of V(iCalendar), V(IntranetUrl), V(InternetUrl), V(Custom).
      - Taken by the server types exchange.
    type: raw
  message_retrieval_mime_format:
    description:
      - The format that clients get messages in.
      - One of V(TextOnly), V(HtmlOnly), V(HtmlAndTextAlternative), V(TextEnrichedOnly),
        V(TextEnrichedAndTextAlternative), V(BestBodyFormat), V(Tnef).
      - Taken by the server types exchange.
    type: raw
  owa_server_url:
    description:
      - The address of Outlook on the web for C(calendar_item_retrieval_option=Custom).
      - Text on one line.
      - Taken by the server types exchange.
    type: raw
  ssl_bindings:
    description:
      - Addresses and ports that take TLS from the first byte.
      - A list of texts; null or an empty list clears it.
      - Taken by the server types exchange.
    type: raw
  unencrypted_or_tls_bindings:
    description:
      - Addresses and ports that take STARTTLS or no TLS.
      - A list of texts; null or an empty list clears it.
      - Taken by the server types exchange.
    type: raw
  x509_certificate_name:
    description:
      - The host name in the certificate to use.
      - Text on one line.
      - Taken by the server types exchange.
    type: raw
  proxy_target_port:
    description:
      - The port on other servers that connections are handed on to.
      - A whole number from 1 to 65535.
      - Taken by the server types exchange.
    type: raw
  show_hidden_folders_enabled:
    description:
      - Whether clients see hidden folders.
      - V(true) or V(false).
      - Taken by the server types exchange.
    type: raw
  enable_exact_rfc822_size:
    description:
      - Whether the size of a message is worked out exactly.
      - V(true) or V(false).
      - Taken by the server types exchange.
    type: raw
  internal_connection_settings:
    description:
      - What clients inside are told to connect to.
      - A list of texts; null or an empty list clears it.
      - Taken by the server types exchange.
    type: raw
  external_connection_settings:
    description:
      - What clients outside are told to connect to.
      - A list of texts; null or an empty list clears it.
      - Taken by the server types exchange.
    type: raw
  enable_gssapi_and_ntlm_auth:
    description:
      - Whether clients may log in with GSSAPI and NTLM.
      - V(true) or V(false).
      - Taken by the server types exchange.
    type: raw
  enforce_certificate_errors:
    description:
      - Whether a wrong certificate of a server ends a connection.
      - V(true) or V(false).
      - Taken by the server types exchange.
    type: raw
  extended_protection_policy:
    description:
      - How far clients must use Extended Protection for Authentication.
      - One of V(None), V(Allow), V(Require).
      - Taken by the server types exchange.
    type: raw
  protocol_log_enabled:
    description:
      - Whether the protocol log is written.
      - V(true) or V(false).
      - Taken by the server types exchange.
    type: raw
  log_file_location:
    description:
      - The folder of the protocol log.
      - Text on one line.
      - Taken by the server types exchange.
    type: raw
  log_file_roll_over_settings:
    description:
      - How often a new protocol log begins.
      - One of V(Hourly), V(Daily), V(Weekly), V(Monthly).
      - Taken by the server types exchange.
    type: raw
  log_per_file_size_quota:
    description:
      - How large a protocol log may grow.
      - A number of bytes, a size such as V(10MB), or V(unlimited).
      - Taken by the server types exchange.
    type: raw
  suppress_read_receipt:
    description:
      - Whether a second read receipt is kept back.
      - V(true) or V(false).
      - Taken by the server types exchange.
    type: raw
  # end generated
  ranges:
    description:
      - Which values are allowed.
      - With V(console), those of the Microsoft Exchange console, 1 to 18000 and 1 to 200 seconds.
      - With V(product), those that the server type documents.
    type: str
    choices: [console, product]
    default: console
  unenforceable:
    description:
      - What to do when the server will not obey a value, or has no such setting.
      - With V(fail), nothing is changed and the task fails.
      - With V(report), the rest is converged and the value stays in RV(mailops.imap.imap_settings#module:drift) with a
        warning.
    type: str
    choices: [fail, report]
    default: fail
"""

    SERVER_TYPE = r"""
options:
  server_type:
    description:
      - The type of the IMAP server that clients of the host talk to.
      - With V(auto), it is found. A host with more than one that do not form a chain is refused, and the message names
        them.
    type: str
    # begin generated: server types
    choices: [auto, nginx, perdition, dovecot, cyrus, courier, exchange]
    # end generated
    default: auto
"""
