"""One row for every row of every table of the connector's documentation, with what it does here.

The documentation is ``splunk-soar-smtp-connector.md``, version 2.3.2 of the connector. A check sends to a
server that keeps what it got, and looks at that row's own effect.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from bed.oauth import CLIENT_ID, CLIENT_SECRET
from bed.recorder import Recorder
from dialects.soar.running import RECEIVER, SENDER, Connected, Done, Soar

SEED = "splunk-soar-smtp-connector.md"
CONFIGURATION = "configuration variables"
EMAIL, RAW, HTML = "send email", "send rawemail", "send htmlemail"
UNKNOWN = "ab2b2ccfba08ea538ef22f521caa01c3c2b17ccf"
HEADERS = '{"Subject": "Test1", "To": "test3@testdomain.com"}'
FILES = {f"f{number}.txt": f"content {number}".encode() for number in range(7)}
IDS = {name: hashlib.sha1(content).hexdigest() for name, content in FILES.items()}


@dataclass(frozen=True)
class Bench:
    """What a check works with."""

    soar: Soar
    request: pytest.FixtureRequest

    @property
    def connected(self) -> Connected:
        """An account that was connected at its provider, and a mail that went out with its token."""
        found: Connected = self.request.getfixturevalue("connected")
        return found

    def run(self, action: str, asset: Any = None, **parameters: Any) -> Done:
        """The action with the least that it needs, and ``parameters``."""
        least: dict[str, Any] = {"send email": {"to": RECEIVER, "body": "Test body"}, RAW: {}}.get(
            action, {"to": RECEIVER, "html_body": "<p>Hi</p>"}
        )
        for name, content in FILES.items():
            (self.soar.folder / name).write_bytes(content)
        return self.soar(action, least | parameters, asset=asset, vault={IDS[name]: name for name in FILES})


Check = Callable[[Bench], None]


@dataclass(frozen=True)
class Row:
    """A row of a table of the document ``seed``, and the check of what it does."""

    table: str
    name: str
    check: Check
    seed: str = SEED

    @property
    def id(self) -> str:
        return f"{self.table}: {self.name}"


def rows_of(text: str) -> dict[str, list[str]]:
    """The names in the first column of every table of the documentation."""
    found: dict[str, list[str]] = {}
    action, table = "", ""
    for line in text.splitlines():
        if heading := re.fullmatch(r"## action: '(.*)'\s*", line):
            action = heading[1]
        elif heading := re.fullmatch(r"#{3,4} (?:Action )?(.*?)\s*", line):
            table = f"{action} {heading[1]}".strip().lower()
        elif " | " in line and not line.startswith(("VARIABLE", "PARAMETER", "DATA PATH", "---")):
            name = line.split(" | ")[0].replace("\\", "").strip("* ")
            found.setdefault(table, []).append(name)
    return found


# -- the asset ---------------------------------------------------------------------------------------


def server(bench: Bench) -> None:
    assert bench.run(EMAIL, {"server": "gone.invalid"}).status == 3
    assert not bench.soar.recorder.sessions
    assert bench.run(EMAIL, {"server": "localhost"}).status == 0
    assert len(bench.soar.recorder.messages) == 1


def port(bench: Bench) -> None:
    with Recorder() as other:
        assert bench.run(EMAIL, {"port": other.port}).status == 0
        assert len(other.messages) == 1
    assert not bench.soar.recorder.sessions


def login(bench: Bench) -> None:
    bench.soar.recorder.users = {"alice": "pass-wörd"}
    done = bench.run(EMAIL, {"username": "alice", "password": "wrong"})
    assert (done.status, done.result["status"]) == (3, "failed")
    assert bench.run(EMAIL, {"username": "alice", "password": "pass-wörd"}).status == 0
    (exchange,) = bench.soar.recorder.sessions[-1].exchanges
    assert (exchange.mechanism, exchange.user, exchange.password) == (b"PLAIN", "alice", "pass-wörd")


def client_id(bench: Bench) -> None:
    assert bench.connected.asked("/token")["client_id"] == CLIENT_ID


def client_secret(bench: Bench) -> None:
    assert bench.connected.asked("/token")["client_secret"] == CLIENT_SECRET


def auth_url(bench: Bench) -> None:
    asked = bench.connected.asked("/authorize")
    assert (asked["prompt"], asked["access_type"]) == ("consent", "offline")


def token_url(bench: Bench) -> None:
    assert bench.connected.asked("/token")["grant_type"] == "authorization_code"
    assert bench.connected.mechanism == b"XOAUTH2"


def scopes(bench: Bench) -> None:
    assert bench.connected.asked("/authorize")["scope"] == "https://mail.test/ offline_access"


def sender_address(bench: Bench) -> None:
    bench.run(EMAIL, {"sender_address": "SOC <soc@x.test>"})
    assert bench.soar.mail.from_ == [("SOC", "soc@x.test")]
    assert bench.soar.recorder.messages[0].sender == b"soc@x.test"


def ssl_config(bench: Bench) -> None:
    password = {"username": "alice", "password": "pass-wörd", "ssl_config": "StartTLS"}
    done = bench.run(EMAIL, password)
    assert done.printed["delivery"]["error"]["type"] == "tlsRequired"  # the server does not offer it
    assert not bench.soar.recorder.saw_secret("pass-wörd")
    for wanted, offered in (("StartTLS", "starttls"), ("SSL", "implicit")):
        with Recorder(tls=offered) as other:
            done = bench.run(EMAIL, password | {"ssl_config": wanted, "port": other.port})
            assert done.printed["delivery"]["error"]["type"] == "certificateRejected"
            assert not other.messages
    assert bench.run(EMAIL, {"ssl_config": "None"}).status == 0


def allow_smtputf8(bench: Bench) -> None:
    for wish in (True, False):
        assert bench.run(EMAIL, {"allow_smtputf8": wish}, to="jürgen@x.test").status == 0
        assert "SMTPUTF8" in bench.soar.recorder.messages[-1].mail_parameters
        assert bench.run(EMAIL, {"allow_smtputf8": wish}).status == 0
        assert "SMTPUTF8" not in bench.soar.recorder.messages[-1].mail_parameters


def encoding(bench: Bench) -> None:
    bench.run(EMAIL, {"encoding": False}, subject="Grüße ✓", body="Größe")
    assert (bench.soar.mail.subject, bench.soar.mail.text) == ("Grüße ✓", "Größe\n")


# -- the parameters ----------------------------------------------------------------------------------


def from_(action: str) -> Check:
    def check(bench: Bench) -> None:
        bench.run(action, **{"from": "SOC <soc@x.test>"})
        assert bench.soar.mail.from_ == [("SOC", "soc@x.test")]
        assert bench.soar.recorder.messages[0].sender == b"soc@x.test"

    return check


def listed(action: str, key: str) -> Check:
    def check(bench: Bench) -> None:
        bench.run(action, **{key: "A <a@x.test>, b@x.test"})
        others = [] if key == "to" else [RECEIVER]
        assert bench.soar.recipients == [*others, "a@x.test", "b@x.test"]
        shown = {"to": bench.soar.mail.to, "cc": bench.soar.mail.cc, "bcc": None}[key]
        assert shown == (None if key == "bcc" else [("A", "a@x.test"), ("", "b@x.test")])
        assert (b"a@x.test" in bench.soar.recorder.messages[0].content) is (key != "bcc")

    return check


def subject(action: str) -> Check:
    def check(bench: Bench) -> None:
        bench.run(action, subject="{{ Test }}")
        assert bench.soar.mail.subject == "{{ Test }}"

    return check


def headers(action: str) -> Check:
    def check(bench: Bench) -> None:
        bench.run(action, subject="Test", headers=HEADERS.replace("}", ', "X-Case": "7"}'))
        assert bench.soar.headers["x-case"] == "7"
        assert bench.soar.mail.subject == "Test1"
        assert bench.soar.mail.header_names.count("subject") == 1
        assert bench.soar.recipients == [RECEIVER]

    return check


def body(bench: Bench) -> None:
    bench.run(EMAIL, body="<html><p>Hi</p></html>")
    assert bench.soar.mail.html
    assert bench.soar.mail.html.strip() == "<html><p>Hi</p></html>"
    assert (bench.soar.mail.text or "").strip() == "Hi"


def attachments(bench: Bench) -> None:
    done = bench.run(EMAIL, attachments=f"{IDS['f1.txt']}, {IDS['f2.txt']},{UNKNOWN}")
    assert [one.content for one in bench.soar.mail.attachments or []] == [FILES["f1.txt"], FILES["f2.txt"]]
    assert done.message.endswith(f"invalid and were not sent: {UNKNOWN}")


def html_body(bench: Bench) -> None:
    bench.run(HTML, html_body="<p>{{ Hi }}</p>")
    assert (bench.soar.mail.html or "").strip() == "<p>{{ Hi }}</p>"


def text_body(bench: Bench) -> None:
    bench.run(HTML, text_body="This is text body.")
    assert (bench.soar.mail.text or "").strip() == "This is text body."


def attachment_json(bench: Bench) -> None:
    wanted = [{"vault_id": IDS["f6.txt"], "content_id": "a_unique_content_id"}, {"vault_id": IDS["f0.txt"]}]
    bench.run(HTML, attachment_json=json.dumps(wanted), attachment1=IDS["f1.txt"])
    found = [(one.filename, one.content_id) for one in bench.soar.mail.attachments or []]
    assert found == [("f6.txt", "a_unique_content_id"), ("f0.txt", None), ("f1.txt", None)]


def attachment(number: int) -> Check:
    def check(bench: Bench) -> None:
        done = bench.run(HTML, **{f"attachment{number}": UNKNOWN})
        assert (done.status, done.result["status"]) == (2, "failed")
        assert done.message.startswith(f"Error: failed to find vault id: {UNKNOWN}")
        bench.run(HTML, **{f"attachment{number}": IDS[f"f{number}.txt"]})
        assert [one.content for one in bench.soar.mail.attachments or []] == [FILES[f"f{number}.txt"]]

    return check


def content_id(number: int) -> Check:
    def check(bench: Bench) -> None:
        file = {f"attachment{number}": IDS[f"f{number}.txt"], f"content_id{number}": " logo "}
        bench.run(HTML, html_body='<img src="cid:logo">', **file)
        assert [one.content_id for one in bench.soar.mail.attachments or []] == ["logo"]
        assert b"Content-Disposition: inline" in bench.soar.recorder.messages[0].content

    return check


RAW_EMAILS = (
    r"to: receiver@testdomain.com\n from:sender@testdomain.com\n subject: Test\n\nBody Text",
    r"to: receiver@testdomain.com\n from:sender@testdomain.com\n Content-type: text/html\nsubject: HTML Test"
    r"\n<html><body><h2>This is test</h2><br>This is unicode data.</body></html>",
    r"to: receiver1@testdomain.com,receiver2@testdomain.com\nfrom: sender@testdomain.com\n"
    r"subject: CommaSeparated Recipients Test\n\nThis is test data.",
)


def raw_email(bench: Bench) -> None:
    for raw in RAW_EMAILS:
        assert bench.run(RAW, raw_email=raw).message == "Email sent"
    mails = bench.soar.recorder.messages
    assert [len(mail.recipients) for mail in mails] == [1, 1, 2]
    assert [mail.sender.decode() for mail in mails] == [SENDER] * 3
    assert mails[0].content.endswith(b"\r\n\r\nBody Text\r\n")
    assert b"\r\n\r\n<html><body>" in mails[1].content


# -- the action results ------------------------------------------------------------------------------

GIVEN: dict[str, dict[str, Any]] = {
    EMAIL: {
        "attachments": UNKNOWN, "bcc": "test1@testdomain.com", "body": "Test body",
        "cc": "test2@testdomain.com", "from": SENDER, "headers": HEADERS, "subject": "Test", "to": RECEIVER,
    },
    RAW: {"raw_email": RAW_EMAILS[0]},
    HTML: {
        "bcc": "test1@testdomain.com", "cc": "test2@testdomain.com", "from": SENDER, "headers": HEADERS,
        "html_body": "<html><h2>HTML heading</h2><body>HTML body.</body></html>", "subject": "Test",
        "text_body": "This is text body.", "to": RECEIVER,
        "attachment_json": json.dumps([{"vault_id": IDS["f0.txt"]}]),
    }
    | {f"attachment{number}": IDS[f"f{number}.txt"] for number in range(1, 6)}
    | {f"content_id{number}": f"id{number}" for number in range(1, 6)},
}  # fmt: skip


def resolved(printed: Any, path: str) -> Any:
    for step in path.split("."):
        printed = printed[step]
    return printed


def output(action: str, path: str) -> Check:
    def check(bench: Bench) -> None:
        good = bench.run(action, **GIVEN[action])
        bench.soar.recorder.dot_reply = b"554 5.7.1 No\r\n"
        bad = bench.run(action, **GIVEN[action])
        assert (good.status, bad.status) == (0, 1)
        values = (resolved(good.printed, path), resolved(bad.printed, path))
        name = path.rpartition(".")[2]
        if path.startswith("action_result.parameter."):
            assert values == (GIVEN[action][name],) * 2
        elif name == "message":
            assert values[0].startswith("Email sent")
            assert values[1] == "Email send failed. Error Code: 554. Error Message: 5.7.1 No"
        else:
            assert values == {
                "status": ("success", "failed"), "data": ([], []), "summary": ({}, {}),
                "total_objects": (1, 1), "total_objects_successful": (1, 0),
            }[name]  # fmt: skip

    return check


CONFIGURED: dict[str, Check] = {
    "server": server, "port": port, "username": login, "password": login, "client_id": client_id,
    "client_secret": client_secret, "auth_url": auth_url, "token_url": token_url, "scopes": scopes,
    "sender_address": sender_address, "ssl_config": ssl_config, "allow_smtputf8": allow_smtputf8,
    "encoding": encoding,
}  # fmt: skip


def _shared(action: str) -> dict[str, Check]:
    lists: dict[str, Check] = {key: listed(action, key) for key in ("to", "cc", "bcc")}
    return {"from": from_(action), **lists, "subject": subject(action), "headers": headers(action)}


PARAMETERS: dict[str, dict[str, Check]] = {
    EMAIL: _shared(EMAIL) | {"body": body, "attachments": attachments},
    RAW: {"raw_email": raw_email},
    HTML: _shared(HTML)
    | {"html_body": html_body, "text_body": text_body, "attachment_json": attachment_json}
    | {f"attachment{number}": attachment(number) for number in range(1, 6)}
    | {f"content_id{number}": content_id(number) for number in range(1, 6)},
}


def _table() -> Iterator[Row]:
    for name, check in CONFIGURED.items():
        yield Row(CONFIGURATION, name, check)
    for action, checks in PARAMETERS.items():
        for name, check in checks.items():
            yield Row(f"{action} parameters", name, check)
        paths = ["action_result.status", *(f"action_result.parameter.{name}" for name in checks)]
        paths += [f"action_result.{name}" for name in ("data", "summary", "message")]
        for path in (*paths, "summary.total_objects", "summary.total_objects_successful"):
            yield Row(f"{action} output", path, output(action, path))


TABLE = tuple(_table())
