# Copyright (c) 2026, The mailops.imap developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The simulator: an HTTP server on loopback that looks like a server of Exchange to a PowerShell client."""

from __future__ import annotations

import contextlib
import datetime
import ssl
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .authentication import Authority, Login, Refused
from .certificates import make_certificates
from .faults import Access, Faults
from .imap import Imap
from .organization import Organization, utc_now
from .service import CONFIGURATIONS, Service

USER, PASSWORD = "administrator", "Simulated-1"
SOAP_TYPE = "application/soap+xml;charset=UTF-8"


class Simulator:
    """One server of Exchange that answers, with its organisation behind it; made by `simulator()`.

    host, port, tls, user, password, domain, authority_file, client_certificate and client_key (the last three are paths)
    are what a client needs to connect; `imap_port` greets as IMAP4 does while the service runs. Everything may be looked
    at and changed while it runs: `settings` and `services` of the local server, `organization.servers`, `faults`,
    `access`, `form` (how values are sent) and `ranges` ({parameter: (minimum, maximum)} in place of the version's).
    `open_shells` is how many runspace pools are open, `shells_created` how many ever were, `calls` a list of (cmdlet,
    arguments) and `actions` of WSMan actions, in order; `logins` says who came how.
    """

    def __init__(self, organization, local, form, ranges, faults, access, allow_unencrypted, utc_offset):
        self.organization = organization
        self.local = local
        self.zone = datetime.timezone(datetime.timedelta(hours=utc_offset))
        self.form = form
        self.ranges = dict(ranges or {})
        self.faults = faults or Faults()
        self.access = access or Access()
        self.allow_unencrypted = allow_unencrypted
        self.calls = []
        self.calls_by_endpoint = []
        self.actions = []
        self.service = Service(self)
        self.user, self.password = USER, PASSWORD
        self.domain = organization.domain
        self.host, self.port, self.tls = "127.0.0.1", None, False
        self.imap_port = None
        self.authority = None
        self.authority_file = None
        self.client_certificate = self.client_key = None

    @property
    def settings(self):
        return self.local.settings

    @property
    def services(self):
        return self.local.services

    @property
    def version(self):
        return self.local.version

    @property
    def open_shells(self):
        return len(self.service.shells)

    @property
    def shells_created(self):
        return self.service.created

    @property
    def logins(self):
        return self.authority.log

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}"

    def invoked(self, name, arguments, exchange):
        """Note a cmdlet that is about to run."""
        self.calls.append((name, dict(arguments)))
        self.calls_by_endpoint.append(("Microsoft.Exchange" if exchange else "Microsoft.PowerShell", name))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120
    disable_nagle_algorithm = True
    wbufsize = -1
    server_version = "Microsoft-HTTPAPI/2.0"
    sys_version = ""

    def setup(self):
        super().setup()
        self.login = Login(self.server.simulator.authority, getattr(self.connection, "getpeercert", lambda: None))

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        self._reply(404 if self._path() is None else 405)

    def do_POST(self):
        simulator, faults = self.server.simulator, self.server.simulator.faults
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self._path()
        if path is None:
            return self._reply(404)
        if faults.status:
            return self._reply(faults.status)
        try:
            headers = self.login.check(self.headers.get("Authorization"))
        except Refused as refused:
            return self._reply(401, [("WWW-Authenticate", challenge) for challenge in refused.challenges])
        headers = list(headers.items())
        if not data:
            return self._reply(200, headers)  # WinRM: the request that only authenticates has an empty answer.
        sealed = self.headers.get("Content-Type", "").startswith(("multipart/encrypted", "multipart/x-multi-encrypted"))
        if not sealed and not simulator.tls and not simulator.allow_unencrypted:
            # WinRM with AllowUnencrypted off: Basic is not accepted; after NTLM or Kerberos a plain body is an error.
            return self._reply(401 if self.login.mechanism == "Basic" else 500, headers)
        try:
            message = self.login.decrypt(data) if sealed else data
        except ValueError:
            return self._reply(400, headers)  # Guess: for a message that was encrypted for another connection.
        dropped = faults.drop()
        if dropped and faults.drop_before:
            return self._cut()
        if faults.delay:
            time.sleep(faults.delay)
        if faults.garbage is not None:
            return self._reply(200, headers, SOAP_TYPE, faults.garbage)
        status, answer = simulator.service.answer(message, path, self.login, self.client_address[0])
        if dropped or faults.cut:
            return self._cut()
        content_type = SOAP_TYPE
        if sealed:
            content_type, answer = self.login.encrypt(answer, space=path == "/powershell")
        self._reply(status, headers, content_type, answer)

    def _path(self):
        """The path without its query and last slash, if something answers there; IIS does not mind upper case."""
        path = self.path.partition("?")[0].rstrip("/").lower()
        there = path in CONFIGURATIONS and (path != "/powershell" or self.server.simulator.version.endpoint)
        return path if there else None

    def _cut(self):
        if self.server.simulator.faults.instead:
            status, body = self.server.simulator.faults.instead
            headers = [("Location", body.decode())] if status in (301, 302, 307, 308) else []
            return self._reply(status, headers, "text/html", body)
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def _reply(self, status, headers=(), content_type=None, body=b""):
        with contextlib.suppress(ConnectionError):  # A client may have gone.
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            if content_type:
                self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A client that breaks off is no error of the simulator; anything else is shown."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError, TimeoutError)):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def simulator(
    version="2019",
    *,
    name="EX01",
    others=(),
    domain="example.test",
    organization=None,
    form="string",
    mechanisms=("Negotiate", "Basic"),
    users=None,
    tls=False,
    expired=False,
    extended_protection=False,
    allow_unencrypted=False,
    keytab=None,
    hostname="localhost",
    services=None,
    ranges=None,
    faults=None,
    access=None,
    clock=utc_now,
    utc_offset=-7,
    port=0,
):
    """Run a simulator while the block lasts; gives a Simulator.

    version: a key of versions.VERSIONS.
    name, others: the local server, and further ones of the organisation, of the same version or {name: version}.
    organization: that of another simulator, of which `name` is a server, so that several endpoints share it; then
        version, others, domain and clock are those of it.
    form: one of values.FORMS.
    mechanisms: what the server offers, in this order: Negotiate, Kerberos, NTLM, CredSSP, Basic; and Certificate, by
        which a client's certificate with the name of a user logs in over TLS.
    users: {name: password}, by default one administrator.
    tls, expired: https with a certificate of an own authority for localhost and 127.0.0.1, which expired yesterday.
    extended_protection: NTLM and Kerberos must be bound to the TLS channel.
    allow_unencrypted: take messages without encryption over http.
    keytab, hostname: the keys of HTTP/`hostname`, for Kerberos.
    services: {name: status or None}, where a status is Running or Stopped and None means not installed.
    ranges: {parameter: (minimum, maximum)} in place of the version's.
    faults, access: a Faults and an Access, see faults.py.
    clock, utc_offset: a function that gives the time in UTC, and the hours of the server's own time zone.
    port: 0 takes a free one.
    """
    if organization is None:
        versions = others if isinstance(others, dict) else dict.fromkeys(others, version)
        organization = Organization({name: version, **versions}, domain, clock)
    local = organization.find(name)
    for service, status in (services or {}).items():
        if status is None:
            del local.services[service]
        elif status == "Stopped":
            local.services[service].stop()
    made = Simulator(organization, local, form, ranges, faults, access, allow_unencrypted, utc_offset)
    with tempfile.TemporaryDirectory(prefix="exchange-simulator-") as folder:
        server = Server((made.host, port), Handler)
        bindings = None
        if tls:
            accounts = list(users or {USER: PASSWORD})
            certificates = make_certificates(folder, expired=expired, client=accounts[0])
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.certificate, certificates.key)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            made.authority_file = str(certificates.authority)
            if "Certificate" in mechanisms:
                context.verify_mode = ssl.CERT_OPTIONAL
                context.load_verify_locations(certificates.authority)
                made.client_certificate = str(certificates.client_certificate)
                made.client_key = str(certificates.client_key)
            bindings = certificates.digest if extended_protection else None
        made.port, made.tls = server.server_address[1], tls
        accounts = users or {USER: PASSWORD}
        made.user, made.password = list(accounts.items())[0]
        made.authority = Authority(
            accounts, organization.domain, tuple(mechanisms), str(Path(folder) / "users"), hostname, keytab, bindings
        )
        server.simulator = made
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        imap = Imap(local, made.faults)
        made.imap_port = imap.port
        try:
            yield made
        finally:
            imap.close()
            server.shutdown()
            server.server_close()
            thread.join()
