# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.mailops.imap.plugins.module_utils import _host
from ansible_collections.mailops.imap.plugins.module_utils._host import Host, HostError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
#: What a child process needs to import the collection as this process does.
PATH = os.pathsep.join(path for path in sys.path if path)


@pytest.fixture(name="host")
def fixture_host():
    return Host()


# writing


def test_a_file_is_replaced_as_a_whole(host, tmp_path):
    path = tmp_path / "a.conf"
    host.write(str(path), b"one")
    assert path.read_bytes() == b"one" and stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.stat().st_ino
    host.write(str(path), b"two")
    assert path.read_bytes() == b"two" and path.stat().st_ino != before
    assert os.listdir(tmp_path) == ["a.conf"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o600, 0o755])
def test_mode_is_kept(host, tmp_path, mode):
    path = tmp_path / "a.conf"
    path.write_bytes(b"one")
    path.chmod(mode)
    host.write(str(path), b"two")
    assert stat.S_IMODE(path.stat().st_mode) == mode


@needs_root
def test_owner_and_extended_attributes_are_kept(host, tmp_path):
    path = tmp_path / "a.conf"
    path.write_bytes(b"one")
    os.chown(path, 12345, 23456)
    try:
        os.setxattr(path, "user.note", b"kept")
    except OSError:
        attributes = []
    else:
        attributes = ["user.note"]
    host.write(str(path), b"two")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)
    assert os.listxattr(path) == attributes
    assert all(os.getxattr(path, name) == b"kept" for name in attributes)


def test_a_file_system_without_extended_attributes_is_no_hindrance(host, tmp_path, monkeypatch):
    def none(path):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "listxattr", none)
    path = tmp_path / "a.conf"
    path.write_bytes(b"one")
    host.write(str(path), b"two")
    assert path.read_bytes() == b"two"


def test_a_link_stays_one_and_its_target_changes(host, tmp_path):
    target = tmp_path / "target" / "a.conf"
    target.parent.mkdir()
    target.write_bytes(b"one")
    link = tmp_path / "a.conf"
    link.symlink_to(target)
    host.write(str(link), b"two")
    assert link.is_symlink() and target.read_bytes() == b"two" and not target.is_symlink()
    assert os.listdir(target.parent) == ["a.conf"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space left on device; make room there and run again."),
        (errno.EROFS, "Read-only file system; mount that file system writable and run again."),
        (errno.EBUSY, "Device or resource busy, because it is a mount of its own."),
        (errno.EPERM, "Operation not permitted."),
    ],
)
@pytest.mark.parametrize("call", ["rename", "fsync"])
def test_what_fails_leaves_the_old_file_and_one_sentence(host, tmp_path, monkeypatch, call, number, words):
    path = tmp_path / "a.conf"
    path.write_bytes(b"one")

    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(HostError) as problem:
        host.write(str(path), b"two")
    assert str(problem.value) == f"Cannot replace {path}: {words}"
    assert path.read_bytes() == b"one" and os.listdir(tmp_path) == ["a.conf"]


