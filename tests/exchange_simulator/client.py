# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client for the tests: pypsrp, as a person would use it."""

from __future__ import annotations

import contextlib

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

PATHS = {"Microsoft.Exchange": "PowerShell", "Microsoft.PowerShell": "wsman"}


class Client:
    """One runspace pool; `run` gives the PowerShell object after the pipeline, with its output and streams."""

    def __init__(self, pool):
        self.pool = pool

    def run(self, cmdlet, **parameters):
        shell = PowerShell(self.pool)
        shell.add_cmdlet(cmdlet)
        for name, value in parameters.items():
            shell.add_parameter(name, value)
        shell.invoke()
        return shell

    def script(self, text):
        shell = PowerShell(self.pool)
        shell.add_script(text)
        shell.invoke()
        return shell


def connection(exchange, auth="ntlm", path="PowerShell", **options):
    """A WSMan object that is not connected yet."""
    encryption = "never" if auth == "basic" and not exchange.tls else "auto"
    options = {"username": exchange.user, "password": exchange.password, "encryption": encryption, **options}
    options.setdefault("cert_validation", exchange.authority_file or False)
    return WSMan(
        options.pop("server", exchange.host),
        port=exchange.port,
        ssl=exchange.tls,
        path=path,
        auth=auth,
        no_proxy=True,
        **options,
    )


@contextlib.contextmanager
def connected(exchange, configuration="Microsoft.Exchange", **options):
    """A Client with an open pool."""
    options.setdefault("path", PATHS.get(configuration, "PowerShell"))
    with connection(exchange, **options) as wsman, RunspacePool(wsman, configuration_name=configuration) as pool:
        yield Client(pool)


def properties(item):
    """{name: value} of what a cmdlet wrote."""
    return {**item.adapted_properties, **item.extended_properties}


def errors(shell):
    """The messages in the error stream."""
    return [str(record) for record in shell.streams.error]


def warnings(shell):
    return [record.message for record in shell.streams.warning]


def settings(exchange, **options):
    """What Get-ImapSettings gives, {name: value}."""
    with connected(exchange, **options) as client:
        (item,) = client.run("Get-ImapSettings").output
        return properties(item)
