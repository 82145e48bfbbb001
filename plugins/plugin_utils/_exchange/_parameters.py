# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of Set-ImapSettings, and which version of Exchange has which. Pure.

Sources, unless a row says otherwise: Microsoft's documentation of Set-ImapSettings for 2007 (RTM and SP1), for 2010,
and for 2013 to SE; the pages "Set connection time-out limits for IMAP4" for 2007, 2010 and 2013. They contradict each
other, so documented ranges only bring warnings, and the server has the last word.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from ansible_collections.mailops.imap.plugins.module_utils._exchange import SERVICES

from ._clixml import Bag

#: Every release that is told apart, the oldest first.
RELEASES = ("2007 RTM", "2007 SP1", "2010", "2013", "2016", "2019", "SE")


class Parameter(NamedTuple):
    """A setting as Set-ImapSettings knows it: the ``parameter``'s name, how its value goes over the wire (``kind``, see
    _values), the first release that has it, and the ``choices``, number to name, of an enumeration.
    """

    setting: str
    parameter: str
    kind: str
    since: str = "2007 RTM"
    choices: Optional[dict] = None


class Version(NamedTuple):
    """The version of an Exchange server: ``text`` as in "15.2.1118.7", and the release, one of RELEASES."""

    text: str
    release: str


_LOGIN_TYPES = {1: "PlainTextLogin", 2: "PlainTextAuthentication", 3: "SecureLogin"}
_CALENDAR_OPTIONS = {0: "iCalendar", 1: "IntranetUrl", 2: "InternetUrl", 3: "Custom"}
_MIME_FORMATS = {
    0: "TextOnly",
    1: "HtmlOnly",
    2: "HtmlAndTextAlternative",
    3: "TextEnrichedOnly",
    4: "TextEnrichedAndTextAlternative",
    5: "BestBodyFormat",
    6: "Tnef",
}
_PROTECTION_POLICIES = {0: "None", 1: "Allow", 2: "Require"}
_ROLL_OVERS = {1: "Hourly", 2: "Daily", 3: "Weekly", 4: "Monthly"}

PARAMETERS = {
    row.setting: row
    for row in (
        Parameter("authenticated_connection_timeout", "AuthenticatedConnectionTimeout", "timespan"),
        Parameter("pre_authenticated_connection_timeout", "PreAuthenticatedConnectionTimeout", "timespan"),
        Parameter("max_connections", "MaxConnections", "number"),
        Parameter("max_connections_from_single_ip", "MaxConnectionFromSingleIP", "number"),
        Parameter("max_connections_per_user", "MaxConnectionsPerUser", "number"),
        Parameter("max_command_size", "MaxCommandSize", "number"),
        Parameter("banner", "Banner", "text"),
        Parameter("login_type", "LoginType", "choice", choices=_LOGIN_TYPES),
        Parameter("calendar_item_retrieval_option", "CalendarItemRetrievalOption", "choice", choices=_CALENDAR_OPTIONS),
        Parameter("message_retrieval_mime_format", "MessageRetrievalMimeFormat", "choice", choices=_MIME_FORMATS),
        Parameter("owa_server_url", "OwaServerUrl", "address"),
        Parameter("ssl_bindings", "SSLBindings", "list"),
        Parameter("unencrypted_or_tls_bindings", "UnencryptedOrTLSBindings", "list"),
        Parameter("x509_certificate_name", "X509CertificateName", "name"),
        Parameter("proxy_target_port", "ProxyTargetPort", "number"),
        Parameter("show_hidden_folders_enabled", "ShowHiddenFoldersEnabled", "boolean"),
        Parameter("enable_exact_rfc822_size", "EnableExactRFC822Size", "boolean", since="2007 SP1"),
        Parameter("internal_connection_settings", "InternalConnectionSettings", "list", since="2010"),
        Parameter("external_connection_settings", "ExternalConnectionSettings", "list", since="2010"),
        Parameter("enable_gssapi_and_ntlm_auth", "EnableGSSAPIAndNTLMAuth", "boolean", since="2010"),
        Parameter("enforce_certificate_errors", "EnforceCertificateErrors", "boolean", since="2010"),
        Parameter(
            "extended_protection_policy",
            "ExtendedProtectionPolicy",
            "choice",
            since="2010",
            choices=_PROTECTION_POLICIES,
        ),
        Parameter("protocol_log_enabled", "ProtocolLogEnabled", "boolean", since="2010"),
        Parameter("log_file_location", "LogFileLocation", "path", since="2010"),
        Parameter(
            "log_file_roll_over_settings", "LogFileRollOverSettings", "choice", since="2010", choices=_ROLL_OVERS
        ),
        Parameter("log_per_file_size_quota", "LogPerFileSizeQuota", "size", since="2010"),
        Parameter("suppress_read_receipt", "SuppressReadReceipt", "boolean", since="2010"),
    )
}

