# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backend whose configuration cannot be seen from this host.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

from . import base

#: RFC 3501 and RFC 9051, section 5.4: an IMAP server may close an idle authenticated connection after 30 minutes and
#: not before.
_PROMISED = 1800


class Elsewhere(base.Server):
    """The IMAP server at ``endpoint`` (Endpoint, or None where it is not known either), behind ``front`` (Server)."""

    server_type = "unknown"

    def __init__(self, endpoint, front):
        super().__init__()
        where = f"at {endpoint.address} port {endpoint.port}" if endpoint else "that the proxy looks up for each user"
        self.endpoints = [endpoint] if endpoint else []
        self.serving = base.Serving(float("inf"), None)
        remark = (
            f"The configuration of the backend {where} cannot be seen from this host; it is taken to keep idle "
            f"connections for {_PROMISED} seconds, as RFC 9051 (section 5.4) asks."
        )
        if front.counts_anew_for_backends:
            remark += (
                f" {front.server_type} counts its time-out anew whenever that backend sends something, as Dovecot does "
                "every two minutes to a client in IDLE."
            )
        self.values = {
            "authenticated_connection_timeout": base.Value(
                (base.Place(None, _PROMISED),),
                _PROMISED,
                _PROMISED,
                f"the configuration of the backend {where} cannot be seen from this host, and RFC 9051 (section 5.4) "
                f"lets an IMAP server close an idle connection after {_PROMISED} seconds",
                remark=remark,
            )
        }

    def edited(self, edits):
        return {}, []
