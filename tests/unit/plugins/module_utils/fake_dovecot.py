# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What doveconf answers about the files of a FakeHost, as far as the tests ask it; the real one is asked in
tests/integration.
"""

from __future__ import annotations

from ansible_collections.mailops.imap.plugins.module_utils._host import HostError
from ansible_collections.mailops.imap.plugins.module_utils._syntax import dovecot, text

LIFETIME = {"2.3": "service_count", "2.4": "restart_request_count"}
# What both print where nothing is written; the services of each protocol, and the limits of each.
PLAIN = {
    "default_client_limit": "1000",
    "default_process_limit": "100",
    "mail_max_userip_connections": "10",
    "imap_max_line_length": "64 k",
    "login_greeting": "Dovecot ready.",
    "imap_hibernate_timeout": "0",
    "imap_idle_notify_interval": "2 mins",
}
LISTENERS = {"imap": {"port": "143", "ssl": "no"}, "imaps": {"port": "993", "ssl": "yes"}}


class Doveconf:
    """A doveconf for ``machine``; ``lies`` maps names of settings to what it prints instead of the truth."""

    def __init__(self, machine, version="2.3.19.1"):
        self.machine = machine
        self.version = version
        self.language = version[:3]
        self.lies = {}

    def __call__(self, command):
        command = list(command)
        main = command[command.index("-c") + 1]
        names = [word for word in command[3:] if not word.startswith("-")]
        try:
            tree = dovecot.Tree(main, self.machine.read, self.machine.match)
            for assignment in tree.assignments:
                if "nonsense" in assignment.setting.key:
                    raise HostError(f"{assignment.file.path} line {assignment.line}: Unknown setting: nonsense.")
        except (text.SyntaxProblem, HostError) as problem:
            return 89, f"doveconf: Fatal: Error in configuration file {str(problem)[:-1]}"
        if "-n" in command:
            return self.whole(tree, main)
        if "-h" in command:
            filters = dict(word[2:].split("=", 1) for word in command if word.startswith("-f"))
            lines = [self.value(None if "-d" in command else tree, name, filters) for name in names]
            if None in lines:
                return 89, "doveconf: Error: Conflict in setting\ndoveconf: Fatal: Errors in configuration"
            return 0, text.encode("\n".join([*self.warnings(tree), *lines])).decode("utf-8", "replace")
        return 0, self.printed(tree, [name.partition("/")[2] for name in names if name.startswith("service/")])

    def whole(self, tree, main):
        """What ``doveconf -n`` prints."""
        lines = [f"# {self.version} (9b53102964): {main}", *self.warnings(tree)]
        limit = self.number(tree, "imap-login", "process_limit")
        if int(self.value(tree, "service/imap-login/process_min_avail", {}) or 0) > limit:
            return 89, "\n".join(lines + ["doveconf: Fatal: service(imap-login): process_min_avail is higher"])
        return 0, "\n".join(lines)

    def value(self, tree, name, filters):
        """The text of a setting; None where a protocol and some clients have it, which 2.3 takes for a conflict."""
        path = tuple(name.split("/"))
        if name in self.lies and tree:
            return self.lies[name]
        default = self.default(path)
        if tree is None:
            return default
        protocol = filters.get("protocol")
        clients = tuple((key, filters[key]) for key in ("local_name", "local", "remote") if key in filters)
        found = tree.in_force(path, None if path[0] == "service" else protocol)
        for exception in tree.exceptions(path, protocol) if clients else ():
            if exception.clients == clients:
                if found is not None and "protocol" in found.filter:
                    return None
                found = exception
        if found is None:
            return default
        if found.setting.form == "file":
            return f"<{found.setting.value}"
        return tree.expanded(found, lambda key: PLAIN.get(key, ""))

    def default(self, path):
        if len(path) == 1:
            return PLAIN.get(path[0], "")
        unset = "0" if self.language == "2.3" else ""
        return {
            ("imap", "process_limit"): "1024",
            ("imap", "client_limit"): "1",
            ("imap", LIFETIME[self.language]): "1",
            ("imap-login", LIFETIME[self.language]): "1",
            ("auth", "process_limit"): "1",
        }.get(path[1:], unset)

    def number(self, tree, service, key):
        found = self.value(tree, f"service/{service}/{key}", {})
        return int(found) if found not in ("", "0") else int(self.value(tree, f"default_{key}", {}))

    def warnings(self, tree):
        """What is said of settings that are called obsolete, and what the master says of service auth and anvil."""
        logins = self.number(tree, "imap-login", "process_limit")
        needed = {"auth": logins, "anvil": logins + 3}
        obsolete = [
            f"doveconf: Warning: Obsolete setting in {each.file.path}:{each.line}: {each.path[-1]} is of no use any more"
            for each in tree.assignments
            if "obsolete" in each.path[-1]
        ]
        return obsolete + [
            f"doveconf: Warning: service {service} {{ client_limit={limit} }} is lower than required under max. load "
            f"({needed[service]}). Counted with: service imap-login {{ process_limit={logins} }}"
            for service in needed
            for limit in [self.number(tree, service, "client_limit")]
            if limit < needed[service]
        ]

    def printed(self, tree, services):
        """What it prints of protocols, listen, ssl and the ``services``."""

        def plain(key, default):
            found = tree.in_force((key,))
            return f"{key} = {found.setting.value if found else default}"

        lines = [plain("protocols", ""), plain("listen", "*, ::"), plain("ssl", "yes")]
        lines.append(plain("haproxy_trusted_networks", ""))
        for service in services:
            listeners = {name: dict(settings) for name, settings in LISTENERS.items() if service == "imap-login"}
            for assignment in tree.assignments:
                if assignment.path[:3] == ("service", service, "inet_listener"):
                    listeners.setdefault(assignment.path[3], {})[assignment.path[4]] = assignment.setting.value
            lines.append(f"service {service} {{")
            for name, settings in listeners.items():
                inside = [f"    {key} = {value}" for key, value in settings.items()]
                lines += [f"  inet_listener {name} {{", *inside, "  }"]
            lines.append("}")
        return "\n".join(lines)
