# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cmdlets that the simulator has, and how PowerShell binds arguments to their parameters.

Wording: messages of PowerShell itself are the ones that it is known for. Of Exchange's messages those about an object
that cannot be found and about nothing having been modified are on record; the others are guesses, and say so.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass

from psrpcore import types
from psrpcore.types import ErrorCategory

from . import values
from .values import bag

COMMON = (
    "Verbose",
    "Debug",
    "ErrorAction",
    "WarningAction",
    "ErrorVariable",
    "WarningVariable",
    "OutVariable",
    "OutBuffer",
)
DIRECTORY = "Microsoft.Exchange.Data.Directory"
PROCESS = "Microsoft.Exchange.Imap4Service"


class Failure(Exception):
    """An error record. `error_id`, `category` and `exception` are what PowerShell shows beside the message."""

    def __init__(
        self, message, error_id, category=ErrorCategory.NotSpecified, exception="System.Exception", target=None
    ):
        super().__init__(message)
        self.message, self.error_id, self.category = message, error_id, category
        self.exception, self.target = exception, target


class Terminated(Failure):
    """An error that ends the pipeline, whose state is then Failed."""


@dataclass(frozen=True)
class Cmdlet:
    """A cmdlet: `parameters` are the names it takes, `positional` those that need no name, in order.

    `origin` is exchange (only where Exchange's cmdlets are), windows (only in a Windows PowerShell) or both.
    """

    name: str
    run: object
    origin: str
    parameters: tuple[str, ...]
    positional: tuple[str, ...] = ()


CMDLETS = {}


def cmdlet(name, origin, *parameters, positional=()):
    def register(function):
        CMDLETS[name.lower()] = Cmdlet(name, function, origin, parameters, positional)
        return function

    return register


def find(session, name):
    """The cmdlet that a session finds by a name; Terminated, as PowerShell says it, if it finds none."""
    found = CMDLETS.get(str(name).lower().rpartition("\\")[2])
    if found and session.has(found):
        return found
    raise Terminated(
        f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. "
        "Check the spelling of the name, or if a path was included, verify that the path is correct and try again.",
        "CommandNotFoundException",
        ErrorCategory.ObjectNotFound,
        "System.Management.Automation.CommandNotFoundException",
        str(name),
    )


def bind(session, found, arguments):
    """{parameter: argument} of a cmdlet, from [(name or None, argument)]; names may be abbreviated as in PowerShell."""
    names = session.parameters(found)
    bound = {}
    positional = list(found.positional)
    for name, argument in arguments:
        if name is None:
            left = [parameter for parameter in positional if parameter not in bound]
            if not left:
                raise _not_bound(
                    found,
                    f"A positional parameter cannot be found that accepts argument '{argument}'.",
                    "PositionalParameterNotFound",
                )
            bound[left[0]] = argument
            continue
        name = str(name).lstrip("-").rstrip(":")
        exact = [parameter for parameter in (*names, *COMMON) if parameter.lower() == name.lower()]
        matching = exact or [parameter for parameter in (*names, *COMMON) if parameter.lower().startswith(name.lower())]
        if not matching:
            raise _not_bound(
                found, f"A parameter cannot be found that matches parameter name '{name}'.", "NamedParameterNotFound"
            )
        if len(matching) > 1:
            raise _not_bound(
                found,
                f"Parameter cannot be processed because the parameter name '{name}' is ambiguous. Possible matches "
                f"include: {' '.join('-' + parameter for parameter in matching)}.",
                "AmbiguousParameter",
            )
        if matching[0] in bound:
            raise _not_bound(
                found,
                f"Cannot bind parameter because parameter '{matching[0]}' is specified more than once. To provide "
                "multiple values to parameters that can accept multiple values, use the array syntax. For example, "
                '"-parameter value1,value2,value3".',
                "ParameterAlreadyBound",
            )
        bound[matching[0]] = argument
    return bound


def _not_bound(found, message, error_id):
    return Terminated(
        message,
        f"{error_id},{found.name}",
        ErrorCategory.InvalidArgument,
        "System.Management.Automation.ParameterBindingException",
    )


def _is_on(argument):
    """Whether a switch was given as $true; over the wire it is a boolean or a bag with IsPresent."""
    present = getattr(argument, "IsPresent", argument)
    return bool(present)


