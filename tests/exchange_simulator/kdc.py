# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An MIT Kerberos KDC on loopback, all of whose files are in one folder (Debian's krb5-kdc, krb5-admin-server and faketime)."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

CLIENT = """\
[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
    kdc_timesync = {corrected}
[realms]
    {realm} = {{
        kdc = 127.0.0.1:{port}
    }}
[domain_realm]
    localhost = {realm}
"""
SERVER = """\
[kdcdefaults]
    kdc_listen = 127.0.0.1:{port}
    kdc_tcp_listen = 127.0.0.1:{port}
[realms]
    {realm} = {{
        database_name = {folder}/principal
        key_stash_file = {folder}/stash
        acl_file = {folder}/acl
        supported_enctypes = aes256-cts:normal
    }}
[logging]
    kdc = FILE:{folder}/kdc.log
"""


@dataclass(frozen=True)
class Kdc:
    """A KDC that runs: its realm, the keytab of its services, and what a process must have in its environment."""

    realm: str
    keytab: str
    environment: dict[str, str]

    def ticket(self, name, password, *options):
        """Get a ticket into the cache that the environment names, with kinit and its options."""
        environment = {**self.environment, **os.environ}
        command = ["kinit", *options, f"{name}@{self.realm}"]
        subprocess.run(command, input=f"{password}\n", text=True, check=True, env=environment, capture_output=True)

    def change(self, name, *options):
        """Change a user or a service with kadmin's modprinc, whose options these are."""
        environment = {**os.environ, **self.environment}
        command = ["kadmin.local", "modprinc", *options, name]
        subprocess.run(command, check=True, env=environment, capture_output=True)


@contextlib.contextmanager
def kdc(folder, users, services, realm="EXAMPLE.TEST", clock=None, corrected=True):
    """Run a KDC while the block lasts.

    users: {name: password}; services: principals, such as HTTP/localhost.
    clock: how far the KDC's clock is from this machine's, in faketime's words, such as +1h.
    corrected: clients reckon with the KDC's clock in place of their own, which is MIT's default.
    """
    folder = Path(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    names = {"realm": realm, "port": port, "folder": folder, "corrected": int(corrected)}
    (folder / "krb5.conf").write_text(CLIENT.format(**names), encoding="utf-8")
    (folder / "kdc.conf").write_text(SERVER.format(**names), encoding="utf-8")
    environment = {
        "KRB5_CONFIG": str(folder / "krb5.conf"),
        "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
        "KRB5CCNAME": f"FILE:{folder}/tickets",
        "KRB5RCACHENAME": "none:",  # the replay cache would be a file elsewhere
    }
    everything = {**os.environ, **environment}
    keytab = str(folder / "keytab")

    def run(*command):
        subprocess.run(command, check=True, env=everything, capture_output=True)

    run("kdb5_util", "create", "-s", "-P", "master-of-a-test")
    for name, password in users.items():
        run("kadmin.local", "addprinc", "+requires_preauth", "-pw", password, name)  # as Active Directory does
    for service in services:
        run("kadmin.local", "addprinc", "-randkey", service)
        run("kadmin.local", "ktadd", "-k", keytab, service)
    command = [*(["faketime", "-f", clock] if clock else []), "krb5kdc", "-n"]
    process = subprocess.Popen(command, env=everything, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(process, port)
        yield Kdc(realm, keytab, environment)
    finally:
        process.terminate()
        process.wait()


def _wait(process, port):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"krb5kdc ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("krb5kdc does not answer")
