"""An SMTP server for the mail tests, with configurable behaviour.

Prints one JSON object per line: {"event": "listening", "port": ...}, then what it received and how it responded. Each
input line sets the behaviour for the following e-mails:

    accept      accepts e-mails (the default)
    hold        delays the response until the next input line
    close       closes the connection instead of responding to an e-mail
    451, 550... rejects recipients with this code
    late 554... rejects e-mails with this code after their content

Exits at the end of its input.
"""

import argparse
import asyncio
import json
import pathlib
import ssl
import subprocess
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult


def report(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


class Handler:
    """Responds to e-mails according to the current behaviour."""

    def __init__(self):
        self.behaviour = "accept"
        self.changed = asyncio.Condition()

    async def set_behaviour(self, behaviour):
        async with self.changed:
            self.behaviour = behaviour
            # Report the change before it has any effect.
            report("changed", behaviour=behaviour)
            self.changed.notify_all()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.behaviour.isdigit():
            report("refused", to=address, code=int(self.behaviour))
            return f"{self.behaviour} as the test requires"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "content": envelope.content.decode(),
            "tls": server.is_encrypted(),
            "user": session.auth_data.login.decode() if session.auth_data else None,
        }
        if self.behaviour == "hold":
            report("held", **mail)
            async with self.changed:
                await self.changed.wait_for(lambda: self.behaviour != "hold")
        if self.behaviour == "close":
            report("closed", **mail)
            server.transport.abort()
        elif self.behaviour.startswith("late "):
            report("refused", **mail)
            return self.behaviour.removeprefix("late ") + " as the test requires"
        else:
            report("mail", **mail)
        return "250 OK"


class Server(SMTP):
    """Reports all received data, decrypted if TLS is in use."""

    def __init__(self, *arguments, tls, **settings):
        super().__init__(*arguments, **settings)
        self.tls = tls

    def is_encrypted(self):
        return self.tls == "implicit" or self._tls_protocol is not None

    def data_received(self, data):
        report("received", text=data.decode(errors="replace"), tls=self.is_encrypted())
        super().data_received(data)


def certify(folder, host):
    """Creates a certificate authority and a certificate for the host, signed by it."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test authority")
    openssl("req", *key[:-2], "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=Test mail server")
    kind = "IP" if host[0].isdigit() else "DNS"
    pathlib.Path(folder, "extensions").write_text(f"basicConstraints=CA:FALSE\nsubjectAltName={kind}:{host}\n")
    openssl(
        *("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
        *("-extfile", "extensions", "-days", "2", "-out", "server.pem"),
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pathlib.Path(folder, "server.pem"), pathlib.Path(folder, "server.key"))
    return context


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", choices=["none", "starttls", "implicit"], default="none")
    parser.add_argument("--folder", help="directory for ca.pem, if TLS is used")
    parser.add_argument("--certificate-for", default="127.0.0.1")
    parser.add_argument("--user", help="user that must log in")
    parser.add_argument("--password")
    options = parser.parse_args()

    def authenticate(server, session, envelope, mechanism, credentials):
        expected = (options.user.encode(), options.password.encode())
        success = (credentials.login, credentials.password) == expected
        # The library responds with 535 to credentials that are not handled here.
        return AuthResult(success=success, handled=success, auth_data=credentials)

    context = None if options.tls == "none" else certify(options.folder, options.certificate_for)
    handler = Handler()

    def connection():
        return Server(
            handler,
            tls=options.tls,
            tls_context=context if options.tls == "starttls" else None,
            require_starttls=options.tls == "starttls",
            authenticator=authenticate if options.user else None,
            auth_required=options.user is not None,
            # Accept passwords in plain text, so that a test can detect a client that sends them.
            auth_require_tls=False,
        )

    loop = asyncio.get_running_loop()
    implicit = context if options.tls == "implicit" else None
    server = await loop.create_server(connection, "127.0.0.1", options.port, ssl=implicit)
    report("listening", port=server.sockets[0].getsockname()[1])

    stopped = asyncio.Event()

    def read_input():
        for line in sys.stdin:
            asyncio.run_coroutine_threadsafe(handler.set_behaviour(line.strip()), loop).result()
        loop.call_soon_threadsafe(stopped.set)

    threading.Thread(target=read_input, daemon=True).start()
    await stopped.wait()


asyncio.run(main())