def _listed(argument):
    if argument is None:
        return []
    return list(argument) if isinstance(argument, (list, tuple)) else [argument]


# --- Exchange


@cmdlet("Get-ImapSettings", "exchange", "Server", "DomainController")
def get_imap_settings(run, bound):
    """Reference of Get-ImapSettings: only -Server and -DomainController; the local server, if -Server is left out."""
    server = _server(run, bound)
    form = run.session.form
    content = {
        name: values.serialise(parameter, server.settings[name], form)
        for name, parameter in server.version.parameters.items()
    }
    run.write(
        bag(
            [
                f"{DIRECTORY}.SystemConfiguration.Imap4AdConfiguration",
                f"{DIRECTORY}.SystemConfiguration.PopImapAdConfiguration",
                f"{DIRECTORY}.SystemConfiguration.ADEmailTransport",
                f"{DIRECTORY}.ADConfigurationObject",
                f"{DIRECTORY}.ADObject",
            ],
            f"{server.name}\\1",
            ProtocolName="IMAP4",
            Name="1",
            **content,
            Server=server.name,
            AdminDisplayName="",
            ExchangeVersion=f"0.10 ({'14.0.100.0' if run.session.version.endpoint else '8.0.535.0'})",
            DistinguishedName=f"CN=1,CN=IMAP4,CN=Protocols,{server.distinguished_name}",
            Identity=f"{server.name}\\1",
            # The directory's whenChanged, in whole seconds; recorded with the server's offset, and as UTC.
            WhenChanged=values.moment(server.changed.astimezone(run.session.zone)),
            WhenCreated=values.moment(server.created.astimezone(run.session.zone)),
            WhenChangedUTC=values.moment(server.changed),
            WhenCreatedUTC=values.moment(server.created),
            IsValid=True,
            ObjectState="Unchanged",
            OriginatingServer=f"DC01.{server.domain}",
        )
    )


@cmdlet("Set-ImapSettings", "exchange", "Server", "DomainController", "WhatIf", "Confirm")
def set_imap_settings(run, bound):
    server = _server(run, bound)
    changes = {}
    for name, argument in bound.items():
        parameter = server.version.parameters.get(name)
        if parameter:
            changes[name] = _converted(run, parameter, argument, server.settings[name])
    # Guess: a value that can be converted but not be set is an error of the cmdlet, which does not end the pipeline.
    # Guess: it is found before -WhatIf says what would be done, since that is asked after the validation.
    for name, value in changes.items():
        _validate(run, server, server.version.parameters[name], value)
    if changes.get("CalendarItemRetrievalOption", server.settings["CalendarItemRetrievalOption"]) == "Custom":
        # Reference: Custom needs OwaServerUrl. Guess: the words.
        if not changes.get("OwaServerUrl", server.settings["OwaServerUrl"]):
            raise _invalid(
                "You must specify a value for OwaServerUrl when CalendarItemRetrievalOption is Custom.", server
            )
    if _is_on(bound.get("WhatIf")):
        run.host_line(f'What if: Setting IMAP4 settings for server "{server.name}".')  # Guess: the words.
        return
    changes = {name: value for name, value in changes.items() if server.settings[name] != value}
    if not changes:
        run.warning(f"The command completed successfully but no settings of '{server.name}\\1' have been modified.")
        return
    server.write(changes)
    # Reference: the services must be restarted. Guess: the words, and that every version warns.
    service = (
        "Microsoft Exchange IMAP4 service is"
        if len(server.version.services) == 1
        else "Microsoft Exchange IMAP4 services are"
    )
    run.warning(
        f"Changes to IMAP4 settings will only take effect after all {service} restarted on server {server.name}."
    )


