"""LimaCharlie's configuration, key by key: what is refused, what becomes of it, and what arrives."""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from bed.certs import Certs
from bed.readers import read_same
from bed.recorder import Recorder
from bed.recording import Message
from dialects.limacharlie import elements

from nina_smtp.api import read_credential
from nina_smtp.catalog import default_catalog
from nina_smtp.cli.files import expand
from nina_smtp.cli.received import verify_message
from nina_smtp.dialects.dialect import read, recognise
from nina_smtp.dialects.imported import Fate, Imported, plain
from nina_smtp.dialects.limacharlie import DIALECT
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.workflow.blobs import NoBlobs
from nina_smtp.workflow.run import Run, run
from nina_smtp.workflow.validate import validate

SEEDS = Path(__file__).parents[4] / "shared" / "spec" / "seeds"
ROWS: dict[str, list[str]] = json.loads((Path(__file__).parents[1] / "seeds/limacharlie.json").read_text())
BULLETS = {
    "limacharlie-smtp-output-2025.txt": re.compile(r"^  \* `(\w+)`:", re.MULTILINE),
    "limacharlie-smtp-output-current.txt": re.compile(r"^\s*• (\w+):", re.MULTILINE),
}

GOOD = {
    "dest_host": "smtp.corp.example",
    "dest_email": "soc@corp.example",
    "from_email": "lc@corp.example",
    "username": "lc",
    "password": "the-p4ssword",
    "secret_key": "the-shared-secret",
}


def imported(**changes: Any) -> Imported:
    """What GOOD with changes is here; a change to None takes the key away."""
    return read({k: v for k, v in {**GOOD, **changes}.items() if v is not None}, "soc")


def data(**changes: Any) -> Mapping[str, Any]:
    return plain(imported(**changes).credentials["soc"])["data"]


def refused(**changes: Any) -> InvalidConfiguration:
    with pytest.raises(InvalidConfiguration) as caught:
        imported(**changes)
    return caught.value


def performed(server: Recorder, found: Imported, items: Any, certs: Certs | None = None) -> Run:
    """A run of the imported workflow, with the server in the place of the one that is named."""
    (name, document), *_ = found.credentials.items()
    port, ca = server.port, {"caCertificate": certs.ca_pem.read_text()} if certs else {}
    changed = {**document["data"], "host": server.host, "port": port, **ca}
    if certs is None:
        changed |= {"encryption": "none"}
    workflow = validate(plain(found.workflows[0]), default_catalog())
    credential = read_credential({"type": "smtp", "data": expand(changed)})
    running = run(
        workflow, default_catalog(), trigger_items=items, credentials={name: credential}, blobs=NoBlobs()
    )
    done = asyncio.run(running)
    assert done.status == "succeeded", done.as_dict()
    return done


def delivered(items: Any = elements.DETECTION, **changes: Any) -> Message:
    """The mail of one element."""
    with Recorder() as server:
        performed(server, imported(**changes), items)
    (message,) = server.messages
    return message


# Every row of the seeds. Each check says what the row is about, by what is refused, imported or delivered.


def is_dest_host() -> None:
    assert refused(dest_host=None).parameter == "dest_host"
    found = {
        "smtp.gmail.com": ("smtp.gmail.com", 465),
        "smtp.gmail.com:2465": ("smtp.gmail.com", 2465),
        "192.0.2.7": ("192.0.2.7", 465),
        "[2001:db8::7]:25": ("2001:db8::7", 25),
        "2001:db8::7": ("2001:db8::7", 465),
    }
    for text, (host, port) in found.items():
        assert (data(dest_host=text)["host"], data(dest_host=text)["port"]) == (host, port)
    for text in ("smtp.gmail.com:", "smtp.gmail.com:x", "smtp.gmail.com:0", "smtp.gmail.com:65536"):
        assert refused(dest_host=text).parameter == "dest_host"


def is_dest_email() -> None:
    assert refused(dest_email=None).parameter == "dest_email"
    message = delivered(dest_email="SOC <soc@corp.example>, oncall@corp.example")
    assert message.recipients == [b"soc@corp.example", b"oncall@corp.example"]
    assert read_same(message.content).to == [("SOC", "soc@corp.example"), ("", "oncall@corp.example")]


