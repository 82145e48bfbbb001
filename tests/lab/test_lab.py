# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab, for real: hosts are booted, used, frozen and killed. Other labs may be up meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import images
import machine
import network
from machine import CACHE, RUN, ControlGroup, record

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="booting hosts takes root")

LAB = [sys.executable, str(Path(__file__).with_name("lab.py"))]
BUILD = Path(__file__).resolve().parents[2] / "build" / "lab"


def lab(*arguments, fails=False):
    """Run the lab's command; return what it said."""
    done = subprocess.run([*LAB, *arguments], capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stderr if fails else done.stdout


class Lab:
    """A lab that is up, seen through its inventory only."""

    def __init__(self, name):
        self.folder = BUILD / name
        text = (self.folder / "inventory.yml").read_text(encoding="utf-8")
        assert text.startswith("---\nimap_servers:\n  hosts:\n")
        self.hosts = {}
        for line in text.splitlines()[3:]:
            if match := re.fullmatch(r"    (\S+):", line):
                variables = self.hosts[match[1]] = {}
            else:
                name, _colon, value = line.strip().partition(": ")
                variables[name] = json.loads(value)

    def start(self, host, command):
        variables = self.hosts[host]
        return subprocess.Popen(
            [
                "ssh",
                "-o",
                "BatchMode=yes",
                "-i",
                variables["ansible_ssh_private_key_file"],
                *shlex.split(variables["ansible_ssh_common_args"]),
                f"{variables['ansible_user']}@{variables['ansible_host']}",
                command,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ssh(self, host, command, fails=False):
        process = self.start(host, command)
        output, _nothing = process.communicate(timeout=120)
        assert (process.returncode != 0) == fails, output
        return output.strip()

    def number(self, host):
        return int(self.hosts[host]["ansible_host"].rpartition(".")[2])


def assert_no_trace(name, numbers):
    """Nothing of a lab is left; when no other is up, nothing that labs share either."""
    assert numbers
    with record() as content:
        assert name not in content["labs"]
        others = content["labs"]
    assert not (BUILD / name).exists()
    everything = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    for command_line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            everything += command_line.read_bytes().replace(b"\0", b" ").decode(errors="replace") + "\n"
    for number in numbers:
        assert not ControlGroup(str(number)).processes()
        assert not [folder for folder in ControlGroup(str(number)).folders if folder.exists()]
        assert not Path("/sys/class/net", network.link(number)).exists()
        assert not (CACHE / "hosts" / str(number)).exists()
        assert f"{CACHE}/hosts/{number}/" not in everything
    if not others:
        assert not RUN.exists()
        assert not (CACHE / "hosts").exists()
        assert not [folder for folder in ControlGroup().folders if folder.exists()]
        assert not list(Path("/sys/class/net").glob("mailopslab*"))
        assert "apt-cacher-ng -c /run/mailops-imap-lab" not in everything


@pytest.fixture(scope="module", name="pair")
def fixture_pair():
    """A lab with a host of each suite."""
    instances = network.MAX_USER_INSTANCES.read_text(encoding="ascii")
    with record() as content:
        alone = not content["labs"]
    lab("down", "test-pair")
    lab("up", "test-pair", "test-bookworm=bookworm", "test-trixie=trixie")
    pair = Lab("test-pair")
    yield pair
    numbers = [pair.number(host) for host in pair.hosts]
    lab("down", "test-pair")
    assert_no_trace("test-pair", numbers)
    if alone and not RUN.exists():
        assert network.MAX_USER_INSTANCES.read_text(encoding="ascii") == instances


@pytest.fixture(name="clean")
def fixture_clean():
    """The name of a lab that is gone after the test, whatever happened."""
    lab("down", "test-clean")
    yield "test-clean"
    lab("down", "test-clean")


@pytest.fixture(name="forgotten")
def fixture_forgotten():
    """Images that tests make."""
    names = ["bookworm+test-frozen", "bookworm+test-frozen-twice", "trixie+test-broken"]
    yield
    for name in names:
        if name in images.images():
            lab("forget", name)


def test_hosts_have_booted(pair):
    for host, version in (("test-bookworm", "12"), ("test-trixie", "13")):
        assert pair.ssh(host, "systemctl is-system-running") == "running"
        assert pair.ssh(host, ". /etc/os-release; echo $VERSION_ID") == version
        assert pair.ssh(host, "hostname; cat /etc/hostname").split() == [host, host]
        assert pair.ssh(host, "getent ahostsv4 $(hostname)").split()[0] == pair.hosts[host]["ansible_host"]
        assert pair.ssh(host, "/usr/bin/python3 -c 'print(6 * 7)'") == "42"
        assert pair.hosts[host]["lab_suite"] == host.removeprefix("test-")
    first, second = (pair.ssh(host, "cat /etc/machine-id") for host in pair.hosts)
    assert len(first) == len(second) == 32 and first != second


def test_hosts_reach_each_other_and_nothing_else(pair):
    other = pair.hosts["test-trixie"]["ansible_host"]
    connect = "exec 3<>/dev/tcp/%s/22 && head -c 7 <&3"
    assert pair.ssh("test-bookworm", f"bash -c '{connect % other}'") == "SSH-2.0"
    # TEST-NET-1 (RFC 5737) stands for every address that is not the lab's.
    assert "unreachable" in pair.ssh("test-bookworm", f"bash -c '{connect % '192.0.2.99'}'", fails=True)
    assert pair.ssh("test-bookworm", "ip route show default; ip -6 route show default") == ""
    started = time.monotonic()
    pair.ssh("test-bookworm", "getent hosts name.example", fails=True)
    assert time.monotonic() - started < 2


def test_hosts_have_control_groups_of_their_own(pair):
    numbers = [pair.number(host) for host in pair.hosts]
    first, second = (ControlGroup(str(number)).processes() for number in numbers)
    assert first and second and not first & second

    unit = "[Service]\\nExecStart=/bin/sleep infinity\\n"
    pid = "systemctl show -p MainPID --value test.service"
    begin = f"printf '{unit}' >/run/systemd/system/test.service; systemctl daemon-reload; systemctl start test; {pid}"
    before = {host: pair.ssh(host, begin) for host in pair.hosts}
    pair.ssh("test-bookworm", "systemctl restart test; systemctl restart ssh")
    after = {host: pair.ssh(host, pid) for host in pair.hosts}
    assert after["test-bookworm"] != before["test-bookworm"]
    assert after["test-trixie"] == before["test-trixie"]
    assert pair.ssh("test-trixie", "systemctl is-active test ssh").split() == ["active", "active"]


def test_packages_install_through_the_cache_and_their_services_start(pair):
    command = (
        "export DEBIAN_FRONTEND=noninteractive; apt-get -q update && apt-get -qy install nginx-light libnginx-mod-mail"
    )
    runs = {host: pair.start(host, command) for host in pair.hosts}
    for host, process in runs.items():
        output, _nothing = process.communicate(timeout=300)
        assert process.returncode == 0, output
        assert f"{pair.hosts[host]['lab_suite']}-security" in output
        assert pair.ssh(host, "systemctl is-active nginx; systemctl is-enabled nginx").split() == ["active", "enabled"]
    assert list((CACHE / "packages").glob("**/nginx-common_*.deb"))


@pytest.mark.usefixtures("forgotten")
def test_a_frozen_host_can_be_booted_again_and_again(clean):
    command = (
        "systemctl is-system-running; cat /root/mark /etc/machine-id; hostname; test -e /etc/issue.net || echo gone"
    )
    lab("up", clean, "test-first=bookworm", "test-other=bookworm")
    first = Lab(clean)
    first.ssh("test-first", "echo one >/root/mark; mv /usr/share/doc /usr/share/documents; rm /etc/issue.net")
    old_id = first.ssh("test-first", "cat /etc/machine-id")
    lab("freeze", clean, "test-first", "test-frozen")
    assert list(Lab(clean).hosts) == ["test-other"]
    assert first.ssh("test-other", "systemctl is-system-running") == "running"
    lab("down", clean)

    lab("up", clean, "test-second=bookworm+test-frozen", "test-third=bookworm+test-frozen")
    again = Lab(clean)
    seen = {host: again.ssh(host, command).split() for host in again.hosts}
    for host, (state, mark, machine_id, name, gone) in seen.items():
        assert (state, mark, gone, name) == ("running", "one", "gone", host)
        assert machine_id != old_id
        names = again.ssh(host, "ls /usr/share").split()
        assert "documents" in names and "doc" not in names
    assert seen["test-second"][2] != seen["test-third"][2]

    again.ssh("test-second", "echo two >/root/mark; rm -r /usr/share/documents")
    lab("freeze", clean, "test-second", "test-frozen-twice")
    lab("forget", "bookworm+test-frozen")
    assert again.ssh("test-third", "cat /root/mark; ls -d /usr/share/documents").split() == [
        "one",
        "/usr/share/documents",
    ]
    lab("down", clean)
    lab("up", clean, "test-fourth=bookworm+test-frozen-twice")
    assert Lab(clean).ssh("test-fourth", "cat /root/mark; ls /usr/share").split()[0] == "two"
    assert "documents" not in Lab(clean).ssh("test-fourth", "ls /usr/share").split()
    lab("down", clean)

    lab("forget", "bookworm+test-frozen-twice")
    with record() as content:
        needed = {
            layer for other in content["labs"].values() for host in other["hosts"].values() for layer in host["layers"]
        }
    needed |= {layer for image in images.images().values() for layer in image["layers"]}
    assert {path.name for path in images.LAYERS.iterdir()} == needed


@pytest.mark.usefixtures("forgotten")
def test_a_host_that_does_not_boot_is_reported_and_leaves_no_trace(clean):
    upper = CACHE / "building" / "test-broken"
    init = upper / "usr/lib/systemd/systemd"
    init.parent.mkdir(parents=True)
    init.write_text("#!/bin/sh\necho this init is broken\nexit 1\n", encoding="ascii")
    init.chmod(0o755)
    with record() as content:
        images.keep(content, upper, "trixie+test-broken", images.layers("trixie"))
    said = lab("up", clean, "test-good=trixie", "test-broken=trixie+test-broken", fails=True)
    assert "Host test-broken (trixie+test-broken) stopped while it booted" in said
    assert "this init is broken" in said
    assert "Traceback" not in said
    with record() as content:
        assert clean not in content["labs"]
    assert not (BUILD / clean).exists()


@pytest.mark.parametrize("brought_up_again", [False, True])
def test_a_lab_whose_run_was_killed_while_it_booted_leaves_no_trace(clean, brought_up_again):
    run = subprocess.Popen([*LAB, "up", clean, "test-a=bookworm", "test-b=trixie"], stdout=subprocess.DEVNULL)
    numbers = []
    deadline = time.monotonic() + 60
    while not (numbers and all(ControlGroup(str(number)).leader() for number in numbers)):
        assert time.monotonic() < deadline and run.poll() is None
        with record() as content:
            hosts = content["labs"].get(clean, {"hosts": {}})["hosts"]
        numbers = [host["number"] for host in hosts.values()]
    run.kill()
    run.wait()
    assert all(ControlGroup(str(number)).processes() for number in numbers)
    if brought_up_again:
        lab("up", clean, "test-a=trixie", "test-b=bookworm")
    lab("down", clean)
    assert_no_trace(clean, numbers)


def test_an_interrupted_run_takes_its_lab_down(clean):
    with subprocess.Popen([*LAB, "up", clean, "test-a=bookworm"], stderr=subprocess.PIPE, text=True) as run:
        deadline = time.monotonic() + 60
        numbers = []
        while not (numbers and ControlGroup(str(numbers[0])).leader()):
            assert time.monotonic() < deadline and run.poll() is None
            with record() as content:
                hosts = content["labs"].get(clean, {"hosts": {}})["hosts"]
            numbers = [host["number"] for host in hosts.values()]
        run.terminate()
        assert run.communicate(timeout=30)[1] == "lab: interrupted\n"
    assert run.returncode == 130
    assert_no_trace(clean, numbers)


def test_hosts_whose_systemd_nspawn_was_killed_leave_no_trace_and_can_be_brought_up_again(clean):
    lab("up", clean, "test-a=bookworm", "test-b=trixie")
    broken = Lab(clean)
    numbers = [broken.number(host) for host in broken.hosts]
    for number in numbers:
        group = ControlGroup(str(number))
        for pid in group.processes():
            if Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == "systemd-nspawn":
                os.kill(pid, signal.SIGKILL)
    assert "take it down first" in lab("up", clean, "test-a=bookworm", fails=True)
    lab("down", clean)
    assert_no_trace(clean, numbers)
    lab("up", clean, "test-a=trixie")
    assert Lab(clean).ssh("test-a", "systemctl is-system-running") == "running"


def test_a_lab_whose_hosts_were_all_killed_is_brought_up_anew(clean):
    lab("up", clean, "test-a=bookworm")
    ControlGroup(str(Lab(clean).number("test-a"))).kill()
    lab("up", clean, "test-a=trixie")
    assert Lab(clean).ssh("test-a", "hostname") == "test-a"


def test_runs_that_take_locks_at_once_do_not_trip_over_each_other(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "RUN", tmp_path / "run")

    def take(name):
        for _attempt in range(1000):
            with machine.lock(name):
                pass

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(take, ["one", "one", "two", "three"])) == [None] * 4
    assert not machine.RUN.exists()


def test_an_image_that_lost_a_layer_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr(images, "IMAGES", tmp_path / "images")
    monkeypatch.setattr(images, "LAYERS", tmp_path / "layers")
    (tmp_path / "layers" / "whole").mkdir(parents=True)
    (tmp_path / "images").mkdir()
    for name, layers in (("bookworm", ["whole"]), ("bookworm+cut", ["gone", "whole"])):
        image = {"layers": layers, "recipe": "r", "made": "m"}
        (tmp_path / "images" / f"{name}.json").write_text(json.dumps(image), encoding="utf-8")
    assert set(images.images()) == {"bookworm"}


def test_a_shared_ssh_connection_ends_with_its_host(clean, tmp_path):
    """Or the next host at that address would be spoken to through a connection that leads nowhere."""
    lab("up", clean, "test-a=bookworm")
    shared = Lab(clean)
    socket = tmp_path / "socket"
    shared.hosts["test-a"]["ansible_ssh_common_args"] += f" -o ControlMaster=auto -o ControlPath={socket}"
    with shared.start("test-a", "sleep infinity") as master:
        deadline = time.monotonic() + 10
        while not socket.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert shared.ssh("test-a", "hostname") == "test-a"
        group = ControlGroup(str(shared.number("test-a")))
        os.kill(group.leader(), signal.SIGKILL)
        master.wait(timeout=2)
    assert not socket.exists()


def test_two_labs_share_the_network_and_the_last_takes_it_away(pair, clean):
    lab("up", clean, "test-a=trixie")
    second = Lab(clean)
    number = second.number("test-a")
    assert number not in [pair.number(host) for host in pair.hosts]
    assert "part of another lab" in lab("up", "test-third", "test-a=trixie", fails=True)
    lab("down", clean)
    assert_no_trace(clean, [number])
    assert pair.ssh("test-trixie", "systemctl is-system-running") == "running"
    assert network.answers(network.MACHINE, network.PACKAGE_CACHE_PORT)


def test_an_image_build_that_is_killed_leaves_the_image_as_it_was_and_no_process():
    before = images.images()["trixie"]
    run = subprocess.Popen([*LAB, "images", "--anew", "trixie"], stdout=subprocess.PIPE, text=True)
    for line in run.stdout:
        if "fetching packages" in line:
            break
    run.kill()
    run.wait()
    folder = CACHE / "building" / "trixie"
    assert folder.exists()
    deadline = time.monotonic() + 5
    while any(
        str(folder).encode() in path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert images.images()["trixie"] == before
    images.remove_unfinished("trixie")
    assert not folder.exists()
    assert str(folder) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def test_base_images_that_are_there_are_not_made_again(pair):
    assert pair.hosts
    assert lab("images", "bookworm", "trixie") == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["up", "test-bad", "a=sid"], "lab: Suite 'sid' is unknown: use one of bookworm, trixie."),
        (
            ["up", "test-bad", "a"],
            "lab: Host 'a' is not HOST=SUITE[+IMAGE]: a host name has small letters, digits and dashes.",
        ),
        (
            ["up", "test-bad", "A=trixie"],
            "lab: Host 'A=trixie' is not HOST=SUITE[+IMAGE]: a host name has small letters, digits and dashes.",
        ),
        (["up", "test-bad", "a=trixie", "a=trixie"], "lab: Host a is named twice: give every host a name of its own."),
        (
            ["up", "test bad", "a=trixie"],
            "lab: Lab 'test bad' is not a name: use letters, digits, dashes and underscores.",
        ),
        (
            ["up", "test-bad", "a=trixie+../x"],
            "lab: Image '../x' is not a name: use letters, digits, dots, dashes and underscores.",
        ),
        (["freeze", "test-bad", "a", "b"], "lab: There is no host a in a lab test-bad: `list` shows what there is."),
        (
            ["images", "trixie+x"],
            "lab: 'trixie+x' is not a suite: only base images can be built, others are frozen from a host.",
        ),
    ],
)
def test_bad_input_is_refused_with_one_sentence(arguments, sentence):
    assert lab(*arguments, fails=True) == f"{sentence}\n"


def test_an_image_that_is_not_there_is_named():
    assert lab("up", "test-bad", "a=trixie+test-nothing", fails=True).startswith(
        "lab: There is no image trixie+test-nothing: "
    )
    assert lab("forget", "trixie+test-nothing", fails=True).startswith("lab: There is no image trixie+test-nothing: ")
