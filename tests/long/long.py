# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait for the time-outs that are compiled into Courier, Dovecot and Cyrus, on real hosts and all at once.

Usage: long.py [SERVER ...], all of courier, dovecot and cyrus where none is named.

Takes a little over half an hour. Prints a table and writes it to build/long/report.json; exit status 0 when every
connection lived as long as the collection says, give or take a second.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "long"
LAB = "long"
INVENTORY = ROOT / "build" / "lab" / LAB / "inventory.yml"
TOLERANCE = 1
PATIENCE = 1890
NEVER = math.inf
#: While a client waits in IDLE, Courier looks at the clock once in IMAP_IDLE_TIMEOUT, which is a minute.
COURIER_LOOKS = 60
#: Server to kind of connection to the seconds that it lives, and how much later the server may notice. In IDLE Cyrus
#: obeys the minute that it is asked for, and Dovecot starts its time-out anew whenever it says "Still here".
LIFETIMES = {
    "courier": {"pre_authenticated": (60, 0), "authenticated": (1800, 0), "idle": (1800, COURIER_LOOKS)},
    "dovecot": {"pre_authenticated": (180, 0), "authenticated": (1800, 0), "idle": (NEVER, 0)},
    "cyrus": {"pre_authenticated": (1800, 0), "authenticated": (1800, 0)},
}
SUITES = ("bookworm", "trixie")


def lab(*arguments):
    subprocess.run([sys.executable, ROOT / "tests" / "lab" / "lab.py", *arguments], check=True)


def set_up(password):
    """Install the servers, each with the user alice and ``password``."""
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=password, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    BUILD.mkdir(parents=True, exist_ok=True)
    variables = BUILD / "variables.json"
    variables.touch(mode=0o600)
    variables.write_text(json.dumps({"long_password": password, "long_password_hash": hashed}), encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
    }
    playbook = str(HERE / "setup.yml")
    subprocess.run(
        ["ansible-playbook", "-i", str(INVENTORY), "-f", "10", playbook, "-e", f"@{variables}"],
        env=environment,
        check=True,
    )


def measure(host, address, password):
    """Return a row for each kind of connection to ``host``."""
    from ansible_collections.mailops.imap.plugins.module_utils._probe import ProbeError, probe

    lifetimes = LIFETIMES[host.split("-")[1]]
    try:
        found = probe(
            host=address, username="alice", password=password, allow_cleartext=True, measure=list(lifetimes),
            max_wait=PATIENCE,
        )["measurements"]  # fmt: skip
    except ProbeError as problem:
        found = [{"kind": kind, "seconds": None, "bye": None, "error": str(problem)} for kind in lifetimes]
    return [row(host, measurement, *lifetimes[measurement["kind"]]) for measurement in found]


def row(host, measurement, expected, late):
    seconds = measurement["seconds"]
    if measurement["error"]:
        as_expected = False
    elif seconds is None:
        as_expected = expected == NEVER
    else:
        as_expected = expected - TOLERANCE <= seconds <= expected + late + TOLERANCE
    return {
        "host": host,
        "kind": measurement["kind"],
        "expected": "never" if expected == NEVER else f"{expected} s" + (f" to {expected + late} s" if late else ""),
        "measured": measurement["error"] or (f"open after {PATIENCE} s" if seconds is None else f"{seconds:.2f} s"),
        "said": measurement["bye"] or "",
        "as_expected": as_expected,
    }


def show(rows):
    columns = ("host", "kind", "expected", "measured", "said")
    widths = {name: max(len(name), *(len(entry[name]) for entry in rows)) for name in columns}
    for entry in [dict.fromkeys(columns), *rows]:
        cells = [(entry[name] if entry[name] is not None else name).ljust(widths[name]) for name in columns]
        print("  ".join(cells), "" if entry.get("as_expected", True) else "  WRONG")


def main():
    wanted = {f"long-{server}-{suite}": suite for server in sys.argv[1:] or LIFETIMES for suite in SUITES}
    lab("down", LAB)
    lab("up", LAB, *(f"{host}={suite}" for host, suite in wanted.items()))
    try:
        password = secrets.token_hex(12)
        set_up(password)
        hosts = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))["imap_servers"]["hosts"]
        addresses = {host: variables["ansible_host"] for host, variables in hosts.items()}
        print(f"Waiting, {PATIENCE} seconds at most", flush=True)
        with ProcessPoolExecutor(len(wanted)) as pool:
            waiting = [pool.submit(measure, host, addresses[host], password) for host in wanted]
            rows = [entry for future in waiting for entry in future.result()]
    finally:
        lab("down", LAB)
    (BUILD / "report.json").write_text(json.dumps(rows, indent=2), encoding="utf-8")
    show(rows)
    sys.exit(not all(entry["as_expected"] for entry in rows))


if __name__ == "__main__":
    main()
