# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show on two real hosts what the collection does, from a bare Debian to a corrected drift, and measure it on the wire.

Writes build/demo/report.json. With KEEP=1 in the environment the hosts stay. Exit status 0 when everything is as it should be.
"""

from __future__ import annotations

import json
import os
import sys
import time

from running import HERE, ROOT, TOLERANCE, Demo, DemoFailed, drift, lab, measurements, print_table, step

LAB = "demo"
HOSTS = {"demo-bookworm": "bookworm", "demo-trixie": "trixie"}
ODD_ONE = "demo-trixie"
SETTINGS_FILE = "/etc/nginx/mailops-imap/settings.conf"
DESIRED = {"authenticated_connection_timeout": 8, "pre_authenticated_connection_timeout": 5}


def demonstrate(demo):
    """Go through all steps and return the report."""
    step("Install and converge two bare hosts: 8 seconds once logged in, 5 seconds before")
    demo.write_variables(DESIRED)
    first = demo.play("first", "mailops.imap.site")

    step("Measure on the wire: connections before login, after login and in IDLE, over STARTTLS and TLS")
    before_drift = measure(demo, "measured", ["starttls", "implicit"])

    step("Run again: nothing may change")
    second = demo.play("second", "mailops.imap.site")

    step(f"Change a value by hand on {ODD_ONE}")
    demo.shell(ODD_ONE, f"sed -i 's/^proxy_timeout .*/proxy_timeout 20s;/' {SETTINGS_FILE} && sleep 1 && systemctl reload nginx")

    step("Find it, touching nothing")
    check = demo.play("check", "mailops.imap.site", "--check", "--diff")

    step("Correct it")
    corrected = demo.play("corrected", "mailops.imap.site", "--diff")

    step("Measure again")
    after_drift = measure(demo, "measured-again", ["starttls"])

    rows = []
    on_time = True
    for host, suite in HOSTS.items():
        worst = {}
        for setting, seconds in DESIRED.items():
            both = [run.measured(host, setting, seconds) for run in (before_drift, after_drift)]
            worst[setting] = None if None in both else max(both, key=lambda value: abs(value - seconds))
            on_time = on_time and both[1] is not None and abs(both[1] - seconds) <= TOLERANCE
        rows += measurements(host, suite, first, second, worst)
    return {
        "measurements": rows,
        "second_run_changed": second.changed,
        "drift_found": drift(check, HOSTS, ["value"]) == [(ODD_ONE, "authenticated_connection_timeout", "corrective")],
        "drift_corrected": corrected.changed > 0 and on_time,
    }


def measure(demo, name, tls_modes):
    return demo.play(name, str(HERE / "measure.yml"), "-e", json.dumps({"demo_tls_modes": tls_modes}))


def is_good(report):
    on_time = [
        entry["measured_s"] is not None and abs(entry["measured_s"] - entry["desired"]) <= TOLERANCE
        for entry in report["measurements"]
    ]
    return (
        len(on_time) == len(HOSTS) * len(DESIRED)
        and all(on_time)
        and not report["second_run_changed"]
        and report["drift_found"]
        and report["drift_corrected"]
    )


def main():
    started = time.monotonic()
    demo = Demo(LAB)
    step(f"Boot {' and '.join(HOSTS)}")
    lab("down", LAB)
    lab("up", LAB, *(f"{host}={suite}" for host, suite in HOSTS.items()))
    try:
        report = demonstrate(demo)
    except DemoFailed as problem:
        sys.exit(f"The demo stopped: {problem}.")
    finally:
        if os.environ.get("KEEP") == "1":
            inventory = demo.inventories[0].relative_to(ROOT)
            print(f"\nThe hosts stay: ansible-playbook -i {inventory} ...; make lab-down removes them.")
        else:
            step("Remove the hosts")
            lab("down", LAB)
    demo.report(report)
    step(f"What was asked and what was measured ({time.monotonic() - started:.0f} seconds, build/demo/report.json)")
    print_table(report)
    sys.exit(0 if is_good(report) else "\nNot everything is as it should be: see the table.")


if __name__ == "__main__":
    main()
