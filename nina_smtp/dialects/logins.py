"""What the credentials of other systems have in common with ours: host, password, encryption, headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from nina_smtp.dialects.exporting import Ours, checked_type, clear_text, lost
from nina_smtp.dialects.imported import Fate, Json, is_reference, variable_name
from nina_smtp.dialects.source import Source, verbatim
from nina_smtp.errors import InvalidConfiguration, NinaError
from nina_smtp.message.header import custom
from nina_smtp.smtp.server import is_this_machine, parse_ehlo_name, parse_host

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


def unencrypted(source: Source, key: str, fields: dict[str, Any]) -> None:
    """Says of a connection without TLS what that means; a password is let out, where it has to be."""
    if clear_text(fields):
        fields["allowCleartextLogin"] = True
        source.note(key, Fate.WARNING, CLEAR, "encryption, allowCleartextLogin")
    elif is_this_machine(str(fields.get("host"))):
        source.note(key, Fate.SAME, "nothing leaves this machine", "encryption")
    else:
        source.note(key, Fate.WARNING, "Mails are sent in clear text", "encryption")


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
    inner = Source({}, source.at(key), source.notes)
    for name, value in given:
        place = name[:80]
        if own := _OWN.get(name.lower()):
            if own == "importance" and (not isinstance(value, str) or value.lower() not in _IMPORTANCE):
                raise inner.wrong(place, "is none.", f"There are: {', '.join(_IMPORTANCE)}.")
            found[own] = value.lower() if own == "importance" else value
            inner.note(place, Fate.SAME, becomes=own)
            continue
        try:
            custom(name, "")
        except NinaError as error:
            raise inner.wrong(place, f"is refused: {error.message}", error.hint) from None
        found.setdefault("headers", {})[name] = value
        inner.note(place, Fate.SAME, becomes=f"headers.{name}")
    if set(found.get("headers", ())) == {"literal"}:
        found["headers"] = _called_literal(inner, found["headers"]["literal"])
    return found


def _called_literal(source: Source, value: Any) -> dict[str, Any]:
    """Headers of which the only one has the name that says something else in a parameter of ours."""
    if isinstance(value, str) and "{{" in value:
        why = "is the name of the only header, which cannot have an expression in it here."
        raise source.wrong("literal", why, "Give the header another name.")
    return {"literal": {"literal": value["literal"] if isinstance(value, Mapping) else value}}


def written_headers(ours: Ours, names: Mapping[str, str]) -> dict[str, Any]:
    """The headers of a mail of ours, as parameters: those with a parameter of their own by ``names``, too.

    Raises InvalidConfiguration for what a reader would refuse.
    """
    given = ours.take("headers", {})
    if isinstance(given, Mapping) and set(cast(Json, given)) == {"literal"}:
        inner: object = cast(Json, given)["literal"]
        if not isinstance(inner, Mapping):
            raise lost(f"{ours.place}.headers", "are not an object")
        given = {name: {"literal": value} for name, value in cast(Json, inner).items()}
    if not isinstance(given, Mapping):
        raise lost(f"{ours.place}.headers", "are one template, which is not understood there")
    found: dict[str, Any] = dict(cast(Json, given))
    for key, theirs in names.items():
        if (value := ours.take(key)) is None:
            continue
        if key == "importance" and value not in (*_IMPORTANCE, *({"literal": one} for one in _IMPORTANCE)):
            raise lost(f"{ours.place}.{key}", f"has to be one of {', '.join(_IMPORTANCE)} itself")
        found[theirs] = value
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
        allowed = bool(self.data.take("allowCleartextLogin", False))
        fields = {"encryption": self.encryption, "authMethod": self.method, "host": self.host}
        local = self.encryption == "none" and is_this_machine(self.host)  # there it says nothing
        if allowed != clear_text(fields) and not local:
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
