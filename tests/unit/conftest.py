# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine is no defect, and no files are left behind. Whether a change is good must not hang on the throw of a
# dice, so the same examples come each time, but for `make test-random`.
common = {"deadline": None, "database": None, "max_examples": 60, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **common)
settings.register_profile("random", print_blob=False, **common)
settings.load_profile("same")
