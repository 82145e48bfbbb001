# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What WSMan messages do: shells are created, fed, asked and deleted (MS-WSMV 3.1.4)."""

from __future__ import annotations

import base64
import binascii
import threading
import time
import uuid
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from psrpcore import PSRPCoreError

from . import wsman
from .runspace import Runspace, Session
from .wsman import NAMES, POWERSHELL, SHELL, TRANSFER, Fault, envelope

CONFIGURATIONS = {"/powershell": "Microsoft.Exchange", "/wsman": "Microsoft.PowerShell"}
DONE = f"{SHELL}/CommandState/Done"


@dataclass
class Shell:
    """A runspace pool that a client has open."""

    identity: str
    configuration: str
    user: str
    address: str
    runspace: Runspace
    created: float = field(default_factory=time.monotonic)


class Service:
    """The WSMan service of a simulator: both its paths share the shells, but each has its own configuration."""

    def __init__(self, simulator):
        self.simulator = simulator
        self.shells = {}
        self.created = 0
        self.lock = threading.Lock()

    def answer(self, data, path, login, address):
        """(HTTP status, envelope) for an envelope that came in at a path, which is a key of CONFIGURATIONS."""
        request = None
        try:
            request = wsman.parse(data)
            self.simulator.actions.append(request.action.rpartition("/")[2])
            action = {
                f"{TRANSFER}/Create": self._create,
                f"{TRANSFER}/Get": self._get,
                f"{TRANSFER}/Delete": self._delete,
                f"{SHELL}/Command": self._command,
                f"{SHELL}/Send": self._send,
                f"{SHELL}/Receive": self._receive,
                f"{SHELL}/Signal": self._signal,
            }.get(request.action)
            if action is None:
                raise wsman.unsupported(request.action)
            request.check()
            if action == self._create:
                return 200, self._create(request, path, login, address)
            return 200, action(request, self._shell(request, login))
        except Fault as fault:
            return 500, wsman.fault_envelope(fault, request.message_id if request else "", self.simulator.host)

    def _shell(self, request, login):
        shell = self.shells.get(request.selectors.get("ShellId", "").upper())
        if shell is None or shell.user != login.user:
            raise wsman.unknown_shell()
        return shell

    def _create(self, request, path, login, address):
        configuration = CONFIGURATIONS[path]
        if request.resource_uri.lower() != f"{POWERSHELL}/{configuration}".lower():
            raise wsman.unknown_resource(request.resource_uri)
        simulator, access = self.simulator, self.simulator.access
        exchange = path == "/powershell"
        if not (access.remote_shell if exchange else access.administrator):
            raise wsman.access_denied()
        limit = simulator.faults.maximum_shells
        created = request.body.find("ps:creationXml", NAMES) if request.body is not None else None
        if created is None:
            raise Fault(2150858872, "w:SchemaValidationError", "The SOAP XML in the message does not match the schema.")
        identity = (request.body.get("ShellId") or str(uuid.uuid4())).upper()
        shell = Shell(
            identity, configuration, login.user, address, Runspace(Session(simulator, exchange, login.mechanism))
        )
        self._feed(shell, created.text)
        with self.lock:
            if limit is not None and sum(one.user == login.user for one in self.shells.values()) >= limit:
                raise wsman.too_many_shells(limit)
            self.shells[identity] = shell
            self.created += 1
        uri = escape(request.resource_uri)
        body = (
            f"<x:ResourceCreated><a:Address>{escape(request.to)}</a:Address><a:ReferenceParameters>"
            f"<w:ResourceURI>{uri}</w:ResourceURI><w:SelectorSet>"
            f'<w:Selector Name="ShellId">{identity}</w:Selector></w:SelectorSet></a:ReferenceParameters>'
            f"</x:ResourceCreated>{self._description(shell)}"
        )
        return envelope(f"{TRANSFER}/CreateResponse", request.message_id, body, "x rsp p")

    def _description(self, shell):
        """A shell as Windows describes it, in the order of a recorded answer of Windows Server 2016."""
        age = f"P0DT0H0M{int(time.monotonic() - shell.created)}S"
        rows = {
            "ShellId": shell.identity,
            "ResourceUri": f"{POWERSHELL}/{shell.configuration}",
            "Owner": shell.user,
            "ClientIP": shell.address,
            "ProcessId": 4,
            "IdleTimeOut": "PT7200.000S",
            "InputStreams": "stdin pr",
            "OutputStreams": "stdout",
            "MaxIdleTimeOut": "PT2147483.647S",
            "Locale": "en-US",
            "DataLocale": "en-US",
            "CompressionMode": "NoCompression",
            "ProfileLoaded": "Yes",
            "Encoding": "UTF8",
            "BufferMode": "Block",
            "State": "Connected",
            "ShellRunTime": age,
            "ShellInactivity": "P0DT0H0M0S",
        }
        content = "".join(f"<rsp:{name}>{escape(str(value))}</rsp:{name}>" for name, value in rows.items())
        return f'<rsp:Shell xmlns:rsp="{SHELL}">{content}</rsp:Shell>'

    def _get(self, request, shell):
        return envelope(f"{TRANSFER}/GetResponse", request.message_id, self._description(shell), "x rsp p")

    def _delete(self, request, shell):
        with self.lock:
            self.shells.pop(shell.identity, None)
        for command in list(shell.runspace.commands):
            shell.runspace.stop(command)
        return envelope(f"{TRANSFER}/DeleteResponse", request.message_id, "", "p")

    def _command(self, request, shell):
        faults = self.simulator.faults
        if faults.load_quota is not None:
            if faults.load_quota == 0:
                raise wsman.load_quota(50, 10, 4500)
            faults.load_quota -= 1
        line = request.body
        arguments = line.find("rsp:Arguments", NAMES) if line is not None else None
        command = ((line.get("CommandId") if line is not None else None) or str(uuid.uuid4())).upper()
        if arguments is None:
            raise Fault(87, "w:InvalidParameter", "The parameter is incorrect. ", detail="InvalidValue")
        self._feed(shell, arguments.text, command)
        body = f"<rsp:CommandResponse><rsp:CommandId>{command}</rsp:CommandId></rsp:CommandResponse>"
        return envelope(f"{SHELL}/CommandResponse", request.message_id, body, "x rsp p")

    def _send(self, request, shell):
        for stream in request.body.findall("rsp:Stream", NAMES) if request.body is not None else ():
            self._feed(shell, stream.text, self._known(shell, stream.get("CommandId")))
        return envelope(f"{SHELL}/SendResponse", request.message_id, "<rsp:SendResponse/>", "x rsp p")

    def _receive(self, request, shell):
        stream = request.body.find("rsp:DesiredStream", NAMES) if request.body is not None else None
        command = self._known(shell, stream.get("CommandId") if stream is not None else None)
        found = shell.runspace.fetch(command, request.timeout)
        if found is None:
            raise wsman.timed_out()
        fragments, done = found
        mark = f' CommandId="{command}"' if command else ""
        body = "".join(
            f'<rsp:Stream Name="stdout"{mark}>{base64.b64encode(data).decode()}</rsp:Stream>' for data in fragments
        )
        if done:
            shell.runspace.forget(command)
            body += f'<rsp:CommandState{mark} State="{DONE}"><rsp:ExitCode>0</rsp:ExitCode></rsp:CommandState>'
        body = f"<rsp:ReceiveResponse>{body}</rsp:ReceiveResponse>"
        return envelope(f"{SHELL}/ReceiveResponse", request.message_id, body, "rsp p")

    def _signal(self, request, shell):
        code = request.body.find("rsp:Code", NAMES) if request.body is not None else None
        command = (request.body.get("CommandId") or "").upper() if request.body is not None else ""
        if command in shell.runspace.commands:
            shell.runspace.stop(command)
            if code is not None and (code.text or "").lower().endswith("/terminate"):
                shell.runspace.forget(command)
        return envelope(f"{SHELL}/SignalResponse", request.message_id, "<rsp:SignalResponse/>", "x rsp p")

    @staticmethod
    def _known(shell, command):
        if command is None:
            return None
        if command.upper() not in shell.runspace.commands:
            raise wsman.unknown_command()
        return command.upper()

    @staticmethod
    def _feed(shell, text, command=None):
        try:
            shell.runspace.receive(base64.b64decode(text or "", validate=True), command)
        except (binascii.Error, ValueError, AttributeError, LookupError, PSRPCoreError) as problem:
            # Guess: how Windows says that PSRP data cannot be read.
            raise Fault(2147942487, "w:InvalidParameter", f"The parameter is incorrect. {problem}") from None
