"""A mail server for tests: asks for a log-in, prints each mail that it takes as a line of JSON.

    smtp_server.py HOST PORT USER PASSWORD [TLS CERTIFICATE KEY]     ends when its standard input does

TLS is `implicit` (from the first byte) or `starttls` (asked for before anything else); without it there
is none. Its first line is the port. What a recipient is called decides what becomes of a mail: `gone@…` does
not exist (550); `busy@…` is asked to come again (451) the first time, and taken the second.
"""

import asyncio
import email
import json
import logging
import ssl
import sys
import warnings
from email import policy

from aiosmtpd.smtp import SMTP, AuthResult


class Mailboxes:
    def __init__(self):
        self.put_off = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.partition("@")[0]
        if name == "gone":
            return "550 5.1.1 There is no such mailbox"
        if name == "busy" and address not in self.put_off:
            self.put_off.add(address)
            return "451 4.7.1 Come again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=policy.default)
        mail = {
            "user": session.auth_data.login.decode(),
            "tls": server.transport.get_extra_info("cipher") is not None,
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "text": message.get_body(("plain",)).get_content(),
            "html": message.get_body(("html",)).get_content(),
        }
        print(json.dumps(mail), flush=True)
        return "250 2.0.0 Taken"


async def serve(host, port, user, password, tls=None, certificate=None, key=None):
    mailboxes = Mailboxes()
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)

    def authenticate(server, session, envelope, mechanism, data):
        good = (data.login, data.password) == (user.encode(), password.encode())
        # Not "handled": the server itself answers 535.
        return AuthResult(success=good, handled=False, auth_data=data)

    def connection():
        return SMTP(
            mailboxes,
            hostname="mail.example.com",
            authenticator=authenticate,
            auth_required=True,
            auth_require_tls=False,
            tls_context=context if tls == "starttls" else None,
            require_starttls=tls == "starttls",
        )

    loop = asyncio.get_running_loop()
    implicit = context if tls == "implicit" else None
    server = await loop.create_server(connection, host, int(port), ssl=implicit)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    # It warns of passwords without TLS, which are meant here.
    warnings.simplefilter("ignore")
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    asyncio.run(serve(*sys.argv[1:]))
