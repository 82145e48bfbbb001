# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only door to the server's files, processes, sockets and services.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import ipaddress
import os
import re
import shutil
import stat
import struct
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import NamedTuple

_SCRATCH = "mailops-imap-"
#: After this many seconds no run is at work in its scratch folder any more.
_ABANDONED = 3600
#: What to do where the system says no.
_ADVICE = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there",
    errno.EROFS: "mount that file system writable",
}
#: FS_IOC_GETFLAGS and FS_APPEND_FL of linux/fs.h.
_GET_FLAGS = 0x80000000 | struct.calcsize("l") << 16 | ord("f") << 8 | 1
_APPEND = 0x20


class Finished(NamedTuple):
    """A command that has ended: its exit status and its output, ``words`` being both streams without blank edges."""

    status: int
    words: str


class Process(NamedTuple):
    """A running process.

    ``started`` is seconds since the epoch; ``identity`` names this very process on this boot, whatever the clock does.
    """

    pid: int
    parent: int
    name: str
    title: str
    started: float
    identity: str


class Listener(NamedTuple):
    """A listening TCP socket and the processes that hold it."""

    address: str
    port: int
    pids: tuple


class HostError(Exception):
    """Something on the host stands in the way; the text is one sentence for the user."""


class Host:
    """The host that this code runs on."""

    def __init__(self):
        self._known = {}

    # files

    def read(self, path):
        """Return the bytes of the file at ``path``. Raises HostError where it cannot be read."""
        try:
            # What is no file, a named pipe for one, must not make this wait for ever.
            with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    raise HostError(f"Cannot read {path}: it is no regular file.")
                return stream.read()
        except OSError as error:
            raise HostError(f"Cannot read {path}: {error.strerror}.") from error
        except ValueError as error:
            raise HostError(f"Cannot read {path!r}: {error}.") from error

    def is_file(self, path):
        return os.path.isfile(path)

    def is_executable(self, path):
        return os.path.isfile(path) and os.access(path, os.X_OK)

    def resolve(self, path):
        """Return ``path`` without symbolic links: the file that a change must go to."""
        return os.path.realpath(path)

    def link_target(self, path):
        """Return what the symbolic link at ``path`` says, or None where there is no such link."""
        try:
            return os.readlink(path)
        except OSError:
            return None

    def match(self, pattern):
        """Return the paths that ``pattern`` stands for, in the byte order that daemons read them in."""
        return sorted(glob.glob(pattern), key=os.fsencode)

    def changed_at(self, path):
        """Return when what stands at ``path`` last changed, in seconds since the epoch.

        The status change time, because it also moves when an older copy is put in the file's place. That of symbolic
        links on the way counts too. Returns infinity where the file is gone.
        """
        try:
            return max(os.stat(path).st_ctime, *(os.lstat(link).st_ctime for link in _links(path)), 0.0)
        except OSError:
            return float("inf")

    def write(self, path, content, instead_of=None):
        """Put ``content`` (bytes) at ``path``, so that a reader at any instant sees the old file or the new one, whole.

        Where ``instead_of`` (bytes) is given, nothing else is replaced: this is looked at last of all.

        Owner, mode and extended attributes (security context, access lists) of an existing file are kept; a new one
        belongs to root with mode 0600. What an earlier write that was killed left beside it is removed. Raises
        HostError where anything fails.
        """
        path = self.resolve(path)
        folder, name = os.path.split(path)
        temporary = None
        try:
            for leftover in glob.glob(os.path.join(glob.escape(folder), f".{glob.escape(name)}.*.new")):
                os.unlink(leftover)
            descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".new", dir=folder)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                if os.path.exists(path):
                    _keep_attributes(path, stream.fileno())
                stream.flush()
                os.fsync(stream.fileno())
            if instead_of is not None and self.read(path) != instead_of:
                raise HostError(f"{path} was changed by somebody else while this run was looking at it; run again.")
            os.rename(temporary, path)
            temporary = None
            self._synchronise(folder)
        except OSError as error:
            hint = ", because it is a mount of its own" if error.errno == errno.EBUSY else ""
            raise HostError(f"Cannot replace {path}: {_words(error)}{hint}.") from error
        finally:
            if temporary is not None:
                with suppress(OSError):
                    os.unlink(temporary)

    def must_be_replaceable(self, path):
        """Raise HostError where write() could not replace the file at ``path``. Nothing is written."""
        path = self.resolve(path)
        mounts = self.read("/proc/self/mountinfo").splitlines()
        for place in (path, os.path.dirname(path)):
            if place == path and path in (_unescaped(line.split()[4]) for line in mounts):
                reason = "it is a mount of its own; unmount it"
            elif _takes_additions_alone(place):
                reason = f"{place} takes additions alone; undo that (chattr -a)"
            elif os.access(place, os.W_OK):
                continue
            elif os.statvfs(place).f_flag & os.ST_RDONLY:
                reason = "its file system is read-only; mount it writable"
            else:
                reason = f"{place} is not even writable for root; make it so (lsattr shows what is immutable)"
            raise HostError(f"Nothing was changed, because {path} cannot be replaced: {reason} and run again.")

    def put(self, path, content):
        """Write ``content`` (bytes) to the new file ``path``, for root alone. For scratch folders: it is neither whole
        nor safe before it returns. Raises HostError.
        """
        with _told(f"Cannot write {path}"):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(content)

    def make_folder(self, path):
        """Make the folder ``path``, readable by root alone, if it is missing. Raises HostError where that fails."""
        with _told(f"Cannot make the folder {path}"):
            os.makedirs(path, mode=0o700, exist_ok=True)

    def remove_folder(self, path):
        """Remove the folder ``path`` and all that is in it, if there is one. Raises HostError."""
        with _told(f"Cannot remove the folder {path}"):
            if os.path.isdir(path):
                shutil.rmtree(path)

    @contextmanager
    def scratch_folder(self):
        """A new folder that only root can read, gone afterwards; those of runs that were killed go too. Raises
        HostError.
        """
        with _told("Cannot make a folder for temporary files"):
            path = tempfile.mkdtemp(prefix=_SCRATCH)
        for leftover in glob.glob(os.path.join(glob.escape(os.path.dirname(path)), f"{_SCRATCH}*")):
            with suppress(OSError):
                found = os.lstat(leftover)
                if found.st_uid == os.geteuid() and time.time() - found.st_mtime > _ABANDONED:
                    shutil.rmtree(leftover)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def link(self, target, path):
        """Make the symbolic link ``path`` to ``target``. Raises HostError."""
        with _told(f"Cannot make the link {path}"):
            os.symlink(target, path)

    def entries(self, folder):
        """Return the names in ``folder``. Raises HostError."""
        with _told(f"Cannot read the folder {folder}"):
            return sorted(os.listdir(folder))

    @contextmanager
    def lock(self, path, patience):
        """Hold the lock file ``path`` alone. Raises HostError when another run still holds it after ``patience``
        seconds.
        """
        self.make_folder(os.path.dirname(path))
        deadline = time.monotonic() + patience
        with _told(f"Cannot lock {path}"):
            stream = open(path, "ab")  # pylint: disable=consider-using-with
        with stream:
            while not _locked(stream, path):
                if time.monotonic() > deadline:
                    raise HostError(
                        f"Another run has held {path} for {patience} seconds; wait until it has ended and run again."
                    )
                time.sleep(0.1)
            yield

    @staticmethod
    def _synchronise(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    # processes and services

    def is_root(self):
        return os.geteuid() == 0

    def run(self, command, patience=60):
        """Run ``command`` (list of str) and return a Finished. Raises HostError where it cannot be started or hangs."""
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=patience,
                check=False,
                env={**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0"},
            )
        except OSError as error:
            raise HostError(f"Cannot run {command[0]}: {error.strerror}.") from error
        except subprocess.TimeoutExpired as error:
            raise HostError(f"{' '.join(command)} has not ended within {patience} seconds.") from error
        return Finished(done.returncode, done.stdout.decode("utf-8", "replace").strip())

    def once(self, find):
        """Return ``find(self)``, which is called once until forget() is."""
        if find not in self._known:
            self._known[find] = find(self)
        return self._known[find]

    def forget(self):
        """Look anew the next time that once(), processes() or listeners() is asked."""
        self._known.clear()

    def processes(self):
        """Return every Process of the host, read once until forget() is called."""
        return self.once(Host._read_processes)

    def _read_processes(self):
        return list(self._each_process())

    def _each_process(self):
        boot = self.read("/proc/sys/kernel/random/boot_id").decode().strip()
        ticks = os.sysconf("SC_CLK_TCK")
        booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        own_container = os.readlink("/proc/self/ns/pid")
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                if os.readlink(f"/proc/{entry}/ns/pid") != own_container:
                    continue
                with open(f"/proc/{entry}/stat", "rb") as stream:
                    before, after = stream.read().rsplit(b")", 1)
                with open(f"/proc/{entry}/cmdline", "rb") as stream:
                    title = stream.read().replace(b"\0", b" ").strip()
            except OSError:
                continue
            fields = after.split()
            start = int(fields[19])
            yield Process(
                pid=int(entry),
                parent=int(fields[1]),
                name=before.split(b"(", 1)[1].decode("utf-8", "replace"),
                title=title.decode("utf-8", "replace"),
                started=booted + start / ticks,
                identity=f"{boot}:{entry}:{start}",
            )

    def unit(self, pid):
        """Return the systemd unit, without its ``.service``, whose control group the process ``pid`` is in, or None."""
        try:
            groups = self.read(f"/proc/{pid}/cgroup").decode("utf-8", "replace")
        except HostError:
            return None
        for line in groups.splitlines():
            controllers, dummy, path = line.partition(":")[2].partition(":")
            match = re.search(r"/([^/]+)[.]service(?:/|$)", path)
            if controllers in ("", "name=systemd") and match:
                return match.group(1)
        return None

    def strange_to(self, pid, paths):
        """Return the first of ``paths`` at which the process ``pid`` finds something else than this one does, because
        its unit has mounts or a root of its own (systemd.exec(5)), or None. None where the process is gone.
        """
        try:
            theirs = _Mounts(f"/proc/{pid}")
        except OSError:
            return None
        own = _Mounts("/proc/self")
        return next((path for path in paths if theirs.locate(path) != own.locate(path)), None)

    def open_files(self, pid):
        """Return ``(name, changed)`` for each file that the process ``pid`` holds open: its path, with " (deleted)"
        behind it where it is gone, and when its status last changed, in seconds since the epoch.
        """
        found = []
        with _told(f"Cannot look at the open files of process {pid}"):
            for name in os.listdir(f"/proc/{pid}/fd"):
                path = f"/proc/{pid}/fd/{name}"
                try:
                    found.append((os.readlink(path), os.stat(path).st_ctime))
                except FileNotFoundError:
                    continue
        return found

    # the network

    def listeners(self):
        """Return every Listener of the host, read once until forget() is called."""
        return self.once(Host._read_listeners)

    def _read_listeners(self):
        holders = {}
        for process in self.processes():
            try:
                for descriptor in os.scandir(f"/proc/{process.pid}/fd"):
                    target = os.readlink(descriptor.path)
                    if target.startswith("socket:["):
                        holders.setdefault(target[8:-1], []).append(process.pid)
            except OSError:
                continue
        found = []
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            if not os.path.exists(table):
                continue
            for line in self.read(table).decode().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    address, port = fields[1].split(":")
                    found.append(Listener(_address(address), int(port, 16), tuple(holders.get(fields[9], ()))))
        return found

    def owns_address(self, address):
        """Whether ``address`` (text) belongs to this host: loopback, or configured on one of its interfaces."""
        parsed = ipaddress.ip_address(address)
        if parsed.is_loopback:
            return True
        if parsed.version == 4:
            table = self.read("/proc/net/fib_trie").decode().splitlines()
            return any(
                line.split()[-1] == address and "LOCAL" in following for line, following in zip(table, table[1:])
            )
        if not os.path.exists("/proc/net/if_inet6"):
            return False
        packed = parsed.packed.hex()
        return any(line.split()[0] == packed for line in self.read("/proc/net/if_inet6").decode().splitlines())


@contextmanager
def _told(outcome):
    """Turn an OSError into a HostError that starts with ``outcome``."""
    try:
        yield
    except OSError as error:
        raise HostError(f"{outcome}: {_words(error)}.") from error


def _words(error):
    """Return what the system says of an OSError, and what to do where that is certain."""
    advice = _ADVICE.get(error.errno)
    return f"{error.strerror}; {advice} and run again" if advice else error.strerror


def _locked(stream, path):
    """Lock ``stream`` and return whether that succeeded; false where another process holds the lock."""
    with _told(f"Cannot lock {path}"):
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _takes_additions_alone(path):
    """Whether what is at ``path`` has the attribute ``a`` of chattr(1), which lets nobody replace or remove it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            flags = fcntl.ioctl(descriptor, _GET_FLAGS, bytes(struct.calcsize("l")))
        finally:
            os.close(descriptor)
    except OSError:
        # Not every file system has such attributes.
        return False
    return bool(struct.unpack("l", flags)[0] & _APPEND)


def _links(path):
    """Return the symbolic links that lead to ``path``, those among its folders included."""
    links = []
    waiting = [os.path.abspath(path)]
    while waiting:
        path = waiting.pop()
        while path != "/":
            if os.path.islink(path) and path not in links:
                links.append(path)
                waiting.append(os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path))))
            path = os.path.dirname(path)
    return links


class _Mounts:
    """What a process, given as its folder in /proc, finds where: its root folder, and the mounts below it
    (proc_pid_mountinfo(5)). Raises OSError.
    """

    def __init__(self, process):
        self._root = os.readlink(f"{process}/root")
        # The number of a mount to those on it: number, device, place on that device, and where it is mounted.
        self._on = {}
        numbers = set()
        with open(f"{process}/mountinfo", "rb") as stream:
            for line in stream:
                number, parent, device, place, point = line.split()[:5]
                self._on.setdefault(parent, []).append((number, device, _unescaped(place), _unescaped(point)))
                numbers.add(number)
        self._first = [mount for parent, mounts in self._on.items() if parent not in numbers for mount in mounts]

    def locate(self, path):
        """Return the root folder, the device, and the place on it where ``path`` is, whatever is there."""
        device, place, mounts = None, path, self._first
        while True:
            around = [mount for mount in mounts if f"{path}/".startswith(f"{mount[3].rstrip('/')}/")]
            if not around:
                return self._root, device, place
            # The first on the way to the path leads to all others.
            number, device, root, point = min(around, key=lambda mount: len(mount[3]))
            place = os.path.normpath(os.path.join(root, os.path.relpath(path, point)))
            mounts = self._on.get(number, ())


def _unescaped(written):
    """Return the path (text) that /proc writes with octal numbers for blanks, and with "//deleted" where it is gone."""
    path = re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match.group(1), 8)]), written)
    return os.fsdecode(path[: -len(b"//deleted")] if path.endswith(b"//deleted") else path)


def _keep_attributes(path, descriptor):
    """Give the open file ``descriptor`` the owner, mode and extended attributes of the file at ``path``."""
    old = os.stat(path)
    os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    try:
        names = os.listxattr(path)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        names = []
    for name in names:
        os.setxattr(descriptor, name, os.getxattr(path, name))


def _address(kernel_form):
    """Turn an address as /proc/net/tcp writes it (32-bit words in host order) into text."""
    packed = bytes.fromhex(kernel_form)
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return str(ipaddress.ip_address(struct.pack(f">{len(words)}I", *words)))
