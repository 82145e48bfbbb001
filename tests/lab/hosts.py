# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host: written down, started, waited for, stopped, removed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import network
from images import LAYERS, OVERLAY_OPTIONS
from machine import CACHE, ControlGroup, LabError, remove_tree, run, say, write

BOOT_SECONDS = 60
STOP_SECONDS = 15


@dataclass(frozen=True)
class Host:
    """A host of a lab. `folder` is the lab's own in build/lab; `number` is the last byte of the host's address."""

    name: str
    folder: Path
    suite: str
    image: str
    number: int
    layers: tuple

    @property
    def address(self):
        return network.address(self.number)

    @property
    def disk(self):
        return CACHE / "hosts" / str(self.number)

    @property
    def console(self):
        return self.folder / f"{self.name}.console"

    @property
    def group(self):
        return ControlGroup(str(self.number))

    @property
    def ssh_arguments(self):
        """Options that ssh and Ansible need."""
        options = (
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "IdentitiesOnly=yes",
            "PreferredAuthentications=publickey",
        )
        return [word for option in options for word in ("-o", option)]

    def start(self, mirror):
        """Start the host and wait until it has booted and answers by ssh.

        Raises LabError with the end of the console's log when it does not within BOOT_SECONDS.
        """
        started = time.monotonic()
        self._lay_out(mirror)
        below = ":".join(str(LAYERS / layer) for layer in self.layers)
        environment = os.environ | {
            "MACHINE_PID": str(os.getpid()),
            "BRIDGE": network.BRIDGE,
            "LINK": network.link(self.number),
            "LINK_MAC": network.hardware_address(self.number, 1),
            "ADDRESS": self.address,
            "MAC": network.hardware_address(self.number, 0),
            "MOUNT": f"lowerdir={below},upperdir={self.disk}/upper,workdir={self.disk}/work,{OVERLAY_OPTIONS}",
            "ROOT": f"{self.disk}/root",
            "NAME": self.name,
        }
        command = [*"unshare --mount --propagation private --net sh".split(), str(Path(__file__).with_name("host.sh"))]
        process = self.group.start(command, self.console, environment)
        state = self._wait_until_booted(process, started + BOOT_SECONDS)
        say(f"{self.name}: {state} at {self.address}, {self.image}, after {time.monotonic() - started:.1f} s")

    def _lay_out(self, mirror):
        """Lay over the image what makes this host a host of its own."""
        remove_tree(self.disk)
        for name in ("upper/root/.ssh", "work", "root"):
            (self.disk / name).mkdir(parents=True)
        upper = self.disk / "upper"
        for name in ("root", "root/.ssh"):
            (upper / name).chmod(0o700)
        write(upper / "root/.ssh/authorized_keys", (self.folder / "key.pub").read_text(encoding="ascii"), 0o600)
        write(upper / "etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
        write(upper / "etc/hostname", f"{self.name}\n")
        write(upper / "etc/hosts", f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n{self.address} {self.name}\n")
        # No host has a name server; nobody listens on the loopback, which says so at once.
        write(upper / "etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        write(upper / "etc/apt/sources.list.d/debian.sources", mirror.sources(self.suite))
        settings = {"Acquire::http::Proxy": f"http://{network.MACHINE}:{network.PACKAGE_CACHE_PORT}"}
        for name in ("Acquire::Check-Valid-Until", "Acquire::Check-Date"):
            settings[name] = network.apt_setting(name)
        lines = (f'{name} "{value}";\n' for name, value in settings.items() if value)
        write(upper / "etc/apt/apt.conf.d/90lab", "".join(lines))

    def _wait_until_booted(self, process, deadline):
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise self._failure("stopped while it booted")
            if network.answers(self.address, 22):
                break
            time.sleep(0.05)
        else:
            raise self._failure(f"does not answer by ssh after {BOOT_SECONDS} s")
        key = str(self.folder / "key")
        ready = "systemctl is-system-running --wait; systemctl --failed --plain --no-legend"
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                ["ssh", *self.ssh_arguments, "-o", "BatchMode=yes", "-i", key, f"root@{self.address}", ready],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=max(1, deadline - time.monotonic()),
            )
            state, _newline, failed = done.stdout.partition("\n")
            if state == "running":
                return state
            if state == "degraded":
                return f"{state} ({', '.join(line.split()[0] for line in failed.splitlines())} failed)"
            raise self._failure(f"refuses ssh ({done.stderr.strip() or state})")
        raise self._failure(f"has not finished booting after {BOOT_SECONDS} s")

    def _failure(self, what):
        words = self.console.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        return LabError("\n    ".join([f"Host {self.name} ({self.image}) {what}. Its console said last:", *words]))

    def stop(self):
        """Power the host off and kill what is left of it. Its disk stays."""
        leader = self.group.leader()
        if leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(leader, signal.SIGRTMIN + 4)  # poweroff.target: systemd(1), SIGNALS
            self.group.wait_empty(STOP_SECONDS)
        self.group.kill()
        # The kernel takes the cable away with the host's namespace, but in its own time.
        if Path("/sys/class/net", network.link(self.number)).exists():
            run("ip", "link", "delete", network.link(self.number), check=False)

    def remove(self):
        """Stop the host and remove all it had."""
        self.stop()
        remove_tree(self.disk)
        self.console.unlink(missing_ok=True)


def recorded_hosts(lab):
    """Hosts of a lab as the record has them (see machine.record)."""
    return [
        Host(name, Path(lab["folder"]), host["suite"], host["image"], host["number"], tuple(host["layers"]))
        for name, host in lab["hosts"].items()
    ]


def write_inventory(hosts, folder):
    """Write inventory.yml of a lab. Values are JSON strings, which are YAML too."""
    lines = ["---", "imap_servers:", "  hosts:" if hosts else "  hosts: {}"]
    for host in hosts:
        lines.append(f"    {host.name}:")
        variables = {
            "ansible_host": host.address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(folder / "key"),
            "ansible_ssh_common_args": " ".join(host.ssh_arguments),
            "ansible_python_interpreter": "/usr/bin/python3",
            "lab_suite": host.suite,
        }
        lines.extend(f"      {name}: {json.dumps(value)}" for name, value in variables.items())
    write(folder / "inventory.yml", "\n".join(lines) + "\n")