@needs_root
def test_a_full_file_system(host, tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        path = mount / "a.conf"
        path.write_bytes(b"one")
        with pytest.raises(HostError, match="Cannot replace .*: No space left on device; make room there"):
            host.write(str(path), b"two" * 100000)
        assert path.read_bytes() == b"one" and os.listdir(mount) == ["a.conf"]
        host.must_be_replaceable(str(path))
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        with pytest.raises(HostError, match="a.conf cannot be replaced: its file system is read-only; mount it"):
            host.must_be_replaceable(str(path))
        with pytest.raises(HostError, match="Read-only file system"):
            host.write(str(path), b"two")
        with pytest.raises(HostError, match="Cannot make the folder .*: Read-only file system; mount"):
            host.make_folder(str(mount / "new"))
        with (
            pytest.raises(HostError, match="Cannot lock .*: Read-only file system; mount"),
            host.lock(str(mount / "lock"), 0),
        ):
            pass
    finally:
        subprocess.run(["umount", mount], check=True)


@needs_root
def test_a_file_that_is_a_mount_of_its_own(host, tmp_path):
    path, other = tmp_path / "a.conf", tmp_path / "other"
    path.write_bytes(b"one")
    other.write_bytes(b"mounted")
    if subprocess.run(["mount", "--bind", other, path], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        with pytest.raises(HostError, match="a.conf cannot be replaced: it is a mount of its own; unmount it and run"):
            host.must_be_replaceable(str(path))
        with pytest.raises(HostError, match="Device or resource busy, because it is a mount of its own."):
            host.write(str(path), b"two")
        assert path.read_bytes() == b"mounted"
    finally:
        subprocess.run(["umount", path], check=True)


@contextmanager
def having(attribute, place):
    """Give ``place`` an attribute of chattr(1) meanwhile; skip the test where that cannot be."""
    command = ["chattr", f"+{attribute}", place]
    if not shutil.which("chattr") or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"nothing can have the attribute {attribute} here")
    try:
        yield
    finally:
        subprocess.run(["chattr", f"-{attribute}", place], check=True)


@needs_root
def test_an_immutable_file_or_folder_is_known_beforehand(host, tmp_path):
    path, link = tmp_path / "a.conf", tmp_path / "link.conf"
    path.write_bytes(b"one")
    link.symlink_to(path)
    for place in (path, tmp_path):
        with having("i", place), pytest.raises(HostError) as problem:
            host.must_be_replaceable(str(link))
        assert str(problem.value) == (
            f"Nothing was changed, because {path} cannot be replaced: {place} is not even writable for root; make it "
            "so (lsattr shows what is immutable) and run again."
        )
    host.must_be_replaceable(str(link))


@needs_root
def test_what_takes_additions_alone_is_known_beforehand(host, tmp_path):
    path = tmp_path / "a.conf"
    path.write_bytes(b"one")
    for place in (path, tmp_path):
        with having("a", place):
            with pytest.raises(HostError) as problem:
                host.must_be_replaceable(str(path))
            with pytest.raises(HostError, match="Cannot replace .*: Operation not permitted."):
                host.write(str(path), b"two")
        assert str(problem.value) == (
            f"Nothing was changed, because {path} cannot be replaced: {place} takes additions alone; undo that (chattr "
            "-a) and run again."
        )
        assert path.read_bytes() == b"one"


def test_without_a_place_for_temporary_files_one_sentence_says_so(host, monkeypatch):
    def none():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(HostError, match="Cannot make a folder for temporary files: No usable"):
        with host.scratch_folder():
            pass


WRITER = """
import sys
from ansible_collections.mailops.imap.plugins.module_utils._host import Host
host, path = Host(), sys.argv[1]
print(flush=True)
while True:
    for letter in b"ab":
        host.write(path, bytes([letter]) * 200000)
"""


def test_killed_at_any_instant_the_file_is_wholly_old_or_new(host, tmp_path):
    path = tmp_path / "a.conf"
    path.write_bytes(b"a" * 200000)
    chance = random.Random(1)
    seen = set()
    for dummy in range(8):
        writer = start(WRITER, path)
        for again in range(40):
            time.sleep(chance.random() / 400)
            writer.send_signal(signal.SIGSTOP)
            content = path.read_bytes()
            assert len(content) == 200000 and len(set(content)) == 1, again
            seen.update(content)
            if again < 39:
                writer.send_signal(signal.SIGCONT)
        writer.kill()
        writer.wait()
        content = path.read_bytes()
        assert len(content) == 200000 and len(set(content)) == 1
    assert seen == set(b"ab")
    # What a killed write leaves behind is gone after the next one.
    host.write(str(path), b"new")
    assert os.listdir(tmp_path) == ["a.conf"] and path.read_bytes() == b"new"


def start(program, *arguments):
    """Start a Python program and wait until it has said something."""
    child = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": PATH, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert child.stdout.readline() == b"\n"
    return child


# when files changed


def test_a_change_moves_the_time_even_if_an_older_copy_is_put_in_place(host, tmp_path):
    path, old = tmp_path / "a.conf", tmp_path / "old"
    old.write_bytes(b"old")
    os.utime(old, (1, 1))
    path.write_bytes(b"new")
    before = host.changed_at(str(path))
    time.sleep(0.02)
    os.rename(old, path)
    assert path.stat().st_mtime == 1 and host.changed_at(str(path)) > before


def test_a_link_that_points_elsewhere_is_a_change(host, tmp_path):
    for name in ("two", "one"):
        time.sleep(0.02)
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.conf").write_bytes(b"x")
    (tmp_path / "current").symlink_to("one")
    (tmp_path / "conf").symlink_to("current")
    path = str(tmp_path / "conf" / "a.conf")
    before = host.changed_at(path)
    time.sleep(0.02)
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("two")
    assert host.changed_at(path) > before


def test_what_is_gone_changed_just_now(host, tmp_path):
    assert host.changed_at(str(tmp_path / "none")) == float("inf")
    (tmp_path / "loop").symlink_to("loop")
    assert host.changed_at(str(tmp_path / "loop")) == float("inf")


# reading, folders


def test_reading(host, tmp_path):
    path = tmp_path / "a.conf"
    path.write_bytes(b"\xff\0")
    assert host.read(str(path)) == b"\xff\0" and host.is_file(str(path)) and not host.is_executable(str(path))
    for missing in (tmp_path / "none", tmp_path):
        with pytest.raises(HostError, match="Cannot read .*: (No such file or directory|Is a directory)."):
            host.read(str(missing))


def test_a_named_pipe_is_refused_and_not_waited_for(host, tmp_path):
    os.mkfifo(tmp_path / "a.conf")
    with pytest.raises(HostError, match=r"Cannot read .*/a\.conf: it is no regular file\."):
        host.read(str(tmp_path / "a.conf"))


def test_patterns_match_in_byte_order(host, tmp_path):
    for name in ("b.conf", "B.conf", "a.conf", "\u00e9.conf", ".hidden.conf", "a.conf.bak"):
        (tmp_path / name).touch()
    found = [os.path.basename(path) for path in host.match(f"{tmp_path}/*.conf")]
    assert found == ["B.conf", "a.conf", "b.conf", "\u00e9.conf"]


def test_a_scratch_folder_is_private_and_goes_away(host):
    with host.scratch_folder() as path:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
        host.put(f"{path}/a", b"x")
        assert stat.S_IMODE(os.stat(f"{path}/a").st_mode) == 0o600
        with pytest.raises(HostError, match="Cannot write .*: File exists."):
            host.put(f"{path}/a", b"x")
        host.link("/etc", f"{path}/etc")
        assert host.entries(path) == ["a", "etc"]
    assert not os.path.exists(path) and os.path.isdir("/etc")


# the lock

HOLDER = """
import sys, time
from ansible_collections.mailops.imap.plugins.module_utils._host import Host
with Host().lock(sys.argv[1], 0):
    print(flush=True)
    time.sleep(60)
"""


def test_the_scratch_folders_of_runs_that_were_killed_go_too(host, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = tmp_path / "kept"
    for path in (tmp_path / "mailops-imap-old", tmp_path / "mailops-imap-young", kept):
        path.mkdir()
        (path / "copy").write_bytes(b"secret")
    (tmp_path / "mailops-imap-link").symlink_to(kept)
    for name in ("mailops-imap-old", "mailops-imap-link", "kept"):
        os.utime(tmp_path / name, (0, 0), follow_symlinks=False)
    with host.scratch_folder():
        assert not (tmp_path / "mailops-imap-old").exists()
    assert (tmp_path / "mailops-imap-young" / "copy").exists()
    assert (kept / "copy").exists()


def test_the_lock_is_held_by_one_process_and_freed_when_that_is_killed(host, tmp_path):
    path = str(tmp_path / "folder" / "lock")
    holder = start(HOLDER, path)
    try:
        with pytest.raises(HostError, match=f"Another run has held {path} for 0.2 seconds"), host.lock(path, 0.2):
            pass
    finally:
        holder.kill()
        holder.wait()
    with host.lock(path, 0):
        pass


# processes


def test_processes(host):
    title = "nginx: worker process"
    child = subprocess.Popen([title, "-c", "print(flush=True); import time; time.sleep(60)"], executable=sys.executable,
                             stdout=subprocess.PIPE)  # fmt: skip
    try:
        child.stdout.readline()
        now = time.time()
        found = {process.pid: process for process in host.processes()}
        own, other = found[os.getpid()], found[child.pid]
        assert other.parent == own.pid and other.title.startswith(title)
        assert abs(other.started - now) < 2 and own.started <= other.started
        assert own.identity != other.identity
        child.kill()
        child.wait()
        assert child.pid in {process.pid for process in host.processes()}
        host.forget()
        assert child.pid not in {process.pid for process in host.processes()}
        again = next(process for process in host.processes() if process.pid == os.getpid())
        assert again.identity == own.identity
    finally:
        child.kill()
        child.wait()


def test_what_was_found_is_kept_until_it_is_forgotten(host):
    asked = []
    for dummy in range(2):
        assert host.once(asked.append) is None
    assert asked == [host]
    host.forget()
    host.once(asked.append)
    assert asked == [host, host]


def test_a_name_with_brackets_and_blanks(host, tmp_path):
    program = tmp_path / "a) (b c"
    program.symlink_to(sys.executable)
    child = subprocess.Popen(
        [str(program), "-c", "print(flush=True); import time; time.sleep(60)"], stdout=subprocess.PIPE
    )
    try:
        child.stdout.readline()
        found = next(process for process in host.processes() if process.pid == child.pid)
        assert found.name == "a) (b c" and found.parent == os.getpid()
    finally:
        child.kill()
        child.wait()


def test_running_a_command(host):
    done = host.run(
        [sys.executable, "-c", "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"]
    )
    assert done == (3, "out\nerr")
    assert host.run(["sh", "-c", "echo $LC_ALL; cat"]).words == "C"
    with pytest.raises(HostError, match="Cannot run /none: No such file or directory."):
        host.run(["/none"])
    with pytest.raises(HostError, match="sleep 9 has not ended within 0.1 seconds."):
        host.run(["sleep", "9"], patience=0.1)


# the network


@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")]
)
def test_listeners(host, family, address):
    with socket.socket(family, socket.SOCK_STREAM) as server:
        try:
            server.bind((address, 0))
        except OSError:
            pytest.skip(f"{address} is no address here")
        server.listen()
        port = server.getsockname()[1]
        found = [listener for listener in host.listeners() if listener.port == port]
        assert [(listener.address, os.getpid() in listener.pids) for listener in found] == [(address, True)]
        with socket.create_connection(("::1" if family == socket.AF_INET6 else "127.0.0.1", port)) as client:
            connected = client.getsockname()[1]
            host.forget()
            assert not any(listener.port == connected for listener in host.listeners())
    assert any(listener.port == port for listener in host.listeners())
    host.forget()
    assert not any(listener.port == port for listener in host.listeners())


def test_own_addresses(host):
    own = ["127.0.0.1", "127.1.2.3", "::1"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing; it only chooses the address of an interface.
            probe.connect(("198.51.100.1", 9))
            own.append(probe.getsockname()[0])
        except OSError:
            pass
    assert all(host.owns_address(address) for address in own)
    assert not any(
        host.owns_address(address) for address in ("198.51.100.1", "127.0.0.1".replace("127", "128"), "2001:db8::1")
    )
    with pytest.raises(ValueError):
        host.owns_address("localhost")


@pytest.mark.parametrize(
    ("kernel_form", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", "0.0.0.0"),
        ("00000000000000000000000001000000", "::1"),
        ("B80D0120000000000000000001000000", "2001:db8::1"),
    ],
)
@pytest.mark.skipif(sys.byteorder != "little", reason="written as a little-endian kernel does")
def test_addresses_as_the_kernel_writes_them(kernel_form, address):
    assert _host._address(kernel_form) == address
    assert Path("/proc/net/tcp").exists()


@pytest.mark.parametrize(
    ("groups", "unit"),
    [
        ("0::/system.slice/nginx.service\n", "nginx"),
        ("0::/system.slice/dovecot.service/workers\n", "dovecot"),
        ("12:cpu:/a.service\n1:name=systemd:/system.slice/system-perdition.slice/perdition@imap4.service\n0::/\n",
         "perdition@imap4"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", None),
        ("12:cpu:/a.service\n", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_control_group_tells_the_unit(groups, unit, monkeypatch):
    monkeypatch.setattr(Host, "read", lambda self, path: groups.encode() if path == "/proc/7/cgroup" else b"")
    assert Host().unit(7) == unit


def test_a_process_that_is_gone_has_no_unit():
    assert Host().unit(2**30) is None


def test_the_files_that_a_process_holds_open_are_told_also_those_that_are_gone(tmp_path):
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.write_text("x")
    gone.write_text("y")
    with open(there, "rb") as first, open(gone, "rb") as second:
        gone.unlink()
        found = dict(Host().open_files(os.getpid()))
        assert found[str(there)] == os.fstat(first.fileno()).st_ctime
        assert found[f"{gone} (deleted)"] == os.fstat(second.fileno()).st_ctime


def test_a_process_that_is_gone_holds_nothing_that_could_be_told():
    with pytest.raises(HostError, match="Cannot look at the open files of process 999999999"):
        Host().open_files(999999999)


def test_a_name_that_no_file_can_have_is_one_sentence():
    with pytest.raises(HostError, match="Cannot read .*null byte"):
        Host().read("/etc/a\0b")


# what another process sees


OWN = """\
21 1 0:20 / / rw - overlay overlay rw
22 21 8:1 /srv /srv rw - ext4 /dev/sda1 rw
"""


@pytest.mark.parametrize(
    "theirs, path, same",
    [
        # ProtectSystem and ReadOnlyPaths mount what is there over itself.
        (OWN + "30 21 0:20 /etc /etc ro - overlay overlay rw", "/etc/nginx/nginx.conf", True),
        (
            OWN + "30 21 0:20 /etc/nginx/nginx.conf//deleted /etc/nginx/nginx.conf rw - overlay overlay rw",
            "/etc/nginx/nginx.conf",
            True,
        ),
        (
            OWN + "30 21 0:40 / /etc ro - tmpfs tmpfs rw\n31 30 0:20 /etc/nginx /etc/nginx ro - overlay overlay rw",
            "/etc/nginx/nginx.conf",
            True,
        ),
        (OWN + "30 22 8:1 /srv/a\\040b /srv/a\\040b ro - ext4 /dev/sda1 rw", "/srv/a b/c", True),
        (OWN + "30 21 0:40 / /etc/nginx2 rw - tmpfs tmpfs rw", "/etc/nginx/nginx.conf", True),
        (OWN + "30 21 8:1 /srv/nginx /etc/nginx rw - ext4 /dev/sda1 rw", "/etc/nginx/nginx.conf", False),
        (OWN + "30 21 0:40 / /etc rw - tmpfs tmpfs rw", "/etc/nginx/nginx.conf", False),
        # What is mounted later on a folder further up hides what is mounted below it.
        (
            OWN + "30 21 0:20 /etc/nginx /etc/nginx rw - overlay overlay rw\n31 21 0:40 / /etc rw - tmpfs tmpfs rw",
            "/etc/nginx/nginx.conf",
            False,
        ),
        ("40 39 8:1 /srv/root / rw - ext4 /dev/sda1 rw", "/etc/nginx/nginx.conf", False),
        ("40 39 0:20 / / rw - overlay overlay rw", "/srv/nginx.conf", False),
    ],
)
def test_whether_two_processes_see_the_same_at_a_path(tmp_path, theirs, path, same):
    seen = []
    for name, mounts in (("own", OWN), ("theirs", theirs)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mountinfo").write_text(mounts)
        (folder / "root").symlink_to("/")
        seen.append(_host._Mounts(str(folder)).locate(path))
    assert (seen[0] == seen[1]) is same


def test_a_process_with_a_root_folder_of_its_own_sees_other_files(tmp_path):
    for name, root in (("own", "/"), ("theirs", "/srv")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mountinfo").write_text(OWN)
        (tmp_path / name / "root").symlink_to(root)
    own, theirs = (_host._Mounts(str(tmp_path / name)) for name in ("own", "theirs"))
    assert own.locate("/srv/a") != theirs.locate("/srv/a")


def test_nothing_is_strange_to_this_process_nor_to_one_that_is_gone(host):
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert host.strange_to(os.getpid(), ["/etc/passwd", "/proc/self"]) is None
    assert host.strange_to(ended.pid, ["/etc/passwd"]) is None
