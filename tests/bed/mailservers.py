"""Real mail servers on free loopback ports: Postfix and Exim to submit to, Dovecot to read from.

Each starts in a folder of its own through the scripts in servers/ and is ended by its process id.
"""

import imaplib
import os
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bed.certs import Certs
from bed.needs import cache, missing

SCRIPTS = Path(__file__).parent / "servers"
USER, PASSWORD = "alice", "s3cr3t-Pässword"
OWN_PORTS = range(20_000, 32_000)  # Linux gives away those from 32768 on, others from 49152
SIZE_LIMIT = 40 * 1024 * 1024  # a 25 MB attachment fits, base64 included


@dataclass(frozen=True)
class Mailboxes:
    """Dovecot: the mailboxes that Postfix and Exim deliver to."""

    certs: Certs
    auth_port: int
    lmtp_port: int
    imaps_port: int
    submission_port: int  # Dovecot's own submission server, STARTTLS, which relays to Postfix

    def copies(self, mailbox: str, message_id: str) -> list[bytes]:
        """All messages with this Message-ID that are there now."""
        with self._inbox(mailbox) as imap:
            return _search(imap, message_id)

    def fetch(self, mailbox: str, message_id: str, *, within: float = 20.0) -> bytes:
        """The message with this Message-ID, as soon as it has arrived; at most `within` seconds."""
        deadline = time.monotonic() + within
        pause = threading.Event()
        with self._inbox(mailbox) as imap:
            while not (found := _search(imap, message_id)):
                assert time.monotonic() < deadline, f"no {message_id} reached {mailbox} within {within} s"
                pause.wait(0.02)
                imap.noop()
            return found[0]

    @contextmanager
    def _inbox(self, mailbox: str) -> Iterator[imaplib.IMAP4_SSL]:
        context = self.certs.client_context()
        with imaplib.IMAP4_SSL("localhost", self.imaps_port, ssl_context=context, timeout=20) as imap:
            imap.login(f"{mailbox}*reader", "reader")
            imap.select("INBOX", readonly=True)
            yield imap


@dataclass(frozen=True)
class MailHost:
    """A server to send to. `user` may send as alice@mail.test; bob@mail.test logs in with `bobpw`."""

    name: str
    ca_pem: Path
    starttls_port: int
    tls_port: int
    mailboxes: Mailboxes
    log: Path
    plain_port: int | None = None  # no TLS, no AUTH, trusts loopback
    plain_auth_port: int | None = None  # AUTH offered without TLS
    host: str = "localhost"
    user: str = USER
    password: str = PASSWORD
    token: str | None = None  # for XOAUTH2, where the server has it
    size_limit: int = SIZE_LIMIT

    def imap_fetch(self, mailbox: str, message_id: str, *, within: float = 20.0) -> bytes:
        """The message with this Message-ID (angle brackets or not) in `mailbox`, such as bob@mail.test."""
        return self.mailboxes.fetch(mailbox, message_id, within=within)

    def imap_copies(self, mailbox: str, message_id: str) -> list[bytes]:
        return self.mailboxes.copies(mailbox, message_id)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listened on a moment ago, all different.

    They are none of those that the system gives to whoever asks for any, as other tests do meanwhile.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().choice(OWN_PORTS)  # seeded by nobody, so that no two processes ask alike
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return found


@contextmanager
def dovecot(certs: Certs, introspect: str, relay_port: int) -> Iterator[Mailboxes]:
    _need_root()
    _need_programs("dovecot")
    for module in ("imap", "lmtp", "submission"):
        if not Path(f"/usr/lib/dovecot/{module}").exists():
            missing(f"Dovecot's {module} is not installed")
    auth, lmtp, imaps, submission = free_ports(4)
    users = "".join(
        f"{name}:{{PLAIN}}{password}::::::\n"
        for name, password in ((USER, PASSWORD), (f"{USER}@mail.test", PASSWORD), ("bob@mail.test", "bobpw"))
    )
    with _folder() as folder:
        (folder / "users").write_text(users, encoding="utf-8")
        settings = {"USERS": folder / "users", "INTROSPECT": introspect, "RELAYPORT": relay_port}
        ports = {"AUTHPORT": auth, "LMTPPORT": lmtp, "IMAPSPORT": imaps, "SUBPORT": submission}
        with _running("dovecot", folder, certs, settings | ports):
            yield Mailboxes(certs, auth, lmtp, imaps, submission)


