"""Hostile input, through the front door: refused by name before anything connects, or carried unharmed.

Each case says where its value goes and what has to become of it: `reject`, `exact` (it arrives exactly as it
is) or `safe` (either of the two, and no rule of the wire is broken).
"""

import base64
import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from ipaddress import ip_address
from typing import Any

import pytest
from bed.invariants import check_no_secret, check_wire
from bed.readers import Mail, read_all, read_same
from bed.recorder import EVERYTHING, SEVEN_BIT, Recorder
from hostile import MORE, Case, read_corpus

import nina_smtp
from nina_smtp.api import read_credential
from nina_smtp.delivery.result import Result, Status
from nina_smtp.errors import FeatureUnavailable, InvalidCredential, NinaError

PASSWORD = "s3cr3t-canary"
MAIL = {"from": "a@mail.test", "to": "b@mail.test", "subject": "Subject", "body": "Body\n"}
FILE = {"filename": "file.bin", "content": "AAECAw==", "contentType": "application/octet-stream"}
BUDGET = 1.0  # seconds of processor time for everything before the connection
LARGE = 50_000  # characters; larger mails are built, but not sent and read
CASES = [*read_corpus(), *MORE]


def cases(*where: str) -> list[Any]:
    return [pytest.param(case, id=case.id) for case in CASES if case.where in where]


def test_every_case_of_the_corpus_is_judged_here() -> None:
    assert {case.where for case in CASES} == {
        *PARAMETER,
        *FIELD,
        "template",
        "token",
    }  # a token is not for smtp


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


def credential(server: Recorder, **values: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "encryption": "none",
        "username": "alice",
        "password": PASSWORD,
        "authMethod": "plain",
        "ehloName": "client.test",
        "timeouts": {"connect": 5, "greeting": 5, "command": 5, "data": 5, "final": 5},
    } | values


# -- verdicts ----------------------------------------------------------------------------------------


def deliver(
    server: Recorder, node: dict[str, Any], item: dict[str, Any], *, dry_run: bool = False, **values: Any
) -> Result:
    """Builds the mail in bounded time, then sends it; no secret shows in what comes of it."""
    account = credential(server, **values)
    begin = time.process_time()
    with suppress(NinaError):
        nina_smtp.build(node, account, item)
    spent = time.process_time() - begin
    assert spent < BUDGET, f"I8: {spent:.2f} s of processor time"
    (result,) = nina_smtp.send(node, account, [item], dry_run=dry_run)
    secret = account["password"]
    if isinstance(secret, str) and 6 < len(secret) < 1000 and "\ud800" not in secret:
        check_no_secret([json.dumps(result.as_dict()), repr(result), repr(result.error)], [secret], "alice")
    return result


def check_refused(server: Recorder, result: Result, parameter: str) -> None:
    """By the name of what is wrong, in words fit for a log, before anything connected."""
    assert result.status is Status.FAILED, f"it was {result.status.value}"
    assert result.error is not None
    named = result.error.parameter or ""
    assert re.fullmatch(re.escape(parameter) + r"([.\[].*)?", named, re.DOTALL), (
        f"{result.error!r} names {named!r}"
    )
    for text in (named, result.error.message, result.error.hint or ""):
        assert text.isprintable(), text
        assert len(text) < 1000
    assert result.error.message.isascii()
    assert not server.sessions, "something connected"


def read(raw: bytes, *blind: str) -> Mail:
    """The mail as every reader but the `blind` ones sees it."""
    if not blind:
        return read_same(raw)
    first, *others = (mail for name, mail in read_all(raw).items() if name not in blind)
    for other in others:
        for name in (item.name for item in fields(Mail) if item.name not in ("text", "html")):
            here, there = getattr(first, name), getattr(other, name)
            assert here is None or there is None or here == there
    return first


def blind(case: Case) -> list[str]:
    """Readers that misread what is right on the wire."""
    if case.where == "filename":
        odd = case.value != case.value.strip() or case.value.startswith("<")
        stripped = ["python"] if odd else []  # get_filename strips blanks, and angle brackets as if quotes
        return stripped + (["node"] if "=?" in case.value else [])  # it decodes RFC 2047 even inside RFC 2231
    return [] if all(map(str.isascii, case.to)) else ["python"]  # it reads UTF-8 headers as surrogates


