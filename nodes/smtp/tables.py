"""The parameters of each operation, for merging: the fields of its form, in order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from nina_smtp.errors import NinaError, ParameterError
from nina_smtp.forms import Form, field_path, first_problem, nearest
from nina_smtp.parameters.insertion import Mode
from nina_smtp.parameters.merge import Parameter

from .forms import CONTENT, AttachmentFields, SendFields, SendRawFields

LISTS = frozenset({"to", "cc", "bcc", "replyTo", "attachments", "references"})
OWN = frozenset({"messageId"})
"""A result has the Message-ID of the mail that it tells of: the mail behind it must not take that."""
MAY_BE_EMPTY = frozenset({"textBody", "envelopeFrom"})
_MODES = dict.fromkeys(("to", "cc", "bcc", "replyTo", "from", "envelopeFrom"), Mode.ADDRESSES) | {
    "rawEmail": Mode.MESSAGE
}


@cache
def table(operation: str) -> tuple[Parameter, ...]:
    """The parameters of ``send`` or ``sendRaw``."""
    form = SendFields if operation == "send" else SendRawFields
    return tuple(_parameter(field.alias or name, field) for name, field in form.model_fields.items())


def insertion_mode(name: str, values: Mapping[str, Any]) -> Mode:
    """What templates may insert into this parameter, given the values merged before it."""
    if name == "body" and values.get("contentType") == "html":
        return Mode.HTML
    return _MODES.get(name, Mode.TEXT)


def _parameter(name: str, field: FieldInfo) -> Parameter:
    extra = field.json_schema_extra
    return Parameter(
        name,
        _attachments if name == "attachments" else _check(name, field),
        required=field.is_required(),
        is_list=name in LISTS,
        is_text=cast(Any, field.annotation) in (str, str | None),
        is_content=extra == CONTENT,
        empty_is_value=name in MAY_BE_EMPTY,
        is_own=name in OWN,
    )


def _check(name: str, field: FieldInfo) -> Callable[[Any], Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(
        cast(Any, field.annotation), config=ConfigDict(strict=True, hide_input_in_errors=True)
    )
    example = field.examples[0] if field.examples else None

    def check(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as failure:
            problem = failure.errors(include_url=False, include_input=False)[-1]
            place, wrong = _innermost(name, value, is_text=name in LISTS)
            expected = (
                "it is a text" if wrong is not value else f"{problem['msg'][:1].lower()}{problem['msg'][1:]}"
            )
            raise ParameterError(
                f"{place} cannot be {_shown(wrong)}: {expected}.",
                hint=f"For example {json.dumps(example, ensure_ascii=False)}."
                if example is not None
                else None,
            ) from None

    return check


def _innermost(name: str, value: Any, *, is_text: bool) -> tuple[str, Any]:
    """Where exactly a list or an object of texts holds something else, and what."""
    inside: list[tuple[str, Any]] = []
    if isinstance(value, list) and is_text:
        inside = [(f"{name}[{index}]", one) for index, one in enumerate(value)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    elif isinstance(value, dict) and name == "headers":
        inside = [(f"{name}.{key}", one) for key, one in value.items()]  # pyright: ignore[reportUnknownVariableType]
    for place, one in inside:
        if not isinstance(one, str):
            return place, one
    return name, cast(Any, value)


def _attachments(value: Any) -> Any:
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        raise ParameterError(f"attachments cannot be {_kind(value)}: it is a list of objects.")
    return [_attachment(f"[{index}]", one) for index, one in enumerate(value)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _attachment(place: str, value: Any) -> AttachmentFields:
    if not isinstance(value, Mapping):
        raise ParameterError(
            f"An attachment cannot be {_kind(value)}: it is an object.",
            hint='{"filename": "report.pdf", "content": "<base64>"}, or a file of an earlier node.',
            parameter=place,
        )
    try:
        return AttachmentFields.model_validate(value)
    except ValidationError as failure:
        raise _attachment_error(place, first_problem(failure)) from None


def _attachment_error(place: str, problem: Any) -> NinaError:
    cause = problem.get("ctx", {}).get("error")
    path = field_path(problem["loc"])
    inner = f"{place}.{path}" if path else f"{place}.content"
    if isinstance(cause, NinaError):
        cause.parameter = inner
        return cause
    if problem["type"] == "extra_forbidden":
        known = _aliases(AttachmentFields)
        meant = nearest(path, known)
        hint = f"Did you mean {meant}?" if meant else f"There are: {', '.join(known)}."
        return ParameterError(f"{path} is not a field of an attachment.", hint=hint, parameter=inner)
    if problem["type"] == "missing":
        return ParameterError(f"An attachment needs {path}.", hint=f"Add {path}.", parameter=inner)
    return ParameterError(f"{path}: {problem['msg'][:1].lower()}{problem['msg'][1:]}.", parameter=inner)


def _aliases(form: type[Form] | type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in form.model_fields.items()]


def _shown(value: Any) -> str:
    return ascii(value[:40]) if isinstance(value, str) else _kind(value)


def _kind(value: Any) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]
    return names.get(kind, "nothing" if value is None else type(value).__name__)
