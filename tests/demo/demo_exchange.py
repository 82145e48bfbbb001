# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show one task over a real Linux host and a simulated Exchange 2019: check, apply, restart, again, drift, correct.

Exchange is simulated: PowerShell Remoting, NTLM and its encryption are real, the cmdlets are a model, and IMAP there is
a port that greets, some seconds after each restart, and does nothing more, so that only the Linux host is measured on
the wire.
Writes build/demo-exchange/report.json. Exit status 0 when everything is as it should be.
"""

from __future__ import annotations

import json
import sys
import time

from running import HERE, ROOT, TOLERANCE, Demo, DemoFailed, drift, lab, measurements, print_table, step

sys.path.insert(0, str(ROOT / "tests"))
from exchange_simulator import Faults, simulator  # noqa: E402

LAB = "demo-exchange"
LINUX, EXCHANGE = "demo-linux", "EX01"
#: Values that Exchange 2019's documentation and a demonstration both allow.
DESIRED = {"authenticated_connection_timeout": 40, "pre_authenticated_connection_timeout": 30}
#: What the Linux host gets when it is installed, the same as Exchange has after its setup.
INSTALLED = {
    "imap_settings_authenticated_connection_timeout": 1800,
    "imap_settings_pre_authenticated_connection_timeout": 60,
}
#: Seconds after a restart until the simulated Exchange greets; the real one takes up to half a minute.
IMAP_DELAY = 3
TASK = str(HERE / "one_task.yml")


def write_inventory(demo, exchange):
    """Write the inventory of the Exchange host beside the lab's; return its path."""
    host = {
        "ansible_connection": "ansible.builtin.psrp",
        "ansible_host": exchange.host,
        "ansible_port": exchange.port,
        "ansible_user": exchange.user,
        "ansible_password": exchange.password,
        "ansible_psrp_protocol": "http",
        "ansible_psrp_auth": "negotiate",
        # Exchange itself answers on port 80, Windows on 5985; the simulator has one port for both.
        "imap_settings_exchange": {"port": exchange.port},
        "imap_settings_health_port": exchange.imap_port,
    }
    path = demo.build / "exchange.yml"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"exchange_servers": {"hosts": {EXCHANGE: host}}}, indent=2), encoding="utf-8")
    return path


def demonstrate(demo, exchange):
    """Go through all steps and return the report."""
    services = exchange.services
    step("Install Dovecot behind nginx on the Linux host; Exchange has what Exchange has after its setup")
    demo.write_variables(DESIRED)
    demo.play("installed", "mailops.imap.site", "-e", json.dumps(INSTALLED))
    starts = {name: service.starts for name, service in services.items()}

    step("One task, two platforms: what would it change?")
    demo.inventories.append(write_inventory(demo, exchange))
    before = demo.play("check", TASK, "--check", "--diff")

    step(f"Change it, restart the IMAP4 services, and wait for the greeting; {EXCHANGE} takes {IMAP_DELAY} seconds for it")
    demo.play("applied", TASK, "--diff")
    restarted = all(service.starts > starts[name] for name, service in services.items())

    step("Run again: nothing may change")
    second = demo.play("second", TASK)

    step("Measure the Linux host on the wire")
    measure = demo.play(
        "measured", str(HERE / "measure.yml"), "-e", json.dumps({"demo_tls_modes": ["starttls"], "demo_max_wait": 60})
    )

    step(f"Change a value by hand on {EXCHANGE}: Set-ImapSettings -AuthenticatedConnectionTimeout 01:00:00")
    exchange.organization.local.write({"AuthenticatedConnectionTimeout": 3600})

    step("Find it, touching nothing")
    check = demo.play("drift", TASK, "--check", "--diff")

    step("Correct it")
    corrected = demo.play("corrected", TASK, "--diff")
    last = demo.play("last", TASK)

    measured = {setting: measure.measured(LINUX, setting, seconds) for setting, seconds in DESIRED.items()}
    # The directory keeps one time for all settings, so that the other one's services count as older too.
    found = drift(check, [LINUX, EXCHANGE], ["value"])
    return {
        "measurements": [
            *measurements(LINUX, "bookworm", before, second, measured),
            *measurements(EXCHANGE, "simulated", before, second, {}),
        ],
        "second_run_changed": second.changed,
        "drift_found": [entry[:2] for entry in found] == [(EXCHANGE, "authenticated_connection_timeout")],
        "drift_corrected": corrected.changed > 0
        and not last.changed
        and exchange.settings["AuthenticatedConnectionTimeout"] == DESIRED["authenticated_connection_timeout"],
        "restarted": restarted,
        "open_shells": exchange.open_shells,
    }


def is_good(report):
    linux = [entry for entry in report["measurements"] if entry["host"] == LINUX]
    return (
        len(report["measurements"]) == 2 * len(DESIRED)
        and all(entry["configured"] == entry["desired"] for entry in report["measurements"])
        and all(entry["measured_s"] and abs(entry["measured_s"] - entry["desired"]) <= TOLERANCE for entry in linux)
        and not report["second_run_changed"]
        and report["drift_found"]
        and report["drift_corrected"]
        and report["restarted"]
        and not report["open_shells"]
    )


def main():
    started = time.monotonic()
    demo = Demo(LAB)
    step(f"Boot {LINUX}, and simulate Exchange 2019 as {EXCHANGE}")
    lab("down", LAB)
    lab("up", LAB, f"{LINUX}=bookworm")
    try:
        with simulator("2019", faults=Faults(imap_delay=IMAP_DELAY)) as exchange:
            report = demonstrate(demo, exchange)
    except DemoFailed as problem:
        sys.exit(f"The demo stopped: {problem}.")
    finally:
        step("Remove the host")
        lab("down", LAB)
    demo.report(report)
    step(f"What was asked and what was found ({time.monotonic() - started:.0f} seconds, build/demo-exchange/report.json)")
    print_table(report)
    print("Exchange is a protocol simulator here, not Exchange; it greets and does no more, so there is nothing to measure.")
    sys.exit(0 if is_good(report) else "\nNot everything is as it should be: see the table.")


if __name__ == "__main__":
    main()