def is_cc_email() -> None:
    assert refused(cc_email="manager@").parameter == "cc_email"
    message = delivered(cc_email="manager@corp.example")
    assert b"manager@corp.example" in message.recipients
    assert b"\r\nCc: manager@corp.example\r\n" in message.content


def is_bcc_email() -> None:
    assert refused(bcc_email="audit@corp.example, nobody").parameter == "bcc_email"
    message = delivered(bcc_email="Audit <audit@corp.example>")
    assert b"audit@corp.example" in message.recipients
    assert b"audit" not in message.content.lower().split(b"\r\n\r\n")[0]


def is_from_email() -> None:
    assert refused(from_email=None).parameter == "from_email"
    assert read_same(delivered().content).from_ == [("", "lc@corp.example")]


def is_username() -> None:
    assert refused(username=None).parameter == "username"
    nobody = data(username=None, password=None)
    assert nobody["authMethod"] == "none"
    assert "username" not in nobody
    assert data()["username"] == "lc"


def is_password() -> None:
    assert refused(password=None).parameter == "password"
    with Recorder(users={"lc": "0123-${HOME}"}) as server:
        performed(server, imported(password="0123-${HOME}"), elements.DETECTION)
    assert len(server.messages) == 1


def is_secret_key() -> None:
    assert refused(secret_key=None).parameter == "secret_key"
    assert refused(secret_key="").parameter == "secret_key"
    content = delivered().content
    genuine = verify_message(content, GOOD["secret_key"])
    assert (genuine.lc_signature, genuine.nina_signature) == ("valid", "valid")
    assert not verify_message(content, "another").genuine


def is_is_readable() -> None:
    assert refused(is_readable="yes").parameter == "is_readable"
    for machine in ("false", False, "", None):
        mail = read_same(delivered(is_readable=machine).content)
        assert json.loads(mail.text or "") == elements.DETECTION
        assert mail.html is None
    for people in ("true", True, "True"):
        mail = read_same(delivered(is_readable=people).content)
        assert elements.DETECTION["cat"] in (mail.html or "")
        assert elements.DETECTION["cat"] in (mail.text or "")


def is_is_starttls() -> None:
    assert (data()["encryption"], data()["port"]) == ("tls", 465)
    assert (data(is_starttls="true")["encryption"], data(is_starttls="true")["port"]) == ("starttls", 587)
    assert refused(is_starttls="1").parameter == "is_starttls"


def is_is_authlogin() -> None:
    for value, said in (("true", b"AUTH LOGIN"), (False, b"AUTH PLAIN")):
        with Recorder() as server:
            performed(server, imported(is_authlogin=value), elements.DETECTION)
        assert any(command.line.startswith(said) for command in server.commands)


def is_subject() -> None:
    named = read_same(delivered(subject="LC Detection- <Name>").content)
    assert named.subject == f"LC Detection- {elements.DETECTION['cat']}"
    filled = read_same(delivered(subject="{{ .cat }} on {{ .routing.hostname }}").content)
    assert filled.subject == f"{elements.DETECTION['cat']} on {elements.DETECTION['routing']['hostname']}"
    assert elements.DETECTION["cat"] in (read_same(delivered().content).subject or "")
    assert refused(subject="{{ .cat").parameter == "subject"


CHECKS: dict[str, Callable[[], None]] = {
    name.removeprefix("is_"): check for name, check in dict(globals()).items() if name.startswith("is_")
}


@pytest.mark.parametrize(("seed", "key"), [(seed, key) for seed, keys in ROWS.items() for key in keys])
def test_every_key_of_the_seeds(seed: str, key: str) -> None:
    CHECKS[key]()


def test_the_rows_are_those_of_the_seeds() -> None:
    assert set(CHECKS) == {key for keys in ROWS.values() for key in keys}
    for seed in SEEDS.glob("limacharlie-*.txt"):
        assert BULLETS[seed.name].findall(seed.read_text(encoding="utf-8")) == ROWS[seed.name]


# What the current documentation has beside them, and what all outputs have in common.