#: Choices that came later than their setting: (setting, choice) to the first release that has it.
_LATER_CHOICES = {("message_retrieval_mime_format", "Tnef"): "2007 SP1"}

#: What a document says of a setting's range: releases, then minimum and maximum. More than one row: the documents
#: contradict each other. What the cmdlet of 2007 takes was in no document that could be read.
_LIMITS = ("2010", 1, 25000)
_DOCUMENTED = {
    "authenticated_connection_timeout": (
        ("2007 SP1, 2010", 1, 18000),  # the Exchange Management Console
        ("2010, 2013", 30, 86400),  # the cmdlet of 2010, the admin center of 2013
        ("2013, 2016, 2019, SE", 30, 3600),  # the cmdlet
    ),
    "pre_authenticated_connection_timeout": (
        ("2007 SP1, 2010", 1, 200),
        ("2010", 10, 3600),
        ("2013, 2016, 2019, SE", 30, 3600),
    ),
    "max_connections": (("2010, 2013, 2016, 2019, SE", 1, 2147483647),),
    "max_connections_from_single_ip": (_LIMITS, ("2013, 2016, 2019, SE", 1, 2147483647)),
    "max_connections_per_user": (_LIMITS, ("2013, 2016, 2019, SE", 1, 2147483647)),
    "max_command_size": (("2010, 2016", 40, 1024), ("2010, 2013, 2016, 2019, SE", 1024, 16384)),
}

#: Major and minor version to release; 15.2 is 2019 or SE.
_BY_VERSION = {8: "2007 SP1", 14: "2010", (15, 0): "2013", (15, 1): "2016", (15, 2): "2019"}

#: The first build of Exchange Server SE (RTM, 15.2.2562.17), which goes on with the numbers of 2019.
_FIRST_BUILD_OF_SE = 2562


def version(admin_display_version):
    """Return the Version that an Exchange server's AdminDisplayVersion says, as it comes over the wire.

    Known forms: "Version 15.2 (Build 1118.7)", "15.2.1118.7", and a bag of Major, Minor, Build and Revision. Raises
    ValueError where it says none that is known.
    """
    numbers = None
    if isinstance(admin_display_version, Bag):
        parts = [str(admin_display_version.properties.get(name)) for name in ("Major", "Minor", "Build", "Revision")]
        numbers = [int(part) for part in parts] if all(part.isdecimal() for part in parts) else None
        admin_display_version = admin_display_version.value or admin_display_version.text
    if numbers is None:
        match = re.search(r"(\d+)\.(\d+)(?:\s*\(Build |\.)(\d+)\.(\d+)", str(admin_display_version))
        if not match:
            raise ValueError(f"{admin_display_version!r} is no version of Exchange")
        numbers = [int(part) for part in match.groups()]
    major, minor, build = numbers[:3]
    text = ".".join(str(part) for part in numbers)
    release = _BY_VERSION.get(major) or _BY_VERSION.get((major, minor))
    if release is None:
        raise ValueError(f"Exchange {text} is none of {', '.join(RELEASES)}")
    if (major, minor) == (8, 0):
        release = "2007 RTM"
    if release == "2019" and build >= _FIRST_BUILD_OF_SE:
        release = "SE"
    return Version(text, release)


def has(release, setting):
    """Whether a release has a setting."""
    return RELEASES.index(release) >= RELEASES.index(PARAMETERS[setting].since)


def services(release):
    """Return the names of the services that a release has, whether or not a server runs them."""
    return list(SERVICES if RELEASES.index(release) >= RELEASES.index("2013") else SERVICES[:1])


def violations(release, desired):
    """Return setting name to a text for each value of ``desired`` (by setting name) that a release cannot be given."""
    texts = {}
    for setting, value in desired.items():
        row = PARAMETERS[setting]
        later = _LATER_CHOICES.get((setting, value)) if row.kind == "choice" else None
        if not has(release, setting):
            texts[setting] = (
                f"{setting} cannot be set on Exchange {release}, whose Set-ImapSettings has no -{row.parameter}; leave "
                "it out for this host"
            )
        elif later and RELEASES.index(release) < RELEASES.index(later):
            texts[setting] = f"{setting} cannot be {value} on Exchange {release}, which has it from {later} on"
    return texts


def documented_range(release, setting):
    """Return ``(minimum, maximum)`` between which every document of the release's agrees or disagrees, or None."""
    rows = [row for row in _DOCUMENTED.get(setting, ()) if release in row[0].split(", ")]
    return (min(row[1] for row in rows), max(row[2] for row in rows)) if rows else None


def doubts(release, desired):
    """Return one warning for each value of ``desired`` outside of what is documented for a release."""
    texts = []
    for setting, value in desired.items():
        bounds = documented_range(release, setting)
        if bounds and not bounds[0] <= value <= bounds[1]:
            texts.append(
                f"{setting} is {value}, but what Microsoft documents for Exchange {release} is {bounds[0]} to "
                f"{bounds[1]}; the server has the last word."
            )
    return texts
