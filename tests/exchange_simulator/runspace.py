# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A runspace pool of the server's side: it runs pipelines of cmdlets and keeps what they give until it is fetched."""

from __future__ import annotations

import struct
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field

from psrpcore import CreatePipelineEvent, EndOfPipelineInputEvent, ServerPipeline, ServerRunspacePool
from psrpcore import GetAvailableRunspacesEvent, PipelineInputEvent, PSRPPayload
from psrpcore.types import (
    ErrorCategoryInfo,
    ErrorRecord,
    HostMethodIdentifier,
    NETException,
    PipelineState,
    PSInvocationState,
    PSVersion,
    RunspacePoolState,
    SessionCapability,
)

from . import cmdlets, script
from .cmdlets import Failure, Terminated

# Where a pipeline's id stands in the first fragment of a message (MS-PSRP 2.2.4 and 2.2.1).
PIPELINE_ID = slice(45, 61)
# The size of a fragment that Windows sends (MS-PSRP 3.1.5.1.2 leaves it to the implementation).
FRAGMENT = 32768


class Session:
    """What a runspace may use: an organisation, the user's access, and where it is.

    `exchange` is True in the configuration Microsoft.Exchange, where there is no language and only Exchange's cmdlets,
    False in Microsoft.PowerShell, where a snap-in brings them.
    """

    def __init__(self, simulator, exchange, mechanism):
        self.simulator = simulator
        self.exchange = exchange
        self.mechanism = mechanism
        self.snapins = set()

    def __getattr__(self, name):
        return getattr(self.simulator, name)

    @property
    def version(self):
        return self.simulator.local.version

    def has(self, found):
        """Whether this session has a cmdlet."""
        if found.name == "Get-CimInstance" and self.version.protocol == "2.1":
            return False  # PowerShell 3 brought it.
        if found.name == "Set-ImapSettings" and self.access.view_only:
            return False
        if found.origin == "exchange":
            return self.exchange or bool(self.snapins)
        return found.origin == "both" or not self.exchange

    def parameters(self, found):
        """The names of a cmdlet's parameters, without those that the user's roles leave out."""
        names = list(found.parameters)
        if found.name == "Set-ImapSettings":
            names += self.version.parameters
            if not self.version.what_if:
                names = [name for name in names if name not in ("WhatIf", "Confirm")]
            # Roles are a matter of Exchange's own endpoint: a snap-in has every parameter.
            hidden = {name.lower() for name in self.access.hidden_parameters} if self.exchange else ()
            names = [name for name in names if name.lower() not in hidden]
        return names


class Run:
    """A cmdlet that runs: where it reads and writes."""

    def __init__(self, session, pipeline, name, received, silent_stop):
        self.session, self.pipeline, self.name = session, pipeline, name
        self.input, self.output = received, []
        self._stop = silent_stop

    def write(self, value):
        self.output.append(value)

    def warning(self, text):
        self.pipeline.write_warning(text)

    def host_line(self, text):
        """A line on the user's screen, which over the wire is a call of the client's host."""
        self.pipeline.host_call(HostMethodIdentifier.WriteLine2, [text])

    def ask(self, method, *arguments):
        """A call of the client's host whose answer the cmdlet needs."""
        self.pipeline.host_call(HostMethodIdentifier[method], list(arguments))

    def chatter(self):
        """Something in every stream that is no output and no error, as cmdlets of Exchange write when they take long."""
        self.pipeline.write_verbose(f"{self.name}: beginning\r\nprocessing.")
        self.pipeline.write_debug(f"{self.name}: at work.")
        self.pipeline.write_warning(f"{self.name}: a domain controller\r\nanswered late.")
        self.pipeline.write_progress(self.name, 1, "Reading", percent_complete=50)
        if self.session.version.protocol == "2.3":
            self.pipeline.write_information(f"{self.name}: for your information.", self.name)
        self.host_line(f"{self.name}: on the screen.")

    def error(self, failure):
        """Write an error record to the error stream, or end the pipeline if -ErrorAction says so."""
        if self._stop:
            raise Terminated(failure.message, failure.error_id, failure.category, failure.exception, failure.target)
        record = error_record(failure, self.name)
        self.pipeline.write_error(
            record.Exception,
            record.CategoryInfo,
            record.TargetObject,
            record.FullyQualifiedErrorId,
        )