@cmdlet("Get-ExchangeServer", "exchange", "Identity", "Domain", "DomainController", "Status", positional=("Identity",))
def get_exchange_server(run, bound):
    _directory(run)
    servers = run.session.organization.servers
    if bound.get("Identity") is not None:
        servers = [_found(run, bound["Identity"])]
    for server in servers:
        major, minor, build, revision = (int(part) for part in re.findall(r"\d+", server.version.display_version))
        version = server.version.display_version
        if run.session.form == "property_bag":
            version = bag(
                ["Microsoft.Exchange.Data.ServerVersion"],
                version,
                Major=major,
                Minor=minor,
                Build=build,
                Revision=revision,
            )
        run.write(
            bag(
                [
                    f"{DIRECTORY}.Management.ExchangeServer",
                    f"{DIRECTORY}.ADPresentationObject",
                    f"{DIRECTORY}.ADObject",
                ],
                server.name,
                Name=server.name,
                Fqdn=server.fqdn,
                Domain=server.domain,
                AdminDisplayVersion=version,
                Edition="Standard",
                # Guess: servers of 2007 to 2013 have both roles, as a small organisation installs them.
                ServerRole="Mailbox" if major == 15 and minor else "Mailbox, ClientAccess",
                IsClientAccessServer=True,
                IsMailboxServer=True,
                ExchangeLegacyDN=server.legacy_dn,
                DistinguishedName=server.distinguished_name,
                Identity=server.name,
            )
        )


def _directory(run):
    """Refuse to go on where the cmdlet could not log on to Active Directory from a remote session."""
    session = run.session
    if session.faults.no_second_hop and not session.exchange and session.mechanism not in ("Basic", "CredSSP"):
        # Guess: the words. That a snap-in in a remote session fails so is the well-known second hop.
        raise Terminated(
            f"Active Directory server DC01.{session.organization.domain} is not available. Error message: A local "
            "error occurred.",
            "ADServerNotAvailable",
            ErrorCategory.ResourceUnavailable,
            f"{DIRECTORY}.SuitabilityDirectoryException",
        )


def _server(run, bound):
    _directory(run)
    if bound.get("Server") is None:
        return run.session.local
    return _found(run, bound["Server"])


def _found(run, name):
    server = run.session.organization.find(name)
    if server is None:
        raise Failure(
            f"The operation couldn't be performed because object '{name}' couldn't be found on "
            f"'DC01.{run.session.organization.domain}'.",
            f"[Server={run.session.local.name}],{run.name}",
            ErrorCategory.NotSpecified,
            "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
        )
    return server


def _converted(run, parameter, argument, present):
    if parameter.kind == "list" and hasattr(argument, "items"):
        return _edited(run, parameter, {str(key).lower(): item for key, item in argument.items()}, present)
    try:
        return values.parse(parameter, argument)
    except values.Unconvertible as problem:
        raise _unconvertible(run, parameter, argument, problem) from None


def _edited(run, parameter, edit, present):
    """A list changed by @{Add = ...; Remove = ...} (reference: "Multivalued properties")."""
    unknown = set(edit) - {"add", "remove"}
    if unknown:
        raise _unconvertible(run, parameter, "System.Collections.Hashtable", f"Unknown key {sorted(unknown)[0]}.")
    removed = {str(item).lower() for item in _listed(edit.get("remove"))}
    kept = [item for item in present if item.lower() not in removed]
    added = _converted(run, parameter, _listed(edit.get("add")), present)
    return kept + [item for item in added if item.lower() not in {one.lower() for one in kept}]


def _unconvertible(run, parameter, argument, problem):
    type_name = {
        "timespan": values.TIMESPAN,
        "integer": "System.Int32",
        "boolean": "System.Boolean",
        "uri": "System.Uri",
    }
    return Terminated(
        f"Cannot process argument transformation on parameter '{parameter.name}'. Cannot convert value "
        f'"{argument}" to '
        f'type "{type_name.get(parameter.kind) or parameter.type_name or parameter.element or values.SIZE}". Error: '
        f'"{problem}"',
        f"ParameterArgumentTransformationError,{run.name}",
        ErrorCategory.InvalidData,
        "System.Management.Automation.ParameterBindingArgumentTransformationException",
    )


def _validate(run, server, parameter, value):
    minimum, maximum = run.session.ranges.get(parameter.name, (parameter.minimum, parameter.maximum))
    if minimum is None or minimum <= value <= maximum:
        return
    shown = [values.timespan_text(one) if parameter.kind == "timespan" else one for one in (value, minimum, maximum)]
    # Guess: the words.
    raise _invalid(
        f'The value "{shown[0]}" of property "{parameter.name}" isn\'t valid. The value must be between {shown[1]} and '
        f"{shown[2]}.",
        server,
    )


