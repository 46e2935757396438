"""The tree of errors: drawn as it is, each with its JSON (the contract's section 5)."""

from __future__ import annotations

import json
import re

import pytest

from nina_smtp import errors
from nina_smtp.errors import NinaError, ParameterError, RecipientsRefused, WorkflowError, error_from_dict
from nina_smtp.smtp.replies import Reply

KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, NinaError)
}
BUILTINS = {"ValueError": ValueError, "ConnectionError": ConnectionError, "TimeoutError": TimeoutError}


def drawn() -> list[tuple[str, str | None, str | None]]:
    """The tree in the module's docstring: name, parent, builtin."""
    found: list[tuple[str, str | None, str | None]] = []
    parents: dict[int, str] = {}
    for line in str(errors.__doc__).splitlines():
        if match := re.match(r" {4}([│├└─ ]*)([A-Z]\w+)(?: \((\w+)\))?", line):
            depth = len(match[1]) // 4
            parents[depth] = match[2]
            found.append((match[2], parents.get(depth - 1), match[3]))
    return found


def test_the_docstring_draws_the_tree_as_it_is():
    names = [name for name, _, _ in drawn()]
    assert sorted(names) == sorted(KINDS)
    for name, parent, builtin in drawn():
        kind = KINDS[name]
        if parent:
            assert KINDS[parent] in kind.__bases__
        bases = [one for one in BUILTINS.values() if one in kind.__bases__]
        assert bases == ([BUILTINS[builtin]] if builtin else []), name


def test_each_has_a_type_of_its_own_and_a_sentence():
    types = [kind.type for kind in KINDS.values()]
    assert len(set(types)) == len(types)
    for name, kind in KINDS.items():
        assert re.fullmatch(r"[a-z][A-Za-z]+", kind.type)
        assert "type" in vars(kind), f"{name} has the type of its parent"
        assert str(kind.__doc__).strip().splitlines()[0].endswith(".")


def test_keys_without_a_value_are_left_out():
    assert ParameterError("What.").as_dict() == {
        "type": "invalidParameter",
        "message": "What.",
        "retry": False,
        "uncertain": False,
    }


def test_the_json_has_the_shape_of_the_contract():
    reply = Reply(550, ("5.1.1 No such user",))
    error = RecipientsRefused(
        "What happened.", hint="What to do.", parameter="to[1]", source="input", phase="rcpt", reply=reply
    )
    shape = error.as_dict()
    assert json.loads(json.dumps(shape)) == shape
    assert list(shape) == [
        "type",
        "message",
        "hint",
        "parameter",
        "source",
        "phase",
        "code",
        "enhancedCode",
        "reply",
        "retry",
        "uncertain",
    ]
    assert shape | {"message": "", "hint": ""} == {
        "type": "recipientsRefused",
        "message": "",
        "hint": "",
        "parameter": "to[1]",
        "source": "input",
        "phase": "rcpt",
        "code": 550,
        "enhancedCode": "5.1.1",
        "reply": "550 5.1.1 No such user",
        "retry": False,
        "uncertain": False,
    }


def test_a_temporary_reply_may_be_tried_again():
    assert RecipientsRefused("x", reply=Reply(450, ("4.2.1 Later",))).retry
    assert not RecipientsRefused("x", reply=Reply(550, ("No",))).retry


def test_what_may_have_been_delivered_is_never_tried_again():
    error = errors.DeliveryUncertain("x", reply=Reply(451, ("Later",)))
    assert error.uncertain
    assert not error.retry


def test_what_some_have_is_never_tried_again():
    assert not errors.SomeRecipientsRefused("x", reply=Reply(450, ("4.2.1 Later",))).retry


@pytest.mark.parametrize("name", ["ConnectFailed", "ReplyTimeout", "ConnectionLost"])
def test_what_did_not_get_through_may_be_tried_again(name: str):
    assert KINDS[name]("x").retry


def test_a_workflow_error_has_its_problems():
    problem = {"path": "nodes[0]", "message": "x"}
    assert WorkflowError("x", problems=(problem,)).as_dict()["problems"] == [problem]


@pytest.mark.parametrize("name", sorted(KINDS))
def test_an_error_comes_back_from_json_as_what_it_was(name: str):
    error = KINDS[name]("What.", hint="Do.", parameter="to", source="node", phase="rcpt")
    back = error_from_dict(json.loads(json.dumps(error.as_dict())))
    assert type(back) is KINDS[name]
    assert (back.message, back.hint, back.parameter, back.source, back.phase) == (
        "What.",
        "Do.",
        "to",
        "node",
        "rcpt",
    )


@pytest.mark.parametrize("shape", [{}, {"type": "nope", "message": "x"}, {"type": 5}])
def test_an_error_of_a_kind_we_do_not_know_is_an_error(shape: dict[str, object]):
    assert type(error_from_dict(shape)) is NinaError
