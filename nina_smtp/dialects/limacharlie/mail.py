"""From an element to its mail: the subject and the body.

No alert is lost to a template: where one fails for an element, the mail goes out as it would without it, and
says so.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nina_smtp.errors import NinaError, TemplateError

from .element import is_object, one_line
from .filters import Filters, why_not
from .readable import html
from .shape import as_json, check_transform, shaped
from .streams import guess, headline, name_of, stream_of
from .template import compile_template

SUBJECT_LENGTH = 400
"""Characters of a subject: mail readers show some 60, and a process's command line has thousands."""

_NAME = "<Name>"
_STAND_IN = "\ue000Name\ue000"  # private use: no template and hardly an element has it


@dataclass(frozen=True, slots=True)
class Letter:
    """What the mail of one element says."""

    subject: str
    body: str
    content_type: str
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, str]:
        """As the input of a node that sends mail."""
        return {"subject": self.subject, "body": self.body, "contentType": self.content_type}


@dataclass(frozen=True, slots=True)
class Output:
    """What an output of LimaCharlie makes of elements. ``stream`` of None is guessed, element by element."""

    stream: str | None = None
    is_readable: bool = False
    subject: str | None = None
    template: str | None = None
    filters: Filters = field(default_factory=lambda: Filters.model_validate({}))

    def check(self) -> None:
        """Raises ParameterError, naming the field, for what could never be used."""
        if self.stream is not None:
            stream_of(self.stream)
        for name, text in (("subject", self.subject), ("template", self.template)):
            if text:
                _named(name, partial(compile_template, text.replace(_NAME, _STAND_IN)))
        if transform := self.filters.custom_transform:
            _named("filters.customTransform", lambda: check_transform(transform, compile_template))

    def why_not(self, element: Mapping[str, Any]) -> str | None:
        """Which filter keeps the element back; None if it is sent."""
        return why_not(element, self._stream(element), self.filters)

    def letter(self, element: Mapping[str, Any], seed: str | None = None) -> Letter:
        """The mail for an element; ``seed`` is the secret of the function ``anon``. Nothing raises."""
        stream, warnings = self._stream(element), list[str]()
        sent: Any = element
        try:
            sent = shaped(element, self.filters, partial(_filled_in, seed=seed))
        except TemplateError as error:
            warnings.append(f"The transform failed, so the element is sent as it is: {error.message}")
        subject = self._subject(element, stream, seed, warnings)
        body = self._body(element, seed, warnings)
        if body is None:
            body = html(sent, stream) if self.is_readable else as_json(sent)
        return Letter(subject, body, "html" if self.is_readable else "text", tuple(warnings))

    def _stream(self, element: Mapping[str, Any]) -> str:
        return self.stream or guess(element).value

    def _subject(self, element: Mapping[str, Any], stream: str, seed: str | None, warnings: list[str]) -> str:
        if self.subject:
            try:
                filled = _filled_in(self.subject.replace(_NAME, _STAND_IN), element, seed=seed)
                named = filled.replace(_STAND_IN, name_of(element, stream))
                if line := one_line(named, SUBJECT_LENGTH):
                    return line
                warnings.append("The subject came out empty, so the mail has the usual one.")
            except TemplateError as error:
                warnings.append(f"The subject failed, so the mail has the usual one: {error.message}")
        return one_line(headline(element, stream), SUBJECT_LENGTH) or "LimaCharlie"

    def _body(self, element: Mapping[str, Any], seed: str | None, warnings: list[str]) -> str | None:
        if not self.template:
            return None
        try:
            body = compile_template(self.template).fill_in(element, html=self.is_readable, seed=seed)
            if body.strip():
                return body
            warnings.append("The template came out empty, so the mail has the usual body.")
        except TemplateError as error:
            warnings.append(f"The template failed, so the mail has the usual body: {error.message}")
        return None


def seed_of(secret_key: str) -> str:
    """The secret of ``anon``: of the key of the signature, but of no use to forge one."""
    return hmac.new(secret_key.encode(errors="surrogatepass"), b"anon", hashlib.sha256).hexdigest()


def _filled_in(template: str, element: Any, *, seed: str | None) -> str:
    return compile_template(template).fill_in(element if is_object(element) else {}, seed=seed)


def _named(name: str, do: Callable[[], object]) -> None:
    try:
        do()
    except NinaError as error:
        error.parameter = name
        raise