def _invalid(message, server):
    return Failure(
        message,
        f"[Server={server.name}],Set-ImapSettings",
        ErrorCategory.InvalidData,
        "Microsoft.Exchange.Data.DataValidationException",
        f"{server.name}\\1",
    )


# --- Windows PowerShell


@cmdlet("Add-PSSnapin", "windows", "Name", "PassThru", positional=("Name",))
def add_snapin(run, bound):
    for name in _listed(bound.get("Name")):
        if str(name).lower() != run.session.version.snapin.lower():
            raise Failure(
                f"Cannot add Windows PowerShell snap-in {name} because the snap-in is not registered on this computer.",
                f"AddPSSnapInRead,{run.name}",
                ErrorCategory.InvalidArgument,
                "System.Management.Automation.PSArgumentException",
                name,
            )
        if run.session.snapins:
            raise Failure(
                f"Cannot add Windows PowerShell snap-in {name} because it is already added. Verify the name of the "
                "snap-in and try again.",
                f"AddPSSnapInRead,{run.name}",
                ErrorCategory.InvalidArgument,
                "System.Management.Automation.PSArgumentException",
                name,
            )
        run.session.snapins.add(str(name).lower())


@cmdlet("Get-Service", "windows", "Name", "DisplayName", "ComputerName", "Include", "Exclude", positional=("Name",))
def get_service(run, bound):
    for service in _services(run, bound):
        run.write(_controller(service))


@cmdlet(
    "Restart-Service",
    "windows",
    "Name",
    "DisplayName",
    "InputObject",
    "Force",
    "PassThru",
    "WhatIf",
    "Confirm",
    positional=("Name",),
)
def restart_service(run, bound):
    """Restart-Service starts a service that is stopped, too."""
    for service in _services(run, bound):
        if _is_on(bound.get("WhatIf")):
            run.host_line(
                f'What if: Performing the operation "Restart-Service" on target "{service.display_name} '
                f'({service.name})".'
            )
            continue
        service.stop()
        _start(run, service)
        if _is_on(bound.get("PassThru")):
            run.write(_controller(service))


@cmdlet("Start-Service", "windows", "Name", "DisplayName", "InputObject", "PassThru", positional=("Name",))
def start_service(run, bound):
    for service in _services(run, bound):
        if service.status != "Running":
            _start(run, service)


@cmdlet("Stop-Service", "windows", "Name", "DisplayName", "InputObject", "Force", "PassThru", positional=("Name",))
def stop_service(run, bound):
    for service in _services(run, bound):
        service.stop()


def _start(run, service):
    if service.name in run.session.faults.restart_fails:
        run.error(
            Failure(
                f"Failed to start service '{service.display_name} ({service.name})'.",
                f"StartServiceFailed,Microsoft.PowerShell.Commands.{run.name.replace('-', '')}Command",
                ErrorCategory.OpenError,
                "Microsoft.PowerShell.Commands.ServiceCommandException",
            )
        )
        return
    service.start(run.session.local.now())


def _services(run, bound):
    """The services that -Name, -DisplayName or -InputObject name; a name without wildcards must exist."""
    services = list(run.session.local.services.values())
    piped = _listed(bound.get("InputObject")) or run.input
    if piped:
        names = [getattr(one, "Name", None) or getattr(one, "ServiceName", None) or str(one) for one in piped]
        key = "name"
    else:
        key = "display_name" if bound.get("DisplayName") is not None else "name"
        names = _listed(bound.get("Name") if key == "name" else bound.get("DisplayName"))
    if not names:
        return services
    found = []
    for name in names:
        matching = [one for one in services if fnmatch.fnmatch(getattr(one, key).lower(), str(name).lower())]
        if not matching and not re.search(r"[*?\[]", str(name)):
            run.error(
                Failure(
                    f"Cannot find any service with service name '{name}'.",
                    f"NoServiceFoundForGivenName,Microsoft.PowerShell.Commands.{run.name.replace('-', '')}Command",
                    ErrorCategory.ObjectNotFound,
                    "Microsoft.PowerShell.Commands.ServiceCommandException",
                    name,
                )
            )
        found += [one for one in matching if one not in found]
    return found


