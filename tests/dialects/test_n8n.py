"""n8n's Send Email: each parameter, option and field of its credential, by the mail that arrives."""

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
from nina_smtp.dialects.n8n import DIALECT
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.workflow.blobs import FileRef, FolderBlobStore

EXAMPLES = Path(__file__).parents[2] / "examples"
BARE: dict[str, Any] = {
    "fromEmail": "soc@corp.example",
    "toEmail": "jane@corp.example",
    "subject": "Hi",
    "text": "Text",
}
CREDENTIAL: dict[str, Any] = {"user": "soc", "password": "p4ss${HOME}", "host": "127.0.0.1", "port": 2525}
SEND = "n8n-nodes-base.emailSend"


def read(document: Any) -> Imported:
    found = DIALECT.read(document, "imported")
    check(found)
    return found


def bare(**more: Any) -> dict[str, Any]:
    return {key: value for key, value in {**BARE, **more}.items() if value is not None}


def node(version: float = 2.1, name: str = "Send Email", **parameters: Any) -> dict[str, Any]:
    return {"name": name, "type": SEND, "typeVersion": version, "parameters": bare(**parameters)}


def flow(nodes: list[dict[str, Any]], wires: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """``wires`` names for each node those behind it, by output."""
    connections = {
        source: {
            "main": [[{"node": target, "type": "main", "index": 0} for target in port] for port in ports]
        }
        for source, ports in (wires or {}).items()
    }
    return {"name": "Flow", "nodes": nodes, "connections": connections, **more}


def step(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": f"n8n-nodes-base.{kind}", "parameters": {}, **more}


def noted(found: Imported, place: str) -> Note:
    (note,) = (note for note in found.notes if note.place == place)
    return note


class TestNothingIsImported:
    @pytest.mark.parametrize(
        "code",
        [
            "{{ $json.a.toUpperCase() }}",
            "{{ $json.a + 1 }}",
            "{{ $json?.a }}",
            "{{ $json.a || 'x' }}",
            "{{ $now }}",
            "{{ $json }}",
            "{{ $json.a.length }}",
            "{{ $('Elsewhere').item.json.a }}",
            "{{ $json.a",
            "\\{{ $json.a }}",
            "{{ $env.SECRET }}",
            "{{ $binary.data }}",
            "{{ 1 }}",
            "{{ $json['a\"b'] }}",
            "{{ $json.a }} {{ }}",
            "{{ $input.first().json.a }}",
        ],
    )
    @pytest.mark.parametrize(
        "key",
        [
            "subject",
            "text",
            "html",
            "toEmail",
            "fromEmail",
            "options.ccEmail",
            "options.bccEmail",
            "options.replyTo",
            "options.attachments",
        ],
    )
    def test_that_has_an_expression_that_is_not_a_path(self, key: str, code: str):
        outer, _, inner = key.partition(".")
        document = bare(**{outer: {inner: f"={code}"} if inner else f"=x {code}"})
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(document, "imported")
        assert caught.value.parameter == key

    @pytest.mark.parametrize(
        ("document", "parameter"),
        [
            (bare(toEmail=None), "toEmail"),
            (bare(toEmail="={{ }}"), "toEmail"),
            (bare(fromEmail=""), "fromEmail"),
            (bare(fromEmail="a@b.example, c@d.example"), "fromEmail"),
            (bare(toEmail="not a mailbox"), "toEmail"),
            (bare(toEmail=["a@b.example", 5]), "toEmail"),
            (bare(toEmial="x", toEmail=None, fromEmail="a@b.example"), "toEmail"),
            (bare(emailFormat="rich"), "emailFormat"),
            (bare(emailFormat="={{ $json.f }}"), "emailFormat"),
            (bare(operation="delete"), "operation"),
            (bare(options=[]), "options"),
            (bare(options={"allowUnauthorizedCerts": "={{ $json.x }}"}), "options.allowUnauthorizedCerts"),
            (node(9.0), "typeVersion"),
            (CREDENTIAL | {"host": "a b"}, "host"),
            (CREDENTIAL | {"user": ""}, "user"),
            (CREDENTIAL | {"port": 70000}, "port"),
            (CREDENTIAL | {"secure": "maybe"}, "secure"),
            ({"name": "x", "type": "smtp", "data": "U2FsdGVkX1+"}, "data"),
            ({"name": "x", "type": "slackApi", "data": {"token": "x"}}, "type"),
            (flow([step("If", "if")]), "nodes"),
            (flow([node(), node()]), "nodes[1]"),
            (
                flow(
                    [step("S", "manualTrigger"), node(), node(name="B")],
                    {"S": [["B"]], "Send Email": [["B"]], "B": [["Send Email"]]},
                ),
                None,
            ),
            ({"x": 1}, None),
            ([], None),
        ],
    )
    def test_where_something_is_wrong(self, document: Any, parameter: str | None):
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(document, "imported")
        assert caught.value.parameter == parameter

    @pytest.mark.parametrize("operation", ["sendAndWait", "sendToInstanceUser"])
    def test_of_an_operation_that_is_another(self, operation: str):
        found = read(bare(operation=operation))
        assert not found.nodes
        assert noted(found, "operation").fate is Fate.LEFT_OUT
        assert not read(flow([node(operation=operation)])).workflows


Said = Callable[[Any, Mail], Any]

PARAMETERS: list[tuple[str, dict[str, Any], Said, Any]] = [
    (
        "fromEmail",
        {"fromEmail": "SOC <soc@corp.example>"},
        lambda _, m: m.from_,
        [("SOC", "soc@corp.example")],
    ),
    (
        "toEmail",
        {"toEmail": '"Doe, J" <j@corp.example>, b@c.example'},
        lambda _, m: m.to,
        [("Doe, J", "j@corp.example"), ("", "b@c.example")],
    ),
    ("toEmail-expression", {"toEmail": "={{ $json.to }}"}, lambda _, m: m.to, [("", "a@b.example")]),
    ("toEmail-list-in-item", {"toEmail": "={{ $json.list }}"}, lambda _, m: len(m.to or []), 2),
    (
        "toEmail-expressions",
        {"toEmail": '={{ $json.to }}, "{{ $json.name }}" <c@d.example>'},
        lambda _, m: m.to,
        [("", "a@b.example"), ("Doe, J", "c@d.example")],
    ),
    ("ccEmail", {"options": {"ccEmail": "c@d.example"}}, lambda _, m: m.cc, [("", "c@d.example")]),
    ("ccEmail-v1", {"ccEmail": "c@d.example"}, lambda _, m: m.cc, [("", "c@d.example")]),
    (
        "bccEmail",
        {"options": {"bccEmail": "c@d.example"}},
        lambda s, m: (s.recipients, "bcc" in m.header_names),
        ([b"jane@corp.example", b"c@d.example"], False),
    ),
    ("bccEmail-v1", {"bccEmail": "c@d.example"}, lambda s, _: s.recipients[1], b"c@d.example"),
    (
        "replyTo",
        {"options": {"replyTo": "r@corp.example"}},
        lambda s, _: header(s, "Reply-To"),
        "r@corp.example",
    ),
    (
        "subject",
        {"subject": "{{ no template }} {% x %}"},
        lambda _, m: m.subject,
        "{{ no template }} {% x %}",
    ),
    (
        "subject-expression",
        {"subject": '=[{{ $json["a b"].c }}] {{$json.n}}{'},
        lambda _, m: m.subject,
        "[deep] 5{",
    ),
    ("subject-input", {"subject": "={{ $input.item.json.title }}"}, lambda _, m: m.subject, "Title"),
    ("subject-empty", {"subject": None}, lambda _, m: m.subject, ""),
    ("subject-equals", {"subject": "=plain"}, lambda _, m: m.subject, "plain"),
    ("text", {"text": "=Hi {{ $json.html }}"}, lambda _, m: m.text, "Hi <b>&</b>\n"),
    ("text-empty", {"text": ""}, lambda _, m: (m.text or "").strip(), ""),
    (
        "html",
        {"emailFormat": "html", "html": "<p>{{x}}</p>"},
        lambda _, m: (m.html, bool(m.text)),
        ("<p>{{x}}</p>", True),
    ),
    (
        "html-expression",
        {"emailFormat": "html", "html": "=<p>{{ $json.html }}</p>"},
        lambda _, m: m.html,
        "<p>&lt;b&gt;&amp;&lt;/b&gt;</p>",
    ),
    ("html-whole", {"emailFormat": "html", "html": "={{ $json.html }}"}, lambda _, m: m.html, "<b>&</b>"),
    (
        "emailFormat-both",
        {"emailFormat": "both", "html": "<p>h</p>"},
        lambda _, m: (m.text, m.html),
        ("Text", "<p>h</p>"),
    ),
    (
        "emailFormat-text",
        {"emailFormat": "text", "html": "<p>h</p>"},
        lambda _, m: (m.text, m.html),
        ("Text\n", None),
    ),
    ("emailFormat-none-v1", {"html": "<p>h</p>"}, lambda _, m: (m.text, m.html), ("Text", "<p>h</p>")),
    ("resource", {"resource": "email", "operation": "send"}, lambda _, m: m.subject, "Hi"),
    ("appendAttribution", {"options": {"appendAttribution": True}}, lambda _, m: m.text, "Text\n"),
    (
        "attachments",
        {"options": {"attachments": "pdf"}},
        lambda _, m: [(a.filename, a.content) for a in m.attachments or []],
        [("a.pdf", PDF)],
    ),
    ("attachments-v1", {"attachments": " pdf , pdf"}, lambda _, m: len(m.attachments or []), 2),
    ("fileAttachments", {"options": {"fileAttachments": "pdf"}}, lambda _, m: len(m.attachments or []), 1),
    (
        "attachments-cid",
        {"emailFormat": "html", "html": '<img src="cid:pdf">', "options": {"attachments": "pdf"}},
        lambda _, m: [a.content_id for a in m.attachments or []],
        ["pdf"],
    ),
    ("allowUnauthorizedCerts", {"options": {"allowUnauthorizedCerts": True}}, lambda _, m: m.subject, "Hi"),
]


@pytest.mark.parametrize(
    ("given_", "said", "expected"), [row[1:] for row in PARAMETERS], ids=[r[0] for r in PARAMETERS]
)
def test_a_parameter_is_in_the_mail(given_: dict[str, Any], said: Said, expected: Any, tmp_path: Path):
    blobs = FolderBlobStore(tmp_path)
    blob, size = blobs.put([PDF])
    item = {
        "to": "a@b.example",
        "list": ["a@b.example", "c@d.example"],
        "name": "Doe, J",
        "a b": {"c": "deep"},
        "n": 5,
        "title": "Title",
        "html": "<b>&</b>",
        "subject": "not this",
        "pdf": FileRef("a.pdf", blob, "application/pdf", size).as_dict(),
    }
    found = read(bare(**given_))
    message, mail = sent(found, item, blobs)
    assert said(message, mail) == expected
    for key in given_:
        places = [note.place for note in found.notes]
        assert any(place.partition(".")[0] == key for place in places) or key == "options"
    if "allowUnauthorizedCerts" not in str(given_):
        round_trip(DIALECT, found)


def test_a_value_cannot_bring_a_second_recipient():
    found = read(bare(toEmail="={{ $json.to }}, b@c.example"))
    results = nina_smtp.send(
        only_node(found),
        {"host": "127.0.0.1", "authMethod": "none"},
        {"to": "a@b.example, evil@x.example"},
        dry_run=True,
    )
    assert results[0].error
    assert results[0].error.parameter == "to[0]"


@pytest.mark.parametrize("item", [{}, {"other": 1}])
def test_a_path_that_is_not_there_sends_nothing(item: dict[str, Any]):
    found = read(bare(subject="={{ $json.title }}"))
    results = nina_smtp.send(
        only_node(found), {"host": "127.0.0.1", "authMethod": "none"}, item, dry_run=True
    )
    assert results[0].error
    assert results[0].error.type == "templateError"


def test_a_file_that_is_not_there_sends_nothing():
    found = read(bare(options={"attachments": "data"}))
    assert noted(found, "options.attachments").fate is Fate.BETTER
    results = nina_smtp.send(only_node(found), {"host": "127.0.0.1", "authMethod": "none"}, {}, dry_run=True)
    assert results[0].error


@pytest.mark.parametrize(
    ("version", "parameters", "kind"),
    [
        (1, {"html": "<p>h</p>"}, ("html", "Text")),
        (1, {}, ("text", None)),
        (2, {"html": "<p>h</p>"}, ("text", None)),
        (2.1, {"html": "<p>h</p>"}, ("html", None)),
        (2.1, {"emailFormat": "text"}, ("text", None)),
    ],
)
def test_the_version_of_a_node_says_what_is_sent_without_a_format(version: float, parameters: Any, kind: Any):
    found = only_node(read(node(version, **parameters)))["parameters"]
    assert (found.get("contentType", "text"), found.get("textBody")) == kind


FIELDS: list[tuple[str, dict[str, Any], dict[str, Any], Fate, str]] = [
    ("host", {}, {"host": "127.0.0.1"}, Fate.SAME, "host"),
    ("user", {}, {"username": "soc", "authMethod": "auto"}, Fate.SAME, "user"),
    ("password", {}, {"password": "p4ss$${HOME}"}, Fate.SAME, "password"),
    ("password-missing", {"password": None}, {"password": "${IMPORTED_PASSWORD}"}, Fate.WARNING, "password"),
    (
        "user-none",
        {"user": None, "password": None, "secure": True},
        {"authMethod": "none"},
        Fate.SAME,
        "secure",
    ),
    ("port", {"port": "465"}, {"port": 465}, Fate.SAME, "port"),
    ("port-default", {"port": None}, {"port": 465}, Fate.SAME, "port"),
    ("port-of-starttls", {"port": 587}, {"port": 587, "encryption": "tls"}, Fate.WARNING, "port"),
    ("port-of-tls", {"port": 465, "secure": False}, {"encryption": "starttls"}, Fate.WARNING, "port"),
    ("secure", {"secure": True, "port": 465}, {"encryption": "tls"}, Fate.SAME, "secure"),
    ("secure-default", {}, {"encryption": "tls"}, Fate.SAME, "secure"),
    ("secure-false", {"secure": False}, {"encryption": "starttls"}, Fate.BETTER, "secure"),
    (
        "disableStartTls",
        {"secure": False, "disableStartTls": True, "host": "h.example"},
        {"encryption": "none", "allowCleartextLogin": True},
        Fate.WARNING,
        "disableStartTls",
    ),
    (
        "disableStartTls-here",
        {"secure": False, "disableStartTls": True},
        {"encryption": "none"},
        Fate.SAME,
        "disableStartTls",
    ),
    (
        "disableStartTls-secure",
        {"secure": True, "disableStartTls": True},
        {"encryption": "tls"},
        Fate.LEFT_OUT,
        "disableStartTls",
    ),
    (
        "disableStartTls-no-login",
        {"secure": False, "disableStartTls": True, "user": "", "password": "", "host": "h.example"},
        {"encryption": "none", "authMethod": "none"},
        Fate.WARNING,
        "disableStartTls",
    ),
    ("hostName", {"hostName": "me.corp.example"}, {"ehloName": "me.corp.example"}, Fate.SAME, "hostName"),
]


@pytest.mark.parametrize(
    ("more", "ours", "fate", "place"), [row[1:] for row in FIELDS], ids=[r[0] for r in FIELDS]
)
def test_a_field_of_the_credential(more: dict[str, Any], ours: dict[str, Any], fate: Fate, place: str):
    fields = {key: value for key, value in {**CREDENTIAL, **more}.items() if value is not None}
    for document in (fields, {"name": "imported", "type": "smtp", "data": fields}):
        found = read(document)
        data = dict(found.credentials["imported"]["data"])
        assert data | ours == data
        assert noted(found, place if document is fields else f"data.{place}").fate is fate
        round_trip(DIALECT, found)


@pytest.mark.parametrize(
    ("tls", "fields"),
    [
        ("implicit", {"secure": True}),
        ("starttls", {"secure": False}),
        ("none", {"secure": False, "disableStartTls": True}),
    ],
)
def test_an_imported_credential_logs_in(tls: Any, fields: dict[str, Any]):
    with Recorder(tls=tls, users={"soc": "p4ss"}) as server:
        document = [
            {
                "name": "c",
                "type": "smtp",
                "data": {
                    "user": "soc",
                    "password": "p4ss",
                    "host": server.host,
                    "port": server.port,
                    **fields,
                },
            },
            {
                **node(options={"allowUnauthorizedCerts": True}),
                "credentials": {"smtp": {"id": "1", "name": "c"}},
            },
        ]
        found = read(document)
        data = dict(found.credentials["c"]["data"])
        nina_smtp.send(only_node(found), data, {}).raise_for_status()
        assert len(server.messages) == 1
        assert server.saw_secret("p4ss", "soc") is (tls == "none")


@pytest.mark.parametrize("secure", [True, False])
def test_a_stripped_starttls_gets_no_password(secure: bool):
    with Recorder(tls="none", users={"soc": "p4ss"}) as server:
        fields = {
            "user": "soc",
            "password": "p4ss",
            "host": server.host,
            "port": server.port,
            "secure": secure,
        }
        data = dict(read(fields).credentials["imported"]["data"])
        results = nina_smtp.send(
            only_node(read(BARE)), {**data, "timeouts": {"connect": 2, "greeting": 2}}, {}
        )
        assert results[0].error
        assert not server.saw_secret("p4ss", "soc", clear=False)


class TestWorkflows:
    def test_are_wired_as_there(self, tmp_path: Path):
        found = read(
            flow(
                [
                    step("Webhook", "webhook"),
                    node(),
                    step("Nothing", "noOp"),
                    node(
                        name="B",
                        subject="=After {{ $json.messageId }}",
                        html="={{ $('Webhook').item.json.x }} {{ $node[\"Webhook\"].json['x'] }} "
                        "{{ $node.Webhook.json.x }}",
                    ),
                ],
                {"Webhook": [["Send Email"]], "Send Email": [["Nothing"]], "Nothing": [["B"]]},
            )
        )
        assert not list(found.told(Fate.WARNING))
        done, messages = ran(found, [{"x": "deep"}], tmp_path)
        assert done.status.value == "succeeded"
        first, second = messages
        assert header(second, "Subject") == f"After {header(first, 'Message-ID')}"
        assert b"deep deep deep" in second.content
        round_trip(DIALECT, found)

    def test_behind_a_node_that_is_not_known_here_is_disabled_and_so_is_what_is_behind_it(
        self, tmp_path: Path
    ):
        found = read(
            flow(
                [
                    step("Start", "manualTrigger"),
                    step("If", "if"),
                    node(html="={{ $json.x }}"),
                    node(name="Next"),
                    node(name="Beside"),
                ],
                {"Start": [["If", "Beside"]], "If": [["Send Email"]], "Send Email": [["Next"]]},
            )
        )
        (warning,) = (note for note in found.told(Fate.WARNING) if note.place == "nodes[2]")
        assert "If (n8n-nodes-base.if)" in warning.message
        assert noted(found, "nodes[1]").fate is Fate.LEFT_OUT
        off = {one["name"]: one.get("disabled", False) for one in found.workflows[0]["nodes"]}
        assert off == {"Start": False, "Send Email": True, "Next": True, "Beside": False}
        assert noted(found, "nodes[3]").fate is Fate.WARNING
        _, messages = ran(found, [{"x": "<i>y</i>"}], tmp_path)
        assert len(messages) == 1
        round_trip(DIALECT, found)

    def test_use_what_is_pinned_to_the_trigger(self, tmp_path: Path):
        found = read(
            flow(
                [step("Hook", "webhook"), node(text="={{ $json.x }}", emailFormat="text")],
                {"Hook": [["Send Email"]]},
                pinData={"Hook": [{"json": {"x": "pinned"}}]},
            )
        )
        _, messages = ran(found, None, tmp_path)
        assert b"pinned" in messages[0].content
        round_trip(DIALECT, found)

    def test_run_a_node_without_a_wire_only_where_there_are_no_wires_at_all(self):
        lonely = read(flow([step("Start", "manualTrigger"), node(), node(name="B")], {"Start": [["B"]]}))
        disabled = {one["name"]: one.get("disabled") for one in lonely.workflows[0]["nodes"]}
        assert disabled == {"Start": None, "Send Email": True, "B": None}
        pasted = read([node(), node(name="B")])
        assert not any(one.get("disabled") for one in pasted.workflows[0]["nodes"])
        round_trip(DIALECT, pasted)

    @pytest.mark.parametrize(
        ("more", "path", "value"),
        [
            ({"disabled": True}, "disabled", True),
            ({"notes": "Night shift"}, "notes", "Night shift"),
            ({"position": [10, 20.5]}, "position", {"x": 10.0, "y": 20.5}),
            ({"id": "abc-1"}, "id", "abc-1"),
            ({"id": "a b"}, "id", "mail-1"),
            ({"executeOnce": True}, "config.options.mode", "once"),
            ({"onError": "continueRegularOutput"}, "config.options.onError", "continue"),
            ({"onError": "stopWorkflow"}, "config.options.onError", None),
            ({"continueOnFail": True}, "config.options.onError", "continue"),
            ({"retryOnFail": True, "maxTries": 3}, "config.options.onError", None),
            ({"credentials": {"smtp": {"id": "1", "name": "SOC mail"}}}, "credential", "SOC mail"),
            ({}, "credential", "imported"),
        ],
    )
    def test_keep_what_a_node_says_of_itself(self, more: dict[str, Any], path: str, value: Any):
        found = read(flow([step("Start", "manualTrigger"), {**node(), **more}], {"Start": [["Send Email"]]}))
        held: Any = found.workflows[0]["nodes"][1]
        for key in path.split("."):
            held = None if held is None else held.get(key)
        assert held == value
        for key in more:
            assert any(note.place.startswith(f"nodes[1].{key}") for note in found.notes)
        round_trip(DIALECT, found)

    def test_send_failed_mails_on_by_the_output_error(self):
        found = read(
            flow(
                [
                    step("Start", "manualTrigger"),
                    {**node(), "onError": "continueErrorOutput"},
                    node(name="B"),
                ],
                {"Start": [["Send Email"]], "Send Email": [[], ["B"]]},
            )
        )
        edges = found.workflows[0]["edges"]
        assert {"from": "mail-1", "to": "mail-2", "output": "error"} in edges
        round_trip(DIALECT, found)

    def test_see_only_of_a_mail_what_its_result_says_in_the_same_words(self):
        for code in ("rejected", "envelopeTime", "x"):
            with pytest.raises(InvalidConfiguration, match="not a path"):
                read(
                    flow(
                        [
                            step("S", "manualTrigger"),
                            node(),
                            node(name="B", subject=f"={{{{ $json.{code} }}}}"),
                        ],
                        {"S": [["Send Email"]], "Send Email": [["B"]]},
                    )
                )

    def test_that_are_large_are_refused_quickly(self):
        with pytest.raises(InvalidConfiguration, match="more than 1000"):
            read(flow([node(name=str(number)) for number in range(1001)]))
        chain = [step("S", "manualTrigger"), *(node(name=str(n)) for n in range(300))]
        found = read(flow(chain, {"S": [["0"]], **{str(n): [[str(n + 1)]] for n in range(299)}}))
        assert len(found.workflows[0]["edges"]) == 300


class TestWhatIsTold:
    def test_names_every_expression_in_one_error_and_the_node_it_is_of(self):
        nodes = [
            step("S", "manualTrigger"),
            node(name="Send Mgmt", subject="={{ f() }} {{ f() }} {{ $now }}"),
            node(name="Send SOC", html="={{ $json.a + 1 }}"),
        ]
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(flow(nodes, {"S": [["Send Mgmt", "Send SOC"]]}), "imported")
        error = caught.value
        assert error.parameter == "nodes[1].parameters.subject"
        assert str(error) == error.message
        for said in (
            "nodes[1].parameters.subject (Send Mgmt) has an expression that is not a path: 'f()'.",
            "'$now'.",
            "nodes[2].parameters.html (Send SOC) has an expression that is not a path: '$json.a + 1'.",
        ):
            assert error.message.count(said) == 1

    @pytest.mark.parametrize(("number", "told"), [(10, 10), (11, 10), (5000, 10)])
    def test_names_ten_expressions_at_most(self, number: int, told: int):
        text = "=" + "".join(f"{{{{ f({n}) }}}}" for n in range(number))
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(bare(subject=text), "imported")
        assert caught.value.message.count("not a path") == told
        assert caught.value.message.endswith("There are more.") is (number > told)

    def test_says_what_else_is_wrong_beside_an_expression(self):
        with pytest.raises(InvalidConfiguration, match=r"not a path.*emailFormat \(B\) cannot be"):
            DIALECT.read(flow([node(subject="={{ f() }}"), node(name="B", emailFormat="x")]), "imported")

    @pytest.mark.parametrize(
        "wrong", [{"toEmail": None, "toEmial": "a@b.example"}, {"operation": "delete"}, {"emailFormat": "x"}]
    )
    def test_names_the_node_of_whatever_is_wrong(self, wrong: dict[str, Any]):
        with pytest.raises(InvalidConfiguration, match=r"^nodes\[0\]\.parameters\.\w+ \(Send Mgmt\) "):
            DIALECT.read(flow([node(name="Send Mgmt", **wrong)]), "imported")

    def test_names_the_node_of_a_warning(self):
        other = node(
            name="Send Mgmt",
            html="={{ $json.h }}",
            emailFormat="html",
            options={"allowUnauthorizedCerts": True},
        )
        account = {"name": "imported", "type": "smtp", "data": CREDENTIAL}
        nodes = [step("S", "manualTrigger"), step("If", "if"), other]
        wires = {"S": [["If"]], "If": [["Send Mgmt"]]}
        found = read([account, flow(nodes, wires)])
        told = [note for note in found.told(Fate.WARNING) if note.place.startswith("[1].nodes[2]")]
        assert len(told) == 3
        assert all("(Send Mgmt)" in note.message for note in told)

    def test_says_of_every_key_what_became_of_it(self):
        whole = bare(options={"appendAttribution": False})
        for document in (whole, *DOCUMENTS):
            assert all(note.message or note.becomes for note in read(document).notes)

    @pytest.mark.parametrize(("missing", "slip"), [("toEmail", "toEmial"), ("fromEmail", "fromEmal")])
    def test_names_a_slip_of_the_pen(self, missing: str, slip: str):
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(bare(**{missing: None, slip: "a@b.example"}), "imported")
        assert caught.value.hint == f"There is {slip}: did you mean {missing}?"


@pytest.mark.parametrize("key", ["attachments", "fileAttachments"])
def test_a_hundred_files_are_read_and_no_more(key: str):
    found = read(bare(options={key: "a," * 100}))
    assert len(only_node(found)["parameters"]["attachments"]) == 100
    round_trip(DIALECT, found)
    for more in ({key: "a," * 40_000}, {"attachments": "a," * 60, "fileAttachments": "a," * 60}):
        with pytest.raises(InvalidConfiguration, match="at most 100"):
            DIALECT.read(bare(options=more), "imported")


def test_nothing_in_the_data_sets_what_the_node_does_not_say():
    for item in (HOSTILE, {"parameters": HOSTILE}):
        message, _ = sent(read(BARE), item)
        assert b"evil" not in message.content
        assert message.recipients == [b"jane@corp.example"]
        assert message.sender == b"soc@corp.example"


class TestWriting:
    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"importance": "high"}, "importance"),
            ({"headers": {"X-A": "b"}}, "headers"),
            ({"textBody": {"literal": ""}, "contentType": "html"}, "textBody"),
            ({"attachments": [{"filename": "a", "content": "aGk="}]}, "attachments[0]"),
            ({"subject": "{{ a | upcase }}"}, "subject"),
            ({"subject": "{% if a %}b{% endif %}"}, "subject"),
            ({"body": "{{ a }}", "contentType": "html"}, "body"),
            ({"from": None}, "fromEmail"),
            ({"envelopeFrom": ""}, "envelopeFrom"),
            ({"envelopeFrom": {"literal": ""}}, "envelopeFrom"),
            ({"textBody": ""}, "textBody"),
            ({"textBody": "", "contentType": "html"}, "textBody"),
            ({"to": ["{{ a }}"]}, "to"),
            ({"to": "{{ a }} "}, "to"),
            ({"cc": ["{{ a }}"]}, "cc"),
            ({"attachments": ["{{ a }}"] * 101}, "attachments"),
        ],
    )
    def test_names_what_would_be_lost(self, change: dict[str, Any], named: str):
        ours = only_node(read(BARE))
        ours["parameters"] = {k: v for k, v in {**ours["parameters"], **change}.items() if v is not None}
        with pytest.raises(InvalidConfiguration, match=named.replace("[", r"\[")):
            DIALECT.write(Imported("nina", {}, {"x": ours}))

    def test_names_all_of_it(self):
        ours = {
            "parameters": {
                "to": "a@b.example",
                "from": "a@b.example",
                "subject": "s",
                "body": "b",
                "importance": "high",
                "headers": {"a": "b"},
            },
            "options": {"sources": "node"},
        }
        account = {
            "type": "smtp",
            "data": {"host": "h", "authMethod": "plain", "username": "u", "password": "p"},
        }
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.write(Imported("nina", {"c": account}, {"x": ours}))
        for name in ("importance", "headers", "authMethod"):
            assert name in caught.value.message

    @pytest.mark.parametrize("credential", [["soc"], ["soc", "spare"], None, {"type": "smtp", "data": {}}])
    def test_refuses_a_credential_that_is_not_one_name(self, credential: Any):
        found = read(flow([step("Start", "manualTrigger"), node()], {"Start": [["Send Email"]]}))
        found.workflows[0]["nodes"][1]["credential"] = credential
        with pytest.raises(InvalidConfiguration, match="credential has to be one name"):
            DIALECT.write(found)

    @pytest.mark.parametrize("to", ["{{ a }}", ["{{ a }}", "b@c.example"]])
    def test_keeps_what_may_be_a_list_apart_from_one_mailbox(self, to: Any):
        ours = only_node(read(BARE))
        ours["parameters"]["to"] = to
        again = DIALECT.read(DIALECT.write(Imported("nina", {}, {"x": ours})), "x")
        assert only_node(again)["parameters"]["to"] == to

    def test_says_nothing_of_a_password_that_stays_on_this_machine(self):
        for allowed in ({}, {"allowCleartextLogin": True}):
            data = {"host": "localhost", "encryption": "none", "username": "u", "password": "p", **allowed}
            account = {"type": "smtp", "data": {**data, "authMethod": "auto"}}
            written = DIALECT.write(Imported("nina", {"c": account}))
            assert not list(read(written).told(Fate.WARNING))

    def test_refuses_what_is_looked_for_in_the_data(self):
        with pytest.raises(InvalidConfiguration, match="sources"):
            DIALECT.write(Imported("nina", {}, {"x": {"parameters": {}}}))


