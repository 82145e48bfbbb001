# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A simulator of Exchange's remote PowerShell: real WSMan, PSRP, NTLM and Kerberos, and a model of the cmdlets."""

from .faults import Access, Faults
from .server import Simulator, simulator
from .values import FORMS
from .versions import VERSIONS

__all__ = ["FORMS", "VERSIONS", "Access", "Faults", "Simulator", "simulator"]
