"""A real SMTP server for the tests of mail, which says what happens to it and does as it is told.

Prints one JSON object a line: {"event": "listening", "port": ...}, then what it was sent, and what it did with it. Each
line of its input is what to do with mails from now on:

    accept      takes them (as it does at first)
    hold        takes them only when it is told something else
    close       closes the connection instead of an answer to a mail
    451, 550... refuses their recipients with this code
    late 554... refuses them with this code when it has all of them

It ends when its input does.
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
    """Does with mails as it is told."""

    def __init__(self):
        self.conduct = "accept"
        self.told = asyncio.Condition()

    async def tell(self, conduct):
        async with self.told:
            self.conduct = conduct
            # Before anything is done in the new way.
            report("told", conduct=conduct)
            self.told.notify_all()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.conduct.isdigit():
            report("refused", to=address, code=int(self.conduct))
            return f"{self.conduct} so the test wants it"
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
        if self.conduct == "hold":
            report("held", **mail)
            async with self.told:
                await self.told.wait_for(lambda: self.conduct != "hold")
        if self.conduct == "close":
            report("closed", **mail)
            server.transport.abort()
        elif self.conduct.startswith("late "):
            report("refused", **mail)
            return self.conduct.removeprefix("late ") + " so the test wants it"
        else:
            report("mail", **mail)
        return "250 OK"


class Server(SMTP):
    """Reports whatever it is sent, as it was sent or as TLS hands it on."""

    def __init__(self, *arguments, tls, **settings):
        super().__init__(*arguments, **settings)
        self.tls = tls

    def is_encrypted(self):
        return self.tls == "implicit" or self._tls_protocol is not None

    def data_received(self, data):
        report("received", text=data.decode(errors="replace"), tls=self.is_encrypted())
        super().data_received(data)


def certify(folder, host):
    """Makes an authority, and a certificate for the host that it signed."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Authority of the tests")
    openssl("req", *key[:-2], "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=Mail server of the tests")
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
    parser.add_argument("--folder", help="where ca.pem is put, if there is TLS")
    parser.add_argument("--certificate-for", default="127.0.0.1")
    parser.add_argument("--user", help="who must log in")
    parser.add_argument("--password")
    options = parser.parse_args()

    def authenticate(server, session, envelope, mechanism, credentials):
        expected = (options.user.encode(), options.password.encode())
        success = (credentials.login, credentials.password) == expected
        # What is not handled here is refused by the library, with 535.
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
            # A client that is careless is to be found out, so it may say its password in clear.
            auth_require_tls=False,
        )

    loop = asyncio.get_running_loop()
    implicit = context if options.tls == "implicit" else None
    server = await loop.create_server(connection, "127.0.0.1", options.port, ssl=implicit)
    report("listening", port=server.sockets[0].getsockname()[1])

    ended = asyncio.Event()

    def obey():
        for line in sys.stdin:
            asyncio.run_coroutine_threadsafe(handler.tell(line.strip()), loop).result()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=obey, daemon=True).start()
    await ended.wait()


asyncio.run(main())