def test_a_template_makes_the_body_and_escapes_what_it_inserts_into_html() -> None:
    element = {**elements.DETECTION, "cat": "<b>bold</b>"}
    text = read_same(delivered(element, template="It is {{ .cat }}").content)
    assert (text.text or "").strip() == "It is <b>bold</b>"
    html = read_same(delivered(element, template="<p>It is {{ .cat }}</p>", is_readable=True).content)
    assert "<p>It is &lt;b&gt;bold&lt;/b&gt;</p>" in (html.html or "")
    assert refused(template='{{ template "x" }}').parameter == "template"


@pytest.mark.parametrize(
    ("key", "value", "ours"),
    [
        ("inv_id", "inv-1", "invId"),
        ("sid", elements.SID, "sid"),
        ("tag", "production", "tag"),
        ("tag_black_list", "dev\nstaging", "tagBlackList"),
        ("cat", "x", "cat"),
        ("cat_white_list", "a\n\n b \n", "catWhiteList"),
        ("cat_black_list", "a", "catBlackList"),
        ("event_white_list", "NEW_PROCESS", "eventWhiteList"),
        ("event_black_list", "DNS_REQUEST", "eventBlackList"),
        ("rule_tag_white_list", "a", "ruleTagWhiteList"),
        ("rule_tag_black_list", "a", "ruleTagBlackList"),
        ("sample_rate", "10", "sampleRate"),
        ("is_flat", "true", "isFlat"),
        ("is_payload_as_string", "true", "isPayloadAsString"),
        ("is_prefix_data", "true", "isPrefixData"),
        ("is_no_routing", "true", "isNoRouting"),
        ("custom_transform", '{"a": "cat"}', "customTransform"),
    ],
)
def test_a_filter_of_all_outputs_is_the_nodes(key: str, value: str, ours: str) -> None:
    found = imported(**{key: value})
    assert ours in found.workflows[0]["nodes"][1]["config"]["filters"]
    assert [note.fate for note in found.notes if note.place == key] == [Fate.SAME]


def test_a_filter_that_looks_at_nothing_of_the_stream_is_told_of() -> None:
    notes = imported(type="audit", cat_black_list="x").told(Fate.WARNING)
    assert [note.place for note in notes] == ["cat_black_list"]


def test_an_output_is_never_deleted_for_a_failure() -> None:
    notes = imported(is_delete_on_failure="true").told(Fate.BETTER)
    assert [note.place for note in notes] == ["dest_host", "is_delete_on_failure"]


@pytest.mark.parametrize(("slip", "meant"), [("is_starttl", "is_starttls"), ("cc_emails", "cc_email")])
def test_a_slip_of_the_pen_is_refused_with_the_key_that_was_meant(slip: str, meant: str) -> None:
    error = refused(**{slip: "true"})
    assert (error.parameter, error.hint) == (slip, f"Did you mean {meant}?")


def test_a_slip_in_a_required_key_is_named() -> None:
    error = refused(dest_email=None, dest_emial="soc@corp.example")
    assert error.hint == "There is dest_emial: did you mean dest_email?"


def test_a_key_that_is_not_known_is_left_out_and_told_of() -> None:
    (note,) = imported(workspace="x").told(Fate.LEFT_OUT)
    assert note.place == "workspace"


def test_a_secret_in_limacharlies_own_store_is_asked_for() -> None:
    assert refused(password="hive://secret/smtp").parameter == "password"


@pytest.mark.parametrize("stream", ["event", "detect", "audit", "deployment", "artifact", "log"])
@pytest.mark.parametrize("key", ["type", "for", "stream"])
def test_each_stream_is_read(stream: str, key: str) -> None:
    config = imported(**{key: stream}).workflows[0]["nodes"][1]["config"]
    assert config["stream"] == {"log": "artifact"}.get(stream, stream)


def test_another_stream_is_refused() -> None:
    assert "stream" in (refused(type="detektion").parameter or "")


def test_several_outputs_become_several_workflows_and_those_that_are_no_mail_are_left_out() -> None:
    document = {
        "outputs": {
            "people": {**GOOD, "module": "smtp", "type": "detect", "is_readable": "true"},
            "machines": {**GOOD, "module": "smtp", "type": "event"},
            "bucket": {"module": "s3", "type": "event", "bucket": "x"},
        }
    }
    found = read(document, "x")
    assert [workflow["name"] for workflow in found.workflows] == ["people", "machines"]
    assert [note.place for note in found.told(Fate.LEFT_OUT)] == ["outputs.bucket.module"]
    assert read(DIALECT.write(found), "x").as_dict(secrets=True) | {"notes": 0} == found.as_dict(
        secrets=True
    ) | {"notes": 0}