def error_record(failure, activity=""):
    """A Failure as PowerShell's ErrorRecord."""
    exception = NETException(Message=failure.message, HResult=-2146233088)
    exception.PSObject.type_names = [failure.exception, *exception.PSObject.type_names]
    return ErrorRecord(
        Exception=exception,
        CategoryInfo=ErrorCategoryInfo(
            Category=failure.category,
            Activity=activity,
            Reason=failure.exception.rpartition(".")[2],
            TargetName=str(failure.target or ""),
            TargetType="String" if failure.target else "",
        ),
        TargetObject=failure.target,
        FullyQualifiedErrorId=failure.error_id,
    )


@dataclass
class Command:
    """A pipeline that a client has started, and the fragments of it that were not fetched yet."""

    pipeline: ServerPipeline
    queue: deque = field(default_factory=deque)
    inputs: list = field(default_factory=list)
    done: bool = False
    stopped: bool = False


class Runspace:
    """A runspace pool: PSRP messages go in with `receive`, and come out of `fetch`."""

    def __init__(self, session):
        self.session = session
        self._opens = time.monotonic() + session.faults.open_delay
        protocol = session.version.protocol
        self.pool = ServerRunspacePool({"PSVersionTable": {"PSVersion": PSVersion(POWERSHELL[protocol])}})
        self.pool.our_capability = SessionCapability(
            PSVersion=PSVersion("2.0"),
            protocolversion=PSVersion(protocol),
            SerializationVersion=PSVersion("1.1.0.1"),
        )
        # {a command's id in WSMan: Command}. Clients mostly give the pipeline the same id in PSRP, but need not.
        self.commands = {}
        self._queue = deque()
        self._ready = threading.Condition(threading.RLock())

    def receive(self, data, identity=None):
        """Take in PSRP fragments, of a command (by its id) or of the pool."""
        with self._ready:
            if identity and identity not in self.commands:
                pipeline = ServerPipeline(self.pool, uuid.UUID(bytes_le=bytes(data[PIPELINE_ID])))
                self.commands[identity] = Command(pipeline)
            self.pool.receive_data(PSRPPayload(data, 0, None))
            while True:
                event = self.pool.next_event()
                if event is None:
                    break
                self._handle(event)
            self._collect()
            if self.session.faults.broken_pool and self.pool.state == RunspacePoolState.Opened:
                self._queue.pop()  # That it is open.
                self.pool.set_broken(error_record(Failure(self.session.faults.broken_pool, "RunspacePoolBroken")))
                self._collect()

    def _handle(self, event):
        command = self._of(event.pipeline_id)
        if isinstance(event, CreatePipelineEvent):
            if event.pipeline.no_input:
                self._start(command)
        elif isinstance(event, PipelineInputEvent) and command:
            command.inputs.append(event.data)
        elif isinstance(event, EndOfPipelineInputEvent) and command:
            if command.pipeline.state == PSInvocationState.NotStarted:
                self._start(command)
        elif isinstance(event, GetAvailableRunspacesEvent):
            self.pool.runspace_availability_response(event.ci, self.pool.max_runspaces)

    def _of(self, pipeline_id):
        """The command that a pipeline is of, None if it is of none, or forgotten."""
        return next((one for one in self.commands.values() if one.pipeline.pipeline_id == pipeline_id), None)

    def fetch(self, identity, timeout):
        """([fragments], whether the command is done), as soon as there is any of it; None after `timeout` seconds."""
        command = self.commands.get(identity)
        queue = command.queue if command else self._queue
        left = self._opens - time.monotonic()
        if not command and left > 0:
            time.sleep(min(left, timeout))
            if left > timeout:
                return None
        with self._ready:
            if not self._ready.wait_for(lambda: queue or (command and command.done), timeout):
                return None
            # As recorded: that a pool is open comes after what it can do, in an answer of its own.
            count = len(queue) if command else max(1, len(queue) - 1)
            return [queue.popleft() for _index in range(count)], bool(command and command.done)

    def stop(self, identity):
        """Stop a command that runs; nothing more is written by it."""
        command = self.commands[identity]
        with self._ready:
            command.stopped = True
            if command.pipeline.state == PSInvocationState.Running:
                command.pipeline.stop()
                self._collect()
            command.done = True
            self._ready.notify_all()

    def forget(self, identity):
        """A command that the client has no more interest in."""
        with self._ready:
            command = self.commands.pop(identity, None)
            if command:
                command.stopped = True
                self.pool.pipeline_table.pop(command.pipeline.pipeline_id, None)

    def _collect(self):
        """Move what the pool has to send to the queue of the command that it is of."""
        while True:
            payload = self.pool.data_to_send(FRAGMENT)
            if payload is None:
                break
            command = self._of(payload.pipeline_id)
            if command:
                command.queue.extend(_fragments(payload.data))
            elif payload.pipeline_id is None:
                self._queue.extend(_fragments(payload.data))
        self._ready.notify_all()

    def _start(self, command):
        command.pipeline.start()
        threading.Thread(target=self._run, args=(command,), daemon=True).start()

    def _run(self, command):
        failure, pipeline = None, command.pipeline
        try:
            for statement in self._statements(pipeline.metadata):
                received = command.inputs
                for one in statement:
                    received = self._run_cmdlet(command, one, received)
                with self._ready:
                    for value in () if command.stopped else received:
                        pipeline.write_output(value)
        except Terminated as problem:
            failure = problem
        with self._ready:
            if command.stopped:
                return
            if failure:
                state = PipelineState(PipelineState=int(PSInvocationState.Failed))
                state.ExceptionAsErrorRecord = error_record(failure)
                pipeline.prepare_message(state)
                pipeline.state = PSInvocationState.Failed
            else:
                pipeline.complete()
            command.done = True
            self._collect()

    def _statements(self, metadata):
        """[[(cmdlet name, [(parameter, argument)])]]: statements, each a list of cmdlets with pipes between."""
        statements, statement = [], []
        for one in metadata.commands:
            if one.is_script:
                if self.session.exchange:
                    raise Terminated(
                        "The syntax is not supported by this runspace. This can occur if the runspace is in "
                        "no-language mode.",
                        "ScriptsNotAllowed",
                        cmdlets.ErrorCategory.ParserError,
                        "System.Management.Automation.ParseException",
                    )
                *whole, last = script.parse(one.command_text) or [[]]
                statements += whole
                statement += last
            else:
                statement.append((one.command_text, one.parameters))
            if one.end_of_statement:
                statements.append(statement)
                statement = []
        statements += [statement] if statement else []
        # Guess: PowerShell 2 does not know of further statements (ExtraCmds) and runs the first one only.
        return statements[:1] if self.session.version.protocol == "2.1" and len(metadata.commands) > 1 else statements

    def _run_cmdlet(self, command, named, received):
        name, arguments = named
        session, faults = self.session, self.session.faults
        found = cmdlets.find(session, name)
        bound = cmdlets.bind(session, found, arguments)
        session.simulator.invoked(found.name, bound, session.exchange)
        if faults.cmdlet_delay:
            time.sleep(faults.cmdlet_delay)
        with self._ready:
            if command.stopped:
                raise Terminated("The pipeline has been stopped.", "PipelineStopped")
            stop = str(bound.get("ErrorAction", "")).rpartition(".")[2].lower() in ("stop", "1")
            run = Run(session, command.pipeline, found.name, received, stop)
            try:
                if faults.chatter:
                    run.chatter()
                if faults.question:
                    run.ask(*faults.question)
                    self._collect()
                    self._ready.wait_for(lambda: command.stopped)
                if found.name in faults.errors:
                    # Guess: what a fault of a test says, with the record of an error that Exchange does not foresee.
                    raise Failure(faults.errors[found.name], f"[Server={session.local.name}],{found.name}")
                if found.origin == "exchange" and faults.micro_delay:
                    run.warning(
                        f"Micro delay applied. Actual delayed: {faults.micro_delay} msecs, Enforced: True, Capped "
                        f"delay: {faults.micro_delay} msecs, Required: False, Additional info: ."
                    )
                found.run(run, bound)
            except Terminated:
                raise
            except Failure as problem:
                run.error(problem)
            self._collect()
            return run.output


def _fragments(data):
    """The fragments in a payload of psrpcore; Windows sends each in an element of its own (MS-PSRP 2.2.4)."""
    while data:
        (length,) = struct.unpack(">I", data[17:21])
        yield data[: 21 + length]
        data = data[21 + length :]


POWERSHELL = {"2.1": "2.0", "2.2": "4.0", "2.3": "5.1.17763.1"}
