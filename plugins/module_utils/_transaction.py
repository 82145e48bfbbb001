# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are changed all or none, can be put back until the server has come up with them, and what was done is kept.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import hashlib
import json
import os.path
from typing import NamedTuple

from ._host import HostError

_FOLDER = "/var/lib/mailops-imap"
_RECORD = _FOLDER + "/record.json"
_PREVIOUS = _FOLDER + "/previous"
_LOCK = _FOLDER + "/lock"
_PATIENCE = 60


def _is_value(value):
    return isinstance(value, (int, float, str)) and not isinstance(value, bool)


def lock(host):
    """Hold this host's lock, as a context manager. Raises HostError when another run holds it for too long."""
    return host.lock(_LOCK, _PATIENCE)


class Record:
    """What earlier runs left: ``servers`` (server type to ``identity`` and ``running``) and ``applied`` (setting name
    to value).
    """

    def __init__(self, host):
        self._host = host
        self._old = self._read()
        self.servers = dict(self._old.get("servers", {}))
        self.applied = dict(self._old.get("applied", {}))

    def _read(self):
        """Return what is on disk; a damaged record counts as none, because it only ever saves work."""
        if not self._host.is_file(_RECORD):
            return {}
        try:
            record = json.loads(self._host.read(_RECORD))
            for server in record["servers"].values():
                values = [value for each in server["running"].values() for value in each]
                if not isinstance(server["identity"], str) or not all(map(_is_value, values)):
                    return {}
            return record if all(map(_is_value, record["applied"].values())) else {}
        except (ValueError, TypeError, LookupError, AttributeError):
            return {}

    def saw(self, server, running):
        """Remember the values that the serving process of a Server is known to have; ``running`` is from
        _convergence.running().
        """
        known = {name: list(values) for name, values in running.items() if values is not None}
        if server.serving is not None and server.serving.identity:
            self.servers[server.server_type] = {"identity": server.serving.identity, "running": known}

    def write(self):
        """Write the record, if it says anything new. Raises HostError."""
        new = {"servers": self.servers, "applied": self.applied}
        if new != self._old:
            self._host.make_folder(_FOLDER)
            self._host.write(_RECORD, json.dumps(new, sort_keys=True).encode())


def commit(host, observed, files):
    """Put ``files`` (path to new bytes) in place, all or none.

    ``observed`` maps the same paths to the bytes that the change was made from: a file that has changed since is never
    overwritten. What they held before is kept for restore(). Raises HostError, and then every file is as it was, or the
    text says which is not.
    """
    for path in files:
        if host.read(path) != observed[path]:
            raise HostError(f"{path} was changed by somebody else while this run was looking at it; run again.")
    before = {path: observed[path] for path in files}
    begun = {}
    try:
        _keep(host, before, files)
        for path, content in files.items():
            begun[path] = before[path]
            host.write(path, content, before[path])
    except HostError as problem:
        _undo(host, begun, files, problem)
        raise HostError(f"Nothing was changed: {problem}") from problem


def _undo(host, before, after, problem):
    """Give the files that hold what they should ``after`` the change the bytes from ``before`` it (path to bytes each);
    the last one, which failed, may or may not have been replaced.
    """
    failures = []
    failed = next(reversed(list(before)), None)
    for path, content in before.items():
        try:
            found = host.read(path)
            if found == after[path]:
                host.write(path, content, after[path])
            elif found != content and path != failed:
                failures.append(f"{path} was changed by somebody else meanwhile.")
        except HostError as failure:
            failures.append(str(failure))
    if failures:
        raise HostError(f"{problem} What had changed before could not be put back: {' '.join(failures)}") from problem


class _Kept(NamedTuple):
    """What is kept of one file: the name of its ``copy``, and the digests of what was ``written`` in its place."""

    copy: str
    written: list


def _keep(host, before, after):
    """Keep the files ``before`` a change (path to bytes), and note what will be there ``after`` it.

    What counts is what a file held when the server last came up. That is the copy kept already, unless somebody else has
    changed the file since: what they wrote must not get lost.
    """
    host.make_folder(_PREVIOUS)
    kept = _kept(host)
    for path, content in before.items():
        if path not in kept or _digest(content) not in kept[path].written:
            number = 1 + max((int(each.copy.partition("-")[0]) for each in kept.values()), default=-1)
            kept[path] = _Kept(f"{number}-{os.path.basename(path)}", [])
            host.write(f"{_PREVIOUS}/{kept[path].copy}", content)
        kept[path].written.append(_digest(after[path]))
    host.write(f"{_PREVIOUS}/index.json", json.dumps(kept, sort_keys=True).encode())


def _kept(host):
    """Return path to _Kept. Raises HostError where the index is damaged."""
    index = f"{_PREVIOUS}/index.json"
    if not host.is_file(index):
        return {}
    try:
        kept = {path: _Kept(*entry) for path, entry in json.loads(host.read(index)).items()}
        for entry in kept.values():
            int(entry.copy.partition("-")[0])
            if os.path.basename(entry.copy) != entry.copy or not isinstance(entry.written, list):
                raise ValueError(entry)
        return kept
    except (ValueError, TypeError, AttributeError) as problem:
        raise HostError(f"{index} is damaged; remove the folder {_PREVIOUS} and run again.") from problem


def _digest(content):
    return hashlib.sha256(content).hexdigest()


def restore(host):
    """Put back what commit() kept. Raises HostError.

    Returns ``(restored, left)``: the paths that hold again what they held before, sorted, and those that were left as
    they are because somebody else has changed them since.
    """
    restored, left = [], []
    for path, entry in sorted(_kept(host).items()):
        content = host.read(f"{_PREVIOUS}/{entry.copy}")
        found = host.read(path)
        if found != content and _digest(found) not in entry.written:
            left.append(path)
            continue
        if found != content:
            host.write(path, content)
        restored.append(path)
    return restored, left


def confirm(host):
    """Forget what commit() kept: the server has come up with what is in place."""
    host.remove_folder(_PREVIOUS)
