"""What holds for every dialect, and for everything that two of them bring here and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from dialects.provider_rows import provider, step, workflow
from dialects.seed_tables import ROOT
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import ADDRESS, examples

from nina_smtp.catalog import default_catalog
from nina_smtp.cli import exchange
from nina_smtp.cli.importing import check
from nina_smtp.dialects.dialect import NAMES, dialect, dialects, read, recognise
from nina_smtp.dialects.documents import parse
from nina_smtp.dialects.imported import Fate, Imported
from nina_smtp.errors import InvalidConfiguration, NinaError

EXAMPLES = sorted(p for p in (ROOT / "examples").rglob("*.*") if p.suffix in (".json", ".yaml", ".yml"))
OURS = {"1-ransomware-alert", "local-inbox.json", "vault.json"}
"""A workflow, a credential in a folder of theirs, and the files of a vault."""

# -- whose a document is -------------------------------------------------------------------------------


def owner(path: Path) -> str | None:
    """Whose an example is: its folder says so, and what lies at the top is the guide's."""
    folder = path.relative_to(ROOT / "examples").parts[0]
    return folder if folder in NAMES else "nina" if path.parent.name == "examples" else None


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT / "examples")))
def test_an_example_is_recognised_as_what_it_is_and_as_nothing_else(path: Path) -> None:
    document = parse(path.read_bytes())
    taken = {one.name for one in dialects() if one.recognises(document)}
    assert taken <= {owner(path)}
    assert taken or OURS & {path.name, path.parent.name}


def test_there_is_an_example_of_every_dialect() -> None:
    assert {owner(path) for path in EXAMPLES} == {*NAMES, None}


def test_the_command_offers_every_dialect() -> None:
    assert exchange.NAMES == NAMES
    assert [one.name for one in dialects()] == list(NAMES)
    with pytest.raises(InvalidConfiguration) as caught:
        dialect("limacharly")
    assert caught.value.hint == "Did you mean limacharlie?"


@pytest.mark.parametrize("document", [None, 5, "text", [], {}, [1], {"a": 1}, {"name": "x", "type": "y"}])
def test_what_is_anybodys_is_asked_for(document: Any) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        read(document)
    assert (caught.value.parameter, "--from" in (caught.value.hint or "")) == ("from", True)


# -- whatever a document is ----------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@cache
def words() -> tuple[str, ...]:
    """The keys that the examples have."""

    def keys(value: Any) -> Iterator[str]:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                yield key
                yield from keys(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from keys(inner)

    return tuple(sorted({key for path in EXAMPLES for key in keys(parse(path.read_bytes()))}))


LIKELY = st.deferred(
    lambda: st.recursive(
        st.sampled_from(
            [None, True, "true", "email", "notify", "a@x.test", "${X}", "{{ x }}", "465", 587, -1]
        )
        | JSON,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(words()), inner, max_size=6)
        ),
        max_leaves=14,
    )
)


@pytest.mark.parametrize("name", NAMES)
@given(document=JSON | LIKELY)
@examples(120)
def test_any_document_is_read_or_refused(name: str, document: Any) -> None:
    assert said(document, name)
    recognise(document)


def mutated(value: Any, steps: tuple[Any, ...], new: Any) -> Any:
    """A copy of ``value`` with something else at one place."""
    if not steps:
        return new
    copy = dict(value) if isinstance(value, Mapping) else list(value)
    copy[steps[0]] = mutated(copy[steps[0]], steps[1:], new)
    return copy


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    inside = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in inside:
        yield from places(inner, (*at, key))


@pytest.mark.parametrize("path", [path for path in EXAMPLES if owner(path)], ids=lambda path: path.stem)
def test_an_example_that_is_bent_anywhere_is_read_or_refused(path: Path) -> None:
    """Every value of it in turn is something that nobody expects there."""
    document = parse(path.read_bytes())
    for place in places(document):
        for new in (None, "", [], {}, [{}], 5, True, "x", ["x"], {"x": {}}, "\u202e\x00"):
            assert said(mutated(document, place, new), owner(path)), (place, new)


