"""Ours, as a document of theirs, where that loses nothing.

What comes out is read again as the same credentials and nodes. Everything that could not be said there is
named in one error, so that nobody has to find out piece by piece.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from nina_smtp.dialects.imported import Imported, Json, is_reference, plain
from nina_smtp.dialects.soar import rawmail
from nina_smtp.dialects.soar.actions import EMAIL, HTML, NO_SUBJECT, OPTIONS, RAW, is_html
from nina_smtp.dialects.soar.asset import BASIC, MAX_TITLE, OAUTH, REQUIRED, title_of
from nina_smtp.dialects.soar.reading import read, workflow
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.smtp.server import is_this_machine

_SSL = {"none": "None", "tls": "SSL", "starttls": "StartTLS"}
_COMMON = {"host": "server", "port": "port", "username": "username", "fromAddress": "sender_address"}
_OF_OAUTH = {
    "clientId": "client_id", "clientSecret": "client_secret", "authUrl": "auth_url", "tokenUrl": "token_url",
    "scopes": "scopes",
}  # fmt: skip
_ANYWAY = {"tlsSkipVerify": False, "onError": "fail", "onPartial": "warn", "onUncertain": "stop"} | {
    "resource": "email", "grant": "authorizationCode"
}  # fmt: skip
_BRACES = re.compile(r"\{[{%]")
_ESCAPED = re.compile(r"\$(?=\$\{[A-Za-z_][A-Za-z0-9_]*\})")


class _Ours:
    """One object of ours, of which a writer takes what it can say. What is left is lost."""

    def __init__(self, data: Mapping[str, Any], place: str, lost: list[str]) -> None:
        camel = {re.sub(r"_([a-z])", lambda m: m[1].upper(), key): value for key, value in data.items()}
        # An empty text says something of these two: no alternative, and no sender.
        self._left = {k: v for k, v in camel.items() if v not in (None, "", {}) or _says(k, v)}
        self.place = place
        self.lost = lost

    def lose(self, key: str, why: str = "") -> None:
        """Puts ``key`` down as lost."""
        self._left.pop(key, None)
        self.lost.append(f"{self.place}.{key}{why and f' ({why})'}")

    def take(self, key: str) -> Any:
        """The value at ``key``; a template is lost."""
        value = self._left.pop(key, None)
        if isinstance(value, Mapping) and set(cast(Mapping[str, Any], value)) == {"literal"}:
            return cast(Mapping[str, Any], value)["literal"]
        if value is not None and _BRACES.search(str(value)):  # pyright: ignore[reportUnknownArgumentType]
            self.lose(key, "a template")
            return None
        return cast(Any, value)

    def inner(self, key: str) -> Mapping[str, Any]:
        """The object at ``key``, with the templates that are in it."""
        value = self._left.pop(key, None)
        return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}

    def stored(self, key: str) -> Any:
        """The value of a credential's field: a ``${NAME}`` in it is the environment's, and stays that."""
        value = self._left.pop(key, None)
        if not isinstance(value, str):
            return value
        plain = _ESCAPED.sub("", value)
        if plain != value and is_reference(plain):
            self.lose(key, "it would be read as a variable of the environment")
        return plain

    def text(self, key: str) -> str | None:
        """A text; anything else is lost."""
        value = self.take(key)
        if value is None or isinstance(value, str):
            return value
        self.lose(key, "not a text")
        return None

    def filled(self, key: str, why: str) -> str | None:
        """A text that is not empty; an empty one is lost, because of ``why``."""
        before = len(self.lost)
        text = self.text(key)
        if not text and len(self.lost) == before:
            self.lose(key, why)
        return text

    def texts(self, key: str, separator: str) -> str | None:
        """One text, or a list of texts as one."""
        value = self.take(key)
        listed = (
            cast(list[Any], value) if isinstance(value, list | tuple) else [] if value is None else [value]
        )
        if not all(isinstance(one, str) for one in listed):
            self.lose(key, "not a text")
            return None
        return separator.join(listed) or None

    def done(self) -> None:
        """Everything that nobody took is lost, but for what is so there anyway."""
        for key, value in list(self._left.items()):
            if key not in _ANYWAY or value != _ANYWAY[key]:
                self.lose(key)


def write(imported: Imported) -> Any:
    """The asset, the action, or both. Raises InvalidConfiguration, naming everything that would be lost."""
    lost: list[str] = []
    asset = _asset(imported.credentials, lost)
    ways = [_action(name, node, lost) for name, node in imported.nodes.items()]
    titles = list(imported.nodes)
    wanted = [name for name in (*titles[:1], EMAIL, HTML, RAW) if all(name in one for one in ways)]
    if ways and not wanted:
        lost.append("nodes (they are different actions: export them one by one)")
    if imported.workflows and not (asset and ways):
        lost += [f"{_called(one)} (it needs its credentials and its nodes)" for one in imported.workflows]
    if lost:
        raise _cannot(lost)
    if not (asset or ways):
        raise InvalidConfiguration("There is nothing.", hint="Give a credential or a node.")
    if asset and not ways:
        return _again(asset, imported)
    shape: dict[str, Any] = {"action": wanted[0]}
    if asset:
        shape["asset"] = asset
    if titles[0] != wanted[0]:
        shape["name"] = titles[0]
    sets = [one[wanted[0]] for one in ways]
    shape |= {"parameters": sets[0]} if len(sets) == 1 else {"targets": [{"parameters": sets}]}
    return _again(shape, imported)


def _again(document: Json, imported: Imported) -> Json:
    """The document itself, if it can be read again, and then makes the workflow that is there, if one is."""
    try:
        found = read(document, "asset")
    except InvalidConfiguration as error:
        raise _cannot([f"{error.parameter} ({error.message} {error.hint or ''}".rstrip() + ")"]) from None
    lost: list[str] = []
    for one in imported.workflows:
        nodes = dict(zip(found.nodes, imported.nodes.values(), strict=True))
        same = plain(workflow(str(one.get("name")), found.credentials, nodes)) == plain(one)
        if not same or len(imported.workflows) > 1:
            lost.append(f"{_called(one)} (what comes back is one trigger, and these nodes after it)")
    if lost:
        raise _cannot(lost)
    return document


def _cannot(lost: Sequence[str]) -> InvalidConfiguration:
    return InvalidConfiguration(
        f"An asset and an action of SOAR cannot say: {', '.join(lost)}.",
        hint="Take it away first, or keep it here.",
        parameter=lost[0].partition(" (")[0],
    )


def _called(flow: Json) -> str:
    return f"workflows.{flow.get('name')}"


# the asset


def _asset(credentials: Mapping[str, Json], lost: list[str]) -> dict[str, Any] | None:
    if not credentials:
        return None
    (name, first), *others = credentials.items()
    configuration = _configuration(name, first, lost)
    if others:
        second_name, second = others[0]
        more = _configuration(second_name, second, lost)
        shared = all(configuration.get(key) == more.get(key) for key in (*_COMMON.values(), "ssl_config"))
        if len(others) > 1 or not shared or [_type(first), _type(second)] != ["smtpOAuth2", "smtp"]:
            lost += [f"{one} (an asset has one server, and OAuth before a password)" for one, _ in others]
        configuration |= more
    called = str(first.get("name") or name)
    if title_of(called) != called:
        lost.append(f"{name}.name (it is one line, of at most {MAX_TITLE} characters)")
    return {"name": called, "configuration": configuration}


def _configuration(name: str, document: Json, lost: list[str]) -> dict[str, Any]:
    data = document["data"]
    lost += [f"{name}.{key}" for key in document if key not in ("type", "data", "name")]
    ours = _Ours(data, name, lost)
    kind = _type(document)
    encryption = ours.take("encryption") or "starttls"
    if encryption not in _SSL or kind not in ("smtp", "smtpOAuth2"):
        ours.lose("type" if encryption in _SSL else "encryption")
        return {}
    configuration: dict[str, Any] = {theirs: ours.stored(key) for key, theirs in _COMMON.items()}
    configuration["ssl_config"] = _SSL[encryption]
    method = "oauth" if kind == "smtpOAuth2" else ours.take("authMethod")
    may_leak = ours.take("allowCleartextLogin") is True
    if method == "oauth":
        configuration |= {theirs: ours.stored(key) for key, theirs in _OF_OAUTH.items()}
    elif method == "auto":
        configuration["password"] = ours.stored("password")
    elif method != "none":
        ours.lose("authMethod", "the connector takes whichever is offered: set auto")
    if method != "none":
        required = REQUIRED[OAUTH if method == "oauth" else BASIC]
        lost += [f"{name} (it has no {key})" for key in required if configuration.get(key) is None]
        if encryption == "none" and not may_leak and not is_this_machine(str(data.get("host"))):
            ours.lose("allowCleartextLogin", "an asset with ssl_config None sends the password in clear text")
    ours.done()
    return {key: value for key, value in configuration.items() if value is not None}


def _type(document: Json) -> str:
    return str(document.get("type", "smtp"))


# the action


_Shape = dict[str, Any]


def _action(name: str, node: Json, lost: list[str]) -> dict[str, _Shape]:
    """The parameters by every action that does what the node does."""
    ours = _Ours(node, name, lost)
    operation = ours.take("operation") or "send"
    parameters = _Ours(ours.inner("parameters"), f"{name}.parameters", lost)
    options = _Ours(ours.inner("options"), f"{name}.options", lost)
    for key, value in OPTIONS.items():
        if (said := options.take(key)) != value:
            options.lose(key, f"an action is {value}: it is {said or 'not set'} here")
    options.done()
    ours.done()
    ways = _raw(parameters) if operation == "sendRaw" else _mail(parameters)
    parameters.done()
    return {
        action: {key: value for key, value in shape.items() if value is not None}
        for action, shape in ways.items()
    }


def _raw(ours: _Ours) -> dict[str, _Shape]:
    text = ours.filled("rawEmail", "the connector requires one")
    if text and rawmail.mend(text) != re.sub(r"\r\n|\r", "\n", text):
        ours.lose("rawEmail", "it would be read otherwise: see how a raw message is mended")
    return {RAW: {"raw_email": text}}


def _mail(ours: _Ours) -> dict[str, _Shape]:
    shape: _Shape = {key: ours.texts(key, ", ") for key in ("from", "to", "cc", "bcc")}
    shape["subject"] = ours.filled("subject", f"an empty one comes back as {NO_SUBJECT}")
    headers = _headers(ours)
    shape["headers"] = headers or None
    html = (ours.text("contentType") or "text") == "html"
    body = ours.filled("body", "the connector requires one") or ""
    text = ours.text("textBody") if html else None
    if text == "":
        ours.lose("textBody", "an empty one: the connector writes one")
    as_email, as_html = shape | {"body": body}, shape | {"html_body": body, "text_body": text}
    if not html:
        if is_html(body):
            ours.lose("body", "text that begins like HTML")
        return {EMAIL: as_email}
    return {HTML: as_html} | ({EMAIL: as_email} if is_html(body) and not text else {})


def _headers(ours: _Ours) -> dict[str, str]:
    custom = ours.take("headers")
    headers: dict[str, str] = dict(cast(Mapping[str, str], custom)) if isinstance(custom, Mapping) else {}
    said: Sequence[tuple[str, str | None]] = (
        ("Reply-To", ours.texts("replyTo", ", ")),
        ("Importance", ours.text("importance")),
        ("Message-ID", ours.text("messageId")),
        ("In-Reply-To", ours.text("inReplyTo")),
        ("References", ours.texts("references", " ")),
    )
    return headers | {key: value for key, value in said if value}


def _says(key: str, value: Any) -> bool:
    return value == "" and key in ("textBody", "envelopeFrom")
