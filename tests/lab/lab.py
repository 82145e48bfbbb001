# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disposable Debian hosts with systemd, on this machine: `python3 tests/lab/lab.py --help`."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import images
import network
from hosts import recorded_hosts, write_inventory
from machine import CACHE, RUN, ControlGroup, LabError, lock, need, record, remove_tree, run, say
from sources import SUITES, find_mirror, read_sources

LABS = Path(__file__).resolve().parents[2] / "build" / "lab"


def up(lab, wanted):
    """Boot hosts, {name: (suite, image)}, and write their inventory; when one does not boot, none stays.

    A lab whose hosts have all died, say because everything that a job had started was killed with it, is booted anew.
    """
    started = time.monotonic()
    with record() as content:
        present = content["labs"].get(lab)
    if present and present["ready"] and any(host.group.leader() for host in recorded_hosts(present)):
        raise LabError(f"Lab {lab} is up already (its folder is {present['folder']}): take it down first.")
    down(lab)
    need("apt-cacher-ng", "ip", "ssh", "ssh-keygen", "systemd-nspawn")
    mirror = find_mirror(read_sources())
    build({suite for suite, image in wanted.values() if image == suite}, mirror)
    folder = LABS / lab
    hosts = register(lab, folder, wanted)
    try:
        with record():
            network.start(mirror)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("key", "key.pub"):
            (folder / name).unlink(missing_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {lab}", "-f", folder / "key")
        together([lambda host=host: host.start(mirror) for host in hosts])
        write_inventory(hosts, folder)
        with record() as content:
            content["labs"][lab]["ready"] = True
    except BaseException:
        down(lab)
        raise
    seconds = time.monotonic() - started
    say(f"lab {lab}: {len(hosts)} hosts up after {seconds:.1f} s, inventory in {folder}/inventory.yml")


def register(lab, folder, wanted):
    """Write a lab down, with addresses that no other host has, before anything of it is made."""
    with record() as content:
        names = {host for other in content["labs"].values() for host in other["hosts"]}
        if taken := sorted(names & set(wanted)):
            raise LabError(f"Host {taken[0]} is part of another lab already: choose another name.")
        used = {host["number"] for other in content["labs"].values() for host in other["hosts"].values()}
        free = [number for number in network.NUMBERS if number not in used]
        if len(free) < len(wanted):
            raise LabError(f"The lab's network has room for {len(free)} more hosts: ask for fewer.")
        network.remember(content)
        content["labs"][lab] = {
            "folder": str(folder),
            "ready": False,
            "hosts": {
                name: {"suite": suite, "image": image, "number": number, "layers": images.layers(image)}
                for (name, (suite, image)), number in zip(wanted.items(), free)
            },
        }
        return recorded_hosts(content["labs"][lab])


def down(lab):
    """Remove every trace of a lab; with the last one goes what labs share."""
    with record() as content:
        present = content["labs"].get(lab)
    if present:
        hosts = recorded_hosts(present)
        together([host.remove for host in hosts])
        remove_tree(Path(present["folder"]))
        with contextlib.suppress(OSError):
            LABS.rmdir()
    with record() as content:
        content["labs"].pop(lab, None)
        if not content["labs"]:
            clear(content)


def down_all():
    """Remove every trace of all labs, even such as no record names."""
    with record() as content:
        labs = list(content["labs"])
    for lab in labs:
        with busy(lab):
            down(lab)
        say(f"lab {lab}: down")
    for suite in SUITES:
        images.remove_unfinished(suite)
    with record() as content:
        if not content["labs"]:
            clear(content)


def clear(content):
    network.stop(content)
    ControlGroup().kill()
    remove_tree(CACHE / "hosts")
    for path in RUN.iterdir():
        if path.is_dir():
            remove_tree(path)


def freeze(lab, name, image):
    """Make an image of a host, which leaves its lab."""
    with record() as content:
        hosts = recorded_hosts(content["labs"].get(lab, {"folder": "", "hosts": {}}))
    host = next((host for host in hosts if host.name == name), None)
    if host is None:
        raise LabError(f"There is no host {name} in a lab {lab}: `list` shows what there is.")
    _suite, image_name = images.parse_image(f"{host.suite}+{image}")
    started = time.monotonic()
    host.stop()
    with record() as content:
        images.keep(content, host.disk / "upper", image_name, list(host.layers))
        del content["labs"][lab]["hosts"][name]
        write_inventory(recorded_hosts(content["labs"][lab]), host.folder)
    host.remove()
    say(f"{name}: frozen as {image_name} in {time.monotonic() - started:.1f} s")


def busy(lab):
    """One run at a time works on a lab."""
    return lock(f"lab-{lab}", waiting=f"lab {lab}: another run is at work on it, waiting for it")


def build(suites, mirror=None, anew=False):
    mirror = mirror or find_mirror(read_sources())
    together([lambda suite=suite: images.build(suite, mirror, anew) for suite in sorted(suites)])


def show():
    with record() as content:
        for lab, present in content["labs"].items():
            for host in recorded_hosts(present):
                state = "up" if host.group.leader() else "dead"
                say(f"host  {lab:20} {host.name:32} {host.address:16} {host.image:24} {state}")
    for name, image in images.images().items():
        stale = "" if image["recipe"] == images.recipe() else " (made by an older recipe)"
        say(f"image {name:53} {image['made']:16} {len(image['layers'])} layers{stale}")


def together(tasks):
    """Run functions at once; wait for all, then raise the errors of those that failed as one."""
    if not tasks:
        return
    pool = ThreadPoolExecutor(len(tasks))
    try:
        errors = [error for future in [pool.submit(task) for task in tasks] if (error := future.exception())]
    finally:
        pool.shutdown(wait=False)
    if unexpected := [error for error in errors if not isinstance(error, LabError)]:
        raise unexpected[0]
    if errors:
        raise LabError("\n".join(map(str, errors)))


def parse_host(text):
    """(name, (suite, image)) of `HOST=SUITE[+IMAGE]`."""
    name, equals, image = text.partition("=")
    if not equals or not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name):
        raise LabError(f"Host {text!r} is not HOST=SUITE[+IMAGE]: a host name has small letters, digits and dashes.")
    return name, images.parse_image(image)


