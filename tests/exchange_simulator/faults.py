# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong on demand, and who may do what."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Faults:
    """Faults of a simulator; each is off until a test sets it, at any time.

    drop_after: so many further WSMan messages are answered, then connections are cut instead of an answer.
    drops: how many messages are cut so; all further ones, if None.
    drop_before: True cuts before a message is carried out, False afterwards, so that only its answer is lost.
    instead: (HTTP status, body), unencrypted, in place of each cut; the body of a redirection is where it leads.
    cut: connections are cut instead of every answer, those to messages that are being carried out included.
    delay: seconds that every WSMan message waits for its answer.
    open_delay: seconds until a runspace pool says that it is open.
    cmdlet_delay: seconds that each cmdlet takes, during which the client polls.
    garbage: bytes that are sent, with status 200 and unencrypted, in place of every answer.
    status: HTTP status of every answer, with an empty body, in place of what was asked.
    chatter: each cmdlet says something in every stream that is no output and no error.
    errors: cmdlet name -> message of a non-terminating error that it writes to the error stream, and does nothing else.
    question: a method of the client's host, with its arguments, that each cmdlet calls, and waits for the answer.
    broken_pool: what a runspace pool says that breaks in place of opening; its shell stays.
    maximum_shells: how many shells may be open at once for one user.
    load_quota: how many cmdlets may still run before the user's load quota is exceeded.
    micro_delay: milliseconds of the delay that each cmdlet of Exchange says it was given.
    restart_fails: names of services that do not start again.
    imap_delay: seconds that IMAP4 takes after a restart until it listens; before, connections are refused.
    imap_refused: IMAP4 does not listen any more after a restart.
    imap_silent: IMAP4 accepts connections and says nothing.
    no_second_hop: cmdlets of a local snap-in cannot reach Active Directory, unless the password came along (Basic, CredSSP).
    """

    drop_after: int | None = None
    drops: int | None = None
    drop_before: bool = True
    instead: tuple[int, bytes] | None = None
    cut: bool = False
    delay: float = 0
    open_delay: float = 0
    cmdlet_delay: float = 0
    garbage: bytes | None = None
    status: int | None = None
    chatter: bool = False
    errors: dict[str, str] = field(default_factory=dict)
    question: tuple | None = None
    broken_pool: str | None = None
    maximum_shells: int | None = None
    load_quota: int | None = None
    micro_delay: int | None = None
    restart_fails: tuple[str, ...] = ()
    imap_delay: float = 0
    imap_refused: bool = False
    imap_silent: bool = False
    no_second_hop: bool = False

    def drop(self):
        """Count a WSMan message; whether its connection is to be cut."""
        if self.drop_after is None:
            return False
        if self.drop_after > 0:
            self.drop_after -= 1
            return False
        if self.drops is not None:
            if self.drops == 0:
                return False
            self.drops -= 1
        return True


@dataclass
class Access:
    """What the user may do.

    view_only: View-Only Organization Management, whose members have Get- but not Set-ImapSettings.
    hidden_parameters: parameters of Set-ImapSettings that the user's roles leave out.
    remote_shell: may use /PowerShell/ (Set-User -RemotePowerShellEnabled).
    administrator: is a local administrator, who may use /wsman.
    """

    view_only: bool = False
    hidden_parameters: tuple[str, ...] = ()
    remote_shell: bool = True
    administrator: bool = True
