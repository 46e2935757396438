"""What the credentials of other systems have in common with ours: host, password, encryption, headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from nina_smtp.dialects.exporting import Ours, checked_type, lost
from nina_smtp.dialects.imported import Fate, Json, is_reference, variable_name
from nina_smtp.dialects.source import Source, verbatim
from nina_smtp.errors import InvalidConfiguration, NinaError
from nina_smtp.message.header import custom
from nina_smtp.smtp.server import parse_ehlo_name, parse_host

CLEAR = "The password is sent in clear text: anybody in between can read it"
SKIPS = "The certificate is not verified: anybody in between can read the password"

_REFERENCE = re.compile(r"(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NO_NAME = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_OWN = {"importance": "importance", "in-reply-to": "inReplyTo", "references": "references"}
_IMPORTANCE = ("high", "normal", "low")


def host(source: Source, key: str) -> str:
    """The host, checked."""
    text = (source.text(key, "host", required=True) or "").strip()
    return str(verbatim(_checked(source, key, parse_host, text)))


def ehlo_name(source: Source, key: str) -> str | None:
    """The name for EHLO, checked."""
    text = (source.text(key, "ehloName") or "").strip()
    return verbatim(_checked(source, key, parse_ehlo_name, text)) if text else None


def _checked(source: Source, key: str, check: Any, text: str) -> str:
    try:
        check(text)
    except NinaError as error:
        raise source.wrong(key, f"is refused: {error.message}", error.hint) from None
    return text


def login(source: Source, user_key: str, password_key: str, name: str) -> dict[str, Any]:
    """The fields of a login; without a user name there is none.

    A password that is not in the document is to be in the environment.
    """
    user, password = source.text(user_key), source.text(password_key)
    if not user and password:
        raise source.wrong(user_key, "is required beside a password.", "Give the user name.")
    if not user:
        for key in (user_key, password_key):
            if key in source.data:
                source.note(key, Fate.SAME, "is empty: nobody logs in", "authMethod")
        return {"authMethod": "none"}
    source.note(user_key, Fate.SAME, becomes="username")
    if password:
        source.note(password_key, Fate.SAME, becomes="password")
        secret = verbatim(password)
    else:
        secret = f"${{{variable_name(name, 'password')}}}"
        source.note(
            password_key,
            Fate.WARNING,
            f"is not in the document: set it in the environment as {secret[2:-1]}",
            "password",
        )
    return {"username": verbatim(user), "password": secret, "authMethod": "auto"}


def in_clear(fields: Mapping[str, Any]) -> bool:
    """Whether these fields send a password without TLS."""
    return fields.get("encryption") == "none" and fields.get("authMethod") != "none"


def belongs(source: Source, system: str, *keys: str) -> None:
    """Tells of what is left of an object: it is for the other system alone, as these keys are."""
    for key in keys:
        if key in source.data:
            source.note(key, Fate.LEFT_OUT, f"belongs to {system}")
    source.rest(f"belongs to {system}")


def title(source: Source, key: str, default: str, most: int = 100) -> str:
    """A name for people. Raises InvalidConfiguration for one that cannot be."""
    text = source.text(key, "name") or default
    if len(text) > most or _NO_NAME.search(text):
        raise source.wrong(key, f"cannot be a name of at most {most} characters.", "Give it another.")
    return text


def headers(source: Source, key: str, given: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The parameters that headers are: ``headers``, and those that have a parameter of their own.

    Values are texts, or templates that were made of them.
    """
    found: dict[str, Any] = {}
    for name, value in given:
        place = f"{key}.{name[:80]}"
        if own := _OWN.get(name.lower()):
            if own == "importance" and (not isinstance(value, str) or value.lower() not in _IMPORTANCE):
                raise source.wrong(place, "is none.", f"There are: {', '.join(_IMPORTANCE)}.")
            found[own] = value.lower() if own == "importance" else value
            source.note(place, Fate.SAME, becomes=own)
            continue
        try:
            custom(name, "")
        except NinaError as error:
            raise source.wrong(place, f"is refused: {error.message}", error.hint) from None
        found.setdefault("headers", {})[name] = value
        source.note(place, Fate.SAME, becomes=f"headers.{name}")
    return found


class Account:
    """A credential of ours, taken apart by a writer."""

    def __init__(self, name: str, document: Json) -> None:
        checked_type(name, document, "smtp")
        extra = [key for key in document if key not in ("type", "data", "name", "description")]
        if extra:
            raise lost(f"The credential {name}: {extra[0]}", "cannot be said there")
        self.name = name
        self.data = Ours(cast(Json, document["data"]), f"The credential {name}: data")
        self.host = self.text("host") or ""
        self.encryption = str(self.data.take("encryption", "starttls"))
        default = {"tls": 465, "starttls": 587}.get(self.encryption, 25)
        self.port = int(self.data.take("port", default))
        self.method = str(self.data.take("authMethod", "login"))
        self.user = self.text("username")
        self.password = self._secret()
        self.skips_verification = bool(self.data.take("tlsSkipVerify", False))
        self._check_login()

    def _check_login(self) -> None:
        if self.method not in ("auto", "none"):
            raise lost(
                f"{self.data.place}.authMethod", f"{self.method} cannot be said there (set it to auto)"
            )
        if self.method == "none" and (self.user or self.password):
            raise lost(f"{self.data.place}.username", "has no use with authMethod none")
        allowed = self.data.take("allowCleartextLogin", False)
        clear = self.encryption == "none" and self.method != "none"
        if bool(allowed) != clear:
            raise lost(f"{self.data.place}.allowCleartextLogin", "cannot be said there")

    def text(self, key: str) -> str | None:
        """A text, with what stands for itself as it is meant. Raises InvalidConfiguration for a variable."""
        value = self.data.take(key)
        if value is None:
            return None
        if any(not escaped for escaped, _ in _REFERENCE.findall(str(value))):
            raise lost(f"{self.data.place}.{key}", "is a variable of the environment")
        return _REFERENCE.sub(lambda match: match[0][len(match[1]) :], str(value))

    def _secret(self) -> str | None:
        """The password; None if it is the variable that a reader would name itself."""
        value = self.data.take("password")
        if value == f"${{{variable_name(self.name, 'password')}}}":
            return None
        if is_reference(value):
            return str(value)
        return None if value is None else _REFERENCE.sub(lambda m: m[0][len(m[1]) :], str(value))


def gathered(problems: Iterable[InvalidConfiguration]) -> None:
    """Raises one InvalidConfiguration that names all of them."""
    found = list(problems)
    if found:
        message = " ".join(problem.message for problem in found[:20])
        raise InvalidConfiguration(message[:4000], hint=found[0].hint, parameter=found[0].parameter)