@pytest.mark.parametrize("path", sorted((EXAMPLES / "n8n").iterdir()), ids=lambda path: path.stem)
def test_an_example_is_read_and_written_back(path: Path):
    document = parse(path.read_bytes())
    assert DIALECT.recognises(document)
    round_trip(DIALECT, read(document))


@pytest.mark.parametrize(
    "path",
    sorted(
        p for p in EXAMPLES.rglob("*") if p.suffix in (".json", ".yaml", ".yml") and p.parent.name != "n8n"
    ),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_what_is_for_another_system_is_not_taken_for_n8ns(path: Path):
    assert not DIALECT.recognises(parse(path.read_bytes()))


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        "x",
        {"to": "a@b.example", "subject": "s", "body": "b"},
        {"toEmail": "a@b.example"},
        {"host": "h", "port": 1, "username": "u", "password": "p"},
        {"nodes": []},
        {"nodes": [{"id": "a", "type": "smtp"}], "edges": []},
        {"type": "smtp", "data": {"host": "h"}},
        {"host": "h", "user": "u", "from": "x"},
        [BARE, {}],
    ],
    ids=str,
)
def test_what_is_not_n8ns_is_not_taken_for_it(document: Any):
    assert not DIALECT.recognises(document)


KEYS = [
    *BARE,
    *CREDENTIAL,
    "options",
    "html",
    "emailFormat",
    "secure",
    "disableStartTls",
    "hostName",
    "type",
    "nodes",
    "parameters",
    "typeVersion",
    "name",
    "credentials",
    "smtp",
    "id",
    "connections",
    "data",
    "attachments",
    "ccEmail",
    "allowUnauthorizedCerts",
    "operation",
    "disabled",
    "position",
    "onError",
    "main",
    "pinData",
]
WORDS: list[Any] = [
    SEND,
    "smtp",
    "={{ $json.a }}",
    "=x {{ $json['a b'] }} y",
    "={{ f() }}",
    "={{ $json.a",
    "html",
    "both",
    "sendAndWait",
    "Send Email",
    2.1,
    "none",
    "={",
    "=a {{ $json.a }}{",
]
DOCUMENTS: list[Any] = [
    BARE,
    CREDENTIAL,
    {**CREDENTIAL, "secure": False, "disableStartTls": True},
    node(),
    flow(
        [step("S", "manualTrigger"), node(), node(name="B")], {"S": [["Send Email"]], "Send Email": [["B"]]}
    ),
    [{"name": "c", "type": "smtp", "data": CREDENTIAL}, node(options={"allowUnauthorizedCerts": True})],
    json.loads((EXAMPLES / "n8n/1-workflow.json").read_text()),
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document)[:60])
def test_every_key_has_a_note(document: Any):
    assert not unnoted(document, read(document))


@examples(150)
@given(st.one_of(anything(KEYS, WORDS), changed(DOCUMENTS, KEYS, WORDS)))
def test_any_json_is_read_or_refused_in_our_words_and_stays_what_it_is(document: Any):
    never_anything_but_ours(DIALECT, document)


@examples(80)
@given(st.text("{}%$=\"'\\ a.\n,<&", max_size=30), st.sampled_from(["subject", "text", "html"]))
def test_a_text_arrives_as_it_is_or_not_at_all(text: str, key: str):
    found = (
        read(bare(**{key: text, "emailFormat": "html" if key == "html" else "text"}))
        if text[:1] != "="
        else None
    )
    if found:
        ours = only_node(found)["parameters"]["subject" if key == "subject" else "body"]
        assert (ours["literal"] if isinstance(ours, dict) else ours) == text
        round_trip(DIALECT, found)
