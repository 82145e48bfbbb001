# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write anew what is made from the table of settings and the table of server types, after a change to them.

Usage: make generate

A generated part of a file stands between a line that says "begin generated: NAME" and one that says "end generated".
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from ansible_collections.mailops.imap.plugins.module_utils import _options
from ansible_collections.mailops.imap.plugins.module_utils._contract import SETTINGS, Setting
from ansible_collections.mailops.imap.plugins.module_utils._servers import SERVER_TYPES
from ansible_collections.mailops.imap.plugins.plugin_utils import _schema
from ansible_collections.mailops.imap.plugins.plugin_utils._exchange._parameters import PARAMETERS

WIDTH = 120

#: Kind of setting to what the documentation says of its values.
KINDS = {
    "duration": "Seconds, or a duration such as V(30m), V(1h30m), V(00:30:00) or V(1.00:00:00). A bare number is always "
    "seconds.",
    "integer": "A whole number from {minimum} to {maximum}.",
    "text": "Text on one line.",
    "boolean": "V(true) or V(false).",
    "choice": "One of {choices}.",
    "list": "A list of texts; null or an empty list clears it.",
    "size": "A number of bytes, a size such as V(10MB), or V(unlimited).",
}


def wrapped(words: str, first: str, following: str) -> str:
    """Return ``words`` in lines of at most WIDTH characters that start with ``first`` and ``following``."""
    lines = [first]
    for word in words.split(" "):
        if len(lines[-1]) + len(word) >= WIDTH and lines[-1].strip():
            lines.append(following)
        lines[-1] += word if lines[-1][-1:] == " " else f" {word}"
    return "\n".join(lines)


def takers(setting: Setting) -> list[str]:
    """Return the server types that have the setting."""
    there = [name for name, kind in SERVER_TYPES.items() if setting.name in kind.terms]
    return there + (["exchange"] if setting.name in PARAMETERS else [])


def options() -> str:
    """The settings as options of a module."""
    lines = []
    for setting in SETTINGS.values():
        choices = ", ".join(f"V({choice})" for choice in setting.choices)
        values = KINDS[setting.kind].format(minimum=setting.minimum, maximum=setting.maximum, choices=choices)
        there = [f"Taken by the server types {', '.join(takers(setting))}."] if takers(setting) else []
        lines += [f"  {setting.name}:", "    description:"]
        lines += [
            wrapped(sentence, "      - ", "        ")
            for sentence in (setting.description, values, *setting.details, *there)
        ]
        lines += ["    type: raw"]
    return "\n".join(lines)


def server_types() -> str:
    """The choices of the option server_type."""
    return f"    choices: [{', '.join(_options.CHOICES['server_type'])}]"


def arguments() -> str:
    """The settings as arguments of a task of the role imap_settings; null clears a list, and leaves the rest alone.

    ansible-core before 2.19 makes an empty text of a template that is null, which would clear a text.
    """
    lines = []
    for setting in SETTINGS.values():
        variable = f"imap_settings_{setting.name}"
        if setting.kind == "list":
            value = f"[] if {variable} | default(omit) is none\n      else {variable} | default(omit)"
        else:
            value = f"omit if {variable} | default(none) is none\n      else {variable}"
        lines += [f"    {setting.name}: >-", f"      {{{{ {value} }}}}"]
    return "\n".join(lines)


def role_options() -> str:
    """The settings as options of the role imap_settings."""
    lines = []
    for setting in SETTINGS.values():
        lines += [f"      imap_settings_{setting.name}:", "        type: raw"]
        lines += [wrapped(setting.description, "        description: ", "          ")]
    return "\n".join(lines)


def variables() -> str:
    """The settings as variables of the role imap_settings, rows of a table in Markdown."""
    described = {
        name: re.sub(r"C\(([^)]*)\)", r"`\1`", setting.description[:-1]) for name, setting in SETTINGS.items()
    }
    return "\n".join(
        f"| `imap_settings_{name}` | left alone | {words[0].lower()}{words[1:]} |" for name, words in described.items()
    )


def table() -> str:
    """Server types and settings, in reStructuredText."""
    tables = {}
    for name, kind in SERVER_TYPES.items():
        tables[name] = [
            (f"``{setting}``", f"``{term.option}``" if term.option else "", term.effect)
            for setting, term in kind.terms.items()
        ] + [(f"``{setting}``", "refused", reason) for setting, reason in kind.lacks.items()]
    tables["exchange"] = [
        (
            f"``{row.setting}``",
            f"``-{row.parameter}``",
            "every version" if row.since == "2007 RTM" else f"from Exchange {row.since} on",
        )
        for row in PARAMETERS.values()
    ]
    lines = []
    for name, rows in tables.items():
        lines += ["", name, "-" * len(name), "", ".. list-table::", "   :header-rows: 1", ""]
        for row in [("Setting", "In its configuration", "What the server makes of it"), *rows]:
            lines += [f"   {mark} - {cell}".rstrip() for mark, cell in zip("*  ", row)]
    return "\n".join([*lines, ""])


def cyrus_options() -> str:
    """What the settings are called in the configuration of Cyrus, as a list in YAML."""
    options = sorted({term.option for term in SERVER_TYPES["cyrus"].terms.values() if term.option})
    return "\n".join(f"  - {option}" for option in options)


#: File to the parts in it: name to what makes it.
PARTS = {
    "plugins/doc_fragments/settings.py": {"settings": options, "server types": server_types},
    "roles/imap_settings/tasks/main.yml": {"settings": arguments},
    "roles/imap_settings/tasks/validate.yml": {"settings": arguments},
    "roles/imap_settings/meta/argument_specs.yml": {"settings": role_options},
    "roles/imap_settings/README.md": {"settings": variables},
    "roles/imap_server/vars/main.yml": {"options of Cyrus": cyrus_options},
    "docs/docsite/rst/server_types.rst": {"server types": table},
}
SCHEMA = "plugins/plugin_utils/imap_settings.schema.json"


def generated(root: Path) -> dict[str, str]:
    """Return file, relative to ``root``, to the text that it should have."""
    files = {SCHEMA: json.dumps(_schema.generated(), indent=2) + "\n"}
    for name, parts in PARTS.items():
        files[name] = (root / name).read_text(encoding="utf-8")
        for part, make in parts.items():
            pattern = rf"(?ms)(^[^\n]*begin generated: {part}[^\n]*\n).*?(^[^\n]*end generated)"
            files[name], count = re.subn(
                pattern, lambda match, text=make(): f"{match[1]}{text}\n{match[2]}", files[name]
            )
            if not count:
                raise SystemExit(f"{name} has no part {part} to generate")
    return files


if __name__ == "__main__":
    ROOT = Path(__file__).resolve().parents[2]
    for path, content in generated(ROOT).items():
        if (ROOT / path).read_text(encoding="utf-8") != content:
            (ROOT / path).write_text(content, encoding="utf-8")
            print(f"written: {path}")
