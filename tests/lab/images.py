# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images: what a host's file system starts from, as layers of an overlay mount.

A layer is a folder that nobody writes to any more; an image is a small file that lists layers, the topmost first. A
suite's base image has one layer; freezing a host puts the host's own on top. Layers that neither an image nor a host
needs are removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
import subprocess
import time

from machine import CACHE, LabError, lock, need, record, remove_tree, run, say, write
from network import apt_setting
from sources import SUITES

IMAGES = CACHE / "images"
LAYERS = CACHE / "layers"

# A fresh minimal host that can be reached by ssh and run Ansible modules. Timers and a console that no short-lived host
# needs are off, and the journal stays in memory, for a faster boot.
RECIPE = {
    "packages": ["systemd", "systemd-sysv", "dbus", "python3", "openssh-server", "iproute2", "ca-certificates"],
    "masked": [
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
        "dpkg-db-backup.timer",
        "e2scrub_all.timer",
        "e2scrub_reap.service",
        "fstrim.timer",
        "console-getty.service",
        "ldconfig.service",
        "systemd-journal-flush.service",
        "systemd-journal-catalog-update.service",
        "systemd-pstore.service",
    ],
    "files": {
        "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=volatile\n",
        "etc/machine-id": "",
    },
}
OVERLAY_OPTIONS = "volatile,redirect_dir=on,metacopy=off,index=off"


def parse_image(text):
    """(suite, image name) of `SUITE` or `SUITE+IMAGE`; the second is the whole text. Raises LabError."""
    suite, plus, name = text.partition("+")
    if suite not in SUITES:
        raise LabError(f"Suite {suite!r} is unknown: use one of {', '.join(SUITES)}.")
    if plus and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise LabError(f"Image {name!r} is not a name: use letters, digits, dots, dashes and underscores.")
    return suite, text


def images():
    """Name to {"layers": [str], "recipe": str, "made": str} of every image that has all its layers."""
    named = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(IMAGES.glob("*.json"))}
    return {name: image for name, image in named.items() if all((LAYERS / layer).is_dir() for layer in image["layers"])}


def layers(name):
    """Layers of an image. Raises LabError when it is not there."""
    known = images()
    if name not in known:
        raise LabError(f"There is no image {name}: freeze a host first (there are: {', '.join(known) or 'none'}).")
    return known[name]["layers"]


def recipe():
    """What tells one way of making base images from another."""
    return hashlib.sha256(json.dumps(RECIPE, sort_keys=True).encode()).hexdigest()[:16]


def build(suite, mirror, anew=False):
    """Make the base image of a suite unless it is there, made by today's recipe.

    Interrupted at any instant it leaves no image but a folder that the next build removes.
    """
    with lock(f"image-{suite}", waiting=f"{suite}: another run is making this image, waiting for it"):
        present = images().get(suite)
        if present and present["recipe"] == recipe() and not anew:
            return
        need("debootstrap")
        started = time.monotonic()
        folder = CACHE / "building" / suite
        remove_tree(folder)
        for name in ("below", "upper", "work", "root"):
            (folder / name).mkdir(parents=True)
        say(f"{suite}: making the base image from {mirror.archive}")
        _debootstrap(suite, mirror, folder)
        root = folder / "upper"
        (root / "etc/apt/sources.list").unlink(missing_ok=True)
        for path in [*(root / "var/cache/apt/archives").glob("*.deb"), *(root / "var/lib/apt/lists").glob("*_*")]:
            path.unlink()
        for unit in RECIPE["masked"]:
            path = root / "etc/systemd/system" / unit
            path.unlink(missing_ok=True)
            path.symlink_to("/dev/null")
        for name, text in RECIPE["files"].items():
            write(root / name, text)
        for name in ("etc/.updated", "var/.updated"):
            (root / name).touch()
        with record() as content:
            keep(content, root, suite, [])
        remove_tree(folder)
        say(f"{suite}: base image made in {time.monotonic() - started:.0f} s")


def remove_unfinished(suite):
    """Remove what a dead build left behind; one that is alive goes on."""
    with contextlib.suppress(BlockingIOError), lock(f"image-{suite}", wait=False):
        remove_tree(CACHE / "building" / suite)


def _debootstrap(suite, mirror, folder):
    """Run debootstrap, saying once each what it is at.

    It works on an overlay mount that never waits for the disk, in namespaces that end with it: it leaves no mount, and
    no process when this one is killed.
    """
    mount = f"lowerdir={folder}/below,upperdir={folder}/upper,workdir={folder}/work,{OVERLAY_OPTIONS}"
    script = 'mount -t overlay overlay -o "$1" "$2"; proxy=$3; export ${proxy:+http_proxy="$proxy"}; shift 3; exec "$@"'
    proxy = apt_setting("Acquire::http::Proxy").replace("DIRECT", "")
    command = [
        *"setpriv --pdeathsig KILL".split(),
        *"unshare --mount --propagation private --pid --fork --kill-child --mount-proc".split(),
        *("sh", "-ec", script, "sh", mount, f"{folder}/root", proxy),
        *("debootstrap", "--variant=minbase", f"--include={','.join(RECIPE['packages'])}"),
        *(suite, f"{folder}/root", mirror.archive),
    ]
    steps = {
        "Retrieving": "fetching packages",
        "Extracting": "unpacking the first packages",
        "Unpacking": "unpacking the rest",
        "Configuring": "configuring packages",
    }
    said = set()
    output = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        for line in process.stdout:
            output.append(line)
            step = next((step for word, step in steps.items() if line.startswith(f"I: {word} ")), None)
            if step and step not in said:
                said.add(step)
                say(f"{suite}: {step}")
    if process.returncode:
        words = "    ".join(output[-15:]).rstrip()
        raise LabError(f"debootstrap cannot make {suite} from {mirror.archive}; it said last:\n    {words}")


def keep(content, upper, name, below):
    """Make `upper`, a folder of CACHE, the image `name`'s top layer over the layers `below`; the record is held."""
    run("sync", "--file-system", upper)
    layer = secrets.token_hex(4)
    LAYERS.mkdir(parents=True, exist_ok=True)
    upper.rename(LAYERS / layer)
    image = {"layers": [layer, *below], "recipe": recipe(), "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    unfinished = IMAGES / f"{name}.new"
    write(unfinished, json.dumps(image))
    unfinished.rename(IMAGES / f"{name}.json")
    _remove_unused_layers(content)


def forget(name):
    """Remove an image. Raises LabError when it is not there."""
    with record() as content:
        layers(name)
        (IMAGES / f"{name}.json").unlink()
        _remove_unused_layers(content)


def _remove_unused_layers(content):
    """Remove layers that neither an image nor a host of the record, `content`, needs any more."""
    needed = {layer for image in images().values() for layer in image["layers"]}
    needed |= {layer for lab in content["labs"].values() for host in lab["hosts"].values() for layer in host["layers"]}
    for path in LAYERS.iterdir():
        if path.name not in needed:
            remove_tree(path)