def test_over_starttls_with_the_certificate_verified(certs: Certs) -> None:
    with Recorder(tls="starttls", certs=certs) as server:
        performed(server, imported(is_starttls=True), elements.DETECTION, certs)
    assert len(server.messages) == 1
    assert not server.saw_secret(GOOD["password"])


def test_over_tls_from_the_start(certs: Certs) -> None:
    with Recorder(tls="implicit", certs=certs) as server:
        performed(server, imported(), elements.DETECTION, certs)
    assert len(server.messages) == 1
    assert not server.saw_secret(GOOD["password"])


def test_what_it_writes_is_recognised_and_read_as_the_same() -> None:
    found = imported(is_starttls="true", cat_black_list="a\nb", subject="<Name>", type="detect")
    written = DIALECT.write(found)
    assert recognise(written) is DIALECT
    again = read(written, "other name")
    assert again.as_dict(secrets=True) | {"notes": 0} == found.as_dict(secrets=True) | {"notes": 0}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"encryption": "none"}, "encryption"),
        ({"authMethod": "auto"}, "authMethod"),
        ({"recipientPolicy": {"deny": ["x.example"]}}, "recipientPolicy"),
        ({"secretKey": None}, "secretKey"),
    ],
)
def test_what_would_be_lost_is_not_written(change: dict[str, Any], place: str) -> None:
    found = imported()
    ours = plain(found.credentials["soc"])
    ours["data"] = {k: v for k, v in {**ours["data"], **change}.items() if v is not None}
    with pytest.raises(InvalidConfiguration, match=place):
        DIALECT.write(Imported("limacharlie", {"soc": ours}, {}, found.workflows))


def test_an_option_of_the_node_that_limacharlie_does_not_have_is_not_lost_silently() -> None:
    found = imported()
    workflow = plain(found.workflows[0])
    workflow["nodes"][1]["config"]["onError"] = "fail"
    with pytest.raises(InvalidConfiguration, match="onError"):
        DIALECT.write(Imported("limacharlie", found.credentials, {}, (workflow,)))


def test_an_output_without_a_login_is_written_and_read_as_the_same() -> None:
    found = imported(username=None, password=None)
    again = read(DIALECT.write(found), "x")
    assert again.as_dict(secrets=True) | {"notes": 0} == found.as_dict(secrets=True) | {"notes": 0}


@pytest.mark.parametrize(
    ("at", "change", "said"),
    [
        ("output", {"disabled": True}, "disabled"),
        ("output", {"notes": "night"}, "notes"),
        ("trigger", {"config": {"items": [{"a": 1}]}}, "items"),
        ("workflow", {"edges": []}, "wired"),
        ("workflow", {"name": "another"}, "another name"),
        ("credential", {"description": "x"}, "description"),
    ],
)
def test_what_stands_around_the_configuration_is_not_lost_silently(
    at: str, change: dict[str, Any], said: str
) -> None:
    found = imported()
    workflow, account = plain(found.workflows[0]), plain(found.credentials["soc"])
    trigger, output = workflow["nodes"]
    {"output": output, "trigger": trigger, "workflow": workflow, "credential": account}[at].update(change)
    with pytest.raises(InvalidConfiguration, match=said):
        DIALECT.write(Imported("limacharlie", {"soc": account}, {}, (workflow,)))


def test_an_error_names_the_key_and_the_output() -> None:
    document = {"outputs": {"b": {**GOOD, "module": "smtp", "subject": "{{ .cat"}}}
    with pytest.raises(InvalidConfiguration) as caught:
        read(document, "x")
    assert caught.value.parameter == "outputs.b.subject"
    assert "outputs.b.subject" in caught.value.message
    assert refused(sample_rate="x").parameter == "sample_rate"
    assert refused(custom_transform='{"a": "b..c"}').parameter == "custom_transform"
    assert "URL" in refused(dest_host="smtps://mail.corp.example").message
    assert refused(dest_email="{{ .x }}@corp.example").parameter == "dest_email"
