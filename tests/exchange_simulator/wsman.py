# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""WSMan messages: the envelopes that a client sends, and those that Windows answers with (MS-WSMV, DMTF DSP0226)."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr
from xml.etree import ElementTree

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
WSMV = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
POWERSHELL = "http://schemas.microsoft.com/powershell"
ANONYMOUS = f"{ADDRESSING}/role/anonymous"
NAMES = {"s": SOAP, "a": ADDRESSING, "x": TRANSFER, "w": WSMAN, "p": WSMV, "rsp": SHELL, "ps": POWERSHELL}


INVALID_HEADERS = (
    "The WS-Management service cannot process the request. The request contains one or more invalid SOAP headers."
)


class Fault(Exception):
    """An answer that says no.

    `code` is that of Windows (winerror.h), `subcode` that of DSP0226 or WS-Addressing, `provider` the part of Windows
    that says it, where that is not WinRM itself. `activity`: in the recordings a request that got as far as a shell
    has an activity, one that was wrong before has none.
    """

    def __init__(self, code, subcode, reason, message=None, detail=None, sender=True, provider=None, activity=False):
        super().__init__(message or reason)
        self.code, self.subcode, self.reason, self.message = code, subcode, reason, message or reason
        self.detail, self.sender, self.provider, self.activity = detail, sender, provider, activity


@dataclass
class Request:
    """What a client asks. `body` is the first element in the body, or None."""

    action: str
    message_id: str
    resource_uri: str
    to: str
    selectors: dict[str, str]
    options: dict[str, str]
    duration: str
    body: ElementTree.Element | None

    timeout: float = 60

    def check(self):
        """Read OperationTimeout into `timeout`, in seconds; Fault, if it cannot be read."""
        if self.duration:
            self.timeout = _seconds(self.duration)


def parse(data):
    """The request in an envelope; Fault, if it has none."""
    try:
        envelope = ElementTree.fromstring(data)
    except ElementTree.ParseError:
        raise Fault(
            2150858872,
            "w:SchemaValidationError",
            "The SOAP XML in the message does not match the corresponding XML schema definition.",
        ) from None

    def text(path):
        element = envelope.find(f"s:Header/{path}", NAMES)
        return (element.text or "").strip() if element is not None else ""

    def named(path):
        return {element.get("Name"): element.text or "" for element in envelope.findall(f"s:Header/{path}", NAMES)}

    missing = [name for name in ("a:Action", "a:MessageID", "a:To") if not text(name)]
    if missing:
        raise Fault(
            2150858767,
            "a:MessageInformationHeaderRequired",
            INVALID_HEADERS,
        )
    body = envelope.find("s:Body", NAMES)
    return Request(
        text("a:Action"),
        text("a:MessageID"),
        text("w:ResourceURI"),
        text("a:To"),
        named("w:SelectorSet/w:Selector"),
        named("w:OptionSet/w:Option"),
        text("w:OperationTimeout"),
        body[0] if body is not None and len(body) else None,
    )


