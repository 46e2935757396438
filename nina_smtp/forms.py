"""What every form of a node or a credential shares: a model in camelCase, and errors in our words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from nina_smtp.errors import NinaError


class Form(BaseModel):
    """A model a person fills in: camelCase keys, none unknown, nothing converted, nothing changed later."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=False,
    )


F = TypeVar("F", bound=BaseModel)


def fill_in(
    form: type[F], data: Mapping[str, Any], error: type[NinaError], *, source: str | None = None
) -> F:
    """Validates ``data`` as ``form``.

    Raises ``error`` for the first field that is wrong, with the field as its parameter (``timeouts.connect``,
    ``attachments[1].content``) and the remedy as its hint. The value itself is never in the message: it may
    be a secret.
    """
    try:
        return form.model_validate(data)
    except ValidationError as failure:
        raise _in_our_words(form, first_problem(failure), error, source) from None


def first_problem(failure: ValidationError) -> Any:
    """The problem to tell of: an unknown field before all, which may be the one that seems missing."""
    problems = failure.errors(include_url=False, include_input=False)
    return next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])


def field_path(location: tuple[int | str, ...]) -> str:
    """``("attachments", 1, "content")`` as ``attachments[1].content``."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path


def nearest(word: str, known: list[str] | tuple[str, ...]) -> str | None:
    """The known word that ``word`` probably means, or None: begun like it, else spelt like it."""
    wanted = _folded(word)
    by_folded = {_folded(name): name for name in known}
    begins = [name for name in by_folded if min(len(name), len(wanted)) > 3 and _begins(name, wanted)]
    close = begins[:1] if len(begins) == 1 else get_close_matches(wanted, by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def _folded(name: str) -> str:
    return re.sub(r"[_\W]", "", name.lower())


def _begins(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def all_problems(form: type[BaseModel], data: object) -> list[NinaError]:
    """Everything that is wrong with ``data`` as ``form``, in order; empty if nothing is."""
    try:
        form.model_validate(data)
    except ValidationError as failure:
        return [
            _in_our_words(form, p, NinaError, None)
            for p in failure.errors(include_url=False, include_input=False)
        ]
    return []


def _in_our_words(
    form: type[BaseModel], problem: Any, error: type[NinaError], source: str | None
) -> NinaError:
    path = field_path(problem["loc"]) or None
    kind, text = problem["type"], problem["msg"]
    if kind == "extra_forbidden":
        known = _known_fields(form, problem["loc"][:-1])
        meant = nearest(str(problem["loc"][-1]), known)
        hint = f"Did you mean {meant}?" if meant else f"Known fields: {', '.join(known)}."
        return error(f"{path} is not a known field.", hint=hint, parameter=path, source=source)
    if kind == "missing":
        return error(f"{path} is required.", hint=f"Give {path} a value.", parameter=path, source=source)
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, NinaError):
        path = path or cause.parameter
        message = f"{path} {cause.message[3:]}" if cause.message.startswith("It ") else cause.message
        return error(message, hint=cause.hint, parameter=path, source=source)
    if kind in ("model_type", "dict_type", "mapping_type"):
        text = "input should be an object"
    text = text.removeprefix("Value error, ").removesuffix(".")
    text = text[:1].lower() + text[1:]
    message = f"{path}: {text}." if path else f"{text}."
    return error(message, hint=_example(form, problem["loc"]), parameter=path, source=source)


def _field(form: type[BaseModel], name: int | str) -> FieldInfo | None:
    return next((f for key, f in form.model_fields.items() if name in (key, f.alias)), None)


def _form_of(annotation: Any) -> type[BaseModel] | None:
    """The form inside ``Form``, ``Form | None`` or ``list[Form]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _form_of(part))), None)


def _known_fields(form: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    inner: type[BaseModel] | None = form
    for step in location:
        if inner and isinstance(step, str) and (field := _field(inner, step)):
            inner = _form_of(field.annotation) or inner
    return [field.alias or name for name, field in (inner or form).model_fields.items()]


def _example(form: type[BaseModel], location: tuple[int | str, ...]) -> str | None:
    """What the field's own example says, as the remedy."""
    field = _field(form, location[0]) if len(location) == 1 else None
    return (
        f"For example {json.dumps(field.examples[0], ensure_ascii=False)}."
        if field and field.examples
        else None
    )
