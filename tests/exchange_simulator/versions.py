# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each version of Exchange has: its cmdlets' parameters, ranges, defaults, services and PowerShell.

Sources. "Reference" is Microsoft's page of Set-ImapSettings in the repository MicrosoftDocs/office-docs-powershell
(2026-08), "2010 help" the help file of Exchange 2010 SP2/SP3, "2007 syntax" the syntax blocks of the 2007 pages
aa998252(v=exchg.80) and bb691190(v=exchg.80). Where none of them says a thing, the line says "Guess".
"""

from __future__ import annotations

from dataclasses import dataclass, field

UNBOUNDED = 2147483647

LOGIN_TYPES = ("PlainTextLogin", "PlainTextAuthentication", "SecureLogin")
CALENDAR_OPTIONS = ("iCalendar", "IntranetUrl", "InternetUrl", "Custom")
MIME_FORMATS = (
    "TextOnly",
    "HtmlOnly",
    "HtmlAndTextAlternative",
    "TextEnrichedOnly",
    "TextEnrichedAndTextAlternative",
    "BestBodyFormat",
    "Tnef",
)
PROTECTION_POLICIES = ("None", "Allow", "Require")
ROLL_OVERS = ("Hourly", "Daily", "Weekly", "Monthly")


@dataclass(frozen=True)
class Parameter:
    """One setting, as a parameter of Set-ImapSettings and a property of what Get-ImapSettings gives.

    `kind` is timespan (seconds), integer, size (bytes, None is unlimited), text, uri, boolean, enumeration or list.
    `type_name` is its .NET type; `first` is the number of the first of `choices`, `element` the type of a list's
    elements.
    """

    name: str
    kind: str
    default: object
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    first: int = 0
    type_name: str = ""
    element: str = ""


@dataclass(frozen=True)
class Version:
    """One version of Exchange, on the Windows that it was usually installed on.

    `protocol` is the version of PowerShell Remoting that its PowerShell speaks: 2.1 is PowerShell 2, 2.2 is
    PowerShell 3 and 4, 2.3 is PowerShell 5 (MS-PSRP 2.2.2.1). `snapin` holds the cmdlets in a local PowerShell;
    `endpoint` tells whether there is /PowerShell/ with the configuration Microsoft.Exchange, from 2010 on.
    """

    name: str
    display_version: str
    protocol: str
    snapin: str
    endpoint: bool
    services: tuple[str, ...]
    what_if: bool
    parameters: dict[str, Parameter] = field(default_factory=dict)


def _parameters(version):
    """The parameters of Set-ImapSettings in a version, {name: Parameter}, beside Server, DomainController, WhatIf."""
    old = version in ("2007", "2007-sp1", "2010")
    # 2010 help and the reference. For 2007 no range was found in a document. Guess: those of 2010.
    timeouts = (
        {"authenticated": (30, 86400), "pre": (10, 3600)} if old else {"authenticated": (30, 3600), "pre": (30, 3600)}
    )
    connections = 25000 if old else UNBOUNDED
    # 2010 help: 40..1024, whose default it prints as 40; a copy of the reference of 2018 has 512 instead.
    command_size = (512, 40, 1024) if old else (10240, 1024, 16384)
    rows = [
        Parameter("AuthenticatedConnectionTimeout", "timespan", 1800, *timeouts["authenticated"]),
        Parameter("PreAuthenticatedConnectionTimeout", "timespan", 60, *timeouts["pre"]),
        # 2010 help has no other range for all connections of a server than the reference. Guess: so it is in 2007.
        Parameter("MaxConnections", "integer", UNBOUNDED, 1, UNBOUNDED),
        Parameter("MaxConnectionFromSingleIP", "integer", 2000 if old else UNBOUNDED, 1, connections),
        Parameter("MaxConnectionsPerUser", "integer", 16, 1, connections),
        Parameter("MaxCommandSize", "integer", *command_size),
        Parameter("Banner", "text", "The Microsoft Exchange IMAP4 service is ready."),
        Parameter(
            "LoginType",
            "enumeration",
            "SecureLogin",
            choices=LOGIN_TYPES,
            first=1,
            type_name="Microsoft.Exchange.Data.Directory.SystemConfiguration.LoginOptions",
        ),
        Parameter(
            "CalendarItemRetrievalOption",
            "enumeration",
            "iCalendar",
            choices=CALENDAR_OPTIONS,
            type_name="Microsoft.Exchange.Data.Directory.SystemConfiguration.CalendarItemRetrievalOptions",
        ),
        Parameter(
            "MessageRetrievalMimeFormat",
            "enumeration",
            "BestBodyFormat",
            choices=MIME_FORMATS[:-1] if version == "2007" else MIME_FORMATS,
            type_name="Microsoft.Exchange.Data.Directory.SystemConfiguration.MimeTextFormat",
        ),
        # 2007 syntax: OwaServerUrl is a String there.
        Parameter("OwaServerUrl", "text" if version.startswith("2007") else "uri", None),
        Parameter("SSLBindings", "list", ("[::]:993", "0.0.0.0:993"), element="Microsoft.Exchange.Data.IPBinding"),
        Parameter(
            "UnencryptedOrTLSBindings", "list", ("[::]:143", "0.0.0.0:143"), element="Microsoft.Exchange.Data.IPBinding"
        ),
        # The name of the server, in lower case, is the default that setup writes. Guess: it does so in every version.
        Parameter("X509CertificateName", "text", "{fqdn}"),
        Parameter("ProxyTargetPort", "integer", 1993, 0, 65535),  # Guess: a port's range, where none is documented.
        Parameter("ShowHiddenFoldersEnabled", "boolean", False),
    ]
    if version != "2007":
        rows.append(Parameter("EnableExactRFC822Size", "boolean", False))
    if not version.startswith("2007"):
        connection = "Microsoft.Exchange.Data.ProtocolConnectionSettings"
        rows += [
            Parameter("InternalConnectionSettings", "list", ("{fqdn}:993:SSL", "{fqdn}:143:TLS"), element=connection),
            Parameter("ExternalConnectionSettings", "list", (), element=connection),
            Parameter("EnableGSSAPIAndNTLMAuth", "boolean", True),
            Parameter("EnforceCertificateErrors", "boolean", False),
            Parameter(
                "ExtendedProtectionPolicy",
                "enumeration",
                "None",
                choices=PROTECTION_POLICIES,
                type_name="Microsoft.Exchange.Data.Directory.SystemConfiguration.ExtendedProtectionTokenCheckingMode",
            ),
            Parameter("ProtocolLogEnabled", "boolean", False),
            Parameter(
                "LogFileLocation", "text", "C:\\Program Files\\Microsoft\\Exchange Server\\{folder}\\Logging\\Imap4"
            ),
            # Reference: hourly in 2016 and 2019, daily before. Guess: hourly in SE, which grew from 2019.
            Parameter(
                "LogFileRollOverSettings",
                "enumeration",
                "Daily" if version in ("2010", "2013") else "Hourly",
                choices=ROLL_OVERS,
                first=1,
                type_name="Microsoft.Exchange.Data.Directory.SystemConfiguration.LogFileRollOver",
            ),
            Parameter("LogPerFileSizeQuota", "size", 0),
            Parameter("SuppressReadReceipt", "boolean", False),
        ]
    if version == "2010":
        rows.append(Parameter("LiveIdBasicAuthReplacement", "boolean", False))
    return {row.name: row for row in rows}


ONE_SERVICE = ("MSExchangeIMAP4",)
TWO_SERVICES = ("MSExchangeIMAP4", "MSExchangeIMAP4BE")
SNAPIN_2007 = "Microsoft.Exchange.Management.PowerShell.Admin"
SNAPIN_2010 = "Microsoft.Exchange.Management.PowerShell.E2010"

# name, AdminDisplayVersion, protocol, snap-in, endpoint, services, -WhatIf.
# Guess: PowerShell 2 (WinRM 2) was added to the hosts of 2007; without it there is no remoting at all.
_ROWS = (
    ("2007", "Version 8.0 (Build 685.24)", "2.1", SNAPIN_2007, False, ONE_SERVICE, False),
    ("2007-sp1", "Version 8.1 (Build 240.6)", "2.1", SNAPIN_2007, False, ONE_SERVICE, True),
    ("2010", "Version 14.3 (Build 123.4)", "2.1", SNAPIN_2010, True, ONE_SERVICE, True),
    ("2013", "Version 15.0 (Build 1497.2)", "2.2", SNAPIN_2010, True, TWO_SERVICES, True),
    ("2016", "Version 15.1 (Build 2507.6)", "2.3", SNAPIN_2010, True, TWO_SERVICES, True),
    ("2019", "Version 15.2 (Build 1118.7)", "2.3", SNAPIN_2010, True, TWO_SERVICES, True),
    ("SE", "Version 15.2 (Build 2562.17)", "2.3", SNAPIN_2010, True, TWO_SERVICES, True),
)
VERSIONS = {row[0]: Version(*row, parameters=_parameters(row[0])) for row in _ROWS}
