"""XSOAR's send-mail: each argument and each parameter of the instance, by the mail that arrives."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bed.mail import Mail
from bed.recorder import Recorder
from dialects.arriving import (
    HOSTILE,
    PDF,
    anything,
    changed,
    check,
    header,
    never_anything_but_ours,
    only_node,
    ran,
    round_trip,
    sent,
    unnoted,
)
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

import nina_smtp
from nina_smtp.dialects.documents import parse
from nina_smtp.dialects.imported import Fate, Imported, Note
from nina_smtp.dialects.xsoar import DIALECT
from nina_smtp.dialects.xsoar.context import Arguments
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.workflow.blobs import FileRef, FolderBlobStore

EXAMPLES = Path(__file__).parents[2] / "examples"
BARE: dict[str, Any] = {"to": "jane@corp.example", "subject": "Hi", "body": "Text"}
INSTANCE: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": "2525",
    "credentials": {"identifier": "soc", "password": "p4ss${HOME}"},
    "from": "SOC <soc@corp.example>",
    "tls": "STARTTLS",
}
RAW = "From: soc@corp.example\nTo: jane@corp.example\nSubject: {{ as it is }}\n\nText\n"


def read(document: Any) -> Imported:
    found = DIALECT.read(document, "imported")
    check(found)
    return found


def command(**more: Any) -> dict[str, Any]:
    arguments = {key: value for key, value in {**BARE, **more}.items() if value is not None}
    return {"command": "send-mail", "arguments": arguments}


def task(key: str, *following: str, **arguments: Any) -> dict[str, Any]:
    return {
        "id": key,
        "type": "regular",
        "task": {"name": f"Mail {key}", "script": "|||send-mail", "iscommand": True},
        "scriptarguments": {k: {"simple": v} for k, v in {**BARE, **arguments}.items()},
        "nexttasks": {"#none#": list(following)},
    }


def playbook(*tasks: dict[str, Any], first: str = "1") -> dict[str, Any]:
    start = {"id": "0", "type": "start", "task": {"name": ""}, "nexttasks": {"#none#": [first]}}
    return {"name": "Case", "starttaskid": "0", "tasks": {one["id"]: one for one in (start, *tasks)}}


def noted(found: Imported, place: str) -> Note:
    (note,) = (note for note in found.notes if note.place == place)
    return note


class TestNothingIsImported:
    @pytest.mark.parametrize(
        "code",
        [
            "${incident.a.[x]}",
            "${File(val.Name)}",
            "${.=1}",
            "${}",
            "${incident.x",
            "${a ${b}}",
            "${incident.labels.Email/from}",
        ],
    )
    @pytest.mark.parametrize(
        "key",
        [
            "to",
            "cc",
            "bcc",
            "replyTo",
            "sender",
            "subject",
            "body",
            "htmlBody",
            "additionalHeader",
            "transientFileContent",
            "attachIDs",
            "raw_message",
        ],
    )
    def test_that_has_an_expression_that_is_not_a_path(self, key: str, code: str):
        files = {"transientFile": "a.txt"} if key == "transientFileContent" else {}
        text = f"X-A={code}" if key == "additionalHeader" else f"x {code}"
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(command(**{key: text}, **files), "imported")
        assert caught.value.parameter == f"arguments.{key}"

    @pytest.mark.parametrize("key", ["attachIDs", "raw_message", "transientFileContent"])
    def test_that_has_even_a_path_where_none_can_be(self, key: str):
        files = {"transientFile": "a.txt"} if key == "transientFileContent" else {}
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(command(**{key: "${File.EntryID}"}, **files), "imported")
        assert caught.value.parameter == f"arguments.{key}"

    @pytest.mark.parametrize(
        ("document", "parameter"),
        [
            (command(to=None), "arguments.to"),
            (command(to="not a mailbox"), "arguments.to"),
            (command(to='["a@b.example"'), "arguments.to"),
            (command(sender="a@b.example,c@d.example"), "arguments.sender"),
            (command(additionalHeader="X-A"), "arguments.additionalHeader"),
            (command(additionalHeader="X-A=1,X-A=2"), "arguments.additionalHeader"),
            (command(additionalHeader="Subject=x"), "arguments.additionalHeader.Subject"),
            (command(additionalHeader="Importance=very"), "arguments.additionalHeader.Importance"),
            (command(transientFile="a.txt"), "arguments.transientFile"),
            (command(attachIDs=",1@2"), "arguments.attachIDs"),
            (command(attachIDs="1@2", attachCIDs="a b"), "arguments.attachCIDs"),
            (command(templateParams="{"), "arguments.templateParams"),
            (command(templateParams={"a": {"value": "x"}}, body="{b}"), "arguments.body"),
            (command(templateParams={"a": {"value": "x"}}, body="{a.b}"), "arguments.body"),
            (command(templateParams={"a": {"value": "x"}}, body="{a!r}"), "arguments.body"),
            (command(templateParams={"a": {"value": "x"}}, body="{"), "arguments.body"),
            (command(templateParams={"a": {"value": "x ${.=1}"}}, body="{a}"), "arguments.templateParams"),
            (command(htmlBody='<img src="data:image/png;base64,aGk">'), "arguments.htmlBody"),
            (command(raw_message=RAW, to="other@corp.example"), "arguments.to"),
            (command(raw_message=RAW, to=None), "arguments.to"),
            (command(raw_message="no header"), "arguments.raw_message"),
            ({**INSTANCE, "host": "a b"}, "host"),
            ({**INSTANCE, "tls": "SSL"}, "tls"),
            (
                {**INSTANCE, "credentials": {"credential": "stored", "identifier": ""}},
                "credentials.credential",
            ),
            ({**INSTANCE, "credentials": {"identifier": "", "password": "x"}}, "credentials.identifier"),
            (playbook(task("1", "2"), task("2", "1")), None),
            ({"x": 1}, "to"),
        ],
    )
    def test_where_something_is_wrong(self, document: Any, parameter: str | None):
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(document, "imported")
        assert caught.value.parameter == parameter

    def test_that_is_computed(self):
        computed = {
            "complex": {"root": "incident", "accessor": "owner", "transformers": [{"operator": "uniq"}]}
        }
        one = task("1")
        one["scriptarguments"]["to"] = computed
        with pytest.raises(InvalidConfiguration, match="filters or transformers"):
            DIALECT.read(playbook(one), "imported")


Said = Callable[[Any, Mail], Any]
IMAGE = '<p>x</p><img alt="" src="data:image/png;base64,aGk=">'

ARGUMENTS: list[tuple[str, dict[str, Any], Said, Any]] = [
    (
        "to",
        {"to": "a@b.example, Jane <j@c.example>"},
        lambda _, m: m.to,
        [("", "a@b.example"), ("Jane", "j@c.example")],
    ),
    ("to-list", {"to": ["a@b.example", "c@d.example"]}, lambda _, m: len(m.to or []), 2),
    ("to-json", {"to": '["a@b.example", "c@d.example"]'}, lambda _, m: len(m.to or []), 2),
    ("to-context", {"to": "${incident.owner}"}, lambda _, m: m.to, [("", "o@corp.example")]),
    ("cc", {"cc": "c@d.example"}, lambda _, m: m.cc, [("", "c@d.example")]),
    (
        "bcc",
        {"bcc": "c@d.example"},
        lambda s, m: (s.recipients[1], "bcc" in m.header_names),
        (b"c@d.example", False),
    ),
    ("bcc-alone", {"to": None, "bcc": "c@d.example"}, lambda s, _: s.recipients, [b"c@d.example"]),
    ("replyTo", {"replyTo": "r@corp.example"}, lambda s, _: header(s, "Reply-To"), "r@corp.example"),
    ("sender", {"sender": "Me <me@corp.example>"}, lambda _, m: m.from_, [("Me", "me@corp.example")]),
    ("subject", {"subject": "{{ a }}\nb ${incident.id}"}, lambda _, m: m.subject, "{{ a }} b 42"),
    ("subject-none", {"subject": None}, lambda _, m: m.subject, ""),
    ("body", {"body": "{x} {{ y }} ${incident.files[0]}"}, lambda _, m: m.text, "{x} {{ y }} first\n"),
    (
        "htmlBody",
        {"htmlBody": "<p>{{x}}</p>", "body": None},
        lambda _, m: (m.html, bool(m.text)),
        ("<p>{{x}}</p>", True),
    ),
    ("htmlBody-and-body", {"htmlBody": "<p>h</p>"}, lambda _, m: (m.text, m.html), ("Text", "<p>h</p>")),
    ("htmlBody-context", {"htmlBody": "<p>${incident.html}</p>"}, lambda _, m: m.html, "<p>&lt;b&gt;</p>"),
    ("htmlBody-whole", {"htmlBody": "${incident.html}"}, lambda _, m: m.html, "<b>"),
    (
        "htmlBody-image",
        {"htmlBody": IMAGE},
        lambda _, m: [(a.content_type, a.content, a.content_id) for a in m.attachments or []],
        [("image/png", b"hi", "image0.png@html.xsoar")],
    ),
    (
        "attachIDs",
        {"attachIDs": "12@3,13@3"},
        lambda _, m: [a.filename for a in m.attachments or []],
        ["a.pdf", "a.pdf"],
    ),
    (
        "attachNames",
        {"attachIDs": "12@3,13@3", "attachNames": ",b.pdf"},
        lambda _, m: [a.filename for a in m.attachments or []],
        ["a.pdf", "b.pdf"],
    ),
    (
        "attachCIDs",
        {"attachIDs": "12@3", "attachCIDs": "logo", "htmlBody": '<img src="cid:logo">'},
        lambda _, m: [(a.filename, a.content_id) for a in m.attachments or []],
        [("a.pdf", "logo")],
    ),
    (
        "transientFile",
        {"transientFile": "t1.txt, t2.txt", "transientFileContent": "one,zwei ä"},
        lambda _, m: [(a.filename, a.content) for a in m.attachments or []],
        [("t1.txt", b"one"), ("t2.txt", "zwei ä".encode())],
    ),
    (
        "transientFileContent",
        {"transientFile": ["t.txt"], "transientFileContent": ["a,b {{c}}"]},
        lambda _, m: [a.content for a in m.attachments or []],
        [b"a,b {{c}}"],
    ),
    (
        "transientFileCID",
        {
            "transientFile": "t.txt",
            "transientFileContent": "x",
            "transientFileCID": "t@x.y",
            "htmlBody": "<a href='cid:t@x.y'>t</a>",
        },
        lambda _, m: [a.content_id for a in m.attachments or []],
        ["t@x.y"],
    ),
    (
        "templateParams",
        {"body": "{name} {{x}} {n}", "templateParams": '{"name": {"value": "Jane {y}"}, "n": {"value": 5}}'},
        lambda _, m: m.text,
        "Jane {y} {x} 5\n",
    ),
    (
        "templateParams-key",
        {"body": "{id}", "templateParams": {"id": {"key": "incident.id"}}},
        lambda _, m: m.text,
        "42\n",
    ),
    (
        "templateParams-html",
        {"htmlBody": "<p>{x}</p>", "templateParams": {"x": {"value": "<b>"}}},
        lambda _, m: m.html,
        "<p><b></p>",
    ),
    (
        "additionalHeader",
        {"additionalHeader": "X-A=b=c, X-B=${incident.id}"},
        lambda s, _: (header(s, "X-A"), header(s, "X-B")),
        ("b=c", "42"),
    ),
    (
        "additionalHeader-importance",
        {"additionalHeader": "Importance=High"},
        lambda s, _: header(s, "Importance"),
        "high",
    ),
    (
        "raw_message",
        {"raw_message": RAW, "subject": "not used", "body": None},
        lambda s, m: (m.subject, s.recipients),
        ("{{ as it is }}", [b"jane@corp.example"]),
    ),
    (
        "raw_message-bcc",
        {"raw_message": RAW, "bcc": "h@x.example,i@x.example"},
        lambda s, m: (s.recipients, "bcc" in m.header_names),
        ([b"jane@corp.example", b"h@x.example", b"i@x.example"], False),
    ),
    (
        "raw_message-sender",
        {"raw_message": RAW, "sender": "Me <me@corp.example>"},
        lambda s, _: s.sender,
        b"me@corp.example",
    ),
    ("bodyType", {"bodyType": "HTML"}, lambda _, m: (m.text, m.html), ("Text\n", None)),
    ("renderBody", {"renderBody": "true"}, lambda _, m: m.text, "Text\n"),
    ("using", {"using": "instance 1"}, lambda _, m: m.subject, "Hi"),
]


@pytest.mark.parametrize(
    ("given_", "said", "expected"), [r[1:] for r in ARGUMENTS], ids=[r[0] for r in ARGUMENTS]
)
def test_an_argument_is_in_the_mail(given_: dict[str, Any], said: Said, expected: Any, tmp_path: Path):
    blobs = FolderBlobStore(tmp_path)
    blob, size = blobs.put([PDF])
    file = FileRef("a.pdf", blob, "application/pdf", size).as_dict()
    item = {
        "incident": {"owner": "o@corp.example", "id": 42, "files": ["first"], "html": "<b>"},
        "files": {"12@3": file, "13@3": file},
        "cc": "not@this.example",
        "to": "nor@this.example",
    }
    found = read(command(**given_))
    message, mail = sent(found, item, blobs)
    assert said(message, mail) == expected
    places = {note.place.split(".")[1] for note in found.notes if "." in note.place}
    assert {key for key, value in given_.items() if value is not None} <= places
    if not {"using", "raw_message"} & set(given_):
        round_trip(DIALECT, found)
        flat = read(command(**given_)["arguments"])
        assert only_node(flat) == only_node(found)


@pytest.mark.parametrize("raw", [RAW, RAW.replace("To: jane@corp.example\n", "")])
@pytest.mark.parametrize("bcc", [None, "h@x.example,i@x.example"])
def test_a_raw_message_is_written_back_without_its_bcc(bcc: str | None, raw: str):
    found = read(command(raw_message=raw, subject=None, body=None, bcc=bcc))
    round_trip(DIALECT, found)
    assert "Bcc" not in json.dumps(DIALECT.write(found))


@pytest.mark.parametrize("key", ["bodyType", "renderBody"])
def test_what_xsoar_does_not_use_either_is_left_out(key: str):
    value = "HTML" if key == "bodyType" else "true"
    assert noted(read(command(**{key: value})), f"arguments.{key}").fate is Fate.LEFT_OUT


def test_a_context_that_is_not_there_sends_nothing():
    for arguments in ({"subject": "${incident.id}"}, {"attachIDs": "12@3"}, {"to": "${incident.owner}"}):
        found = read(command(**arguments))
        (warning,) = found.told(Fate.WARNING)
        assert "the item" in warning.message
        results = nina_smtp.send(
            only_node(found), {"host": "127.0.0.1", "authMethod": "none"}, {}, dry_run=True
        )
        assert results[0].error


IN_CLEAR = {"encryption": "none", "allowCleartextLogin": True}
PARAMETERS: list[tuple[str, dict[str, Any], dict[str, Any], Fate, str]] = [
    ("host", {}, {"host": "127.0.0.1"}, Fate.SAME, "host"),
    ("port", {"port": 465}, {"port": 465}, Fate.SAME, "port"),
    ("port-default", {"port": None}, {"port": 25}, Fate.SAME, "port"),
    (
        "credentials",
        {},
        {"username": "soc", "password": "p4ss$${HOME}", "authMethod": "auto"},
        Fate.SAME,
        "credentials.identifier",
    ),
    (
        "credentials-no-password",
        {"credentials": {"identifier": "soc"}},
        {"password": "${IMPORTED_PASSWORD}"},
        Fate.WARNING,
        "credentials.password",
    ),
    (
        "credentials-none",
        {"credentials": {"identifier": ""}},
        {"authMethod": "none"},
        Fate.SAME,
        "credentials.identifier",
    ),
    ("from", {}, {"fromAddress": "SOC <soc@corp.example>"}, Fate.SAME, "from"),
    ("fqdn", {"fqdn": "me.corp.example"}, {"ehloName": "me.corp.example"}, Fate.SAME, "fqdn"),
    ("tls-STARTTLS", {}, {"encryption": "starttls"}, Fate.BETTER, "tls"),
    ("tls-SSL", {"tls": "SSL/TLS"}, {"encryption": "tls"}, Fate.BETTER, "tls"),
    ("tls-true", {"tls": True}, {"encryption": "starttls"}, Fate.BETTER, "tls"),
    ("tls-None", {"tls": "None", "host": "h.example"}, IN_CLEAR, Fate.WARNING, "tls"),
    ("tls-false", {"tls": False, "host": "h.example"}, IN_CLEAR, Fate.WARNING, "tls"),
    ("tls-default", {"tls": None, "host": "h.example"}, IN_CLEAR, Fate.WARNING, "tls"),
    ("tls-None-here", {"tls": "None"}, {"encryption": "none"}, Fate.SAME, "tls"),
    (
        "tls-None-no-login",
        {"tls": "None", "credentials": {"identifier": ""}, "host": "h.example"},
        {"encryption": "none"},
        Fate.WARNING,
        "tls",
    ),
    ("insecure", {"insecure": "true"}, {"tlsSkipVerify": True}, Fate.WARNING, "insecure"),
    ("insecure-false", {"insecure": "false"}, {}, Fate.BETTER, "insecure"),
]


@pytest.mark.parametrize(
    ("more", "ours", "fate", "place"), [r[1:] for r in PARAMETERS], ids=[r[0] for r in PARAMETERS]
)
def test_a_parameter_of_the_instance(more: dict[str, Any], ours: dict[str, Any], fate: Fate, place: str):
    fields = {key: value for key, value in {**INSTANCE, **more}.items() if value is not None}
    listed = [{"name": key, "value": value} for key, value in fields.items()]
    exported = {"name": "imported", "brand": "Mail Sender (New)", "enabled": "true", "data": listed}
    for document in (fields, exported):
        found = read(document)
        data = dict(found.credentials["imported"]["data"])
        assert data | ours == data
        assert noted(found, place if document is fields else f"data.{place}").fate is fate
        round_trip(DIALECT, found)


@pytest.mark.parametrize(
    ("tls", "word"), [("implicit", "SSL/TLS"), ("starttls", "STARTTLS"), ("none", "None")]
)
def test_an_imported_instance_logs_in(tls: Any, word: str):
    with Recorder(tls=tls, users={"soc": "p4ss"}) as server:
        held = {"identifier": "soc", "password": "p4ss"}
        fields = {**INSTANCE, "credentials": held, "host": server.host, "port": server.port, "tls": word}
        found = read([{**fields, "insecure": "true"}, command()])
        nina_smtp.send(only_node(found), dict(found.credentials["imported"]["data"]), {}).raise_for_status()
        assert len(server.messages) == 1
        assert server.messages[0].sender == b"soc@corp.example"
        assert server.saw_secret("p4ss", "soc") is (tls == "none")


class TestPlaybooks:
    def test_are_wired_as_there(self, tmp_path: Path):
        section = {"id": "2", "type": "title", "task": {"name": "Then"}, "nexttasks": {"#none#": ["3"]}}
        found = read(
            playbook(
                task("1", "2", subject="First ${incident.id}"),
                section,
                task("3", subject="Second ${incident.id}"),
            )
        )
        done, messages = ran(found, [{"incident": {"id": 42}}], tmp_path)
        assert done.status.value == "succeeded"
        assert [header(one, "Subject") for one in messages] == ["First 42", "Second 42"]
        round_trip(DIALECT, found)

    def test_behind_a_task_that_is_not_known_here_is_disabled(self, tmp_path: Path):
        asked = {
            "id": "1",
            "type": "condition",
            "task": {"name": "Bad?"},
            "nexttasks": {"yes": ["2"], "no": []},
        }
        found = read(playbook(asked, task("2")))
        assert noted(found, "tasks.1").fate is Fate.LEFT_OUT
        assert "condition" in noted(found, "tasks.2").message
        assert noted(found, "tasks.2").fate is Fate.WARNING
        _, messages = ran(found, [{}], tmp_path)
        assert not messages
        with pytest.raises(InvalidConfiguration, match="disabled"):
            DIALECT.write(found)

    def test_never_run_a_task_that_has_no_wire(self):
        found = read(playbook(task("1"), task("2")))
        assert [one.get("disabled") for one in found.workflows[0]["nodes"]] == [None, None, True]

    def test_keep_names_apart_and_go_on_after_a_failure(self):
        one, other = task("1", "2"), task("2")
        other["task"]["name"] = "Mail 1"
        other["continueonerror"] = True
        found = read(playbook(one, other))
        assert [node["name"] for node in found.workflows[0]["nodes"]] == ["Start", "Mail 1", "Mail 1 2"]
        assert found.workflows[0]["nodes"][2]["config"]["options"]["onError"] == "continue"
        round_trip(DIALECT, found)

    def test_take_a_path_that_is_written_as_a_complex_value(self, tmp_path: Path):
        one = task("1")
        one["scriptarguments"]["body"] = {"complex": {"root": "incident", "accessor": "details"}}
        _, messages = ran(read(playbook(one)), [{"incident": {"details": "deep"}}], tmp_path)
        assert b"deep" in messages[0].content


class TestSizes:
    @pytest.mark.parametrize("key", ["body", "htmlBody"])
    def test_a_body_is_filled_in_up_to_a_million_characters(self, key: str):
        params = {"a": {"value": "z" * 1000}}
        found = read(command(**{key: "{a}" * 1000, "templateParams": params}))
        assert len(only_node(found)["parameters"]["body"]) == 1_000_000
        for body, value in (("{a}" * 1000 + "x", 1000), ("{a}" * 10_000, 20_000)):
            big = command(**{key: body, "templateParams": json.dumps({"a": {"value": "z" * value}})})
            with pytest.raises(InvalidConfiguration, match="1,000,000 characters") as caught:
                DIALECT.read(big, "imported")
            assert caught.value.parameter == f"arguments.{key}"

    def test_a_value_is_parsed_once_however_often_it_is_inserted(self, monkeypatch: pytest.MonkeyPatch):
        texts: list[str] = []
        parse_ = Arguments.read

        def counted(self: Arguments, key: str, text: str) -> Any:
            texts.append(text)
            return parse_(self, key, text)

        monkeypatch.setattr(Arguments, "read", counted)
        params = {"a": {"value": "see ${incident.id}"}}
        found = read(command(body="{a}" * 500, htmlBody="{a}" * 500, templateParams=params))
        assert texts.count("see ${incident.id}") == 1
        assert only_node(found)["parameters"]["textBody"] == "see {{ incident.id }}" * 500

    def test_a_thousand_values_are_filled_in_and_no_more(self):
        params = {f"a{n}": {"value": "x"} for n in range(1001)}
        with pytest.raises(InvalidConfiguration, match="1,001 values"):
            DIALECT.read(command(templateParams=params), "imported")

    @pytest.mark.parametrize(
        "arguments",
        [
            {"htmlBody": IMAGE * 4000},
            {"htmlBody": IMAGE * 60, "transientFile": ["a"] * 60, "transientFileContent": ["b"] * 60},
            {"attachIDs": "1@2," * 40_000},
            {"transientFile": "a," * 101, "transientFileContent": "b," * 101},
            {"attachIDs": ["1@2"] * 60, "transientFile": ["a"] * 60, "transientFileContent": ["b"] * 60},
        ],
        ids=str,
    )
    def test_a_hundred_files_are_read_and_no_more(self, arguments: dict[str, Any]):
        with pytest.raises(InvalidConfiguration, match="at most 100"):
            DIALECT.read(command(**arguments), "imported")

    def test_a_hundred_images_become_parts_each_with_a_name_of_its_own(self):
        cid = "image1.png@html.xsoar"
        given = {"transientFile": ["t"], "transientFileContent": ["x"], "transientFileCID": [cid]}
        found = read(command(htmlBody=IMAGE * 99, **given))
        files = only_node(found)["parameters"]["attachments"]
        assert len({file["contentId"] for file in files}) == 100

    @pytest.mark.parametrize(
        "html", ['<b src="data:image/png;base64,aGk=">', '<img>src="data:image/png;base64,aGk="', "<img " * 9]
    )
    def test_what_is_no_image_stays_as_it_is(self, html: str):
        found = only_node(read(command(htmlBody=html)))["parameters"]
        assert found["body"] == html
        assert "attachments" not in found


class TestWhatIsTold:
    def test_names_every_expression_in_one_error_and_the_task_it_is_of(self):
        document = playbook(task("1", "2", subject="${f()} ${File.[0].Name}"), task("2", body="${.=1} ${x"))
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(document, "imported")
        error = caught.value
        assert error.parameter == "tasks.1.scriptarguments.subject"
        for said in ("subject (Mail 1) has", "body (Mail 2) has", "'f()'", "'.=1'", "'${x'"):
            assert said in error.message
        assert error.message.count("not a path") == 3

    def test_names_the_task_of_a_warning(self):
        found = read(playbook(task("1", subject="${incident.id}"), task("2")))
        told = {note.place: note.message for note in found.told(Fate.WARNING)}
        assert "(Mail 1) " in told["tasks.1.scriptarguments.subject"]
        assert "(Mail 2) " in told["tasks.2"]

    def test_says_that_an_index_wants_a_list(self, tmp_path: Path):
        """In XSOAR ``File.[0]`` is also the only file, where there is no list of them."""
        found = read(command(subject="${File.[0].Name}", sender="soc@corp.example"))
        assert "wants a list" in noted(found, "arguments.subject").message
        assert only_node(found)["parameters"]["subject"] == "{{ File[0].Name }}"
        assert sent(found, {"File": [{"Name": "a.exe"}]})[1].subject == "a.exe"
        assert "wants a list" not in noted(read(command(subject="${File.Name}")), "arguments.subject").message

    @pytest.mark.parametrize(
        ("more", "hint"),
        [({"To": "a@b.example"}, "There is To: did you mean to?"), ({}, "Give to, cc or bcc.")],
    )
    def test_names_a_slip_of_the_pen(self, more: dict[str, Any], hint: str):
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(command(to=None, **more), "imported")
        assert caught.value.hint == hint


class TestAHeaderCalledLiteral:
    def test_is_sent_under_its_name(self):
        for more in ("", ", X-B=b"):
            found = read(command(additionalHeader=f"literal={{{{ x }}}}{more}", sender="soc@corp.example"))
            assert header(sent(found)[0], "literal") == "{{ x }}"
            round_trip(DIALECT, found)

    def test_is_refused_alone_with_an_expression(self):
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(command(additionalHeader="literal=${incident.id}"), "imported")
        assert caught.value.parameter == "arguments.additionalHeader.literal"


def test_nothing_in_the_data_sets_what_the_node_does_not_say():
    for item in (HOSTILE, {"parameters": HOSTILE}):
        message, _ = sent(read(command(sender="soc@corp.example")), item)
        assert b"evil" not in message.content
        assert message.recipients == [b"jane@corp.example"]
        assert message.sender == b"soc@corp.example"


class TestWriting:
    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"textBody": {"literal": ""}, "contentType": "html"}, "textBody"),
            ({"attachments": ["{{ file }}"]}, "attachments[0]"),
            ({"attachments": [{"filename": "a", "content": "/w=="}]}, "attachments[0].content"),
            ({"subject": "{{ a | upcase }}"}, "subject"),
            ({"subject": {"literal": "${x}"}}, "subject"),
            ({"subject": "{{ x['a b'] }}"}, "subject"),
            ({"body": "{{ a }}", "contentType": "html"}, "body"),
            ({"messageId": "<a@b.example>"}, "messageId"),
            ({"envelopeFrom": ""}, "envelopeFrom"),
            ({"textBody": ""}, "textBody"),
            ({"textBody": "", "contentType": "html"}, "textBody"),
            ({"importance": "{{ a }}"}, "importance"),
            ({"importance": "urgent"}, "importance"),
            ({"headers": "{{ a }}"}, "headers"),
            ({"headers": {"literal": "x"}}, "headers"),
            ({"headers": {"X=A": "x"}}, "headers"),
            ({"attachments": ["{{ files.a }}"] * 101}, "attachments"),
        ],
    )
    def test_names_what_would_be_lost(self, change: dict[str, Any], named: str):
        ours = only_node(read(command()))
        ours["parameters"] |= change
        with pytest.raises(InvalidConfiguration, match=named.replace("[", r"\[")):
            DIALECT.write(Imported("nina", {}, {"x": ours}))

    @pytest.mark.parametrize("sender", ["", {"literal": ""}])
    def test_refuses_a_raw_message_without_a_way_back(self, sender: Any):
        ours = only_node(read(command(raw_message=RAW)))
        ours["parameters"]["envelopeFrom"] = sender
        with pytest.raises(InvalidConfiguration, match="envelopeFrom"):
            DIALECT.write(Imported("nina", {}, {"x": ours}))

    @pytest.mark.parametrize(
        "more", [{}, {"envelopeFrom": "soc@corp.example"}, {"envelopeFrom": "bounces@corp.example"}]
    )
    def test_adds_nothing_to_a_raw_message(self, more: dict[str, Any]):
        ours = {
            "resource": "email",
            "operation": "sendRaw",
            "parameters": {"rawEmail": {"literal": RAW}, **more},
            "options": {"sources": "node"},
        }
        again = DIALECT.read(DIALECT.write(Imported("nina", {}, {"x": ours})), "x")
        assert only_node(again) == ours

    @pytest.mark.parametrize("key", ["to", "cc", "bcc", "replyTo"])
    @pytest.mark.parametrize("value", ["{{ a }}", ["{{ a }}"], ["{{ a }}", "b@c.example"]])
    def test_keeps_what_may_be_a_list_apart_from_one_mailbox(self, key: str, value: Any):
        ours = only_node(read(command()))
        ours["parameters"][key] = value
        again = DIALECT.read(DIALECT.write(Imported("nina", {}, {"x": ours})), "x")
        assert only_node(again)["parameters"][key] == value

    @pytest.mark.parametrize("credential", [["soc"], ["soc", "spare"], None, {"type": "smtp", "data": {}}])
    def test_refuses_a_credential_that_is_not_one_name(self, credential: Any):
        found = read(playbook(task("1")))
        found.workflows[0]["nodes"][1]["credential"] = credential
        with pytest.raises(InvalidConfiguration, match="credential has to be one name"):
            DIALECT.write(found)


@pytest.mark.parametrize("path", sorted((EXAMPLES / "xsoar").iterdir()), ids=lambda path: path.stem)
def test_an_example_is_read_and_written_back(path: Path):
    document = parse(path.read_bytes())
    assert DIALECT.recognises(document)
    round_trip(DIALECT, read(document))


@pytest.mark.parametrize(
    "path",
    sorted(
        p for p in EXAMPLES.rglob("*") if p.suffix in (".json", ".yaml", ".yml") and p.parent.name != "xsoar"
    ),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_what_is_for_another_system_is_not_taken_for_xsoars(path: Path):
    assert not DIALECT.recognises(parse(path.read_bytes()))


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        "x",
        BARE,
        {"to": "a", "html_body": "x"},
        {"host": "h", "port": 1, "username": "u"},
        {"host": "h", "user": "u", "password": "p", "secure": True},
        {"command": "ls"},
        {"tasks": {}},
        {**BARE, "bodyType": "HTML", "toEmail": "x"},
    ],
    ids=str,
)
def test_what_is_not_xsoars_is_not_taken_for_it(document: Any):
    assert not DIALECT.recognises(document)


KEYS = [
    *BARE,
    *INSTANCE,
    "cc",
    "bcc",
    "htmlBody",
    "replyTo",
    "attachIDs",
    "attachNames",
    "attachCIDs",
    "transientFile",
    "transientFileContent",
    "transientFileCID",
    "templateParams",
    "additionalHeader",
    "raw_message",
    "bodyType",
    "renderBody",
    "sender",
    "insecure",
    "fqdn",
    "command",
    "arguments",
    "scriptarguments",
    "tasks",
    "task",
    "script",
    "nexttasks",
    "identifier",
    "password",
    "simple",
    "complex",
    "root",
    "value",
    "key",
    "name",
    "id",
    "type",
    "using",
]
WORDS: list[Any] = [
    "send-mail",
    "|||send-mail",
    "${incident.id}",
    "${x",
    "{a}",
    RAW,
    "None",
    "SSL/TLS",
    "a=b",
    "X-A=b",
    "1@2",
    IMAGE,
    '{"a": {"value": "x"}}',
    "start",
    "1",
    "#none#",
]
DOCUMENTS: list[Any] = [
    BARE,
    INSTANCE,
    {**INSTANCE, "tls": "None"},
    command(htmlBody=IMAGE, additionalHeader="X-A=b"),
    command(transientFile="a,b", transientFileContent="c,d", attachIDs="1@2"),
    command(raw_message=RAW),
    command(body="{a}", templateParams={"a": {"value": "x"}}),
    playbook(task("1", "2"), task("2", body="${incident.id}")),
    [INSTANCE, command()],
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document)[:60])
def test_every_key_has_a_note(document: Any):
    assert not unnoted(document, read(document))


@examples(150)
@given(st.one_of(anything(KEYS, WORDS), changed(DOCUMENTS, KEYS, WORDS)))
def test_any_json_is_read_or_refused_in_our_words_and_stays_what_it_is(document: Any):
    never_anything_but_ours(DIALECT, document)


@examples(80)
@given(st.text("{}%$\"'\\ a.\n,<&", max_size=30), st.sampled_from(["body", "htmlBody"]))
def test_a_text_arrives_as_it_is_or_not_at_all(text: str, key: str):
    if "${" not in text:
        found = read(command(**{key: text}))
        ours = only_node(found)["parameters"]["body"] if key == "body" or text else {"literal": text}
        assert (ours["literal"] if isinstance(ours, dict) else ours) == text
        round_trip(DIALECT, found)