def judge(server: Recorder, case: Case, source: str) -> None:
    node, item = given(source, parameters(case.where, case.value))
    large = len(str(case.value)) > LARGE
    result = deliver(server, node, item, dry_run=large)
    if case.expect == "reject" or (case.expect == "safe" and result.status is Status.FAILED):
        check_refused(server, result, PARAMETER[case.where])
        return
    if large:
        assert result.status is Status.DRY_RUN
        return
    assert result.status is Status.SENT, result.error
    extra = {"hname": [case.value], "hvalue": ["X-Test"], "references": ["References"]}.get(case.where, [])
    check_wire(server, case.to, headers=extra)
    if case.where != "raw":
        mail = read(server.messages[0].content, *blind(case))
        assert mail.from_ == [("", "a@mail.test")]
        check_exact(case, mail)


def check_exact(case: Case, mail: Mail) -> None:
    """That the mail says what the case says, where a mail can say it."""
    value = case.value
    if case.where == "subject":
        assert mail.subject == value
    elif case.where in ("text", "html"):
        found = mail.text if case.where == "text" else mail.html
        assert found is not None
        assert found.removesuffix("\n") == re.sub(r"\r\n?", "\n", value).removesuffix("\n")
    elif case.where in ("attachment", "filename", "ctype", "cid"):
        assert mail.attachments is not None
        (attachment,) = mail.attachments
        content = value if case.where == "attachment" else FILE["content"]
        assert attachment.content == base64.b64decode("".join(content.split()))
        if case.where == "filename":
            last = re.split(r"[/\\]", value)[-1]
            assert attachment.filename is not None
            assert len(attachment.filename.encode()) <= 255
            assert attachment.filename == last or len(last.encode()) > 255
            assert case.expect != "exact" or attachment.filename == value


# -- messages ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Libraries that are imported when first needed are on nobody's budget."""
    values = {
        "to": "ü@bücher.test",
        "attachments": [FILE | {"contentType": None}],
        "body": "{{ a | default: 1 }}",
    }
    nina_smtp.build(
        {"parameters": MAIL | values, "extract": {"cc": "$..cc"}}, {"host": "x.test", "authMethod": "none"}
    )


@pytest.mark.parametrize("case", cases(*PARAMETER))
def test_a_parameter_is_refused_or_arrives(case: Case) -> None:
    for source in sources(case):
        with Recorder() as server:
            judge(server, case, source)


def sources(case: Case) -> list[str]:
    """Those that can say it: an empty value of the data is no value."""
    inside = case.where in ("hname", "hvalue", "references", "filename", "ctype", "cid", "attachment")
    if (case.value == "" and not inside) or len(str(case.value)) > LARGE:
        return ["node"]
    return ["node", "input", "parameters", "extract"] if case.of_corpus else ["node", "extract"]


def test_a_text_of_a_single_item_is_a_body() -> None:
    """The fifth way in: text, which is the body whatever it looks like."""
    node = {"parameters": {key: value for key, value in MAIL.items() if key != "body"}}
    for text in ("{{ 7*7 }}", "foo\r\n.\r\nMAIL FROM:<evil@evil.test>\r\n", '{"to": "evil@evil.test"}'):
        with Recorder() as server:
            (result,) = nina_smtp.send(node, credential(server), text)
            assert result.status is Status.SENT
            check_wire(server, ["b@mail.test"])
            assert (read_same(server.messages[0].content).text or "").rstrip("\n") == text.replace(
                "\r", ""
            ).rstrip("\n")


# -- addresses that need SMTPUTF8 --------------------------------------------------------------------


@pytest.mark.parametrize("keywords", [SEVEN_BIT, (*SEVEN_BIT, "8BITMIME")])
def test_utf8_addresses_are_refused_one_by_one_where_smtputf8_is_not_offered(
    keywords: tuple[str, ...],
) -> None:
    values = MAIL | {"to": ["ü@mail.test", "B <b@mail.test>"], "cc": "😀 <😀@mail.test>", "body": "grün\n"}
    with Recorder(keywords) as server:
        (result,) = nina_smtp.send({"parameters": values}, credential(server))
        assert result.status is Status.PARTIAL
        assert [refusal.address for refusal in result.rejected] == ["ü@mail.test", "😀@mail.test"]
        assert not any(refusal.reply.is_transient for refusal in result.rejected)
        check_wire(server, ["b@mail.test"], headers=["Cc"])
        mail = read_same(server.messages[0].content)
        assert mail.to == [("B", "b@mail.test")]
        assert mail.cc == []
        assert mail.text == "grün\n"


def test_a_utf8_address_alone_is_a_permanent_error_without_smtputf8() -> None:
    for values in ({"to": "ü@mail.test"}, {"from": "ü@mail.test"}):
        with Recorder(SEVEN_BIT) as server:
            (result,) = nina_smtp.send({"parameters": MAIL | values}, credential(server))
            assert isinstance(result.error, FeatureUnavailable)
            assert not result.error.retry
            assert not server.transactions