def said(document: Any, name: str | None) -> str:
    """What becomes of a document, in a few words: there always are some."""
    try:
        return json.dumps(read(document, "f", dialect_name=name).as_dict())
    except NinaError as error:
        return error.message


# -- passwords -----------------------------------------------------------------------------------------

HERE = ("localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]")
ELSEWHERE = ("smtp.example.com", "127.evil.test", "localhost.evil.test", "10.0.0.1", "::2", "1.127.0.0")


def accounts(name: str, host: str) -> Iterator[Any]:
    """Every way to say with how much encryption a password is sent."""
    login = {"username": "alerts@corp.example", "password": "p4ssw0rd"}
    tracecat = {"sender": login["username"], "recipients": ["a@mail.test"], "subject": "s", "body": "b"}
    secret = {"SMTP_HOST": host, "SMTP_PORT": "25", "SMTP_USER": "u", "SMTP_PASS": login["password"]}
    keys = [{"key": key, "value": value} for key, value in secret.items()]
    match name:
        case "limacharlie":
            least = {
                "dest_host": host,
                "dest_email": "a@mail.test",
                "from_email": "b@mail.test",
                "secret_key": "k",
            }
            for flag in (None, "true", "false"):
                yield least | login | {"is_starttls": flag}
        case "soar":
            for word in (None, "None", "StartTLS", "SSL"):
                yield {"configuration": {"server": host, "ssl_config": word, **login}}
        case "provider":
            for port in (25, 465, 587):
                yield {"providers": {"email": provider(port, host=host, user="u")}}
        case "nina":
            for word in (None, "none", "starttls", "tls"):
                yield {"host": host, "encryption": word, **login}
        case "n8n":
            for secure in (None, True, False):
                for plain in (None, True, False):
                    fields = {"user": "u", "password": login["password"], "secure": secure}
                    yield {"host": host, **fields, "disableStartTls": plain}
        case "xsoar":
            for word in (None, "None", "STARTTLS", "SSL/TLS", "true", False):
                held = {"identifier": "u", "password": login["password"]}
                yield {"host": host, "credentials": held, "tls": word}
        case "tracecat":
            for ssl in (None, True, False):
                for starttls in (None, True, False):
                    args = tracecat | {"enable_ssl": ssl, "enable_starttls": starttls, "enable_auth": True}
                    action = {"ref": "m", "action": "core.send_email_smtp", "args": args}
                    yield [{"name": "smtp", "type": "custom", "keys": keys}, action]


def in_clear(document: Any) -> bool:
    data = document["data"]
    return bool(data.get("encryption") == "none" and data.get("authMethod") != "none")


@pytest.mark.parametrize("name", NAMES)
def test_no_password_goes_to_another_machine_in_clear_text_without_a_warning(name: str) -> None:
    """Without ``allowCleartextLogin`` a session refuses to: ``tests/smtp/test_no_secret_in_clear.py``."""
    told = 0
    for host in (*HERE, *ELSEWHERE):
        for document in accounts(name, host):
            found = read(document, "f", dialect_name=name)
            (brought,) = found.credentials.values()
            warned = any("clear text" in note.message for note in found.told(Fate.WARNING))
            if brought["data"].get("allowCleartextLogin") or (host in ELSEWHERE and in_clear(brought)):
                assert warned, (host, document)
                told += 1
    assert bool(told) == (name in {"soar", "nina", "n8n", "xsoar", "tracecat"})


# -- in and out ----------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Zl", "Zp"]), min_size=1, max_size=20)
SENT = TEXT.filter(lambda text: "${" not in text and text.strip() == text)
PASSWORDS = TEXT | st.sampled_from(["${SMTP_PASSWORD}", "$${X}", "a${b", "{{ x }}", "no", "0123", "null"])
NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9 _-]{0,10}", fullmatch=True)
LIST = st.lists(ADDRESS, min_size=1, max_size=3, unique=True)


def some(**values: Any) -> Any:
    """An object that has some of these keys."""
    return st.fixed_dictionaries({}, optional=values)


def merged(*parts: Any) -> Any:
    return st.tuples(*parts).map(lambda found: {k: v for part in found for k, v in part.items()})