def _seconds(duration):
    match = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?", duration)
    if not match:
        raise Fault(
            2150858767,
            "a:InvalidMessageInformationHeader",
            f"{INVALID_HEADERS} ",
            "The WS-Management service cannot process the request. The XML contains an invalid timeout field in the "
            f"SOAP header: {duration}. ",
        )
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def envelope(action, relates_to, body, namespaces="rsp p", activity=True):
    """An answer, with the headers that Windows gives it; `namespaces` are prefixes of NAMES beside s, a and w."""
    activity = f"<p:ActivityId>{str(uuid.uuid4()).upper()}</p:ActivityId>" if activity else ""
    declared = "".join(f' xmlns:{prefix}="{NAMES[prefix]}"' for prefix in ["s", "a", "w", *namespaces.split()])
    return (
        f'<s:Envelope xml:lang="en-US"{declared}><s:Header>'
        f"<a:Action>{action}</a:Action>"
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID>"
        f"{activity}"
        f"<a:To>{ANONYMOUS}</a:To>"
        f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo>"
        f"</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def fault_envelope(fault, relates_to, machine):
    """The answer that a Fault stands for."""
    action = f"{ADDRESSING}/fault" if fault.subcode.startswith("a:") else f"{WSMAN.rpartition('/')[0]}/fault"
    detail = (
        f"<w:FaultDetail>{WSMAN.rpartition('.')[0]}/faultDetail/{fault.detail}</w:FaultDetail>" if fault.detail else ""
    )
    start = f'<f:WSManFault xmlns:f="{FAULT}" Code="{fault.code}" Machine={quoteattr(machine)}>'
    message = f"<f:Message>{escape(fault.message)}</f:Message></f:WSManFault>"
    if fault.provider:
        message = (
            f'<f:Message><f:ProviderFault provider="{fault.provider}" path="%systemroot%\\system32\\WsmSvc.dll">'
            f"{start}{message}</f:ProviderFault></f:Message></f:WSManFault>"
        )
    body = (
        f"<s:Fault><s:Code><s:Value>s:{'Sender' if fault.sender else 'Receiver'}</s:Value>"
        f"<s:Subcode><s:Value>{fault.subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{escape(fault.reason)}</s:Text></s:Reason>'
        f"<s:Detail>{detail}{start}{message}</s:Detail></s:Fault>"
    )
    return envelope(action, relates_to, body, "p", fault.activity)


def timed_out():
    """Nothing happened within OperationTimeout; a client asks again."""
    return Fault(
        2150858793,
        "w:TimedOut",
        "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.  ",
        sender=False,
        activity=True,
    )


def unknown_shell():
    return Fault(
        2150858843,
        "w:InvalidSelectors",
        "The WS-Management service cannot process the request because the request contained invalid selectors for the "
        "resource. ",
        detail="UnexpectedSelectors",
        provider="Shell provider",
    )


def unknown_command():
    fault = unknown_shell()
    fault.provider, fault.activity = None, True
    fault.message = (
        "The Windows Remote Shell received a request to perform an operation on a command identifier that does not "
        "exist. Either the command has completed execution or the client specified an invalid command identifier. "
    )
    return fault


def unknown_resource(resource_uri):
    return Fault(
        2150858811,
        "a:DestinationUnreachable",
        "The WS-Management service cannot process the request. The service cannot find the resource identified by the "
        "resource URI and selectors. ",
        f"The WS-Management service cannot process the request. The resource URI ({resource_uri}) was not found in the "
        "WS-Management catalog. The catalog contains the metadata that describes resources, or logical endpoints. ",
        detail="InvalidResourceURI",
    )


def access_denied():
    return Fault(5, "w:AccessDenied", "Access is denied. ", "Access is denied. ")


def too_many_shells(limit):
    # The words are on record from Exchange 2010; the number is that of winerror.h's quota of shells.
    return Fault(
        2150859173,
        "w:QuotaLimit",
        "The WS-Management service cannot process the request. The service is configured to reject remote connection "
        "requests for this user. ",
        f"The WS-Management service cannot process the request. This user is allowed a maximum number of {limit} "
        "concurrent shells, which has been exceeded. Close existing shells or raise the quota for this user. ",
    )


def load_quota(requests, seconds, wait):
    # The words are on record from Exchange 2010. Guess: the number.
    return Fault(
        2150859175,
        "w:QuotaLimit",
        "The WS-Management service cannot process the request. The user load quota has been exceeded. ",
        f"The WS-Management service cannot process the request. The user load quota of {requests} requests per "
        f"{seconds} seconds has been exceeded. Send future requests at a slower rate or raise the quota for this "
        f"user. The next request from this user will not be approved for at least {wait} milliseconds. ",
    )


def unsupported(action):
    return Fault(2150858752, "w:ActionNotSupported", f"The action {action} is not supported by the service. ")