def test_a_utf8_sender_goes_out_with_smtputf8_only() -> None:
    with Recorder(EVERYTHING) as server:
        (result,) = nina_smtp.send({"parameters": MAIL | {"from": "Ü <ü@mail.test>"}}, credential(server))
        assert result.status is Status.SENT
        check_wire(server, ["b@mail.test"], sender="ü@mail.test")


# -- credentials -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("user", "password"))
@pytest.mark.parametrize("method", ["plain", "login"])
def test_a_login_is_refused_or_used_to_the_letter(case: Case, method: str) -> None:
    field = FIELD[case.where]
    with Recorder() as server:
        result = deliver(server, {"parameters": MAIL}, {}, **{field: case.value, "authMethod": method})
        if case.expect == "reject" or (case.expect == "safe" and result.status is Status.FAILED):
            check_refused(server, result, field)
            return
        assert result.status is Status.SENT, result.error
        check_wire(server, ["b@mail.test"])
        (exchange,) = server.sessions[0].exchanges
        wanted = {"username": "alice", "password": PASSWORD} | {field: case.value}
        assert (exchange.user, exchange.password) == (wanted["username"], wanted["password"])


@pytest.mark.parametrize("case", cases("helo"))
def test_a_name_for_ehlo_is_refused_or_said(case: Case) -> None:
    with Recorder() as server:
        result = deliver(server, {"parameters": MAIL}, {}, ehloName=case.value)
        if case.expect == "reject" or result.status is Status.FAILED:
            check_refused(server, result, "ehloName")
            return
        check_wire(server, ["b@mail.test"])


@pytest.mark.parametrize("case", cases("port"))
def test_a_port_is_a_whole_number_in_range(case: Case) -> None:
    with Recorder() as server:
        account = credential(server, port=case.value)
        if case.expect == "safe":
            assert read_credential(account).server.port == (case.value or 25)
        else:
            (result,) = nina_smtp.send({"parameters": MAIL}, account)
            check_refused(server, result, "port")


@pytest.mark.parametrize("case", cases("host"))
def test_a_host_is_a_name_or_an_address(case: Case) -> None:
    with Recorder() as server:
        account = credential(server, host=case.value)
        begin = time.process_time()
        host = _read_host(account)
        assert time.process_time() - begin < BUDGET
        if host is None:
            (result,) = nina_smtp.send({"parameters": MAIL}, account)
            check_refused(server, result, "host")
            return
        assert case.expect == "safe", f"it was read as {host!r}"
        assert re.fullmatch(r"[a-z0-9_.-]+|[0-9a-f:.]+", host), "what is checked is what is connected to"
        if host == "localhost" or (":" not in host and _is_here(host)):
            (result,) = nina_smtp.send({"parameters": MAIL}, account)
            assert (result.status is Status.SENT) == bool(server.messages)
            assert server.messages or not server.sessions


def _read_host(account: dict[str, Any]) -> str | None:
    """None if it is refused."""
    with suppress(InvalidCredential):
        return str(read_credential(account).server.host)
    return None


def _is_here(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


# -- templates ---------------------------------------------------------------------------------------

LEAK = re.compile(r"uid=|root:|<class|<built-in|<function|<module|object at 0x|\[native code")


@pytest.mark.parametrize("case", cases("template"))
@pytest.mark.parametrize("name", ["body", "subject", "to", "attachments"])
def test_a_template_of_the_node_is_refused_or_harmless(case: Case, name: str) -> None:
    value = [FILE | {"filename": case.value}] if name == "attachments" else case.value
    with Recorder() as server:
        result = deliver(server, {"parameters": MAIL | {name: value}}, {"alert": {"subject": "x"}})
        if result.status is Status.FAILED:
            check_refused(server, result, name)
            return
        check_wire(server, ["b@mail.test"])
        mail = read(server.messages[0].content, *(["python"] if name == "attachments" else []))
        assert mail.text is not None
        for text in (mail.text, mail.subject, str(mail.attachments)):
            assert not LEAK.search(text)
            assert len(text) <= 5_000_000


@pytest.mark.parametrize("case", cases("template"))
@pytest.mark.parametrize("source", ["node", "input", "parameters", "extract"])
def test_what_looks_like_a_template_in_data_arrives_as_it_is(case: Case, source: str) -> None:
    values: Mapping[str, Any] = {"body": case.value, "subject": case.value[:500].strip()}
    with Recorder() as server:
        result = deliver(server, *given(source, dict(values)))
        assert result.status is Status.SENT, result.error
        check_wire(server, ["b@mail.test"])
        mail = read_same(server.messages[0].content)
        assert (mail.text or "").rstrip("\n") == case.value
        assert mail.subject == values["subject"]