def _controller(service):
    """A System.ServiceProcess.ServiceController; it does not tell when the service was started."""
    number = {"Stopped": 1, "StartPending": 2, "StopPending": 3, "Running": 4}
    status = values.dotnet_enumeration("System.ServiceProcess.ServiceControllerStatus", number, service.status)
    value = bag(
        ["System.ServiceProcess.ServiceController", "System.ComponentModel.Component", "System.MarshalByRefObject"],
        "System.ServiceProcess.ServiceController",
        CanPauseAndContinue=False,
        CanShutdown=service.status == "Running",
        CanStop=service.status == "Running",
        DisplayName=service.display_name,
        MachineName=".",
        ServiceName=service.name,
        Status=status,
    )
    value.PSObject.extended_properties = [values.note("Name", service.name)]
    return value


@cmdlet("Get-Process", "windows", "Name", "Id", "ComputerName", positional=("Name",))
def get_process(run, bound):
    """Process.StartTime is when the process began; a local administrator may read it for services, too."""
    running = [one for one in run.session.local.services.values() if one.status == "Running"]
    wanted = [int(one) for one in _listed(bound.get("Id"))]
    for number in wanted:
        if number not in {one.process_id for one in running}:
            run.error(
                Failure(
                    f"Cannot find a process with the process identifier {number}.",
                    "NoProcessFoundForGivenId,Microsoft.PowerShell.Commands.GetProcessCommand",
                    ErrorCategory.ObjectNotFound,
                    "Microsoft.PowerShell.Commands.ProcessCommandException",
                    number,
                )
            )
    names = [str(one).lower() for one in _listed(bound.get("Name"))]
    for service in running:
        if wanted and service.process_id not in wanted:
            continue
        if names and not any(fnmatch.fnmatch(PROCESS.lower(), name) for name in names):
            continue
        run.write(
            bag(
                ["System.Diagnostics.Process", "System.ComponentModel.Component", "System.MarshalByRefObject"],
                f"System.Diagnostics.Process ({PROCESS})",
                Id=service.process_id,
                ProcessName=PROCESS,
                MachineName=".",
                HasExited=False,
                StartTime=values.moment(service.started.astimezone(run.session.zone)),
            )
        )


@cmdlet(
    "Get-WmiObject",
    "windows",
    "Class",
    "Filter",
    "Property",
    "Namespace",
    "ComputerName",
    "Query",
    positional=("Class",),
)
def get_wmi_object(run, bound):
    for name, row in _instances(run, bound.get("Class"), bound.get("Filter"), bound.get("Query")):
        if row.get("CreationDate"):
            # DMTF's text of a date: 20261124144427.123456-420 (DSP0004); CIM cmdlets give a date instead.
            row["CreationDate"] = _dmtf(row["CreationDate"])
        run.write(
            bag(
                [f"System.Management.ManagementObject#root\\cimv2\\{name}", "System.Management.ManagementObject"],
                None,
                **row,
            )
        )


@cmdlet(
    "Get-CimInstance", "windows", "ClassName", "Filter", "Property", "Namespace", "Query", positional=("ClassName",)
)
def get_cim_instance(run, bound):
    for name, row in _instances(run, bound.get("ClassName"), bound.get("Filter"), bound.get("Query")):
        if row.get("CreationDate"):
            row["CreationDate"] = values.moment(row["CreationDate"])
        run.write(
            bag(
                [
                    f"Microsoft.Management.Infrastructure.CimInstance#root/cimv2/{name}",
                    "Microsoft.Management.Infrastructure.CimInstance",
                ],
                name,
                **row,
            )
        )


