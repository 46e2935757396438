"""The front door: what is imported when, what is raised, what is returned (the contract's section 8)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bed.recorder import Recorder
from hypothesis import given, settings
from hypothesis import strategies as st

import nina_smtp
from nina_smtp.delivery.result import Results
from nina_smtp.errors import InvalidCredential, NinaError, ParameterError

NODE: dict[str, Any] = {"parameters": {"to": ["a@x.test"], "subject": "S", "body": "B"}}
CREDENTIAL: dict[str, Any] = {"host": "mail.test", "username": "soc@corp.test", "password": "pw"}
HEAVY = (
    "magic",
    "pylibmagic",
    "jsonpath_ng",
    "email_validator",
    "cryptography",
    "liquid",
    "pydantic",
    "asyncio",
    "ssl",
    "dns",
)


def modules_after(program: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded."""
    told = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(nina_smtp.__file__).parent.parent,
    )
    return {name.partition(".")[0] for name in json.loads(told.stdout.splitlines()[-1])}


class TestImports:
    def test_the_package_alone_imports_nothing_heavy(self):
        loaded = modules_after("import nina_smtp")
        assert loaded.isdisjoint(HEAVY), loaded & set(HEAVY)

    def test_the_errors_import_nothing_heavy(self):
        assert modules_after("from nina_smtp import NinaError").isdisjoint(HEAVY)

    def test_a_simple_mail_is_built_without_what_it_does_not_need(self):
        program = (
            "import nina_smtp\n"
            "parameters = {'to': 'a@x.test', 'subject': '[{{ a.b }}] {{ c }}', 'body': 'B'}\n"
            "node = {'parameters': parameters, 'extract': {'replyTo': '$.d.e'}}\n"
            "credential = {'host': 'mail.test', 'username': 'u@x.test', 'password': 'p'}\n"
            "nina_smtp.build(node, credential, {'a': {'b': 1}, 'c': 2, 'd': {'e': 'r@x.test'}})"
        )
        loaded = modules_after(program)
        assert loaded.isdisjoint(
            {"magic", "pylibmagic", "jsonpath_ng", "email_validator", "cryptography", "liquid", "dns"}
        ), loaded

    def test_every_name_is_there_and_is_listed(self):
        for name in nina_smtp.__all__:
            assert getattr(nina_smtp, name)
            assert name in dir(nina_smtp)
        assert {"send", "send_async", "build", "Result", "Results", "NinaError"} <= set(nina_smtp.__all__)

    def test_another_name_is_an_attribute_error(self):
        with pytest.raises(AttributeError, match="'nina_smtp' has no attribute 'sendd'"):
            nina_smtp.sendd  # noqa: B018


class TestSend:
    @pytest.mark.parametrize(
        ("node", "credential", "items"),
        [
            (5, CREDENTIAL, None),
            ("x", CREDENTIAL, None),
            (None, CREDENTIAL, None),
            ([], CREDENTIAL, None),
            (NODE, 5, None),
            (NODE, None, None),
            (NODE, "x", None),
            (NODE, {}, None),
            (NODE, CREDENTIAL, 5),
            (NODE, CREDENTIAL, [5]),
            (NODE, CREDENTIAL, [{}, None]),
            ({"parameters": 5}, CREDENTIAL, None),
            ({}, CREDENTIAL, None),
            (NODE, {"type": "imap", "data": {}}, None),
            ({5: 6}, CREDENTIAL, None),
        ],
    )
    def test_raises_nothing_for_what_is_wrong(self, node: Any, credential: Any, items: Any):
        results = nina_smtp.send(node, credential, items)
        assert [result.status for result in results] == ["failed"] * (
            len(items) if isinstance(items, list) else 1
        )
        assert all(result["error"]["message"] for result in results.as_dicts())
        with pytest.raises(NinaError):
            results.raise_for_status()

    def test_of_one_item_of_many_of_none_and_of_an_empty_list(self):
        def count(items: Any) -> int:
            return len(nina_smtp.send(NODE, CREDENTIAL, items, dry_run=True))

        assert (count(None), count({}), count("text"), count([{}]), count(({}, {})), count([])) == (
            1,
            1,
            1,
            1,
            2,
            0,
        )

    def test_returns_one_result_for_each_item_in_order(self):
        with Recorder() as server:
            credential = {
                "host": server.host,
                "port": server.port,
                "encryption": "none",
                "authMethod": "none",
                "fromAddress": "soc@corp.test",
            }
            node = {"parameters": {"subject": "S", "body": "B"}, "options": {"onError": "continue"}}
            results = nina_smtp.send(
                node, credential, [{"to": f"u{n}@x.test"} if n % 3 else {"to": "?"} for n in range(20)]
            )
        assert [result.item for result in results] == list(range(20))
        assert [result.status for result in results] == ["sent" if n % 3 else "failed" for n in range(20)]
        assert sorted(message.recipients[0] for message in server.messages) == sorted(
            f"u{n}@x.test".encode() for n in range(20) if n % 3
        )

    def test_is_there_for_coroutines_too(self):
        results = asyncio.run(nina_smtp.send_async(NODE, CREDENTIAL, [{}, {}], dry_run=True))
        assert isinstance(results, Results)
        assert [result.status for result in results] == ["dryRun", "dryRun"]

    def test_changes_nothing_it_is_given(self):
        given_ = [json.dumps(one) for one in (NODE, CREDENTIAL, {"a": [1]})]
        nina_smtp.send(NODE, CREDENTIAL, {"a": [1]}, dry_run=True)
        assert [json.dumps(one) for one in (NODE, CREDENTIAL, {"a": [1]})] == given_

    def test_an_error_in_a_result_does_not_keep_the_message(self):
        (result,) = nina_smtp.send(NODE | {"parameters": {"to": "?"}}, CREDENTIAL)
        assert result.error
        assert result.error.__traceback__ is None
        assert result.error.__context__ is None