def parse_hosts(texts):
    """{name: (suite, image)} of several."""
    hosts = {}
    for name, image in map(parse_host, texts):
        if name in hosts:
            raise LabError(f"Host {name} is named twice: give every host a name of its own.")
        hosts[name] = image
    return hosts


def parse_lab(text):
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", text):
        raise LabError(f"Lab {text!r} is not a name: use letters, digits, dashes and underscores.")
    return text


def parse_suite(text):
    suite, image = images.parse_image(text)
    if image != suite:
        raise LabError(f"{text!r} is not a suite: only base images can be built, others are frozen from a host.")
    return suite


def main():
    parser = argparse.ArgumentParser(
        prog="lab.py", description="Disposable Debian hosts with systemd, on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("up", help="boot hosts and write build/lab/LAB/inventory.yml")
    command.add_argument("lab", metavar="LAB")
    command.add_argument("hosts", metavar="HOST=SUITE[+IMAGE]", nargs="+", help=f"SUITE is one of {', '.join(SUITES)}")
    command = commands.add_parser("down", help="remove every trace of one lab, or of all, also after a crash")
    command.add_argument("lab", metavar="LAB", nargs="?")
    command = commands.add_parser("freeze", help="stop a host and keep its disk as the image SUITE+IMAGE")
    command.add_argument("lab", metavar="LAB")
    command.add_argument("host", metavar="HOST")
    command.add_argument("image", metavar="IMAGE")
    command = commands.add_parser("images", help="make base images that are not there yet")
    command.add_argument("suites", metavar="SUITE", nargs="+", help=", ".join(SUITES))
    command.add_argument("--anew", action="store_true", help="make them even if they are there")
    command = commands.add_parser("forget", help="remove an image")
    command.add_argument("image", metavar="SUITE[+IMAGE]")
    commands.add_parser("list", help="show hosts and images")
    arguments = parser.parse_args()

    os.umask(0o022)
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if os.geteuid() != 0:
            raise LabError("The lab boots hosts, which only root may do: run it as root.")
        if arguments.command == "up":
            wanted = parse_hosts(arguments.hosts)
            with busy(parse_lab(arguments.lab)):
                up(arguments.lab, wanted)
        elif arguments.command == "down" and arguments.lab:
            with busy(parse_lab(arguments.lab)):
                down(arguments.lab)
            say(f"lab {arguments.lab}: down")
        elif arguments.command == "down":
            down_all()
        elif arguments.command == "freeze":
            with busy(parse_lab(arguments.lab)):
                freeze(arguments.lab, arguments.host, arguments.image)
        elif arguments.command == "forget":
            images.forget(images.parse_image(arguments.image)[1])
        elif arguments.command == "images":
            build(set(map(parse_suite, arguments.suites)), anew=arguments.anew)
        else:
            show()
    except LabError as error:
        sys.exit(f"lab: {error}")
    except KeyboardInterrupt:
        # Threads that are still at work are not waited for: what they do may end anywhere.
        print("lab: interrupted", file=sys.stderr, flush=True)
        os._exit(130)


if __name__ == "__main__":
    main()
