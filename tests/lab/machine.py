# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every part of the lab needs of the machine: folders, commands, the record, locks and control groups."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

CACHE = Path("/var/cache/mailops-imap-lab")
RUN = Path("/run/mailops-imap-lab")


class LabError(Exception):
    """One sentence for the user: what is wrong and what to do."""


def say(text):
    print(text, flush=True)


def need(*commands):
    """Raise LabError when one of the commands is not on this machine."""
    for command in commands:
        if not shutil.which(command):
            raise LabError(f"The command {command} is missing: run tests/lab/prepare.sh first.")


def run(*command, check=True):
    """Run a command and return what it printed.

    Raises LabError with the command's own words when it fails and `check` is true.
    """
    command = [str(word) for word in command]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise LabError(f"`{' '.join(command)}` failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def remove_tree(path):
    """Remove a folder; a name that is already gone is fine."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


@contextlib.contextmanager
def lock(name, waiting=None, wait=True):
    """Hold a machine-wide lock; the kernel lets go of it when the process dies.

    `waiting` is said before a wait; without `wait`, BlockingIOError is raised instead.
    """
    path = RUN / f"{name}.lock"
    with _locked(path, waiting, wait):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                RUN.rmdir()


def _locked(path, waiting, wait):
    """The open and locked file; one that its last holder removed while this waited does not count."""
    while True:
        # Path.mkdir's exist_ok raises FileExistsError where a holder removes the folder at that instant.
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir(parents=True)
        with contextlib.suppress(FileNotFoundError):
            handle = open(path, "w", encoding="ascii")  # pylint: disable=consider-using-with
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise
                if waiting:
                    say(waiting)
                    waiting = None
                fcntl.flock(handle, fcntl.LOCK_EX)
            if path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat()):
                return handle
            handle.close()


@contextlib.contextmanager
def record():
    """The record of what is up, locked while it is held and written back, whole, at the end; removed when it is empty.

    Shape: {"max_user_instances": int, "labs": {lab: {"folder": str, "ready": bool, "hosts": {host:
    {"suite": str, "image": str, "number": int, "layers": [str]}}}}}. It is written before anything that it names is
    made, so whatever a dead run left behind is named in it.
    """
    path = RUN / "record.json"
    with lock("record"):
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"labs": {}}
        yield content
        if content == {"labs": {}}:
            path.unlink(missing_ok=True)
            return
        unfinished = path.with_suffix(".new")
        unfinished.write_text(json.dumps(content, indent=2), encoding="utf-8")
        unfinished.rename(path)


class ControlGroup:
    """The processes of one host, or of the package cache, as the kernel keeps them.

    A process enters by itself, as the first thing it does, and everything it starts stays inside: the group names
    exactly the lab's own processes even when the run that started them was killed, and no pid used anew can be mistaken
    for one of them.

    systemd keeps its services apart in cgroup2 and, where the machine still mounts it, in the `name=systemd` hierarchy
    of cgroup version 1; the group is a folder in each. Without it, hosts share a group and a service restart in one
    reaches processes of another (measured, systemd 252).
    """

    def __init__(self, name=""):
        self.folders = [hierarchy / "mailops-imap-lab" / name for hierarchy in _hierarchies()]

    def start(self, command, log, environment=None):
        """Start a daemon in the group, made if need be, away from this run's terminal; return the Popen."""
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
        enter = 'for group in $1; do echo 0 >"$group/cgroup.procs"; done; shift; exec "$@"'
        groups = " ".join(map(str, self.folders))
        with open(log, "w", encoding="utf-8") as output:
            return subprocess.Popen(  # pylint: disable=consider-using-with
                ["sh", "-ec", enter, "sh", groups, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )

    def processes(self):
        """Set of pids, those in groups below included."""
        pids = set()
        for folder in self.folders:
            for below, _folders, _files in os.walk(folder):
                with contextlib.suppress(OSError):
                    pids.update(map(int, Path(below, "cgroup.procs").read_text(encoding="ascii").split()))
        return pids - {0}

    def leader(self):
        """The pid of the host's PID 1 as the machine sees it, or None."""
        for pid in self.processes():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
                    if line.startswith("NSpid:") and len(line.split()) > 2 and line.split()[-1] == "1":
                        return pid
        return None

    def wait_empty(self, seconds):
        deadline = time.monotonic() + seconds
        while self.processes():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def kill(self):
        """Kill every process in the group and remove the group."""
        deadline = time.monotonic() + 10
        while pids := self.processes():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise LabError(f"Processes {sorted(pids)} in {self.folders[0]} do not die: look at them by hand.")
            time.sleep(0.02)
        for folder in self.folders:
            for below, _folders, _files in os.walk(folder, topdown=False):
                _remove_group(Path(below))


def _remove_group(folder):
    """A group stays busy for a moment after its last process died."""
    for _attempt in range(100):
        try:
            return folder.rmdir()
        except FileNotFoundError:
            return None
        except OSError:
            time.sleep(0.02)
    return folder.rmdir()


def _hierarchies():
    """Mount points of cgroup2 and of the `name=systemd` hierarchy, from /proc/self/mountinfo (proc(5))."""
    found = {}
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        mounted, _separator, described = line.partition(" - ")
        kind, _source, options = described.split(" ", 2)
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.setdefault(kind, Path(mounted.split()[4]))
    if not found:
        raise LabError("No cgroup2 file system is mounted on this machine: the lab's hosts need one for systemd.")
    return list(found.values())
