# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong where Kerberos gave no ticket: its number, and the sentence for the user. Pure.

The numbers are those of MIT's library (krb5.h): -1765328384 and the error of RFC 4120, 7.5.9, or the library's own.
Which of them comes when was measured with MIT Kerberos 1.20.

PRIVATE: other collections must not import this; it may change at any time.
"""

from __future__ import annotations

_USER_UNKNOWN = -1765328378
_SERVICE_UNKNOWN = -1765328377
_LOCKED = -1765328366
_PASSWORD_EXPIRED = -1765328361
_PASSWORD_WRONG = (-1765328360, -1765328353)
_TICKET_EXPIRED = -1765328352
_CLOCK_SKEW = (-1765328347, -1765328236)
_KDC_UNKNOWN = (-1765328230, -1765328164, -1765328160)
_KDC_SILENT = -1765328228

#: A distribution centre has judged the user or the password. Trying another method then would only be another failed
#: logon for the same account.
_JUDGED = (_USER_UNKNOWN, _LOCKED, _PASSWORD_EXPIRED, *_PASSWORD_WRONG)


def number(problem):
    """Return the number behind an exception of krb5, gssapi or pyspnego; None where it has none."""
    while problem is not None:
        found = getattr(problem, "err_code", None) or getattr(problem, "min_code", None)
        if isinstance(found, int):
            # gssapi counts in unsigned 32 bits.
            return found - (1 << 32) if found >= 1 << 31 else found
        problem = getattr(problem, "base_error", None) or problem.__cause__
    return None


def has_judged(problem):
    """Whether the user or the password was refused, and not only no ticket was had."""
    return number(problem) in _JUDGED


def sentence(problem, endpoint):
    """Return the sentence for an exception that ended the search for a ticket for an Endpoint."""
    found, user, service = number(problem), endpoint.who, endpoint.service
    words = " ".join(str(problem).split())
    if found in _PASSWORD_WRONG:
        return f"Kerberos refused the password of {user}; check ansible_user and ansible_password."
    if found == _USER_UNKNOWN:
        return (
            f"Kerberos does not know {user}; write ansible_user as user@DOMAIN with the domain of Active Directory in "
            f"capitals: {words}"
        )
    if found == _LOCKED:
        return f"Kerberos says that the account of {user} is locked or disabled; have it released in Active Directory."
    if found == _PASSWORD_EXPIRED:
        return f"Kerberos says that the password of {user} has expired; set a new one, and then ansible_password."
    if found == _SERVICE_UNKNOWN:
        return (
            f"Kerberos knows no service {service}; set host in the option exchange, or "
            "ansible_psrp_negotiate_hostname_override, to the full name that Active Directory has for the server, and "
            "leave ansible_psrp_negotiate_service at HTTP."
        )
    if found in _CLOCK_SKEW:
        return (
            "The clocks of this controller and of the domain controller differ by more than Kerberos allows; set both "
            f"by the same time servers: {words}"
        )
    if found in _KDC_UNKNOWN:
        return (
            f"Kerberos knows no domain controller for {user}; write the domain in capitals in ansible_user "
            f"(user@DOMAIN), and its domain controllers into /etc/krb5.conf where DNS does not tell them: {words}"
        )
    if found == _KDC_SILENT:
        return (
            f"No domain controller gave {user} a ticket; check what /etc/krb5.conf or DNS names, and the firewall for "
            f"port 88: {words}"
        )
    if endpoint.password is None:
        expired = found == _TICKET_EXPIRED or "expired" in words
        return (
            f"The Kerberos ticket{endpoint.whose} has expired; renew it with kinit where Ansible runs, or set ansible_password."
            if expired
            else f"There is no Kerberos ticket{endpoint.whose} and no password; get one with kinit where Ansible runs, or set "
            "ansible_user and ansible_password."
        )
    return f"Kerberos gives {user} no ticket for {service}; check the user, the realm and the clock: {words}"