class TestBuild:
    def test_gives_bytes_envelope_sources_and_warnings(self):
        built = nina_smtp.build(NODE, CREDENTIAL | {"tlsSkipVerify": True}, {"cc": "c@x.test"})
        assert built.bytes.endswith(b"\r\nB\r\n")
        assert built.bytes == built.message.bytes
        assert built.envelope.recipients == ("a@x.test", "c@x.test")
        assert built.sources["cc"].as_dict() == {"source": "input"}
        assert isinstance(built.warnings, tuple)

    def test_raises_for_the_node_and_for_the_credential(self):
        with pytest.raises(ParameterError):
            nina_smtp.build({"parameters": {}}, CREDENTIAL)
        with pytest.raises(InvalidCredential):
            nina_smtp.build(NODE, {"host": "a b"})

    def test_of_many_modes_is_the_first_mail(self):
        assert nina_smtp.build(
            NODE | {"options": {"mode": "once"}}, CREDENTIAL, {"a": 1}
        ).envelope.recipients == ("a@x.test",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "to",
        "cc",
        "subject",
        "body",
        "contentType",
        "from",
        "reply_to",
        "replyTo",
        "importance",
        "attachments",
        "textBody",
        "headers",
        "inReplyTo",
        "references",
        "messageId",
        "envelopeFrom",
        "parameters",
        "nope",
    ]
)
VALUES = JSON | st.sampled_from(
    [
        "a@x.test",
        "html",
        "{{ a }}",
        "{{ subject | upcase }}",
        "A <a@x.test>, b@x.test",
        ["{{ to }}"],
        "<1@x>",
        "high",
        {"literal": "{{"},
        [{"filename": "a.txt", "content": "YQ=="}],
        {"X-A": "{{ a }}"},
    ]
)


@given(
    st.dictionaries(NAMES, VALUES, max_size=5),
    st.dictionaries(NAMES | st.sampled_from("ab"), VALUES, max_size=5),
)
@settings(max_examples=250, deadline=None)
def test_whatever_the_node_and_the_item_there_is_one_result_with_its_reason(
    parameters: dict[str, Any], item: dict[str, Any]
):
    node = {"parameters": {"to": "a@x.test", "subject": "S", "body": "B"} | parameters}
    (result,) = nina_smtp.send(node, CREDENTIAL, item, dry_run=True)
    if result.status == "dryRun":
        assert result.envelope
        assert len(result.envelope.recipients) > 0
    else:
        assert result.error
        error = result.error.as_dict()
        assert error["type"] != "internalError", error
        assert error["parameter"], error
        assert error.get("source") in ("node", "extracted", "input") or error["type"] == "missingParameter"
        json.dumps(error)


@pytest.mark.no_cover  # it holds a budget of processor time
def test_a_thousand_items_are_merged_and_built_in_no_time():
    """The promise is 60 µs an item for merging; composing comes on top of it. Ten times that is a fault."""
    node = {
        "parameters": {
            "to": "{{ owner.email }}",
            "subject": "[{{ severity }}] {{ title }}",
            "body": "See {{ link }}",
            "cc": "SOC <{{ cc }}>",
        },
        "extract": {"replyTo": "$.owner.email"},
    }
    item = {
        "owner": {"email": "jane@corp.test"},
        "severity": 9,
        "title": "T",
        "link": "https://x.test",
        "cc": "soc@corp.test",
    }
    nina_smtp.send(node, CREDENTIAL, [item] * 10, dry_run=True)
    start = time.thread_time()
    results = nina_smtp.send(node, CREDENTIAL, [item] * 1000, dry_run=True)
    assert time.thread_time() - start < 0.6
    assert results.succeeded
