"""Hostile input, through the front door: refused by name before anything connects, or carried unharmed.

Each case says where its value goes and what has to become of it: `reject`, `exact` (it arrives exactly as it is)
or `safe` (either of the two, and no rule of the wire is broken).
"""

import base64
import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from bed.invariants import check_no_secret, check_wire
from bed.readers import Mail, read_same
from bed.recorder import SEVEN_BIT, Recorder

import nina_smtp
from nina_smtp.api import read_credential
from nina_smtp.delivery.result import Result, Status
from nina_smtp.errors import InvalidCredential, NinaError

PASSWORD = "s3cr3t-canary"
MAIL = {"from": "a@mail.test", "to": "b@mail.test", "subject": "Subject", "body": "Body\n"}
FILE = {"filename": "file.bin", "content": "AAECAw==", "contentType": "application/octet-stream"}
BUDGET = 1.0  # seconds of processor time for everything before the connection


@dataclass(frozen=True)
class Case:
    """`to` are the recipients of a mail that goes out."""

    id: str
    where: str
    value: Any
    expect: str
    to: tuple[str, ...] = ("b@mail.test",)


# -- what goes where ---------------------------------------------------------------------------------

PARAMETER = {
    "subject": "subject",
    "to": "to",
    "from": "from",
    "hname": "headers",
    "hvalue": "headers",
    "messageId": "messageId",
    "references": "references",
    "filename": "attachments[0].filename",
    "ctype": "attachments[0].contentType",
    "cid": "attachments[0].contentId",
    "attachment": "attachments[0].content",
    "text": "body",
    "html": "body",
    "raw": "rawEmail",
}
FIELD = {"host": "host", "port": "port", "user": "username", "password": "password", "helo": "ehloName"}


def parameters(where: str, value: Any) -> dict[str, Any]:
    """The parameters that a case sets."""
    return {
        "subject": {"subject": value},
        "to": {"to": value},
        "from": {"from": value},
        "hname": {"headers": {value: "1"}} if isinstance(value, str) else {},
        "hvalue": {"headers": {"X-Test": value}},
        "messageId": {"messageId": value},
        "references": {"references": value if isinstance(value, list) else [value]},
        "filename": {"attachments": [FILE | {"filename": value}]},
        "ctype": {"attachments": [FILE | {"contentType": value}]},
        "cid": {"attachments": [FILE | {"contentId": value}]},
        "attachment": {"attachments": [FILE | {"content": value}]},
        "text": {"body": value},
        "html": {"body": value, "contentType": "html"},
        "raw": {"rawEmail": value},
    }[where]


def given(source: str, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A node and an item, with `values` from one of the sources of parameters."""
    node: dict[str, Any] = {"parameters": {key: value for key, value in MAIL.items() if key not in values}}
    if "rawEmail" in values:
        node = {"operation": "sendRaw", "parameters": {}}
    if source == "node":
        node["parameters"] |= {key: {"literal": value} for key, value in values.items()}
        return node, {}
    if source == "input":
        return node, values
    if source == "parameters":
        return node, {"parameters": values}
    return node | {"extract": {key: f"$.alert.{key}_" for key in values}}, {
        "alert": {f"{key}_": value for key, value in values.items()}
    }


def credential(server: Recorder, **fields: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "encryption": "none",
        "username": "alice",
        "password": PASSWORD,
        "authMethod": "plain",
        "ehloName": "client.test",
        "timeouts": {"connect": 5, "greeting": 5, "command": 5, "data": 5, "final": 5},
    } | fields


# -- verdicts ----------------------------------------------------------------------------------------


def deliver(server: Recorder, node: dict[str, Any], item: dict[str, Any], **fields: Any) -> Result:
    """Builds the mail in bounded time, then sends it."""
    account = credential(server, **fields)
    begin = time.process_time()
    with suppress(NinaError):
        nina_smtp.build(node, account, item)
    spent = time.process_time() - begin
    assert spent < BUDGET, f"I8: {spent:.2f} s of processor time"
    (result,) = nina_smtp.send(node, account, [item])
    check_no_secret([json.dumps(result.as_dict()), repr(result), repr(result.error)], [PASSWORD], "alice")
    return result


def check_refused(server: Recorder, result: Result, parameter: str) -> None:
    assert result.status is Status.FAILED, f"it was {result.status.value}"
    assert result.error is not None
    named = result.error.parameter or ""
    assert re.fullmatch(re.escape(parameter) + r"([.\[].*)?", named, re.DOTALL), f"{result.error!r} names {named!r}"
    assert named.isprintable()
    assert result.error.message.isprintable()
    assert result.error.message.isascii() or named == "template"
    assert not server.sessions, "something connected"


def check_sent(server: Recorder, result: Result, to: tuple[str, ...], *headers: str) -> Mail:
    """The mail as every reader sees it."""
    assert result.status is Status.SENT, result.error
    check_wire(server, to, headers=headers)
    return read_same(server.messages[0].content)


def judge(server: Recorder, case: Case, source: str) -> None:
    node, item = given(source, parameters(case.where, case.value))
    result = deliver(server, node, item)
    if case.expect == "reject" or (case.expect == "safe" and result.status is Status.FAILED):
        check_refused(server, result, PARAMETER[case.where])
        return
    extra = {"hname": [case.value], "hvalue": ["X-Test"], "references": ["References"]}.get(case.where, [])
    mail = check_sent(server, result, case.to, *extra)
    if case.where == "raw":
        return
    assert mail.from_ == [("", "a@mail.test")] or case.where == "from"
    if case.where == "subject":
        assert mail.subject == case.value
    elif case.where in ("text", "html"):
        found = mail.text if case.where == "text" else mail.html
        assert found is not None
        wanted = re.sub(r"\r\n?", "\n", case.value)
        assert found.removesuffix("\n") == wanted.removesuffix("\n")
    elif case.where == "attachment":
        assert mail.attachments is not None
        assert mail.attachments[0].content == base64.b64decode("".join(case.value.split()))
    elif case.where == "filename":
        assert mail.attachments is not None
        found = mail.attachments[0].filename
        assert found
        last = re.split(r"[/\\]", case.value)[-1]
        assert found == last or (len(last.encode()) > 255 >= len(found.encode()))
        if case.expect == "exact":
            assert found == case.value
    elif case.where in ("ctype", "cid"):
        assert mail.attachments is not None
        assert [one.content for one in mail.attachments] == [b"\0\1\2\3"]


def corpus(*where: str) -> Iterator[Any]:
    for case in CORPUS:
        if case.where in where:
            yield pytest.param(case, id=case.id)
    for case in SIBLINGS:
        if case.where in where:
            yield pytest.param(case, id=case.id)
