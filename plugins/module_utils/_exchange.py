# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that only hosts with Microsoft Exchange have, as argument specs for modules and action plugins.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

#: The services behind IMAP4, in the order in which they are restarted: the one that clients connect to, and the one that
#: it hands them on to, which is there from 2013 on.
SERVICES = ("MSExchangeIMAP4", "MSExchangeIMAP4BE")


def service(name):
    """Return the one of SERVICES that is meant by ``name``, None for any other.

    Windows compares names of services without case, and tells them as they were registered: the first one as
    MSExchangeImap4 by Exchange 2013 (Microsoft's table of its antivirus exclusions), and as above by its documentation.
    """
    return next((known for known in SERVICES if known.casefold() == str(name).casefold()), None)


_AUTH = ["auto", "kerberos", "negotiate", "ntlm", "basic", "credssp", "certificate"]

#: Option name to its argument spec.
OPTIONS = {
    "identity": {"type": "str"},
    "exchange": {
        "type": "dict",
        "options": {
            "access": {"type": "str", "choices": ["remoting", "snap_in"], "default": "remoting"},
            "host": {"type": "str"},
            "user": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "auth": {"type": "str", "choices": _AUTH},
            "protocol": {"type": "str", "choices": ["http", "https"]},
            "port": {"type": "int"},
            "path": {"type": "str", "default": "PowerShell"},
            "look_at_services": {"type": "bool", "default": True},
            "services_host": {"type": "str"},
            "services_auth": {"type": "str", "choices": _AUTH},
            "services_protocol": {"type": "str", "choices": ["http", "https"]},
            "services_port": {"type": "int"},
            "services_path": {"type": "str"},
            "validate_certs": {"type": "bool"},
            "ca_cert": {"type": "path"},
            "allow_unencrypted": {"type": "bool", "default": False},
            "connection_timeout": {"type": "int"},
            "read_timeout": {"type": "int"},
            "operation_timeout": {"type": "int"},
        },
    },
}

#: Option name of imap_restart to its argument spec.
HEALTH_OPTIONS = {"health_address": {"type": "str"}, "health_port": {"type": "int", "default": 143}}