def _instances(run, name, condition, query):
    """[(class, properties)] of Win32_Service, Win32_Process or Win32_OperatingSystem, as a query asks for them."""
    if query:
        match = re.fullmatch(r"(?is)\s*select\s+.+?\s+from\s+(\w+)(?:\s+where\s+(.+?))?\s*", str(query))
        name, condition = (match[1], match[2]) if match else (None, None)
    services = run.session.local.services.values()
    now = run.session.local.now()
    tables = {
        "win32_service": [
            {
                "Name": one.name,
                "DisplayName": one.display_name,
                "State": one.status,
                "Status": "OK",
                "Started": one.status == "Running",
                "StartMode": "Auto",
                "ProcessId": types.PSUInt(one.process_id),
                "SystemName": run.session.local.name,
            }
            for one in services
        ],
        "win32_process": [
            {
                "Name": f"{PROCESS}.exe",
                "ProcessId": types.PSUInt(one.process_id),
                "CreationDate": one.started.astimezone(run.session.zone),
            }
            for one in services
            if one.status == "Running"
        ],
        "win32_operatingsystem": [
            {
                "Name": "Microsoft Windows Server",
                "CSName": run.session.local.name,
                "LocalDateTime": _dmtf(now.astimezone(run.session.zone)),
            }
        ],
    }
    if str(name).lower() not in tables:
        raise Failure(
            f'Invalid class "{name}"',
            f"GetWMIManagementException,{run.name}",
            ErrorCategory.InvalidType,
            "System.Management.ManagementException",
        )
    rows = tables[str(name).lower()]
    return [(str(name), row) for row in rows if not condition or _holds(str(condition), row)]


def _dmtf(time):
    minutes = int(time.utcoffset().total_seconds() // 60)
    return f"{time:%Y%m%d%H%M%S.%f}{minutes:+04}"


def _holds(condition, row):
    """Whether a row meets a WQL condition of the form NAME = 'TEXT', NAME LIKE 'TEXT%', joined by OR."""
    for term in re.split(r"(?i)\s+or\s+", condition.strip().strip("()")):
        match = re.fullmatch(r"""(?i)\s*\(?(\w+)\s*(=|like)\s*['"]?([^'"]*?)['"]?\)?\s*""", term)
        if not match:
            return False
        value = next((str(cell) for key, cell in row.items() if key.lower() == match[1].lower()), "")
        pattern = match[3].replace("%", "*") if match[2].lower() == "like" else match[3]
        if fnmatch.fnmatch(value.lower(), pattern.lower()):
            return True
    return False


# --- both


@cmdlet("Get-Date", "windows", "Format")
def get_date(run, bound):
    run.write(values.moment(run.session.local.now().astimezone(run.session.zone)))


@cmdlet("Select-Object", "both", "Property", "InputObject", "First", positional=("Property",))
def select_object(run, bound):
    wanted = [str(one).lower() for one in _listed(bound.get("Property"))]
    items = run.input[: int(bound["First"])] if bound.get("First") is not None else run.input
    for item in items:
        if not wanted:
            run.write(item)
            continue
        meta = item.PSObject
        properties = {prop.name: prop.get_value(item) for prop in [*meta.adapted_properties, *meta.extended_properties]}
        chosen = bag([f"Selected.{meta.type_names[0]}", "System.Management.Automation.PSCustomObject"])
        chosen.PSObject.extended_properties = [
            values.note(name, value) for name, value in properties.items() if name.lower() in wanted
        ]
        run.write(chosen)


@cmdlet("Get-Command", "both", "Name", "CommandType", "Module", positional=("Name",))
def get_command(run, bound):
    """What the user may run, with the parameters that his roles leave him."""
    for name in _listed(bound.get("Name")) or ["*"]:
        matching = [
            one
            for one in CMDLETS.values()
            if run.session.has(one) and fnmatch.fnmatch(one.name.lower(), str(name).lower())
        ]
        if not matching and not re.search(r"[*?\[]", str(name)):
            run.error(
                Failure(
                    f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable "
                    "program. Check the spelling of the name, or if a path was included, verify that the path is "
                    "correct and try again.",
                    "CommandNotFoundException,Microsoft.PowerShell.Commands.GetCommandCommand",
                    ErrorCategory.ObjectNotFound,
                    "System.Management.Automation.CommandNotFoundException",
                    name,
                )
            )
        for one in matching:
            parameters = {parameter: parameter for parameter in (*run.session.parameters(one), *COMMON)}
            run.write(
                bag(
                    ["System.Management.Automation.FunctionInfo", "System.Management.Automation.CommandInfo"],
                    one.name,
                    Name=one.name,
                    CommandType="Function" if run.session.exchange else "Cmdlet",
                    Parameters=parameters,
                )
            )
