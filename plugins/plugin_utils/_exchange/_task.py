# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins share on their way to Exchange: which hosts go there, and with which options and variables.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible.module_utils.common.validation import check_type_list

from ansible_collections.mailops.imap.plugins.module_utils import _contract, _exchange
from ansible_collections.mailops.imap.plugins.module_utils._options import restart_spec

from . import _options, _route
from ._options import OptionProblem
from ._session import ExchangeError


def is_windows(action):
    """Whether the host of an ActionBase has a Windows shell."""
    return bool(getattr(getattr(action._connection, "_shell", None), "_IS_WINDOWS", False))


def goes_to_exchange(action):
    """Whether an ActionBase's task is for Exchange: by its server_type, its services, or the host's shell.

    Raises OptionProblem where a server type of Linux is asked of a Windows host.
    """
    arguments = action._task.args
    server_type = arguments.get("server_type") or "auto"
    if is_windows(action) and server_type not in ("auto", "exchange"):
        raise OptionProblem(
            f"server_type is {server_type}, but the host is a Windows one; leave it out, or set exchange."
        )
    services = check_type_list(arguments.get("services") or [])
    return is_windows(action) or server_type == "exchange" or any(_exchange.service(name) for name in services)


def plain(value):
    """Return arguments with text in the place of what a vault holds.

    Up to ansible-core 2.18 that is an object which is no text to an argument spec, nor to a schema.
    """
    if getattr(value, "__ENCRYPTED__", False):
        return str(value)
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list) else value


def for_linux(arguments):
    """Return ``arguments`` without those that only Exchange has; its password goes to no server of Linux."""
    return {name: value for name, value in arguments.items() if name not in _exchange.OPTIONS}


def violations(arguments, spec):
    """Return one text for each of ``arguments`` that an argument spec refuses, without the password."""
    secret = (arguments.get("exchange") or {}).get("password") if isinstance(arguments.get("exchange"), dict) else None
    errors = ArgumentSpecValidator(spec).validate(dict(arguments)).errors
    texts = [_unsupported(error.msg) if isinstance(error, UnsupportedError) else error.msg for error in errors]
    return [text.replace(str(secret), "********") if secret else text for text in texts]


def _unsupported(message):
    """Return ``NAME. Supported parameters include: OTHER, ....`` of ansible-core as what stands in a sentence."""
    name, dummy, others = message.partition(". Supported parameters include: ")
    return f"{name} is no option, but {others.rstrip('.')} are"


def refusal(arguments, spec):
    """Return the message that refuses ``arguments`` by an argument spec, or None where all are allowed."""
    refused = violations(arguments, spec)
    return _contract.refusal(refused) if refused else None


def run(action, task_vars, function):
    """Return the result of ``function(access, parameters)`` for an action plugin's task.

    ``parameters`` are the task's ``identity``, ``exchange`` and the like with their defaults.
    """
    try:
        access, identity = _access(action, task_vars)
        return function(access, identity)
    except _route.NotEnforceable as problem:
        return {**problem.result, "failed": True, "msg": str(problem)}
    except (ExchangeError, OptionProblem) as problem:
        return {"failed": True, "changed": getattr(problem, "changed", False), "msg": str(problem)}


def converge(action, task_vars):
    """Return the result of imap_settings."""
    arguments = action._task.args
    desired, refused = _contract.desired(arguments, arguments.get("ranges") or "console")
    if refused:
        return {"failed": True, "msg": _contract.refusal(refused)}
    keep_going = arguments.get("unenforceable") == "report"
    return run(
        action,
        task_vars,
        lambda access, identity: _route.converge(access, desired, identity, keep_going, action._task.check_mode),
    )


def look(action, task_vars):
    """Return the result of imap_settings_info."""
    return run(action, task_vars, lambda access, identity: {**_route.look(access, identity), "changed": False})


def restart(action, task_vars):
    """Return the result of imap_restart."""
    given = _validated(action._task.args, restart_spec())
    max_wait = _route.MAX_WAIT if given["max_wait"] is None else given["max_wait"]
    health = _route.Health(given["health_address"], given["health_port"], max_wait)
    return run(
        action,
        task_vars,
        lambda access, identity: _route.restart(
            access, given["services"], identity, health, action._task.check_mode
        ),
    )


def _access(action, task_vars):
    """Return ``(Access, identity)`` for an action plugin's task.

    Delegated to another Windows host, the task goes in through that one, for the server of the play's own name.
    """
    given = {name: value for name, value in action._task.args.items() if name in _exchange.OPTIONS}
    given = _validated({**given, "exchange": given.get("exchange") or {}}, _exchange.OPTIONS)
    options, identity, name = given["exchange"], given["identity"], task_vars["inventory_hostname"]
    variables, templar = task_vars, action._templar
    through = action._task.delegate_to
    if through and is_windows(action):
        variables = task_vars.get("ansible_delegated_vars", {}).get(through, {})
        templar = templar.copy_with_new_env(available_variables=variables)
        identity, name = identity or (name if through != name else None), through
    known = {key: templar.template(variables[key]) for key in _options.VARIABLES if variables.get(key) is not None}
    known.setdefault("ansible_user", action._task.remote_user)
    known.setdefault("ansible_password", getattr(action._play_context, "password", None))
    exchange, windows = _options.endpoints(options, known, name)
    return (
        _route.Access(
            exchange,
            windows,
            snap_in=options["access"] == "snap_in",
            look_at_services=options["look_at_services"],
            named=bool(options["services_host"]),
        ),
        identity,
    )


def _validated(arguments, spec):
    """Return ``arguments`` as values of their types, with the defaults of an argument spec that takes them."""
    return ArgumentSpecValidator(spec).validate(dict(arguments)).validated_parameters
