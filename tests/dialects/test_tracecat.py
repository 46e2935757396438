"""Tracecat's mail action: each argument and each key of its secret, by the mail that arrives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bed.mail import Mail
from bed.recorder import Recorder
from dialects.arriving import (
    HOSTILE,
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
from nina_smtp.dialects.tracecat import DIALECT
from nina_smtp.errors import InvalidConfiguration

EXAMPLES = Path(__file__).parents[2] / "examples"
SEND = "core.send_email_smtp"
BARE: dict[str, Any] = {
    "sender": "soc@corp.example",
    "recipients": ["jane@corp.example"],
    "subject": "Hi",
    "body": "Text",
}
SECRET: dict[str, Any] = {
    "SMTP_HOST": "127.0.0.1",
    "SMTP_PORT": "2525",
    "SMTP_USER": "soc",
    "SMTP_PASS": "p4ss",
}
HTML = {"content_type": "text/html"}


def read(document: Any) -> Imported:
    found = DIALECT.read(document, "imported")
    check(found)
    return found


def bare(**more: Any) -> dict[str, Any]:
    return {key: value for key, value in {**BARE, **more}.items() if value is not None}


def action(ref: str = "mail", *before: str, **args: Any) -> dict[str, Any]:
    return {"ref": ref, "action": SEND, "args": bare(**args), "depends_on": list(before)}


def flow(*actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"title": "Flow", "entrypoint": {"ref": actions[0]["ref"]}, "actions": list(actions), **more}


def noted(found: Imported, place: str) -> Note:
    (note,) = (note for note in found.notes if note.place == place)
    return note


class TestNothingIsImported:
    @pytest.mark.parametrize(
        "code",
        [
            "${{ TRIGGER }}",
            "${{ ACTIONS.a.result }}",
            "${{ FN.now() }}",
            "${{ SECRETS.smtp.SMTP_USER }}",
            "${{ TRIGGER.a + 1 }}",
            "${{ TRIGGER.a[*] }}",
            "${{ TRIGGER..a }}",
            "${{ var.x }}",
            "${{ TRIGGER.a",
            "${{}}",
            "${{ TRIGGER.a -> int }}",
            "${{ TRIGGER['a\"b'] }}",
            "${{ ENV.workflow }}",
        ],
    )
    @pytest.mark.parametrize(
        "key",
        [
            "sender",
            "recipients",
            "cc",
            "bcc",
            "reply_to",
            "subject",
            "body",
            "headers.X-A",
            "enable_auth",
            "timeout",
            "sender_prefix",
            "content_type",
        ],
    )
    def test_that_has_an_expression_that_is_not_a_path(self, key: str, code: str):
        outer, _, inner = key.partition(".")
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(bare(**{outer: {inner: code} if inner else f"x {code}"}), "imported")
        assert caught.value.parameter == key

    @pytest.mark.parametrize(
        ("document", "parameter"),
        [
            (bare(recipients=[]), "recipients"),
            (bare(recipients=["nobody"]), "recipients"),
            (bare(recipients=[5]), "recipients"),
            (bare(sender=""), "sender"),
            (bare(sender="a@b.example, c@d.example"), "sender"),
            (bare(subject=None), "subject"),
            (bare(body=None), "body"),
            (bare(content_type="text/markdown"), "content_type"),
            (bare(headers={"Subject": "x"}), "headers.Subject"),
            (bare(headers={"a b": "x"}), "headers.a b"),
            (bare(headers={"Importance": "very"}), "headers.Importance"),
            (bare(headers=["x"]), "headers"),
            (bare(timeout="soon"), "timeout"),
            (bare(timeout=-1), "timeout"),
            (bare(enable_auth="maybe"), "enable_auth"),
            (bare(sender="${{ TRIGGER.s }}", sender_prefix="SOC"), "sender_prefix"),
            (bare(body='<p title="${{ TRIGGER.a }}">x</p>', **HTML), "body"),
            (bare(body='<a href="${{ TRIGGER.a }}">x</a>', **HTML), "body"),
            (bare(**HTML, allowed_attributes={"a": "style"}), "allowed_attributes.a"),
            (bare(**HTML, allowed_attributes={"a": ["rel"]}), "allowed_attributes"),
            ({**SECRET, "SMTP_PORT": "0"}, "SMTP_PORT"),
            ({**SECRET, "SMTP_HOST": "a b"}, "SMTP_HOST"),
            ([SECRET, SECRET], "[1].name"),
            ([{**SECRET, "SMTP_USER": ""}, bare(enable_auth=True)], "[0].SMTP_USER"),
            (flow(action("A b")), "actions[0].ref"),
            (flow(action("a"), action("a")), "actions[1].ref"),
            (flow(action("a", "nowhere")), "actions[0].depends_on"),
            (flow(action("a", "b"), action("b", "a")), None),
            ({"action": "core.http_request", "args": {}}, "actions"),
            ({"x": 1}, "recipients"),
        ],
    )
    def test_where_something_is_wrong(self, document: Any, parameter: str | None):
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(document, "imported")
        assert caught.value.parameter == parameter


Said = Callable[[Any, Mail], Any]

ARGUMENTS: list[tuple[str, dict[str, Any], Said, Any]] = [
    (
        "sender",
        {"sender": "me@corp.example"},
        lambda s, m: (s.sender, m.from_),
        (b"me@corp.example", [("", "me@corp.example")]),
    ),
    (
        "sender_prefix",
        {"sender_prefix": 'SOC, "x"'},
        lambda _, m: m.from_,
        [('SOC, "x"', "soc@corp.example")],
    ),
    ("recipients", {"recipients": ["a@b.example", "c@d.example"]}, lambda _, m: len(m.to or []), 2),
    ("recipients-expression", {"recipients": "${{ TRIGGER.list }}"}, lambda _, m: len(m.to or []), 2),
    (
        "recipients-element",
        {"recipients": ["${{ TRIGGER.owner }}", "c@d.example"]},
        lambda _, m: m.to,
        [("", "o@corp.example"), ("", "c@d.example")],
    ),
    ("cc", {"cc": "c@d.example"}, lambda _, m: m.cc, [("", "c@d.example")]),
    (
        "bcc",
        {"bcc": ["c@d.example"]},
        lambda s, m: (s.recipients[1], "bcc" in m.header_names),
        (b"c@d.example", False),
    ),
    ("reply_to", {"reply_to": "r@corp.example"}, lambda s, _: header(s, "Reply-To"), "r@corp.example"),
    (
        "subject",
        {"subject": "{{ a }} ${{ TRIGGER.alert['a b'][0] }} $"},
        lambda _, m: m.subject,
        "{{ a }} deep $",
    ),
    ("subject-empty", {"subject": ""}, lambda _, m: m.subject, ""),
    ("body", {"body": "{% x %} ${{TRIGGER.html}}"}, lambda _, m: m.text, "{% x %} <b>\n"),
    ("content_type-plain", {"content_type": "text/plain"}, lambda _, m: (m.text, m.html), ("Text\n", None)),
    (
        "content_type",
        {**HTML, "body": '<p onclick="x" style="y">{{ t }}</p><script>1</script>'},
        lambda _, m: (m.html, m.text),
        ("<p>{{ t }}</p>", "{{ t }}\n"),
    ),
    (
        "body-html-expression",
        {**HTML, "body": '<p>${{ TRIGGER.html }}</p><a href="https://x.example/${{ TRIGGER.html }}">x</a>'},
        lambda _, m: m.html,
        '<p>&lt;b&gt;</p><a href="https://x.example/&lt;b&gt;" rel="noopener noreferrer">x</a>',
    ),
    ("body-html-whole", {**HTML, "body": "${{ TRIGGER.html }}"}, lambda _, m: m.html, "&lt;b&gt;"),
    (
        "allowed_attributes",
        {**HTML, "body": '<p style="color:red" class="c">x</p>', "allowed_attributes": {"*": ["style"]}},
        lambda _, m: m.html,
        '<p style="color:red">x</p>',
    ),
    (
        "headers",
        {"headers": {"X-A": "b {{c}}", "X-B": "${{ TRIGGER.owner }}"}},
        lambda s, _: (header(s, "X-A"), header(s, "X-B")),
        ("b {{c}}", "o@corp.example"),
    ),
    ("headers-importance", {"headers": {"Importance": "High"}}, lambda s, _: header(s, "X-Priority"), "1"),
    (
        "headers-in-reply-to",
        {"headers": {"In-Reply-To": "<1@corp.example>"}},
        lambda s, _: header(s, "In-Reply-To"),
        "<1@corp.example>",
    ),
    ("timeout", {"timeout": 5}, lambda _, m: m.subject, "Hi"),
    ("enable_starttls", {"enable_starttls": True}, lambda _, m: m.subject, "Hi"),
    ("enable_ssl", {"enable_ssl": "true"}, lambda _, m: m.subject, "Hi"),
    ("enable_auth", {"enable_auth": True}, lambda _, m: m.subject, "Hi"),
    ("ignore_cert_errors", {"ignore_cert_errors": True}, lambda _, m: m.subject, "Hi"),
]


@pytest.mark.parametrize(
    ("given_", "said", "expected"), [r[1:] for r in ARGUMENTS], ids=[r[0] for r in ARGUMENTS]
)
def test_an_argument_is_in_the_mail(given_: dict[str, Any], said: Said, expected: Any):
    item = {
        "alert": {"a b": ["deep"]},
        "html": "<b>",
        "owner": "o@corp.example",
        "list": ["a@b.example", "c@d.example"],
    }
    found = read(bare(**given_))
    assert said(*sent(found, item)) == expected
    places = {note.place.partition(".")[0] for note in found.notes}
    assert set(given_) <= places
    round_trip(DIALECT, found)
    for key in ("args", "inputs"):
        wrapped = read({"type" if key == "inputs" else "action": SEND, key: bare(**given_)})
        assert only_node(wrapped) == only_node(found)


def test_a_value_that_is_not_there_sends_nothing():
    found = read(bare(subject="${{ TRIGGER.title }}"))
    results = nina_smtp.send(only_node(found), {"host": "127.0.0.1", "authMethod": "none"}, {}, dry_run=True)
    assert results[0].error


class TestHtmlWithValues:
    @pytest.mark.parametrize("text", ["nin&#97;inserted7x", "ninainserted7x", "nina0x0x", "&#110;ina0000x1x"])
    def test_is_read_whatever_words_are_in_it(self, text: str):
        for body in (text, f"<p>{text}</p>${{{{ TRIGGER.a }}}}"):
            found = read(bare(**HTML, body=body))
            assert only_node(found)["parameters"]["body"].count("{{ a }}") == body.count("${{")

    def test_is_the_same_each_time(self):
        document = bare(
            **HTML, body='<p>${{ TRIGGER.a }}</p><a href="https://x.example/${{ TRIGGER.b }}">y</a>'
        )
        assert len({str(only_node(read(document))) for _ in range(20)}) == 1

    @pytest.mark.parametrize(
        "body",
        [
            "<script>${{ TRIGGER.a }}</script>",
            "<!-- ${{ TRIGGER.a }} -->",
            "<${{ TRIGGER.a }}>x",
            "${{ TRIGGER.a }}<b${{ TRIGGER.a }}>x</b>",
            "<p onclick='${{ TRIGGER.a }}'>x</p>",
        ],
    )
    def test_is_refused_where_a_value_would_be_cleaned_away(self, body: str):
        with pytest.raises(InvalidConfiguration, match="cleans it away") as caught:
            DIALECT.read(bare(**HTML, body=body), "imported")
        assert caught.value.parameter == "body"

    def test_keeps_values_that_a_reader_of_html_moves(self):
        body = "<table>${{ TRIGGER.a }}<tr><td>${{ TRIGGER.b }}</td></tr></table>"
        found = only_node(read(bare(**HTML, body=body)))["parameters"]["body"]
        assert ("{{ a }}" in found, "<td>{{ b }}</td>" in found) == (True, True)


class TestWhatIsTold:
    def test_names_every_expression_in_one_error_and_the_action_it_is_of(self):
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(
                flow(
                    action("one", subject="${{ FN.now() }} ${{ ENV.x }}"),
                    action("two", "one", body="${{ TRIGGER.a"),
                ),
                "imported",
            )
        error = caught.value
        assert error.parameter == "actions[0].args.subject"
        for said in ("subject (one) has", "body (two) has", "'FN.now()'", "'ENV.x'", "'${{ TRIGGER.a'"):
            assert said in error.message

    def test_reads_what_is_opened_again_and_again_once(self):
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(bare(body="${{" * 100_000), "imported")
        assert caught.value.message.count("has an expression") == 1

    def test_names_the_action_of_a_warning(self):
        found = read(flow(action("one"), {**action("two", "one"), "run_if": "${{ TRIGGER.x }}"}))
        assert "(two) " in noted(found, "actions[1].run_if").message

    @pytest.mark.parametrize(
        ("missing", "slip"),
        [("recipients", "recipient"), ("sender", "sendr"), ("subject", "subjekt"), ("body", "text")],
    )
    def test_names_a_slip_of_the_pen(self, missing: str, slip: str):
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(bare(**{missing: None, slip: BARE[missing]}), "imported")
        assert caught.value.parameter == missing
        near = slip != "text"
        said = f"There is {slip}: did you mean {missing}?" if near else f"Give {missing} a value."
        assert caught.value.hint == said


class TestAHeaderCalledLiteral:
    @pytest.mark.parametrize("more", [{}, {"X-B": "b"}])
    @pytest.mark.parametrize("value", ["x", "{{ x }}"])
    def test_is_sent_under_its_name(self, value: str, more: dict[str, str]):
        found = read(bare(headers={"literal": value, **more}))
        assert header(sent(found)[0], "literal") == value
        round_trip(DIALECT, found)

    def test_is_refused_alone_with_an_expression(self):
        with pytest.raises(InvalidConfiguration) as caught:
            DIALECT.read(bare(headers={"literal": "${{ TRIGGER.a }}"}), "imported")
        assert caught.value.parameter == "headers.literal"


def test_nothing_in_the_data_sets_what_the_node_does_not_say():
    for item in (HOSTILE, {"parameters": HOSTILE}):
        message, _ = sent(read(BARE), item)
        assert b"evil" not in message.content
        assert message.recipients == [b"jane@corp.example"]
        assert message.sender == b"soc@corp.example"


def test_arguments_may_be_a_text_of_yaml():
    found = read(
        {
            "type": SEND,
            "title": "Mail",
            "inputs": "sender: a@b.example\nrecipients: [c@d.example]\n"
            "subject: x\nbody: y\nenable_starttls: true\n",
        }
    )
    assert only_node(found)["parameters"]["from"] == "a@b.example"
    assert found.credentials["smtp"]["data"]["encryption"] == "starttls"


CONNECTIONS: list[tuple[str, dict[str, Any], dict[str, Any], Fate, str]] = [
    ("SMTP_HOST", {}, {"host": "127.0.0.1"}, Fate.SAME, "[0].SMTP_HOST"),
    ("SMTP_PORT", {}, {"port": 2525}, Fate.SAME, "[0].SMTP_PORT"),
    (
        "SMTP_USER",
        {"enable_auth": True},
        {"username": "soc", "authMethod": "auto"},
        Fate.SAME,
        "[0].SMTP_USER",
    ),
    ("SMTP_PASS", {"enable_auth": True}, {"password": "p4ss"}, Fate.SAME, "[0].SMTP_PASS"),
    ("SMTP_PASS-not-used", {}, {"authMethod": "none"}, Fate.LEFT_OUT, "[0].SMTP_PASS"),
    ("enable_auth", {"enable_auth": "false"}, {"authMethod": "none"}, Fate.SAME, "[1].enable_auth"),
    (
        "enable_starttls",
        {"enable_starttls": True},
        {"encryption": "starttls"},
        Fate.SAME,
        "[1].enable_starttls",
    ),
    ("enable_ssl", {"enable_ssl": True}, {"encryption": "tls"}, Fate.BETTER, "[1].enable_ssl"),
    (
        "enable_ssl-both",
        {"enable_ssl": True, "enable_starttls": True},
        {"encryption": "tls"},
        Fate.LEFT_OUT,
        "[1].enable_starttls",
    ),
    ("neither-here", {"enable_auth": True}, {"encryption": "none"}, Fate.SAME, "[1].enable_starttls"),
    (
        "ignore_cert_errors",
        {"ignore_cert_errors": True},
        {"tlsSkipVerify": True},
        Fate.WARNING,
        "[1].ignore_cert_errors",
    ),
    (
        "timeout",
        {"timeout": 5},
        {"timeouts": {"connect": 5.0, "greeting": 5.0, "command": 5.0}},
        Fate.BETTER,
        "[1].timeout",
    ),
]


@pytest.mark.parametrize(
    ("more", "ours", "fate", "place"), [r[1:] for r in CONNECTIONS], ids=[r[0] for r in CONNECTIONS]
)
def test_a_credential_is_the_secret_and_what_the_action_says(more: Any, ours: Any, fate: Fate, place: str):
    listed = {"name": "smtp", "keys": [{"key": key, "value": value} for key, value in SECRET.items()]}
    for secret in (SECRET, listed):
        found = read([secret, bare(**more)])
        data = dict(found.credentials["smtp"]["data"])
        assert data | ours == data
        if secret is SECRET:
            assert noted(found, place).fate is fate
        round_trip(DIALECT, found)


@pytest.mark.parametrize(
    ("auth", "ours"), [(False, {"authMethod": "none"}), (True, {"allowCleartextLogin": True})]
)
@pytest.mark.parametrize("there", [True, False])
def test_clear_text_to_another_machine_is_a_warning(auth: bool, ours: dict[str, Any], there: bool):
    """So it is where the machine is a variable of the environment."""
    secret = [{**SECRET, "SMTP_HOST": "h.example"}] if there else []
    found = read([*secret, bare(enable_auth=auth, enable_starttls=False)])
    data = dict(found.credentials["smtp"]["data"])
    assert data | ours | {"encryption": "none"} == data
    note = noted(found, f"[{len(secret)}].enable_starttls")
    assert (note.fate, "in clear text" in note.message) == (Fate.WARNING, True)
    round_trip(DIALECT, found)


@pytest.mark.parametrize(("port", "encryption"), [("587", "starttls"), ("465", "tls"), ("25", "starttls")])
def test_a_secret_alone_goes_out_encrypted(port: str, encryption: str):
    found = read({**SECRET, "SMTP_PORT": port})
    assert found.credentials["smtp"]["data"]["encryption"] == encryption
    round_trip(DIALECT, found)


def test_without_the_secret_its_keys_are_variables_of_the_environment():
    found = read(bare(enable_starttls=True, enable_auth=True))
    data = found.credentials["smtp"]["data"]
    assert [data[key] for key in ("host", "username", "password")] == [
        "${SMTP_HOST}",
        "${SMTP_USER}",
        "${SMTP_PASS}",
    ]
    assert "SMTP_PASS" in noted(found, "secret smtp").message


@pytest.mark.parametrize(
    ("tls", "flags"),
    [("implicit", {"enable_ssl": True}), ("starttls", {"enable_starttls": True}), ("none", {})],
)
def test_an_imported_credential_logs_in(tls: Any, flags: dict[str, Any]):
    with Recorder(tls=tls, users={"soc": "p4ss"}) as server:
        secret = {**SECRET, "SMTP_HOST": server.host, "SMTP_PORT": server.port}
        found = read([secret, bare(**flags, enable_auth=True, ignore_cert_errors=True)])
        nina_smtp.send(only_node(found), dict(found.credentials["smtp"]["data"]), {}).raise_for_status()
        assert len(server.messages) == 1
        assert server.saw_secret("p4ss", "soc") is (tls == "none")


class TestWorkflows:
    def test_are_wired_as_there(self, tmp_path: Path):
        found = read(
            {
                "version": 1,
                "definition": flow(
                    action("one", subject="First ${{ TRIGGER.id }}"),
                    action("two", "one", subject="Second ${{ TRIGGER.id }}"),
                ),
            }
        )
        done, messages = ran(found, [{"id": 42}], tmp_path)
        assert done.status.value == "succeeded"
        assert [header(one, "Subject") for one in messages] == ["First 42", "Second 42"]
        assert header(messages[0], "Message-ID") != header(messages[1], "Message-ID")
        round_trip(DIALECT, found)

    def test_behind_an_action_that_is_not_known_here_is_disabled(self, tmp_path: Path):
        other = {"ref": "fetch", "action": "core.http_request", "args": {}}
        found = read(flow(other, action("mail", "fetch", subject="${{ TRIGGER.id }}")))
        assert noted(found, "actions[0]").fate is Fate.LEFT_OUT
        assert "core.http_request" in noted(found, "actions[1]").message
        _, messages = ran(found, [{"id": 42}], tmp_path)
        assert not messages

    def test_with_a_condition_of_its_own_is_disabled(self, tmp_path: Path):
        found = read(flow({**action(), "run_if": "${{ TRIGGER.x }}"}))
        assert not ran(found, [{"x": True}], tmp_path)[1]

    def test_go_another_way_after_a_failure(self):
        found = read(flow(action("one"), action("two", "one.error")))
        assert {"from": "one", "to": "two", "output": "error"} in found.workflows[0]["edges"]
        round_trip(DIALECT, found)

    def test_have_a_credential_for_each_way_to_connect(self):
        found = read(
            [
                SECRET,
                flow(
                    action("one", enable_ssl=True),
                    action("two", enable_starttls=True),
                    action("three", enable_ssl=True),
                ),
            ]
        )
        assert [node.get("credential") for node in found.workflows[0]["nodes"]] == [
            None,
            "smtp",
            "smtp 2",
            "smtp",
        ]
        round_trip(DIALECT, found)

    @pytest.mark.parametrize(
        ("key", "value", "fate"),
        [
            ("run_if", "${{ TRIGGER.x }}", Fate.WARNING),
            ("for_each", "${{ for var.x in TRIGGER.l }}", Fate.WARNING),
            ("retry_policy", {"max_attempts": 3}, Fate.LEFT_OUT),
            ("start_delay", 5, Fate.LEFT_OUT),
            ("wait_until", "tomorrow", Fate.LEFT_OUT),
            ("join_strategy", "any", Fate.LEFT_OUT),
            ("environment", "prod", Fate.LEFT_OUT),
            ("mask_output", True, Fate.LEFT_OUT),
            ("interaction", {"type": "approval"}, Fate.LEFT_OUT),
            ("description", "For the night", Fate.SAME),
        ],
    )
    def test_tell_of_what_an_action_says_besides(self, key: str, value: Any, fate: Fate):
        assert noted(read(flow({**action(), key: value})), f"actions[0].{key}").fate is fate


class TestWriting:
    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"textBody": "x"}, "textBody"),
            ({"attachments": ["{{ file }}"]}, "attachments"),
            ({"subject": "{{ a | upcase }}"}, "subject"),
            ({"subject": {"literal": "${{ x }}"}}, "subject"),
            ({"contentType": "html", "body": "<p onclick='x'>y</p><script>1</script>"}, "body"),
            ({"envelopeFrom": "b@corp.example"}, "envelopeFrom"),
            ({"envelopeFrom": ""}, "envelopeFrom"),
            ({"textBody": ""}, "textBody"),
            ({"textBody": "", "contentType": "html"}, "textBody"),
            ({"importance": "{{ a }}"}, "importance"),
            ({"headers": "{{ a }}"}, "headers"),
            ({"headers": {"literal": "x"}}, "headers"),
        ],
    )
    def test_names_what_would_be_lost(self, change: dict[str, Any], named: str):
        ours = only_node(read(BARE))
        ours["parameters"] |= change
        with pytest.raises(InvalidConfiguration, match=named):
            DIALECT.write(Imported("nina", {}, {"x": ours}))

    @pytest.mark.parametrize("importance", ["high", {"literal": "low"}])
    def test_says_how_important_a_mail_is(self, importance: Any):
        ours = only_node(read(BARE))
        ours["parameters"]["importance"] = importance
        again = DIALECT.read(DIALECT.write(Imported("nina", {}, {"x": ours})), "x")
        assert only_node(again)["parameters"]["importance"] in ("high", "low")

    @pytest.mark.parametrize("key", ["to", "cc", "bcc", "replyTo"])
    @pytest.mark.parametrize("value", ["{{ a }}", ["{{ a }}"], ["{{ a }}", "b@c.example"]])
    def test_keeps_what_may_be_a_list_apart_from_one_mailbox(self, key: str, value: Any):
        ours = only_node(read(BARE))
        ours["parameters"][key] = value
        again = DIALECT.read(DIALECT.write(Imported("nina", {}, {"x": ours})), "x")
        assert only_node(again)["parameters"][key] == value

    @pytest.mark.parametrize("credential", [["soc"], ["soc", "spare"], None, {"type": "smtp", "data": {}}])
    def test_refuses_a_credential_that_is_not_one_name(self, credential: Any):
        found = read(flow(action()))
        found.workflows[0]["nodes"][1]["credential"] = credential
        with pytest.raises(InvalidConfiguration, match="credential has to be one name"):
            DIALECT.write(found)


@pytest.mark.parametrize("path", sorted((EXAMPLES / "tracecat").iterdir()), ids=lambda path: path.stem)
def test_an_example_is_read_and_written_back(path: Path):
    document = parse(path.read_bytes())
    assert DIALECT.recognises(document)
    round_trip(DIALECT, read(document))


@pytest.mark.parametrize(
    "path",
    sorted(
        p
        for p in EXAMPLES.rglob("*")
        if p.suffix in (".json", ".yaml", ".yml") and p.parent.name != "tracecat"
    ),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_what_is_for_another_system_is_not_taken_for_tracecats(path: Path):
    assert not DIALECT.recognises(parse(path.read_bytes()))


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        "x",
        {"sender": "a", "recipients": []},
        {"actions": []},
        {"actions": [{"x": 1}]},
        {"to": "a", "subject": "s", "body": "b"},
        {"keys": [{"key": "OTHER"}]},
        [SECRET, {}],
    ],
    ids=str,
)
def test_what_is_not_tracecats_is_not_taken_for_it(document: Any):
    assert not DIALECT.recognises(document)


KEYS = [
    *BARE,
    *SECRET,
    "cc",
    "bcc",
    "reply_to",
    "headers",
    "sender_prefix",
    "timeout",
    "enable_starttls",
    "enable_ssl",
    "enable_auth",
    "ignore_cert_errors",
    "allowed_attributes",
    "content_type",
    "ref",
    "action",
    "args",
    "depends_on",
    "actions",
    "title",
    "definition",
    "keys",
    "key",
    "value",
    "name",
    "inputs",
    "type",
    "run_if",
    "*",
]
WORDS: list[Any] = [
    SEND,
    "core.http_request",
    "${{ TRIGGER.a }}",
    "x ${{ TRIGGER['a b'] }} y",
    "${{ FN.now() }}",
    "${{",
    "text/html",
    "<p style='x'>y</p>",
    "<a href=x>",
    "mail",
    "one",
    "$",
    "sender: x",
]
DOCUMENTS: list[Any] = [
    BARE,
    SECRET,
    bare(**HTML, body="<p style='a'>${{ TRIGGER.a }}</p>", allowed_attributes={"p": ["style"]}),
    bare(headers={"X-A": "${{ TRIGGER.a }}"}, sender_prefix="SOC"),
    [SECRET, bare(enable_auth=True)],
    action(),
    flow(action("one"), action("two", "one", subject="${{ TRIGGER.a }}")),
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document)[:60])
def test_every_key_has_a_note(document: Any):
    assert not unnoted(document, read(document))


@examples(150)
@given(st.one_of(anything(KEYS, WORDS), changed(DOCUMENTS, KEYS, WORDS)))
def test_any_json_is_read_or_refused_in_our_words_and_stays_what_it_is(document: Any):
    never_anything_but_ours(DIALECT, document)


@examples(80)
@given(st.text("{}%$\"'\\ a.\n,<&", max_size=30), st.sampled_from(["body", "subject"]))
def test_a_text_arrives_as_it_is_or_not_at_all(text: str, key: str):
    if "${{" not in text:
        found = read(bare(**{key: text}))
        ours = only_node(found)["parameters"][key]
        assert (ours["literal"] if isinstance(ours, dict) else ours) == text
        round_trip(DIALECT, found)


def test_the_table_has_every_argument():
    names = {row[0].partition("-")[0] for row in ARGUMENTS}
    flags = {"enable_starttls", "enable_ssl", "enable_auth", "ignore_cert_errors", "allowed_attributes"}
    rest = {"content_type", "bcc", "cc", "reply_to", "headers", "sender_prefix", "timeout"}
    assert {*BARE, *flags, *rest} <= names