PROVIDERS = st.dictionaries(
    NAME,
    st.tuples(
        st.builds(
            lambda port, user, secret, sender, skip: provider(
                port, user=user, **{"pass": secret, "from": sender}, tls_skip_verify=skip
            ),
            st.integers(1, 65535),
            SENT,
            PASSWORDS,
            ADDRESS,
            st.sampled_from([None, True, "true", False]),
        ),
        some(name=SENT, description=SENT, enabled=st.just(True)),
    ).map(lambda pair: pair[0] | pair[1]),
    min_size=1,
    max_size=3,
)
HEADERS = some(Cc=LIST, Sender=ADDRESS, **{"X-Team": SENT, "Reply-To": ADDRESS, "X-Ticket": SENT})
MAILS = merged(
    st.fixed_dictionaries({"to": LIST}),
    some(subject=SENT, cc=LIST, bcc=LIST, reply_to=ADDRESS, headers=HEADERS, **{"from": ADDRESS}),
    st.one_of(
        st.fixed_dictionaries({"message": SENT}),
        st.fixed_dictionaries({"body": SENT | some(text=SENT, html=SENT).filter(bool)}),
    ),
)


@st.composite
def provider_files(draw: st.DrawFn) -> Any:
    providers = draw(PROVIDERS)
    names = sorted(providers)
    route = st.sampled_from(names) | st.lists(st.sampled_from(names), min_size=1, unique=True)
    steps = [
        step(**{"subject": None, "body": None} | draw(MAILS), provider=draw(route))
        for _ in range(draw(st.integers(1, 3)))
    ]
    return {
        "version": "1.0",
        "providers": providers,
        "workflows": [workflow(*steps, name=draw(NAME).strip())],
    }


def ours(found: Imported) -> Any:
    whole = found.as_dict(secrets=True)
    return {key: whole[key] for key in ("credentials", "nodes", "workflows")}


@given(provider_files())
@examples(150)
def test_a_file_of_the_provider_comes_back_as_it_was_brought(document: Any) -> None:
    found = read(document, "f", dialect_name="provider")
    check(found, default_catalog())
    written = dialect("provider").write(found)
    assert recognise(written) is dialect("provider")
    again = read(json.loads(json.dumps(written)), "f", dialect_name="provider")
    assert ours(again) == ours(found)
    assert dialect("provider").write(again) == written


FILES = st.lists(st.fixed_dictionaries({"filename": NAME, "content": st.just("aGk=")}), max_size=2)
NODES = merged(
    some(
        to=LIST | ADDRESS, subject=TEXT, body=TEXT, contentType=st.sampled_from(["text", "html"]), cc=LIST,
        bcc=LIST | st.just([]), replyTo=ADDRESS, importance=st.sampled_from(["normal", "high", "low"]),
        attachments=FILES, **{"from": ADDRESS},
    )
).map(lambda parameters: {"resource": "email", "operation": "send", "parameters": parameters})  # fmt: skip
ACCOUNTS = merged(
    st.fixed_dictionaries(
        {"host": st.sampled_from([*HERE, *ELSEWHERE]), "username": SENT, "password": PASSWORDS}
    ),
    some(
        port=st.integers(1, 65535),
        encryption=st.sampled_from(["starttls", "tls", "none"]),
        authMethod=st.sampled_from(["login", "plain"]),
    ),
)


@given(NODES, merged(st.fixed_dictionaries({"data": ACCOUNTS}), some(name=SENT, description=SENT)))
@examples(150)
def test_a_node_and_a_credential_of_nina_come_back_as_they_were_brought(node: Any, account: Any) -> None:
    assume("{{" not in str(node) and "{%" not in str(node))
    for document in (node, account, {"node": node, "credential": account}):
        found = read(document, "f", dialect_name="nina")
        written = dialect("nina").write(found)
        again = read(json.loads(json.dumps(written)), "f", dialect_name="nina")
        assert dialect("nina").write(again) == written
        if found.credentials:
            assert ours(again)["credentials"] == ours(found)["credentials"]
        for name, brought in found.nodes.items():
            back = again.nodes[name]["parameters"]
            for key, value in brought["parameters"].items():
                assert back.get(key, [] if value == [] else None) in (value, [value])
