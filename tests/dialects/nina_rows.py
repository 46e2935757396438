"""A check for every row of every table of ``nina-smtp-integration-guide.txt``."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from bed.command import Command, Ran
from bed.readers import Attachment, Mail, read_same
from bed.recorder import Recorder
from bed.recording import Message

from nina_smtp.api import read_credential
from nina_smtp.catalog import default_catalog
from nina_smtp.dialects.dialect import read
from nina_smtp.dialects.imported import Fate, Imported
from nina_smtp.errors import InvalidConfiguration

SEED = "nina-smtp-integration-guide.txt"
FIELDS, ENCRYPTION, METHOD = "SMTP Credentials (Basic Auth)", "Encryption Options", "Auth Method Options"
OPERATIONS, SEND = "Email", "Send Email Parameters"
ATTACHMENT = "Each attachment in the attachments array must be an object with:"
USER, PASSWORD = "alerts@corp.example", "hunter-zwölf"
FORM = {"Host": "smtp.office365.com", "Username": USER, "Password": PASSWORD}
MAIL = {"to": ["bob@mail.test"], "subject": "s", "body": "Text"}


def form(**fields: Any) -> dict[str, Any]:
    """The form of the credential, by its labels, for which ``Auth_Method`` stands; None is not there."""
    given = FORM | {label.replace("_", " "): value for label, value in fields.items()}
    return {label: value for label, value in given.items() if value is not None}


def imported(document: Any) -> Imported:
    return read(document, "c", dialect_name="nina")


def data(**fields: Any) -> Any:
    """The credential that the filled-in form becomes."""
    return dict(imported(form(**fields)).credentials["c"]["data"])


def refused(**fields: Any) -> InvalidConfiguration:
    with pytest.raises(InvalidConfiguration) as caught:
        imported(form(**fields))
    assert caught.value.hint
    return caught.value


def node(**parameters: Any) -> dict[str, Any]:
    given = {key: value for key, value in (MAIL | parameters).items() if value is not None}
    return {"resource": "email", "operation": "send", "parameters": given}


@dataclass(frozen=True)
class Bench:
    """A server with TLS that knows one user, and the command."""

    command: Command
    server: Recorder

    def run(self, document: Any = None, **fields: Any) -> Ran:
        """Brings the node and the credential here, and sends with them."""
        account = form(**{"Host": "localhost", "Port": self.server.port} | fields)
        self.command.put("nina.json", {"node": document or node(), "credential": account})
        ran = self.command("import", "nina.json", "--to", "ours", "--force")
        assert ran.status == 0, ran.stderr
        files = ("ours/nina.node.json", "--credential", "ours/nina.credential.json")
        return self.command("send", *files)

    def message(self, **parameters: Any) -> Message:
        """What went over the wire for a node."""
        ran = self.run(node(**parameters))
        assert ran.status == 0, ran.stderr
        return self.server.messages[-1]

    def mail(self, **parameters: Any) -> Mail:
        """What a recipient sees."""
        return read_same(self.message(**parameters).content)

    def lacks(self, **parameters: Any) -> Any:
        """The error of a node that cannot send, before anything is sent."""
        before = len(self.server.sessions)
        ran = self.run(node(**parameters))
        assert (ran.status, len(self.server.sessions)) == (2, before), ran.stderr
        return ran.json["error"]


def _required(key: str, label: str) -> None:
    for nothing in (None, ""):
        assert refused(**{label: nothing}).parameter in (key, label)


def _host(bench: Bench) -> None:
    _required("host", "Host")
    assert data()["host"] == "smtp.office365.com"
    assert bench.run(Host="localhost").status == 0


def _port(bench: Bench) -> None:
    for port in (587, 465, 25, "587"):
        assert data(Port=port)["port"] == int(port)
    for bad in (0, 65536, "many", True, 1.5):
        assert refused(Port=bad).parameter == "Port"
    default = read_credential({"type": "smtp", "data": data()})
    assert default.server.port == 587
    assert bench.run().json["server"]["port"] == bench.server.port


def _encryption(_: Bench) -> None:
    assert "encryption" not in data()
    assert read_credential({"type": "smtp", "data": data()}).server.encryption == "starttls"
    for value in ("starttls", "tls", "none", "STARTTLS"):
        assert data(Encryption=value)["encryption"] == value.lower()
    assert refused(Encryption="ssl").parameter == "Encryption"


def _username(bench: Bench) -> None:
    _required("username", "Username")
    bench.run()
    assert bench.server.sessions[0].exchanges[0].user == USER


def _password(bench: Bench) -> None:
    _required("password", "Password")
    assert data(Password="  $9 ")["password"] == "  $9 "
    bench.run()
    assert bench.server.sessions[0].exchanges[0].password == PASSWORD
    ran = bench.run(Password="wrong")
    assert (ran.status, ran.json["error"]["type"]) == (3, "authFailed")


def _auth_method(bench: Bench) -> None:
    assert "authMethod" not in data()
    assert data(Auth_Method="PLAIN")["authMethod"] == "plain"
    assert refused(Auth_Method="cram-md5").parameter == "Auth Method"
    bench.run()
    assert bench.server.sessions[0].exchanges[0].mechanism == b"LOGIN"


def _pair(value: str, port: int, bench: Bench) -> None:
    server = read_credential({"type": "smtp", "data": data(Encryption=value)}).server
    assert (server.encryption, server.port) == (value, port)
    if value == "starttls":
        assert bench.message().tls
        return
    told = list(imported(form(Encryption=value)).told(Fate.WARNING))
    assert [note.place for note in told] == (["Encryption"] if value == "none" else [])
    with Recorder(tls="none" if value == "none" else "implicit") as server:
        ran = bench.run(Encryption=value, Port=server.port)
    assert ran.status == 0, ran.stderr
    assert server.messages[0].tls == (value == "tls")


def _method(value: str, bench: Bench) -> None:
    bench.run(Auth_Method=value)
    (exchange,) = bench.server.sessions[0].exchanges
    assert (exchange.mechanism.decode().lower(), exchange.accepted) == (value, True)


SETTINGS = {
    "Office 365": ("office365", "smtp.office365.com"),
    "Gmail": ("gmail", "smtp.gmail.com"),
    "AWS SES": ("ses", "email-smtp.eu-west-1.amazonaws.com"),
}


def _setting(service: str, label: str, _: Bench) -> None:
    """What the guide says to fill in is taken as it is, and what our own preset fills in."""
    preset_name, host = SETTINGS[service]
    filled: dict[str, Any] = {"Host": host, "Port": 587, "Encryption": "starttls"}
    found = imported(form(**filled))
    ours = dict(found.credentials["c"]["data"]) | {"authMethod": "login"}
    assert not list(found.told(Fate.WARNING, Fate.LEFT_OUT))
    account = read_credential({"type": "smtp", "data": ours})
    (preset,) = (
        one for one in default_catalog().credential("smtp").presets if one.name == preset_name
    )  # fmt: skip
    key = label.lower()
    if key in preset.values:
        assert str(preset.values[key]).replace("{region}", "eu-west-1") == str(ours[key])
    seen = {
        "host": account.server.host, "port": account.server.port, "encryption": account.server.encryption,
        "username": account.server.mechanism.username,
        "password": account.server.mechanism.password.reveal(),
    }  # fmt: skip
    assert seen[key] == ({**filled, "Username": USER, "Password": PASSWORD})[label]


def _send(bench: Bench) -> None:
    assert bench.message().recipients == [b"bob@mail.test"]
    bench.command.put("bad.json", node() | {"operation": "sned"})
    error = bench.command("import", "bad.json").error
    assert error["parameter"] == "operation"


def _needed(name: str, bench: Bench) -> None:
    for nothing in (None, ""):
        error = bench.lacks(**{name: nothing})
        assert (error["type"], error["parameter"]) == ("missingParameter", name)


def _to(bench: Bench) -> None:
    _needed("to", bench)
    two = ["bob@mail.test", '"Eve, E." <eve@mail.test>']
    assert bench.message(to=two).recipients == [b"bob@mail.test", b"eve@mail.test"]
    assert bench.mail(to=two).to == [("", "bob@mail.test"), ("Eve, E.", "eve@mail.test")]


def _subject(bench: Bench) -> None:
    _needed("subject", bench)
    assert bench.mail(subject="Grüße: 100 %").subject == "Grüße: 100 %"


def _body(bench: Bench) -> None:
    _needed("body", bench)
    assert (bench.mail(body="Zeile 1\nZeile 2").text or "").rstrip() == "Zeile 1\nZeile 2"


def _content_type(bench: Bench) -> None:
    plain, html = bench.mail(body="<p>Hi</p>"), bench.mail(body="<p>Hi</p>", contentType="html")
    assert ((plain.text or "").strip(), plain.html) == ("<p>Hi</p>", None)
    assert ((html.text or "").strip(), (html.html or "").strip()) == ("Hi", "<p>Hi</p>")
    assert bench.mail(contentType="text").html is None
    assert bench.lacks(contentType="markdown")["parameter"] == "contentType"


def _from(bench: Bench) -> None:
    assert bench.message().sender == USER.encode()
    assert bench.mail(**{"from": "SOC <soc@corp.example>"}).from_ == [("SOC", "soc@corp.example")]


def _copies(name: str, bench: Bench) -> None:
    message = bench.message(**{name: ["carol@mail.test"]})
    assert message.recipients == [b"bob@mail.test", b"carol@mail.test"]
    assert (b"carol" in message.content) == (name == "cc")


def _reply_to(bench: Bench) -> None:
    assert b"\r\nReply-To: help@corp.example\r\n" in bench.message(replyTo="help@corp.example").content
    assert b"Reply-To" not in bench.message().content


def _importance(bench: Bench) -> None:
    for value in ("high", "low"):
        assert f"\r\nImportance: {value}\r\n".encode() in bench.message(importance=value).content
    for nothing in (None, "normal"):
        assert b"Importance" not in bench.message(importance=nothing).content
    assert bench.lacks(importance="urgent")["parameter"] == "importance"


def _file(**fields: Any) -> list[dict[str, Any]]:
    whole = {"filename": "audit.csv", "content": b64encode(b"id;event\r\n1;login").decode()} | fields
    return [{key: value for key, value in whole.items() if value is not None}]


def _attachments(bench: Bench) -> None:
    (found,) = bench.mail(attachments=_file()).attachments or ()
    assert isinstance(found, Attachment)
    assert (found.filename, found.content) == ("audit.csv", b"id;event\r\n1;login")
    assert not bench.mail(attachments=[]).attachments


def _filename(bench: Bench) -> None:
    assert bench.lacks(attachments=_file(filename=None))["parameter"] == "attachments[0].filename"
    (found,) = bench.mail(attachments=_file(filename="Prüfung März.pdf")).attachments or ()
    assert found.filename == "Prüfung März.pdf"


def _content(bench: Bench) -> None:
    for bad in (None, "not base64!", "data:text/plain;base64,aGk="):
        assert bench.lacks(attachments=_file(content=bad))["parameter"] == "attachments[0].content"
    (found,) = bench.mail(attachments=_file(content=b64encode(bytes(256)).decode())).attachments or ()
    assert found.content == bytes(256)


@dataclass(frozen=True)
class Row:
    """A row of a table of :data:`SEED`, and the check of what it does."""

    table: str
    name: str
    check: Callable[[Bench], None]

    @property
    def id(self) -> str:
        return f"{self.table}: {self.name}"


TABLE = (
    Row(FIELDS, "Host", _host),
    Row(FIELDS, "Port", _port),
    Row(FIELDS, "Encryption", _encryption),
    Row(FIELDS, "Username", _username),
    Row(FIELDS, "Password", _password),
    Row(FIELDS, "Auth Method", _auth_method),
    Row(ENCRYPTION, "starttls", partial(_pair, "starttls", 587)),
    Row(ENCRYPTION, "tls", partial(_pair, "tls", 465)),
    Row(ENCRYPTION, "none", partial(_pair, "none", 25)),
    Row(METHOD, "login", partial(_method, "login")),
    Row(METHOD, "plain", partial(_method, "plain")),
    *(
        Row(service, label, partial(_setting, service, label))
        for service in SETTINGS
        for label in ("Host", "Port", "Encryption", "Username", "Password")
    ),
    Row(OPERATIONS, "Send", _send),
    Row(SEND, "to", _to),
    Row(SEND, "subject", _subject),
    Row(SEND, "body", _body),
    Row(SEND, "contentType", _content_type),
    Row(SEND, "from", _from),
    Row(SEND, "cc", partial(_copies, "cc")),
    Row(SEND, "bcc", partial(_copies, "bcc")),
    Row(SEND, "replyTo", _reply_to),
    Row(SEND, "importance", _importance),
    Row(SEND, "attachments", _attachments),
    Row(ATTACHMENT, "filename", _filename),
    Row(ATTACHMENT, "content", _content),
)
