# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the hosts share: a bridge of their own, a cache of Debian packages on it, and enough inotify instances."""

from __future__ import annotations

import contextlib
import pwd
import shutil
import socket
import time
from pathlib import Path

from machine import CACHE, RUN, ControlGroup, LabError, run, write
from sources import plain

# 198.18.0.0/15 is set aside for tests of network devices (RFC 2544 appendix C.2.2, RFC 6890): no real network has it.
BRIDGE = "mailopslab0"
NETWORK = "198.18.213"
MACHINE = f"{NETWORK}.1"
NUMBERS = range(2, 255)
PACKAGE_CACHE_PORT = 13142

# Root's 128 inotify instances run out at about 25 hosts (measured).
MAX_USER_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH_INSTANCES = 4096


def address(number):
    return f"{NETWORK}.{number}"


def link(number):
    """The machine's end of a host's cable."""
    return f"mailopslab{number}"


def hardware_address(number, end):
    """Fixed addresses: a bridge takes the lowest of its members' unless told, and so changes as hosts come and go,
    whereupon the other hosts lose packets for seconds (seen)."""
    return f"02:0{end}:c6:12:d5:{number:02x}"


def remember(content):
    """Write into the record, `content`, what `start` changes and `stop` puts back."""
    content.setdefault("max_user_instances", int(MAX_USER_INSTANCES.read_text(encoding="ascii")))


def start(mirror):
    """Bring up what is not up yet; the caller holds the record."""
    if int(MAX_USER_INSTANCES.read_text(encoding="ascii")) < ENOUGH_INSTANCES:
        MAX_USER_INSTANCES.write_text(str(ENOUGH_INSTANCES), encoding="ascii")
    if not Path("/sys/class/net", BRIDGE).exists():
        run("ip", "link", "add", BRIDGE, "address", hardware_address(1, 0), "type", "bridge")
        run("ip", "link", "set", BRIDGE, "addrgenmode", "none")
        run("ip", "address", "add", f"{MACHINE}/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
    if not ControlGroup("package-cache").processes():
        _start_package_cache(mirror)


def stop(content):
    """Take down everything that `start` brought up."""
    ControlGroup("package-cache").kill()
    for path in Path("/sys/class/net").glob("mailopslab*"):
        with contextlib.suppress(LabError):
            run("ip", "link", "delete", path.name)
    before = content.pop("max_user_instances", None)
    if before and int(MAX_USER_INSTANCES.read_text(encoding="ascii")) == ENOUGH_INSTANCES:
        MAX_USER_INSTANCES.write_text(str(before), encoding="ascii")


def _start_package_cache(mirror):
    """Run apt-cacher-ng in the foreground with a configuration, folders and a port of the lab's own."""
    own = RUN / "package-cache"
    folders = {"CacheDir": CACHE / "packages", "LogDir": own / "log"}
    user = pwd.getpwnam("apt-cacher-ng")
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.chown(folder, user.pw_uid, user.pw_gid)
    settings = folders | {
        "SupportDir": "/usr/lib/apt-cacher-ng",
        "SocketPath": own / "log" / "socket",
        "BindAddress": MACHINE,
        "Port": PACKAGE_CACHE_PORT,
        "ForeGround": 1,
    }
    for name, uri in (("archive", mirror.archive), ("security", mirror.security)):
        if uri.startswith("https:"):
            settings[f"Remap-{name}"] = f"{plain(uri)} ; {uri}"
    upstream = apt_setting("Acquire::http::Proxy")
    if upstream and upstream != "DIRECT":
        settings["Proxy"] = upstream
    write(own / "acng.conf", "".join(f"{name}: {value}\n" for name, value in settings.items()))

    log = own / "output"
    drop = f"setpriv --reuid {user.pw_uid} --regid {user.pw_gid} --clear-groups"
    daemon = ControlGroup("package-cache").start([*drop.split(), "apt-cacher-ng", "-c", str(own)], log)
    deadline = time.monotonic() + 10
    while not answers(MACHINE, PACKAGE_CACHE_PORT):
        if daemon.poll() is not None or time.monotonic() > deadline:
            words = log.read_text(encoding="utf-8", errors="replace").strip()
            raise LabError(f"apt-cacher-ng does not listen on {MACHINE}:{PACKAGE_CACHE_PORT}; it said: {words}")
        time.sleep(0.02)


def answers(host, port):
    """True when somebody listens there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def apt_setting(name):
    """A setting of the machine's own apt, or an empty string."""
    prefix = f"{name} "
    for line in run("apt-config", "dump", name).splitlines():
        if line.startswith(prefix):
            return line[len(prefix) :].strip('";')
    return ""
