# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the demonstrations share: steps, the lab, runs of ansible-playbook, and the table at the end."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TOLERANCE = 0.5
#: Which measurements of the module imap_probe tell of a setting.
KINDS = {
    "authenticated_connection_timeout": ("authenticated", "idle"),
    "pre_authenticated_connection_timeout": ("pre_authenticated",),
}


class DemoFailed(Exception):
    """A step did not end well; the text says which."""


def step(text):
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def lab(*arguments):
    subprocess.run([sys.executable, ROOT / "tests" / "lab" / "lab.py", *arguments], check=True)


class Demo:
    """One demonstration: its lab is called ``name``, and what it writes is in ``build/name``."""

    def __init__(self, name):
        self.build = ROOT / "build" / name
        self.build.mkdir(parents=True, exist_ok=True)
        self.inventories = [ROOT / "build" / "lab" / name / "inventory.yml"]
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections"),
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false",
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
        }

    def write_variables(self, desired):
        """Write the variables of the playbooks, with a user whose password is made up on the spot."""
        password = secrets.token_urlsafe(12)
        done = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=password, stdout=subprocess.PIPE, text=True, check=True
        )
        variables = {
            **{f"imap_settings_{name}": seconds for name, seconds in desired.items()},
            "imap_server_users": [{"name": "alice", "password_hash": done.stdout.strip()}],
            "demo_user": "alice",
            "demo_password": password,
        }
        file = self.build / "variables.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(variables, indent=2), encoding="utf-8")

    def play(self, name, playbook, *arguments):
        """Run a playbook and return a Run. Raises DemoFailed."""
        record = self.build / f"{name}.json"
        record.unlink(missing_ok=True)
        inventories = [word for path in self.inventories for word in ("-i", str(path))]
        command = ["ansible-playbook", *inventories, playbook, "-e", f"@{self.build / 'variables.json'}", *arguments]
        print("$", " ".join(command).replace(f"{ROOT}/", ""), flush=True)
        environment = {**self._environment, "DEMO_RECORD": str(record)}
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        if status or not record.exists():
            raise DemoFailed(f"{playbook} ended with status {status}")
        return Run(json.loads(record.read_text(encoding="utf-8")))

    def shell(self, host, command):
        """Run a shell command on a host of the lab, as somebody would who is logged in there. Raises DemoFailed."""
        print(f"{host}# {command}", flush=True)
        arguments = ["ansible", "-i", str(self.inventories[0]), host, "-m", "ansible.builtin.shell", "-a", command]
        done = subprocess.run(
            arguments,
            cwd=ROOT,
            env=self._environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise DemoFailed(f"the command on {host} failed: {done.stdout}")

    def report(self, report):
        (self.build / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


class Run:
    """What a run of ansible-playbook left: the results of this collection's modules, and the recap."""

    def __init__(self, record):
        self._record = record

    @property
    def changed(self):
        return sum(self._record["changed"].values())

    def results(self, host, module):
        """Return what ``module`` returned on ``host``, a list; a loop's items count one by one."""
        found = [
            entry["result"] for entry in self._record["results"] if entry["host"] == host and entry["module"] == module
        ]
        return [item for result in found for item in result.get("results", [result])]

    def measured(self, host, setting, desired):
        """Return the life time in seconds that is farthest from ``desired``, None where a connection was left open."""
        seconds = [
            measurement["seconds"]
            for result in self.results(host, "imap_probe")
            for measurement in result.get("measurements", ())
            if measurement["kind"] in KINDS[setting]
        ]
        if not seconds or None in seconds:
            return None
        return max(seconds, key=lambda value: abs(value - desired))


def measurements(host, suite, first, last, measured):
    """Return the rows of the report for ``host``: ``first`` and ``last`` are Runs of imap_settings before the change and
    after it, ``measured`` maps setting name to seconds.
    """
    result = last.results(host, "imap_settings")[0]
    return [
        {
            "host": host,
            "suite": suite,
            "server_type": result["server_type"],
            "server_version": result["server_version"],
            "chain": " -> ".join(f"{server['server_type']} {server['server_version']}" for server in result["chain"]),
            "setting": setting,
            "before": first.results(host, "imap_settings")[0]["settings"][setting]["effective"],
            "desired": entry["desired"],
            "configured": entry["configured"],
            "effective": entry["effective"],
            "running": entry["running"],
            "measured_s": measured.get(setting),
        }
        for setting, entry in result["settings"].items()
    ]


def drift(run, hosts, kinds=None):
    """Return ``(host, setting, cause)`` for each drift that a Run found, of all ``kinds`` or of those that are named."""
    return [
        (host, entry["setting"], entry["cause"])
        for host in hosts
        for entry in run.results(host, "imap_settings")[0]["drift"]
        if kinds is None or entry["drift"] in kinds
    ]


def print_table(report):
    headings = {
        "host": "host",
        "chain": "server",
        "setting": "setting",
        "before": "before",
        "desired": "desired",
        "configured": "configured",
        "effective": "effective",
        "measured_s": "measured",
    }
    rows = [list(headings.values())] + [[_cell(entry[key]) for key in headings] for entry in report["measurements"]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(headings))]
    for number, row in enumerate(rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
    print(f"\nsecond run: changed={report['second_run_changed']}", end="; ")
    print(f"change by hand: {'found' if report['drift_found'] else 'NOT FOUND'}", end=", ")
    print("corrected" if report["drift_corrected"] else "NOT CORRECTED")


def _cell(value):
    if value is None:
        return "-"
    return f"{value:.2f} s" if isinstance(value, float) else f"{value} s" if isinstance(value, int) else str(value)
