# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server types: one file each, and one row each in this table.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

from .courier import Courier
from .cyrus import Cyrus
from .dovecot import Dovecot
from .nginx import Nginx
from .perdition import Perdition

#: Every server type, fronts before backends.
SERVER_TYPES = {server.server_type: server for server in (Nginx, Perdition, Dovecot, Cyrus, Courier)}
