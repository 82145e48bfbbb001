# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Schema of the options, made from the contract, and checking against it. Controller only.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import json
import os.path
import re

from ansible_collections.mailops.imap.plugins.module_utils import _contract, _duration, _options, _size

try:
    import jsonschema
except ImportError:
    jsonschema = None

#: The schema's file, for editors too: it knows the options, and the variables of the role imap_settings.
PATH = os.path.join(os.path.dirname(__file__), "imap_settings.schema.json")

_PREFIXES = ("", "imap_settings_")


def _duration_form(setting):
    return {
        "description": f"{setting.description} A number of {setting.unit}, or a duration such as 30m, 1h30m or 00:30:00.",
        "type": ["integer", "string"],
        "pattern": _duration.PATTERN,
    }


def _integer_form(setting):
    return {"description": setting.description, "type": ["integer", "string"], "pattern": "^[0-9]{1,10}$"}


def _size_form(setting):
    return {
        "description": setting.description,
        "type": ["integer", "string"],
        "minimum": 0,
        "pattern": _size.PATTERN,
        "not": _CONTROL_CHARACTERS,
    }


def _list_form(setting):
    texts = {"type": "string", "minLength": 1, "not": _CONTROL_CHARACTERS}
    return {"description": setting.description, "type": ["array", "null"], "items": texts}


_CONTROL_CHARACTERS = {"type": "string", "pattern": _contract.CONTROL_CHARACTERS}

#: Kind of setting to the function of a Setting that returns its part of the schema.
_FORMS = {
    "duration": _duration_form,
    "integer": _integer_form,
    "size": _size_form,
    "list": _list_form,
    "text": lambda setting: {"description": setting.description, "type": "string", "not": _CONTROL_CHARACTERS},
    "boolean": lambda setting: {"description": setting.description, "enum": [True, False, *_contract.BOOLEANS]},
    "choice": lambda setting: {"description": setting.description, "enum": list(setting.choices)},
}


def generated():
    """Return the schema as a dictionary, made from the contract.

    ``writtenMinimum`` and ``writtenMaximum`` are keywords of this collection's own: what ``minimum`` and ``maximum`` say
    of a number, they say of a number or a duration written as text.
    """
    definitions = {setting.name: _FORMS[setting.kind](setting) for setting in _contract.SETTINGS.values()}
    definitions.update({name: {"enum": list(choices)} for name, choices in _options.CHOICES.items()})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Options of mailops.imap.imap_settings, and variables of the role of the same name",
        "type": "object",
        "$defs": definitions,
        "properties": {prefix + name: {"$ref": f"#/$defs/{name}"} for prefix in _PREFIXES for name in definitions},
        "allOf": [
            {
                "if": {"properties": {f"{prefix}ranges": {"const": "product"}}, "required": [f"{prefix}ranges"]},
                "then": {"properties": _bounds(prefix, "product")},
                "else": {"properties": _bounds(prefix, "console")},
            }
            for prefix in _PREFIXES
        ],
    }


def _bounds(prefix, ranges):
    bounds = {}
    for setting in _contract.SETTINGS.values():
        minimum, maximum = _contract.bounds(setting, ranges)
        if minimum is not None:
            bounds[prefix + setting.name] = {
                "minimum": minimum,
                "maximum": maximum,
                "writtenMinimum": minimum,
                "writtenMaximum": maximum,
            }
    return bounds


def violations(options):
    """Return one text for each option in ``options`` (name to value) that the schema refuses.

    Raises RuntimeError, with a sentence for the user, where jsonschema is missing.
    """
    if jsonschema is None:
        raise RuntimeError("The Python package jsonschema is missing on the controller; install it where Ansible runs.")
    given = {name: value for name, value in options.items() if value is not None}
    ranges = "product" if given.get("ranges") == "product" else "console"
    refused = {error.absolute_path[0] for error in _validator().iter_errors(given) if error.absolute_path}
    texts = []
    for name, value in given.items():
        if name in refused and name in _contract.SETTINGS:
            texts.append(_contract.violation(_contract.SETTINGS[name], value, ranges))
        elif name in refused:
            texts.append(f"{name} is {json.dumps(value, default=str)}, but must be one of {', '.join(_options.CHOICES[name])}")
    return texts


def _validator():
    with open(PATH, encoding="utf-8") as stream:
        schema = json.load(stream)
    draft = jsonschema.Draft202012Validator
    validator = jsonschema.validators.extend(
        draft,
        {
            "writtenMinimum": _bound(lambda value, bound: value < bound),
            "writtenMaximum": _bound(lambda value, bound: value > bound),
        },
        # To JSON Schema 1e3 is an integer, to the contract it is none.
        type_checker=draft.TYPE_CHECKER.redefine(
            "integer", lambda checker, value: isinstance(value, int) and not isinstance(value, bool)
        ),
    )
    return validator(schema)


def _bound(outside):
    def check(validator, bound, instance, schema):
        if isinstance(instance, str):
            try:
                value = int(instance) if re.fullmatch("[0-9]+", instance) else _duration.parse(instance)
            except ValueError:
                yield jsonschema.ValidationError(f"{instance!r} is no duration")
            else:
                if outside(value, bound):
                    yield jsonschema.ValidationError(f"{instance!r} is out of bounds")

    return check
