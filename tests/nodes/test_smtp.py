"""The SMTP node: merging, building and sending, by the contract's sections 2 to 5."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from email import message_from_bytes, policy  # noqa: TID251  a reader that is not ours
from email.message import EmailMessage  # noqa: TID251
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from bed.invariants import check_no_secret, check_wire
from bed.recorder import Recorder

import nina_smtp
from nina_smtp.catalog import default_catalog
from nina_smtp.delivery.mailnode import Built, Depth
from nina_smtp.delivery.result import Result, Results, Status
from nina_smtp.errors import MissingParameter, NinaError, ParameterError
from nina_smtp.node import NodeFailed, Task
from nina_smtp.workflow.blobs import FolderBlobStore
from nina_smtp.workflow.items import Item, Origin

NODE = default_catalog().node("smtp")
CREDENTIAL = {"host": "mail.test", "username": "soc@corp.test", "password": "S3cret-pässword"}
SIMPLE = {"to": ["jane@corp.test"], "subject": "Hello", "body": "Text"}
CSV = base64.b64encode(b"id,x\n1,2\n").decode()


def built(parameters: dict[str, Any] | None = None, item: Any = None, /, **rest: Any) -> Built:
    credential = rest.pop("credential", CREDENTIAL)
    blobs = rest.pop("blobs", None)
    return nina_smtp.build({"parameters": SIMPLE | (parameters or {}), **rest}, credential, item, blobs=blobs)


def refused(parameters: dict[str, Any] | None = None, item: Any = None, /, **rest: Any) -> dict[str, Any]:
    with pytest.raises(NinaError) as caught:
        built(parameters, item, **rest)
    return caught.value.as_dict()


def read(mail: Built | bytes) -> EmailMessage:
    found = message_from_bytes(mail if isinstance(mail, bytes) else mail.bytes, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


@pytest.fixture
def server() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder


def credential_of(server: Recorder, **more: Any) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "encryption": "none",
        "authMethod": "none",
        "fromAddress": "SOC <soc@corp.test>",
        **more,
    }


def sent(server: Recorder, items: Any, parameters: dict[str, Any] | None = None, **options: Any) -> Results:
    node = {"parameters": SIMPLE | (parameters or {}), "options": options}
    return nina_smtp.send(node, credential_of(server), items)


class TestWhatTheNodeSaysIsWrong:
    @pytest.mark.parametrize(
        ("config", "parameter", "words"),
        [
            ({"resource": "mail"}, "resource", "email"),
            ({"operation": "sendAll"}, "operation", "send"),
            ({"paramters": {}}, "paramters", "not a known field"),
            ({"parameters": {"subjct": "x"}}, "subjct", "not a parameter"),
            ({"parameters": []}, "parameters", "object"),
            ({"extract": {"subject": 5}}, "extract.subject", "string"),
            ({"extract": {"subjct": "$.x"}}, "extract.subjct", "not a parameter"),
            ({"extract": {"subject": "$["}}, "extract.subject", "not a JSONPath"),
            ({"parameters": {"body": "{{ x"}}, "body", "do not close"),
            ({"parameters": {"reply_to": "x", "replyTo": "x"}}, "replyTo", "two spellings"),
            ({"options": {"mode": "all"}}, "options.mode", "each"),
            ({"options": {"onError": "stop"}}, "options.onError", "continue"),
            ({"options": {"onPartial": "stop"}}, "options.onPartial", "warn"),
            ({"options": {"onUncertain": "retry"}}, "options.onUncertain", "resend"),
            ({"options": {"autoExtract": True}}, "options.autoExtract", "content"),
            ({"options": {"maxItems": 0}}, "options.maxItems", "greater"),
            ({"options": {"maxItems": "5"}}, "options.maxItems", "integer"),
            ({"options": {"onEror": "fail"}}, "options.onEror", "not a known field"),
        ],
    )
    def test_names_the_field(self, config: dict[str, Any], parameter: str, words: str):
        with pytest.raises(ParameterError) as caught:
            NODE.check(config)
        error = caught.value.as_dict()
        assert error["parameter"] == parameter
        assert error["source"] == "node"
        assert words in error["message"]

    @pytest.mark.parametrize(
        ("config", "meant"),
        [
            ({"paramters": {}}, "parameters"),
            ({"options": {"onEror": 1}}, "onError"),
            ({"parameters": {"reply-to": 1}}, "replyTo"),
        ],
    )
    def test_says_what_was_probably_meant(self, config: dict[str, Any], meant: str):
        with pytest.raises(ParameterError) as caught:
            NODE.check(config)
        assert caught.value.hint == f"Did you mean {meant}?"

    def test_is_the_error_of_every_result_and_nothing_is_connected_to(self, server: Recorder):
        results = nina_smtp.send({"parameters": {"subjct": "x"}}, credential_of(server), [{}, {}])
        assert [result["error"]["type"] for result in results.as_dicts()] == ["unknownParameter"] * 2
        assert server.sessions == []

    def test_without_a_credential(self):
        with pytest.raises(NinaError, match="The node has no credential"):
            asyncio.run(NODE.execute(Task({"parameters": SIMPLE}, [Item({})], blobs=None)))  # type: ignore[arg-type]


class TestParameters:
    @pytest.mark.parametrize("name", ["to", "subject", "body"])
    def test_required_ones_are_missed(self, name: str):
        error = refused({name: ""})
        assert error["type"] == "missingParameter"
        assert error["parameter"] == name

    def test_only_of_the_node_leave_the_data_to_its_templates(self):
        evil = "evil@evil.example"
        item = {
            "cc": evil,
            "parameters": {"bcc": evil, "subject": "no"},
            "body": "no",
            "deep": {"subject": "n"},
        }
        node = {
            "parameters": {
                "to": "a@x.test",
                "from": "b@x.test",
                "subject": "{{ deep.subject }}",
                "body": "b",
            },
            "extract": {"replyTo": "$.cc"},
            "options": {"sources": "node"},
        }
        built = nina_smtp.build(node, CREDENTIAL, item)
        assert built.envelope.recipients == ("a@x.test",)
        assert {name: source.source for name, source in built.sources.items()} == {
            "to": "node", "from": "node", "subject": "node", "body": "node", "replyTo": "extracted"
        }  # fmt: skip
        with pytest.raises(MissingParameter):
            nina_smtp.build({**node, "parameters": {"to": "a@x.test"}}, CREDENTIAL, item)

    def test_a_mail_behind_a_mail_has_a_name_of_its_own(self):
        node = {"parameters": dict(SIMPLE)}
        result = Result(Status.SENT, 0, message_id="<1@x.test>").as_dict()
        assert result["messageId"] == "<1@x.test>"
        assert nina_smtp.build(node, CREDENTIAL, result).message.message_id != "<1@x.test>"
        of_the_data = nina_smtp.build(node, CREDENTIAL, {"messageId": "<1@x.test>"})
        assert of_the_data.message.message_id == "<1@x.test>"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("to", {"a": 1}),
            ("to", 5),
            ("to", [5]),
            ("to", ["a@x.test", None]),
            ("to", True),
            ("subject", ["x"]),
            ("body", {"a": 1}),
            ("contentType", "markdown"),
            ("contentType", True),
            ("from", ["a@x.test"]),
            ("importance", "urgent"),
            ("attachments", "x"),
            ("attachments", ["x"]),
            ("attachments", [5]),
            ("headers", ["x"]),
            ("headers", {"X-A": 5}),
            ("replyTo", 5),
            ("inReplyTo", ["<a@b>"]),
            ("references", 5),
            ("messageId", 5),
            ("envelopeFrom", 5),
            ("textBody", 5),
        ],
    )
    @pytest.mark.parametrize("source", ["node", "input", "extracted"])
    def test_of_a_wrong_type_are_named_with_their_source(self, name: str, value: Any, source: str):
        parameters = {key: one for key, one in SIMPLE.items() if key != name}
        if source == "node":
            node, item = {"parameters": parameters | {name: value}}, {}
        else:
            node, item = (
                {"parameters": parameters},
                {name: value} if source == "input" else {"parameters": {name: value}},
            )
        with pytest.raises(ParameterError) as caught:
            nina_smtp.build(node, CREDENTIAL, item)
        error = caught.value.as_dict()
        assert error["parameter"].partition("[")[0] == name
        assert error["source"] == source

    def test_a_list_takes_one_value_or_a_comma_separated_text(self):
        assert built({"to": "a@x.test"}).envelope.recipients == ("a@x.test",)
        text = 'SOC <soc@corp.test>, "Doe, Jane" <jane@corp.test>'
        assert built({"to": text}).envelope.recipients == ("soc@corp.test", "jane@corp.test")
        assert built({"to": ["a@x.test", "B <b@x.test>"]}).envelope.recipients == ("a@x.test", "b@x.test")

    def test_cc_and_bcc_get_it_and_bcc_is_not_seen(self):
        mail = built({"cc": "c@x.test", "bcc": ["b@x.test"]})
        assert mail.envelope.recipients == ("jane@corp.test", "c@x.test", "b@x.test")
        assert b"b@x.test" not in mail.bytes

    def test_the_sender_is_the_parameter_then_the_credential_s_then_the_username(self):
        account = CREDENTIAL | {"fromAddress": "SOC <from@corp.test>"}
        assert str(read(built({"from": "a@x.test"}, credential=account))["From"]) == "a@x.test"
        assert str(read(built(credential=account))["From"]) == "SOC <from@corp.test>"
        assert str(read(built())["From"]) == "soc@corp.test"
        assert built({"from": ""}).sources["from"].source == "credential"
        assert built({"from": "a@x.test"}).sources["from"].source == "node"

    def test_without_any_sender_from_is_missing(self):
        error = refused(credential=CREDENTIAL | {"username": "apikey"})
        assert (error["type"], error["parameter"]) == ("missingParameter", "from")

    def test_a_bad_sender_is_named(self):
        assert refused({"from": "nobody"}) | {"message": "", "hint": ""} == {
            "type": "invalidAddress",
            "message": "",
            "hint": "",
            "parameter": "from",
            "source": "node",
            "retry": False,
            "uncertain": False,
        }

    def test_the_envelope_sender_is_from_or_its_own_or_nobody(self):
        assert built().envelope.sender == "soc@corp.test"
        assert built({"envelopeFrom": "bounces@corp.test"}).envelope.sender == "bounces@corp.test"
        assert built({"envelopeFrom": ""}).envelope.sender == ""
        assert built({"envelopeFrom": {"literal": ""}}).envelope.sender == ""
        assert built({}, {"envelopeFrom": ""}).envelope.sender == ""
        assert built({"envelopeFrom": None}).envelope.sender == "soc@corp.test"

    def test_importance_is_three_headers_or_none(self):
        assert not {"Importance", "X-Priority", "X-MSMail-Priority"} & set(read(built()).keys())
        assert not {"Importance", "X-Priority", "X-MSMail-Priority"} & set(
            read(built({"importance": "normal"})).keys()
        )
        assert read(built({"importance": "high"}))["Importance"].lower() == "high"
        assert read(built({"importance": "low"}))["X-Priority"].startswith("5")

    def test_html_brings_its_text_along(self):
        mail = read(built({"contentType": "html", "body": "<p>Hello</p>"}))
        assert mail.get_content_type() == "multipart/alternative"
        plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
        assert plain
        assert html
        assert plain.get_content().strip() == "Hello"
        assert (
            read(built({"contentType": "html", "body": "<p>x</p>", "textBody": ""})).get_content_type()
            == "text/html"
        )
        own = read(built({"contentType": "html", "body": "<p>x</p>", "textBody": "mine"})).get_body(
            ("plain",)
        )
        assert own
        assert own.get_content().strip() == "mine"

    def test_a_text_body_beside_text_is_a_warning(self):
        assert "textBody is only used beside an HTML body" in " ".join(built({"textBody": "x"}).warnings)

    def test_threads(self):
        mail = read(built({"in_reply_to": "<1@x>", "references": "<0@x> <1@x>", "messageId": "<2@x>"}))
        assert (mail["In-Reply-To"], mail["References"].split(), mail["Message-ID"]) == (
            "<1@x>",
            ["<0@x>", "<1@x>"],
            "<2@x>",
        )

    def test_headers(self):
        assert read(built({"headers": {"X-Alert": "{{ id }}"}}, {"id": "7"}))["X-Alert"] == "7"
        for name in ("Bcc", "To", "Subject", "Content-Type", "X A", "X-A\r\nBcc"):
            assert refused({"headers": {name: "x"}})["parameter"].startswith("headers.")
        assert (
            refused({"headers": {"X-A": "{{ v }}"}}, {"v": "x\r\nBcc: evil@evil.test"})["parameter"]
            == "headers.X-A"
        )

    def test_html_escapes_what_is_inserted_and_text_does_not(self):
        item = {"v": "<b>&</b>"}
        html = read(built({"contentType": "html", "body": "<p>{{ v }}</p>"}, item)).get_body(("html",))
        assert html
        assert html.get_content().strip() == "<p>&lt;b&gt;&amp;&lt;/b&gt;</p>"
        html = read(built({"body": "<p>{{ v }}</p>"}, item | {"contentType": "html"})).get_body(("html",))
        assert html
        assert "&lt;b&gt;" in html.get_content(), "that it is HTML may come from the input too"
        assert read(built({"body": "<p>{{ v }}</p>"}, item)).get_content().strip() == "<p><b>&</b></p>"
        raw = read(built({"contentType": "html", "body": "<p>{{ v | raw }}</p>"}, item)).get_body(("html",))
        assert raw
        assert "<b>&</b>" in raw.get_content()
        assert read(built({"subject": "{{ v }}!"}, item | {"contentType": "html"}))["Subject"] == "<b>&</b>!"


class TestRecipientsFromTemplates:
    @pytest.mark.parametrize(
        "email", ["a@x.test, evil@evil.test", "x <evil@evil.test>", "a@x.test\r\nBcc: evil@evil.test"]
    )
    @pytest.mark.parametrize("name", ["to", "cc", "bcc", "replyTo", "from", "envelopeFrom"])
    def test_a_value_adds_no_recipient(self, name: str, email: str):
        error = refused({name: "SOC <soc@corp.test>, {{ user.email }}"}, {"user": {"email": email}})
        assert (error["type"], error["parameter"], error["source"]) == ("templateError", name, "node")

    def test_an_element_adds_one_at_most(self):
        error = refused(
            {"to": ["soc@corp.test", "{{ user.email }}"]}, {"user": {"email": "a@x.test, evil@evil.test"}}
        )
        assert (error["type"], error["parameter"]) == ("templateError", "to[1]")
        mail = built({"to": ["soc@corp.test", "{{ user }}"]}, {"user": "Ann <a@x.test>"})
        assert mail.envelope.recipients == ("soc@corp.test", "a@x.test")

    @pytest.mark.parametrize("owners", ["a@x.test, B <b@x.test>", ["a@x.test", "B <b@x.test>"]])
    def test_a_whole_parameter_may_be_a_list(self, owners: Any):
        assert built({"to": "{{ owners }}"}, {"owners": owners}).envelope.recipients == (
            "a@x.test",
            "b@x.test",
        )

    def test_a_name_goes_between_quotes(self):
        mail = built({"to": '"{{ name }}" <{{ email }}>'}, {"name": "Doe, Jane", "email": "jane@x.test"})
        assert mail.envelope.recipients == ("jane@x.test",)
        assert read(mail)["To"].addresses[0].display_name == "Doe, Jane"


class TestAttachments:
    def test_whatever_is_wrong_has_its_place(self):
        for attachment, parameter, words in [
            ({"filename": "a.csv"}, "attachments[1].content", "required"),
            ({"content": CSV}, "attachments[1].filename", "needs filename"),
            (
                {"filename": "a.csv", "content": CSV, "blob": "sha256:" + "0" * 64},
                "attachments[1].content",
                "exclude",
            ),
            ({"filename": "a.csv", "content": "/etc/passwd!"}, "attachments[1].content", "not base64"),
            (
                {"filename": "a.csv", "content": "data:text/csv;base64,aaaa"},
                "attachments[1].content",
                "not base64",
            ),
            ({"filename": "a.csv", "content": "a-_="}, "attachments[1].content", "not base64"),
            ({"filename": "a.csv", "content": "YQ"}, "attachments[1].content", "multiple of 4"),
            ({"filename": "a.csv", "content": "YR=="}, "attachments[1].content", "bits"),
            ({"filename": "a.csv", "path": "/etc/passwd"}, "attachments[1].path", "not a field"),
            (
                {"filename": "a.csv", "content": CSV, "disposition": "hidden"},
                "attachments[1].disposition",
                "attachment",
            ),
            ({"filename": "a\nb", "content": CSV}, "attachments[1].filename", "U+000A"),
            (
                {"filename": "a.csv", "content": CSV, "contentType": "csv"},
                "attachments[1].contentType",
                "content type",
            ),
            (
                {"filename": "a.csv", "content": CSV, "contentId": "a b"},
                "attachments[1].contentId",
                "content id",
            ),
            ("file.csv", "attachments[1]", "it is an object"),
            ({"filename": "a.csv", "blob": "sha256:" + "0" * 64}, "attachments[1].blob", "another host"),
            ({"filename": "a.csv", "blob": "../../etc/passwd"}, "attachments[1].blob", ""),
        ]:
            error = refused({"attachments": [{"filename": "ok.csv", "content": CSV}, attachment]})
            assert error["parameter"] == parameter, (attachment, error)
            assert error["source"] == "node"
            assert words in error["message"], (attachment, error)

    def test_the_source_of_a_bad_one_is_told(self):
        error = refused({}, {"attachments": [{"filename": "a.csv", "content": "?"}]})
        assert (error["parameter"], error["source"]) == ("attachments[0].content", "input")

    def test_a_misspelt_field_names_the_one_that_was_meant(self):
        assert (
            refused({"attachments": [{"file_name": "a", "content": CSV}]})["hint"] == "Did you mean filename?"
        )

    def test_come_whole(self):
        (part,) = read(
            built({"attachments": [{"filename": "Übersicht.csv", "content": CSV}]})
        ).iter_attachments()
        assert part.get_filename() == "Übersicht.csv"
        assert part.get_payload(decode=True) == b"id,x\n1,2\n"
        assert part.get_content_type() == "text/csv"
        assert part.get_content_disposition() == "attachment"

    def test_one_may_stand_for_a_list_of_one(self):
        assert (
            len(list(read(built({"attachments": {"filename": "a.csv", "content": CSV}})).iter_attachments()))
            == 1
        )
        assert (
            len(
                list(
                    read(
                        built({"attachments": "{{ f }}"}, {"f": {"filename": "a", "content": CSV}})
                    ).iter_attachments()
                )
            )
            == 1
        )

    def test_a_file_of_an_earlier_node_is_all_the_wiring_there_is(self, tmp_path: Path):
        store = FolderBlobStore(tmp_path)
        reference, size = store.put([b"stored"])
        file = {"filename": "s.bin", "blob": reference, "contentType": "application/x-thing", "size": size}
        (part,) = read(built({"attachments": ["{{ file }}"]}, {"file": file}, blobs=store)).iter_attachments()
        assert (part.get_filename(), part.get_payload(decode=True)) == ("s.bin", b"stored")
        assert part.get_content_type() == "application/x-thing"

    def test_inline_is_what_the_html_refers_to(self):
        picture = {"filename": "l.png", "content": CSV, "contentType": "image/png", "contentId": "logo"}
        mail = built({"contentType": "html", "body": '<img src="cid:logo">', "attachments": [picture]})
        (part,) = [part for part in read(mail).walk() if part.get_content_type() == "image/png"]
        assert part.get_content_disposition() == "inline"
        assert part["Content-ID"] == "<logo>"

    def test_are_not_taken_out_of_the_depth_of_an_item(self):
        item = {
            "phish": {
                "attachments": [{"filename": "a", "content": CSV}],
                "to": "evil@evil.test",
                "bcc": "evil@evil.test",
                "from": "evil@evil.test",
            }
        }
        mail = built({}, item)
        assert list(read(mail).iter_attachments()) == []
        assert mail.envelope.recipients == ("jane@corp.test",)
        assert mail.envelope.sender == "soc@corp.test"


class TestUpstreamData:
    def test_text_is_the_body(self):
        mail = nina_smtp.build({"parameters": {"to": "a@x.test", "subject": "S"}}, CREDENTIAL, "Hello there")
        assert read(mail).get_content().strip() == "Hello there"
        assert mail.sources["body"].as_dict() == {"source": "input"}

    def test_content_is_found_by_name_and_told_where(self):
        node = {"parameters": {"to": "a@x.test"}}
        item = {
            "alert": {"subject": "S", "details": {"body": "B", "importance": "high", "contentType": "html"}}
        }
        mail = nina_smtp.build(node, CREDENTIAL, item)
        assert {
            name: source.as_dict() for name, source in mail.sources.items() if source.source == "extracted"
        } == {
            "subject": {"source": "extracted", "path": "$.alert.subject"},
            "body": {"source": "extracted", "path": "$.alert.details.body"},
            "importance": {"source": "extracted", "path": "$.alert.details.importance"},
            "contentType": {"source": "extracted", "path": "$.alert.details.contentType"},
        }

    def test_a_content_type_of_something_else_is_not_ours(self):
        mail = built({}, {"file": {"contentType": "text/csv", "importance": 3}})
        assert "contentType" not in mail.sources
        assert "importance" not in mail.sources

    def test_with_auto_extract_off_or_all(self):
        item = {"alert": {"to": "deep@x.test", "subject": "S"}}
        node = {"parameters": {"body": "B"}}
        assert nina_smtp.build(
            node | {"options": {"autoExtract": "all"}}, CREDENTIAL, item
        ).envelope.recipients == ("deep@x.test",)
        with pytest.raises(NinaError, match="subject is required"):
            nina_smtp.build(
                {"parameters": {"to": "a@x.test", "body": "B"}, "options": {"autoExtract": "off"}},
                CREDENTIAL,
                item,
            )

    def test_the_result_says_who_won_and_what_was_overridden(self):
        item = {"subject": "input", "alert": {"title": "T"}}
        mail = nina_smtp.build(
            {"parameters": {"to": "a@x.test", "body": "B"}, "extract": {"subject": "$.alert.title"}},
            CREDENTIAL,
            item,
        )
        assert read(mail)["Subject"] == "T"
        assert mail.sources["subject"].as_dict() == {
            "source": "extracted",
            "path": "$.alert.title",
            "overrode": ["input"],
        }

    def test_the_worked_example_of_the_platform(self):
        node = {"parameters": {"to": ["soc@corp.test"], "body": "See the dashboard."}}
        item = {
            "to": ["triage@corp.test"],
            "subject": "raw",
            "importance": "low",
            "alert": {"subject": "Suspicious login"},
        }
        mail = nina_smtp.build(node, CREDENTIAL, item)
        assert mail.envelope.recipients == ("soc@corp.test",)
        assert (read(mail)["Subject"], read(mail)["Importance"].lower()) == ("Suspicious login", "low")

    def test_data_is_never_a_template(self):
        assert (
            read(built({"subject": "{{ v }}"}, {"v": "{{ 7 | times: 7 }}"}))["Subject"]
            == "{{ 7 | times: 7 }}"
        )
        node = {"parameters": {"to": "a@x.test", "body": "B"}}
        assert read(nina_smtp.build(node, CREDENTIAL, {"subject": "{{ x }}"}))["Subject"] == "{{ x }}"

    def task(
        self, upstream: dict[str, list[Any]], items: list[Any], parameters: dict[str, Any], **options: Any
    ) -> Task:
        account = default_catalog().credential("smtp").read(CREDENTIAL)
        return Task(
            {"parameters": SIMPLE | parameters, "options": options},
            [Item(item) for item in items],
            blobs=FolderBlobStore(Path("/nonexistent")),
            upstream={name: [Item(item) for item in found] for name, found in upstream.items()},
            credential=account,
        )

    def dry(self, task: Task) -> list[str]:
        subjects: list[str] = []
        results = asyncio.run(
            NODE.deliver(
                task, dry_run=Depth.BUILD, on_message=lambda n, m: subjects.append(read(m.bytes)["Subject"])
            )
        )  # type: ignore[attr-defined]
        assert [result.error for result in results] == [None] * len(results)
        return subjects

    def test_a_node_before_is_reached_by_its_name(self):
        subject = {"subject": '{{ nodes["Get alert"].title }}'}
        assert self.dry(self.task({"Get alert": [{"title": "T"}]}, [{}, {}], subject)) == ["T", "T"]
        assert self.dry(self.task({"Get alert": [{"title": "1"}, {"title": "2"}]}, [{}, {}], subject)) == [
            "1",
            "2",
        ]
        many = {"subject": '{{ nodes["Get alert"] | map: "title" | join: "+" }}'}
        assert (
            self.dry(self.task({"Get alert": [{"title": n} for n in "abc"]}, [{}, {}], many)) == ["a+b+c"] * 2
        )

    def test_a_node_that_is_not_there_is_named_by_its_nearest(self):
        task = self.task(
            {"Get alert": [{"title": "T"}]}, [{}], {"subject": '{{ nodes["Get alerts"].title }}'}
        )
        (result,) = asyncio.run(NODE.deliver(task, dry_run=Depth.BUILD))  # type: ignore[attr-defined]
        assert "Get alert" in str(result.error.hint)

    def test_an_item_s_own_nodes_come_first(self):
        assert self.dry(self.task({"A": [{}]}, [{"nodes": "mine"}], {"subject": "{{ nodes }}"})) == ["mine"]


class TestModes:
    ITEMS = [{"n": "1"}, {"n": "2"}, {"n": "3"}]  # noqa: RUF012

    def test_each_is_one_mail_for_each_item(self, server: Recorder):
        results = sent(server, self.ITEMS, {"subject": "{{ n }}"})
        assert [result.item for result in results] == [0, 1, 2]
        assert [read(message.content)["Subject"] for message in server.messages] == ["1", "2", "3"]
        assert len(server.sessions) == 1, "they go over one connection"

    def test_once_is_one_mail_for_all(self, server: Recorder):
        results = sent(
            server,
            self.ITEMS,
            {"subject": "{{ items.size }}: {{ items | map: 'n' | join: ',' }}, {{ n }}"},
            mode="once",
        )
        assert [(result.status, result.item) for result in results] == [("sent", 0)]
        assert read(server.messages[0].content)["Subject"] == "3: 1,2,3, 1"

    def test_no_items_are_no_mails(self, server: Recorder):
        for mode in ("each", "once"):
            results = sent(server, [], mode=mode)
            assert list(results) == []
            assert results.succeeded
            results.raise_for_status()
        assert server.sessions == []

    def test_too_many_items_are_refused_before_any_is_sent(self, server: Recorder):
        results = sent(server, self.ITEMS, maxItems=2)
        assert [result.status for result in results] == ["failed"] * 3
        error = results.as_dicts()[0]["error"]
        assert error["parameter"] == "options.maxItems"
        assert "3 input items; the node allows 2" in error["message"]
        assert server.sessions == []
        assert [result.status for result in sent(server, self.ITEMS, maxItems=3)] == ["sent"] * 3


class TestFailures:
    ITEMS = [{"to": "a@x.test"}, {"to": "nobody"}, {"to": "c@x.test"}]  # noqa: RUF012

    def send(self, server: Recorder, items: Any = None, **options: Any) -> Results:
        return sent(server, items or self.ITEMS, {"to": None}, **options)

    def test_fail_stops_and_says_of_the_rest_that_it_was_not_attempted(self, server: Recorder):
        results = self.send(server)
        assert [result.status for result in results] == ["sent", "failed", "notAttempted"]
        assert [message.recipients for message in server.messages] == [[b"a@x.test"]]
        left = results.as_dicts()[2]
        assert left["error"]["type"] == "notAttempted"
        assert left | {"error": 0} == {
            "status": "notAttempted",
            "accepted": [],
            "rejected": [],
            "attempts": 0,
            "durationMs": 0,
            "sources": {},
            "warnings": [],
            "item": 2,
            "error": 0,
        }

    def test_continue_goes_on(self, server: Recorder):
        results = self.send(server, onError="continue")
        assert [result.status for result in results] == ["sent", "failed", "sent"]
        assert [message.recipients for message in server.messages] == [[b"a@x.test"], [b"c@x.test"]]

    def test_the_first_one_is_raised(self, server: Recorder):
        results = self.send(server, onError="continue")
        with pytest.raises(NinaError) as caught:
            results.raise_for_status()
        assert caught.value is results[1].error
        assert not results.succeeded

    def test_it_says_what_is_wrong_with_which_parameter(self, server: Recorder):
        failed = self.send(server).as_dicts()[1]
        assert failed["error"]["parameter"] == "to"
        assert failed["error"]["source"] == "input"
        assert failed["sources"]["subject"] == {"source": "node"}
        assert "messageId" not in failed

    def test_a_server_that_is_not_there_is_asked_once(self):
        node = {"parameters": SIMPLE, "options": {"onError": "continue"}}
        credential = {
            "host": "127.0.0.1",
            "port": 1,
            "encryption": "none",
            "authMethod": "none",
            "fromAddress": "a@x.test",
        }
        results = nina_smtp.send(node, credential, [{}, {}])
        assert [result.status for result in results] == ["failed", "failed"]
        assert [result.attempts for result in results] == [1, 0]
        error = results.as_dicts()[1]["error"]
        assert (error["type"], error["retry"]) == ("connectFailed", True)

    def test_every_recipient_refused_is_failed(self):
        with Recorder(rcpt_replies={b"jane@corp.test": b"550 5.1.1 No such user"}) as server:
            (result,) = sent(server, {}).as_dicts()
        assert result["status"] == "failed"
        assert result["error"]["type"] == "recipientsRefused"
        assert result["rejected"] == [
            {
                "address": "jane@corp.test",
                "code": 550,
                "enhancedCode": "5.1.1",
                "message": "550 5.1.1 No such user",
                "temporary": False,
            }
        ]

    @pytest.mark.parametrize("on_partial", ["warn", "fail"])
    @pytest.mark.parametrize("reply", [b"550 5.1.1 No such user", b"450 4.2.1 Later"])
    def test_some_refused_is_partial_with_an_error_that_does_not_ask_to_send_it_again(
        self, on_partial: str, reply: bytes
    ):
        parameters = {"to": ["jane@corp.test", "b@x.test"]}
        with Recorder(rcpt_replies={b"b@x.test": reply}) as server:
            results = sent(server, [{}, {}], parameters, onPartial=on_partial)
        statuses = ["partial", "partial"] if on_partial == "warn" else ["partial", "notAttempted"]
        assert [result.status for result in results] == statuses
        first = results.as_dicts()[0]
        assert first["accepted"] == ["jane@corp.test"]
        assert [one["address"] for one in first["rejected"]] == ["b@x.test"]
        assert first["rejected"][0]["temporary"] is reply.startswith(b"4")
        error = first["error"]
        assert (error["type"], error["retry"], error["uncertain"]) == ("someRecipientsRefused", False, False)
        assert (error["phase"], error["code"]) == ("rcpt", int(reply[:3]))
        assert results.succeeded is (on_partial == "warn")
        if on_partial == "fail":
            with pytest.raises(NinaError, match=r"1 of 2 recipients were refused, b@x\.test first"):
                results.raise_for_status()
        else:
            results.raise_for_status()

    def test_a_file_that_cannot_be_read_fails_one_mail_and_not_the_results_of_the_others(
        self, server: Recorder
    ):
        class Torn(BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                if self.tell() or size is None or size < 0 or size > 10_000:
                    raise OSError("disk S3cret")
                return b"x" * 100

        class Store:
            def put(self, chunks: Any) -> tuple[str, int]:
                raise AssertionError

            def open(self, reference: str) -> BinaryIO:
                return Torn(b"x" * 100_000)

            def size(self, reference: str) -> int:
                return 100_000

        items = [
            {},
            {"attachments": [{"filename": "a.bin", "blob": "sha256:" + "0" * 64, "contentType": "text/x-a"}]},
            {},
        ]
        node = {"parameters": SIMPLE, "options": {"onError": "continue"}}
        results = nina_smtp.send(node, credential_of(server), items, blobs=Store())
        assert [result.status for result in results] == ["sent", "failed", "sent"]
        assert results[1].error
        assert "S3cret" not in json.dumps(results.as_dicts())
        assert len(server.messages) == 2, "half a message is no message"


class TestTheNodeInAWorkflow:
    ITEMS = (
        Item({"to": "a@x.test"}, (Origin("n", "main", 0),)),
        Item({"to": "nobody"}, (Origin("n", "main", 1),)),
        Item({"to": "c@x.test"}),
    )

    def run(self, server: Recorder, wired: frozenset[str] = frozenset(), **options: Any) -> Any:
        account = default_catalog().credential("smtp").read(credential_of(server))
        config = {"parameters": {"subject": "S", "body": "B"}, "options": options}
        task = Task(
            config, self.ITEMS, blobs=FolderBlobStore(Path("/nonexistent")), credential=account, wired=wired
        )
        return asyncio.run(NODE.execute(task))

    def test_fails_with_the_first_error_and_shows_what_was_done(self, server: Recorder):
        with pytest.raises(NodeFailed) as caught:
            self.run(server)
        assert caught.value.as_dict()["type"] == "invalidAddress"
        assert [item.json["status"] for item in caught.value.outputs["success"]] == ["sent"]
        assert [item.json["status"] for item in caught.value.outputs["error"]] == ["failed", "notAttempted"]

    def test_does_not_fail_where_errors_lead_somewhere(self, server: Recorder):
        outputs = self.run(server, frozenset({"error"}))
        assert [item.json["status"] for item in outputs["error"]] == ["failed", "notAttempted"]

    def test_does_not_fail_when_it_is_to_go_on(self, server: Recorder):
        outputs = self.run(server, onError="continue")
        assert [item.json["item"] for item in outputs["success"]] == [0, 2]
        assert [item.json["item"] for item in outputs["error"]] == [1]
        assert outputs["error"][0].lineage == (Origin("n", "main", 1),)

    def test_fails_when_a_partial_mail_counts_as_failed(self):
        with Recorder(rcpt_replies={b"a@x.test": b"550 5.1.1 No"}) as server:
            account = default_catalog().credential("smtp").read(credential_of(server))
            config = {
                "parameters": {"to": ["a@x.test", "b@x.test"], "subject": "S", "body": "B"},
                "options": {"onPartial": "fail"},
            }
            task = Task(config, [Item({})], blobs=FolderBlobStore(Path("/nonexistent")), credential=account)
            with pytest.raises(NodeFailed) as caught:
                asyncio.run(NODE.execute(task))
        assert caught.value.as_dict()["type"] == "someRecipientsRefused"


class TestTheResult:
    def test_has_the_shape_of_the_contract(self, server: Recorder):
        node = {"parameters": {"to": ["a@x.test"], "body": "B"}, "extract": {"subject": "$.alert.title"}}
        (result,) = nina_smtp.send(
            node, credential_of(server), {"subject": "S", "alert": {"title": "T"}}
        ).as_dicts()
        assert json.loads(json.dumps(result)) == result
        assert list(result) == [
            "status",
            "messageId",
            "accepted",
            "rejected",
            "envelope",
            "response",
            "size",
            "attempts",
            "durationMs",
            "server",
            "sources",
            "warnings",
            "item",
        ]
        assert result["status"] == "sent"
        assert result["messageId"].startswith("<")
        assert result["accepted"] == ["a@x.test"]
        assert result["rejected"] == []
        assert result["envelope"] == {"from": "soc@corp.test", "to": ["a@x.test"]}
        assert result["response"] == "250 2.0.0 Ok: queued as BED"
        assert result["size"] == len(server.messages[0].content)
        assert result["attempts"] == 1
        assert isinstance(result["durationMs"], int)
        assert result["server"]["host"] == server.host
        assert result["server"]["port"] == server.port
        assert result["sources"] == {
            "to": {"source": "node"},
            "subject": {"source": "extracted", "path": "$.alert.title", "overrode": ["input"]},
            "body": {"source": "node"},
            "from": {"source": "credential"},
        }
        assert result["warnings"] == []  # to this machine, clear text is nobody else's business
        assert result["item"] == 0
        check_wire(server, ["a@x.test"], sender="soc@corp.test")

    def test_over_tls_says_so(self):
        with Recorder(tls="starttls", users={"u@corp.test": "pw"}) as server:
            credential = {
                "host": "localhost",
                "port": server.port,
                "username": "u@corp.test",
                "password": "pw",
                "caCertificate": server.certs.ca_pem.read_text(),
            }
            (result,) = nina_smtp.send({"parameters": SIMPLE}, credential).as_dicts()
        assert result["status"] == "sent", result
        assert set(result["server"]["tls"]) == {"version", "cipher", "verified"}
        assert result["server"]["tls"]["version"] == "TLSv1.3"
        assert result["server"]["tls"]["verified"] is True

    def test_fits_the_schema_it_announces(self, server: Recorder):
        results = [
            *sent(server, [{}, {}]),
            *sent(server, {}, {"to": "nobody"}),
            *nina_smtp.send({"parameters": SIMPLE}, CREDENTIAL, dry_run=True),
        ]
        known = set(NODE.output_schema["properties"])
        for result in results:
            shape = result.as_dict()
            assert set(shape) <= known
            assert set(NODE.output_schema["required"]) <= set(shape)
            assert shape["status"] in NODE.output_schema["properties"]["status"]["enum"]

    def test_of_a_dry_run_connects_to_nothing(self, server: Recorder):
        (result,) = nina_smtp.send({"parameters": SIMPLE}, credential_of(server), dry_run=True).as_dicts()
        assert result["status"] == "dryRun"
        assert result["envelope"]["to"] == ["jane@corp.test"]
        assert "error" not in result
        assert server.sessions == []

    def test_keeps_the_server_s_secret_echo_out(self):
        password = "S3cret-pässword"
        line = base64.b64encode(password.encode())
        with Recorder(
            tls="starttls", dot_reply=b"554 5.7.1 I know " + line + b" and " + password.encode()
        ) as server:
            credential = {
                "host": "localhost",
                "port": server.port,
                "username": "u@corp.test",
                "password": password,
                "caCertificate": server.certs.ca_pem.read_text(),
            }
            results = nina_smtp.send({"parameters": SIMPLE}, credential)
        assert results[0].error
        check_no_secret(
            [json.dumps(results.as_dicts()), repr(results), str(results[0].error)], [password], "u@corp.test"
        )


class TestMessageIds:
    def ids(self, key: str | None, items: int = 2, **parameters: Any) -> list[str]:
        results = nina_smtp.send(
            {"parameters": SIMPLE | parameters}, CREDENTIAL, [{}] * items, idempotency_key=key, dry_run=True
        )
        return [str(result.message_id) for result in results]

    def test_repeat_with_the_key(self):
        assert self.ids("run-1|send") == self.ids("run-1|send")
        assert len(set(self.ids("run-1|send"))) == 2, "each item has its own"
        assert self.ids("run-1|send") != self.ids("run-2|send")

    def test_are_random_without_one(self):
        assert self.ids(None) != self.ids(None)

    def test_have_the_sender_s_domain(self):
        assert all(found.endswith("@corp.test>") for found in self.ids("k") + self.ids(None))
        assert all(found.endswith("@other.test>") for found in self.ids("k", **{"from": "a@other.test"}))

    def test_of_the_parameter_win(self):
        assert self.ids("k", 1, messageId="<mine@x.test>") == ["<mine@x.test>"]


class TestThePolicy:
    def under(self, policy: dict[str, Any], **parameters: Any) -> Built:
        return built(parameters, credential=CREDENTIAL | {"recipientPolicy": policy})

    @pytest.mark.parametrize(
        ("policy", "to"),
        [
            ({"allow": ["corp.test"]}, ["a@corp.test", "b@evil.test"]),
            ({"allow": []}, ["a@corp.test"]),
            ({"allow": ["corp.test"]}, ["a@notcorp.test"]),
            ({"allow": ["corp.test"]}, ["a@corp.test.evil.test"]),
            ({"deny": ["evil.test"]}, ["a@evil.test"]),
            ({"deny": ["evil.test"]}, ["a@EVIL.test"]),
            ({"deny": ["@evil.test"]}, ["a@sub.evil.test"]),
            ({"deny": ["münchen.test"]}, ["a@xn--mnchen-3ya.test"]),
            ({"allow": ["evil.test"], "deny": ["evil.test"]}, ["a@evil.test"]),
            ({"allow": ["corp.test"], "deny": ["sub.corp.test"]}, ["a@sub.corp.test"]),
            ({"maxRecipients": 2}, ["a@x.test", "b@x.test", "c@x.test"]),
        ],
    )
    @pytest.mark.parametrize("name", ["to", "cc", "bcc"])
    def test_keeps_recipients_out_wherever_they_stand(self, policy: dict[str, Any], to: list[str], name: str):
        parameters = {"to": "x@corp.test"} | {name: to}
        with pytest.raises(NinaError) as caught:
            self.under(policy, **parameters)
        assert caught.value.as_dict()["type"] == "recipientNotAllowed"

    def test_lets_the_others_through(self):
        policy = {"allow": ["corp.test"], "deny": ["old.corp.test"], "maxRecipients": 2}
        assert self.under(policy, to=["a@corp.test", "b@sub.corp.test"]).envelope.recipients == (
            "a@corp.test",
            "b@sub.corp.test",
        )

    def test_redirects_everything_and_says_so(self):
        mail = self.under({"redirectAllTo": "Me <me@corp.test>"}, to=["a@x.test"], cc="b@x.test")
        assert mail.envelope.recipients == ("me@corp.test",)
        assert read(mail)["To"] == "a@x.test"
        assert any("meant for a@x.test, b@x.test" in warning for warning in mail.warnings)

    def test_holds_for_raw_mails_too(self):
        node = {"operation": "sendRaw", "parameters": {"rawEmail": "From: a@x.test\nTo: b@evil.test\n\nx"}}
        with pytest.raises(NinaError, match=r"does not allow mail to b@evil.test"):
            nina_smtp.build(node, CREDENTIAL | {"recipientPolicy": {"deny": ["evil.test"]}})


class TestSendRaw:
    RAW = (
        "From: A <a@x.test>\nTo: b@x.test\nBcc: c@x.test\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n"
        "Message-ID: <1@x>\nX-Odd:  kept \n\nBody\n.dot\n"
    )

    def node(self, **parameters: Any) -> dict[str, Any]:
        return {"operation": "sendRaw", "parameters": parameters}

    def test_sends_what_it_is_given_without_bcc(self, server: Recorder):
        (result,) = nina_smtp.send(self.node(rawEmail={"literal": self.RAW}), credential_of(server))
        assert result.status == "sent"
        assert server.messages[0].recipients == [b"b@x.test", b"c@x.test"]
        assert server.messages[0].content.decode() == self.RAW.replace("Bcc: c@x.test\n", "").replace(
            "\n", "\r\n"
        )
        assert server.messages[0].sender == b"a@x.test"

    def test_takes_it_from_the_item(self):
        assert nina_smtp.build(self.node(), CREDENTIAL, {"rawEmail": self.RAW}).envelope.sender == "a@x.test"
        assert (
            nina_smtp.build(self.node(rawEmail="{{ mail }}"), CREDENTIAL, {"mail": self.RAW}).envelope.sender
            == "a@x.test"
        )
        assert (
            nina_smtp.build(self.node(raw_email=self.RAW, envelopeFrom=""), CREDENTIAL).envelope.sender == ""
        )

    def test_has_no_other_parameters(self):
        with pytest.raises(NinaError, match="is not a parameter"):
            nina_smtp.build(self.node(rawEmail=self.RAW, to="x@x.test"), CREDENTIAL)

    def test_lets_no_value_add_a_header_or_a_recipient(self):
        raw = "From: a@x.test\nTo: {{ to }}\nSubject: {{ s }}\n\n{{ b }}"
        good = {"to": "b@x.test", "s": "S: x", "b": "1\n2"}
        assert nina_smtp.build(self.node(rawEmail=raw), CREDENTIAL, good).envelope.recipients == ("b@x.test",)
        for bad in (
            {"to": "b@x.test, evil@evil.test"},
            {"s": "S\nBcc: evil@evil.test"},
            {"to": "b@x.test\r\nBcc: evil@evil.test"},
        ):
            with pytest.raises(NinaError) as caught:
                nina_smtp.build(self.node(rawEmail=raw), CREDENTIAL, good | bad)
            assert caught.value.as_dict()["parameter"] == "rawEmail"

    @pytest.mark.parametrize(
        "raw",
        [
            "To: b@x.test\n\nno sender",
            "From: a@x.test\n\nno recipient",
            "no header",
            "From: a@x.test\nTo: b@x.test\n\n\0",
        ],
    )
    def test_names_what_is_wrong(self, raw: str):
        with pytest.raises(NinaError) as caught:
            nina_smtp.build(self.node(rawEmail=raw), CREDENTIAL)
        error = caught.value.as_dict()
        assert (error["parameter"], error["source"]) == ("rawEmail", "node")


def test_a_result_is_a_result_and_results_are_a_list(server: Recorder):
    results = sent(server, {})
    assert isinstance(results, Results)
    assert isinstance(results, list)
    assert isinstance(results[0], Result)
    assert results.as_dicts() == [results[0].as_dict()]