@contextmanager
def postfix(certs: Certs, mailboxes: Mailboxes, relay_port: int) -> Iterator[MailHost]:
    _need_root()
    _need_programs("postfix")
    submission, tls, plain_auth = free_ports(3)
    settings = {
        "SUBM": submission,
        "SMTPS": tls,
        "RELAYPORT": relay_port,
        "PLAINAUTH": plain_auth,
        "AUTHPORT": mailboxes.auth_port,
        "LMTPPORT": mailboxes.lmtp_port,
    }
    with _folder() as folder, _running("postfix", folder, certs, settings):
        yield MailHost(
            name="postfix",
            ca_pem=certs.ca_pem,
            starttls_port=submission,
            tls_port=tls,
            mailboxes=mailboxes,
            log=folder / "mail.log",
            plain_port=relay_port,
            plain_auth_port=plain_auth,
            token="tok-alice-1",
        )


@contextmanager
def exim(certs: Certs, mailboxes: Mailboxes) -> Iterator[MailHost]:
    _need_root()
    program = cache() / "exim" / "usr" / "sbin" / "exim4"
    if not program.exists():
        missing("Exim is not unpacked")
    submission, tls = free_ports(2)
    settings = {"EXIM": program, "SUBM": submission, "SMTPS": tls, "LMTPPORT": mailboxes.lmtp_port}
    with _folder() as folder, _running("exim", folder, certs, settings):
        yield MailHost(
            name="exim",
            ca_pem=certs.ca_pem,
            starttls_port=submission,
            tls_port=tls,
            mailboxes=mailboxes,
            log=folder / "log" / "mainlog",
        )


@contextmanager
def _running(name: str, folder: Path, certs: Certs, settings: dict[str, object]) -> Iterator[None]:
    common = {"DIR": folder, "CERT": certs.pems["good"], "SIZE_LIMIT": SIZE_LIMIT}
    login = {"USER_NAME": USER, "PASSWORD": PASSWORD}
    extra = {key: str(value) for key, value in (settings | common | login).items()}
    environment = os.environ | extra | {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "LC_ALL": "C"}
    script = ["bash", str(SCRIPTS / f"{name}.sh")]
    output = folder / "script.out"  # a file, since the daemons keep it open: a pipe would never end
    with output.open("wb") as out:
        started = subprocess.run(
            [*script, "start"], env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        )
    try:
        assert started.returncode == 0, f"{name} did not start: {output.read_text(errors='replace')}"
        yield
    finally:
        subprocess.run([*script, "stop"], env=environment, stdin=subprocess.DEVNULL, check=True)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that the servers' own accounts may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="nina-server-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _search(imap: imaplib.IMAP4_SSL, message_id: str) -> list[bytes]:
    bare = message_id.strip("<>").replace("\\", "\\\\").replace('"', '\\"')
    _, found = imap.search(None, "HEADER", "Message-ID", f'"<{bare}>"')
    contents = []
    for number in (found[0] or b"").split():
        _, parts = imap.fetch(number.decode(), "(BODY.PEEK[])")
        contents.append(next(part[1] for part in parts if isinstance(part, tuple)))
    return contents


def _need_root() -> None:
    if os.name != "posix" or os.geteuid() != 0:
        missing("real mail servers need root", "run the tests as root, in a container say")


def _need_programs(*names: str) -> None:
    for name in names:
        if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None:
            missing(f"{name} is not installed")
