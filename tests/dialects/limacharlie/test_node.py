"""The node "LimaCharlie output": what it sends, what it keeps back, and what it makes of failures."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from bed.command import Command, trusting
from bed.mailservers import MailHost
from bed.readers import read_same
from bed.recorder import Recorder
from dialects.limacharlie import elements
from hypothesis import given

from nina_smtp import cli
from nina_smtp.api import read_credential
from nina_smtp.catalog import default_catalog
from nina_smtp.cli.received import verify_message
from nina_smtp.dialects.limacharlie.filters import Filters
from nina_smtp.dialects.limacharlie.mail import Output, seed_of
from nina_smtp.errors import ParameterError
from nina_smtp.message.signature import is_signed
from nina_smtp.node import NodeFailed, Outputs, Task
from nina_smtp.workflow.blobs import NoBlobs
from nina_smtp.workflow.items import Item

NODE = default_catalog().node("limacharlie_output")
CONFIG = {"destEmail": "soc@corp.example", "fromEmail": "lc@corp.example"}
KEY = "the-shared-secret"


def executed(
    server: Recorder, items: Sequence[Mapping[str, Any]], key: str | None = None, **config: Any
) -> Outputs:
    data = {"host": server.host, "port": server.port, "encryption": "none", "authMethod": "none"}
    credential = read_credential({"type": "smtp", "data": {**data, "secretKey": KEY}})
    task = Task(
        {**CONFIG, **config}, [Item(item) for item in items], NoBlobs(), credential=credential, key=key
    )
    return asyncio.run(NODE.execute(task))


@pytest.mark.parametrize(
    ("config", "parameter"),
    [
        ({"destEmail": "soc@"}, "destEmail"),
        ({"ccEmail": ["a@x.example", "b@"]}, "ccEmail"),
        ({"bccEmail": "b@"}, "bccEmail"),
        ({"fromEmail": "a@x.example, b@x.example"}, "fromEmail"),
        ({"subject": "{{ .cat"}, "subject"),
        ({"template": "{{ nothing }}"}, "template"),
        ({"stream": "detection"}, "stream"),
        ({"filters": {"customTransform": '{"a": "b..c"}'}}, "filters.customTransform"),
        ({"filters": {"sampleRate": 0}}, "filters.sampleRate"),
        ({"filters": {"catWhitelist": ["x"]}}, "filters.catWhitelist"),
        ({"onError": "ignore"}, "onError"),
        ({"destMail": "x"}, "destMail"),
    ],
)
def test_what_can_never_be_sent_is_refused_when_it_is_saved(config: dict[str, Any], parameter: str) -> None:
    with pytest.raises(ParameterError) as caught:
        NODE.check({**CONFIG, **config})
    assert (caught.value.parameter or "").startswith(parameter)


def test_one_mail_for_each_element_in_order_and_each_of_its_stream() -> None:
    items = list(elements.BY_STREAM.values())
    with Recorder() as server:
        outputs = executed(server, items)
    assert [item.json["item"] for item in outputs["success"]] == list(range(len(items)))
    assert len(server.messages) == len(items)


def test_an_element_that_is_kept_back_leaves_by_filtered_with_the_reason() -> None:
    with Recorder() as server:
        items = [elements.EVENT, elements.DNS_EVENT, elements.EVENT]
        outputs = executed(server, items, filters={"eventBlackList": ["DNS_REQUEST"]})
    assert [item.json["item"] for item in outputs["success"]] == [0, 2]
    (kept,) = outputs["filtered"]
    assert kept.json["element"] == elements.DNS_EVENT
    assert kept.json["filteredBy"].startswith("event_black_list")
    assert len(server.messages) == 2


def test_no_mail_at_all_is_no_failure() -> None:
    with Recorder() as server:
        outputs = executed(server, [elements.EVENT], filters={"eventWhiteList": ["NONE"]})
    assert not outputs["success"]
    assert not server.messages


def test_a_template_that_fails_for_an_element_does_not_hold_its_mail_back() -> None:
    subject, template = "{{ .cat.deeper }}", "{{ index .detect 7 }}"
    with Recorder() as server:
        outputs = executed(server, [elements.DETECTION], subject=subject, template=template)
    (result,) = outputs["success"]
    assert sum("failed" in warning for warning in result.json["warnings"]) == 2
    mail = read_same(server.messages[0].content)
    assert elements.DETECTION["cat"] in mail.subject
    assert elements.DETECTION["cat"] in (mail.text or "")


def test_a_line_break_in_a_name_makes_no_second_header_and_loses_no_mail() -> None:
    element = {**elements.DETECTION, "cat": "x\r\nBcc: eve@evil.example\r\n\r\nbody"}
    with Recorder() as server:
        executed(server, [element], subject="LC Detection- <Name>")
    (message,) = server.messages
    assert message.recipients == [b"soc@corp.example"]
    assert read_same(message.content).subject == "LC Detection- x Bcc: eve@evil.example body"


def test_a_template_of_ours_in_an_element_or_an_address_is_not_filled_in() -> None:
    element = {**elements.DETECTION, "cat": "{{ secret }}", "secret": "no"}
    with Recorder() as server:
        executed(server, [element], destEmail='"{{ x }}" <soc@corp.example>')
    assert "{{ secret }}" in read_same(server.messages[0].content).subject


def test_a_failed_mail_does_not_stop_those_after_it_unless_it_is_asked_to() -> None:
    refusal = {b"soc@corp.example": b"550 5.1.1 nobody"}
    with Recorder(rcpt_replies=refusal) as server:
        outputs = executed(server, [elements.EVENT] * 3)
        assert [item.json["item"] for item in outputs["error"]] == [0, 1, 2]
        with pytest.raises(NodeFailed) as caught:
            executed(server, [elements.DNS_EVENT, elements.EVENT], onError="fail")
    assert [item.json["status"] for item in caught.value.outputs["error"]] == ["failed", "notAttempted"]


def test_the_same_run_has_the_same_message_ids() -> None:
    with Recorder() as server:
        first = executed(server, [elements.EVENT], key="run-7/output")
        again = executed(server, [elements.EVENT], key="run-7/output")
    assert first["success"][0].json["messageId"] == again["success"][0].json["messageId"]


def test_the_signature_is_over_the_very_text_and_checks_a_webhook_too() -> None:
    with Recorder() as server:
        executed(server, [{**elements.EVENT, "text": "é\r\n ü \u202e \x07"}])
    content = server.messages[0].content
    assert verify_message(content, KEY).lc_signature == "valid"
    posted = (read_same(content).text or "").encode()
    signature = next(
        line.split(b": ")[1] for line in content.split(b"\r\n") if line.startswith(b"Lc-Signature")
    )
    assert is_signed(KEY, posted, signature.decode())
    assert not is_signed(KEY, posted + b" ", signature.decode())
    with pytest.raises(ParameterError):
        is_signed("", posted, signature.decode())


def test_anon_has_a_secret_of_the_key_that_is_not_the_key() -> None:
    output = Output(template="{{ anon .cat }}")
    one = output.letter(elements.DETECTION, seed_of("key")).body
    assert one == output.letter(elements.DETECTION, seed_of("key")).body
    assert one != output.letter(elements.DETECTION, seed_of("other")).body
    assert output.letter(elements.DETECTION).warnings


@given(element=elements.ANY_JSON)
def test_there_is_a_mail_for_any_element(element: Any) -> None:
    item = element if isinstance(element, dict) else {"data": element}
    for readable in (True, False):
        filters = Filters.model_validate({"is_flat": readable, "is_prefix_data": True})
        letter = Output(None, readable, "<Name> {{ .cat }}", None, filters).letter(item)
        assert letter.subject.strip()
        assert letter.subject.isprintable()
        letter.body.encode()


def test_the_example_of_the_documentation_goes_through_postfix(
    postfix: MailHost, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: Any
) -> None:
    example = Path(__file__).parents[3] / "examples/limacharlie"
    text = (example / "1-readable.yaml").read_text()
    for old, new in {
        "smtp.gmail.com": f"localhost:{postfix.tls_port}",
        "soc@corp.com": "bob@mail.test",
        "lc@corp.com": "alice@mail.test",
        "username: lc": f"username: {postfix.user}",
        "password-for-my-lc-email-user": "${LC_PASSWORD}",
    }.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "output.yaml").write_text(text)
    monkeypatch.setenv("LC_PASSWORD", postfix.password)
    with trusting(postfix.ca_pem, monkeypatch):
        status = cli.main(["run", str(tmp_path / "output.yaml"), "--input", str(example / "elements.ndjson")])
    written = capsysbinary.readouterr()
    assert status == 0, written
    assert written.out.count(b'"status": "sent"') == 5


def test_an_element_that_is_plainly_of_another_stream_is_kept_back() -> None:
    with Recorder() as server:
        items = [elements.DETECTION, elements.AUDIT, elements.EVENT, {"odd": 1}]
        outputs = executed(server, items, stream="detect")
    assert [item.json["item"] for item in outputs["success"]] == [0, 3]
    assert [item.json["filteredBy"].split(":")[0] for item in outputs["filtered"]] == ["stream", "stream"]


@pytest.fixture
def output_file(command: Command) -> str:
    text = (Path(__file__).parents[3] / "examples/limacharlie/1-readable.yaml").read_text()
    return command.put("lc.yaml", text)


@pytest.fixture
def command(tmp_path: Path, capsysbinary: Any, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(tmp_path, capsysbinary, monkeypatch)


def local(command: Command, server: Recorder) -> str:
    data = {"host": server.host, "port": server.port, "encryption": "none", "authMethod": "none"}
    return "lc=" + command.put("local.json", {"type": "smtp", "data": data})


def test_with_a_ledger_no_element_is_sent_twice_wherever_it_stands(
    command: Command, output_file: str
) -> None:
    lines = [json.dumps({**elements.DETECTION, "detect_id": str(number)}) for number in range(4)]
    with Recorder() as server:
        run = ("run", output_file, "--credential", local(command, server), "--ledger", "l.db", "--input", "-")
        assert command(*run, stdin="\n".join(lines[:3]).encode()).status == 0
        again = command(*run, stdin="\n".join([lines[3], *lines[1:3]]).encode())
        assert again.status == 0, again.stderr
        with_key = (*run, "--idempotency-key", "k")
        for order in (lines[:2], lines[1::-1]):
            assert command(*with_key, stdin="\n".join(order).encode()).status == 0
    assert len(server.messages) == 4 + 2


def test_without_elements_no_mail_goes_out_and_nothing_is_wrong(command: Command, output_file: str) -> None:
    with Recorder() as server:
        run = ("run", output_file, "--credential", local(command, server))
        assert command(*run).status == 0
        assert command(*run, "--input", "-", stdin=b"\n").status == 0
    assert not server.sessions


def test_why_mails_failed_is_said_once_for_all_of_them(command: Command, output_file: str) -> None:
    with Recorder(rcpt_replies={b"soc@corp.com": b"550 5.1.1 nobody here"}) as server:
        run = ("run", output_file, "--credential", local(command, server), "--input", "-")
        ran = command(*run, stdin=b"\n".join(json.dumps(elements.EVENT).encode() for _ in range(3)))
    assert ran.status == 1
    assert "3 failed: " in ran.stderr
    assert "not signed" in ran.stderr
