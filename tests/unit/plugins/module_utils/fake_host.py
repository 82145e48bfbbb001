# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host that exists in memory only: files, processes, listeners and canned answers of commands."""

from __future__ import annotations

import fnmatch
import os.path
from contextlib import contextmanager
from pathlib import PurePosixPath

from ansible_collections.mailops.imap.plugins.module_utils._host import Finished, HostError, Listener, Process
from ansible_collections.mailops.imap.tests.unit.plugins.module_utils.fake_dovecot import Doveconf

NGINX, NGINX_MAIN = "/usr/sbin/nginx", "/etc/nginx/nginx.conf"
CYRMASTER, CYR_INFO = "/usr/sbin/cyrmaster", "/usr/lib/cyrus/bin/cyr_info"
CYRUS_PROGRAMS = {CYRMASTER, CYR_INFO, "/usr/lib/cyrus/bin/imapd"}
IMAPD_CONF, CYRUS_CONF = "/etc/imapd.conf", "/etc/cyrus.conf"
DOVECOT, DOVECONF = "/usr/sbin/dovecot", "/usr/bin/doveconf"
DOVECOT_FILES = {"/etc/dovecot/dovecot.conf": "protocols = imap\n"}
DOVECOT_PROGRAMS = {DOVECOT, "/usr/lib/dovecot/imap"}


class FakeHost:
    """A Host whose ``files`` (path to bytes) changed at ``ctimes`` (0 unless given).

    ``answers`` maps the words of a command to its (status, words), or to a function of the command that returns them;
    ``commands`` are those that ran, ``written`` the paths that were written; ``opened`` maps pid to open files;
    ``locked_away`` maps the paths that must not be replaced to what is said of them; ``mounted`` maps pid to the paths at
    which that process finds something else.
    """

    def __init__(self, files=(), programs=(), processes=(), listeners=(), answers=(), links=(), root=True):
        self.files = {}
        for path, content in dict(files).items():
            self.files[path] = content.encode() if isinstance(content, str) else content
        self.programs = set(programs)
        self.process_list = list(processes)
        self.listener_list = list(listeners)
        self.answers = dict(answers)
        self.links = dict(links)
        self.ctimes = {}
        self.commands = []
        self.written = []
        self.answers.setdefault(DOVECONF, Doveconf(self))
        self.answers.setdefault("systemctl reset-failed", (0, ""))
        self.answers.setdefault("systemctl show ExecStart", (0, f"{{ path={DOVECOT} ; argv[]={DOVECOT} -F ; pid=0 }}"))
        self.opened = {}
        self.locked = 0
        self.broken = {}
        self.locked_away = {}
        self.root = root
        self.units = {}
        self.mounted = {}
        self.seen = None

    # files

    def read(self, path):
        path = self.resolve(path)
        if path not in self.files:
            raise HostError(f"Cannot read {path}: No such file or directory.")
        return self.files[path]

    def is_file(self, path):
        return self.resolve(path) in self.files

    def is_executable(self, path):
        return path in self.programs

    def resolve(self, path):
        path = os.path.normpath(path)
        return self.links.get(path, path)

    def link_target(self, path):
        return self.links.get(path)

    def match(self, pattern):
        paths = {*self.files, *self.links}
        for path in list(paths):
            paths.update(map(str, PurePosixPath(path).parents))
        return sorted(
            path for path in paths if path.count("/") == pattern.count("/") and fnmatch.fnmatch(path, pattern)
        )

    def changed_at(self, path):
        return self.ctimes.get(self.resolve(path), 0)

    def write(self, path, content, instead_of=None):
        path = self.resolve(path)
        if path in self.broken:
            raise HostError(self.broken[path])
        self.files[path] = content
        self.written.append(path)

    def must_be_replaceable(self, path):
        path = self.resolve(path)
        if path in self.locked_away:
            raise HostError(self.locked_away[path])

    def put(self, path, content):
        assert path.startswith("/scratch/") and path not in self.files
        self.files[path] = content

    def make_folder(self, path):
        pass

    def remove_folder(self, path):
        for name in [name for name in self.files if name.startswith(path + "/")]:
            del self.files[name]

    @contextmanager
    def scratch_folder(self):
        try:
            yield "/scratch"
        finally:
            self.remove_folder("/scratch")

    def link(self, target, path):
        assert path.startswith("/scratch/")

    def entries(self, folder):
        return sorted({path[len(folder) + 1 :].split("/")[0] for path in self.files if path.startswith(folder + "/")})

    @contextmanager
    def lock(self, path, patience):
        self.locked += 1
        yield

    # processes

    def is_root(self):
        return self.root

    def run(self, command, patience=60):
        self.commands.append(command)
        for words, answer in self.answers.items():
            if all(word in command for word in words.split()):
                return Finished(*(answer(command) if callable(answer) else answer))
        raise HostError(f"Cannot run {command[0]}: No such file or directory.")

    def processes(self):
        if self.seen is None:
            self.seen = list(self.process_list)
        return self.seen

    def once(self, find):
        """Tests change files without a word, so nothing but the processes is kept."""
        return find(self)

    def forget(self):
        """What was read once stays, until this is called."""
        self.seen = None

    def unit(self, pid):
        return self.units.get(pid)

    def strange_to(self, pid, paths):
        return next((path for path in paths if path in self.mounted.get(pid, ())), None)

    def open_files(self, pid):
        return self.opened.get(pid, [])

    def listeners(self):
        return self.listener_list

    def owns_address(self, address):
        if not address.replace(".", "").replace(":", "").isalnum() or address[0].isalpha() and ":" not in address:
            raise ValueError(address)
        return address.startswith("127.") or address in ("::1", "192.0.2.1")


def process(pid, title, started=1000.0, parent=1, name=None):
    """A Process; two are the same one where pid and start are the same."""
    name = name or os.path.basename(title.split()[0].rstrip(":"))
    return Process(pid, parent, name, title, float(started), f"boot:{pid}:{started:g}")


def nginx_processes(started=1000.0, workers=2, master_started=None, command="/usr/sbin/nginx", pid=100):
    """A master that was started with ``command``, and its workers."""
    master = process(pid, f"nginx: master process {command}", started if master_started is None else master_started)
    rest = range(pid + 1, pid + 1 + workers)
    return [master, *(process(each, "nginx: worker process", started, pid, "nginx") for each in rest)]


def nginx_answers(check=(0, "")):
    return {"-v -t": lambda command: (check[0], "nginx version: nginx/1.22.1\n" + check[1]), "-t": check}


def cyrus_answers(version="3.6.1", lint=(0, "")):
    return {"version": (0, f"cyrus-imapd {version}-Debian-{version}-4+deb12u5"), "conf-lint": lint}


def listener(port, *pids, address="127.0.0.1"):
    return Listener(address, port, pids)
