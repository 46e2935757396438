"""The asset configuration: where the connector sends to, and as whom.

An asset has a way to log in: OAuth, Basic or Passwordless. With Automatic it is the first one whose
variables are all there, and the next is what is fallen back on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from nina_smtp.dialects.imported import Fate, Json, credential, is_reference
from nina_smtp.dialects.source import Source
from nina_smtp.errors import InvalidConfiguration, NinaError
from nina_smtp.smtp.server import Encryption, is_this_machine, parse_host

OAUTH, BASIC, PASSWORDLESS = "OAuth", "Basic", "Passwordless"
REQUIRED = {
    OAUTH: ("username", "client_id", "client_secret", "auth_url", "token_url"),
    BASIC: ("username", "password"),
    PASSWORDLESS: (),
}
VARIABLES = (
    "server", "port", "auth_type", "username", "password", "client_id", "client_secret", "auth_url",
    "token_url", "scopes", "sender_address", "ssl_config", "allow_smtputf8", "encoding",
)  # fmt: skip

MAX_TITLE = 80

_AUTOMATIC = "Automatic"
_ENCRYPTIONS = {"None": Encryption.NONE, "SSL": Encryption.TLS, "StartTLS": Encryption.STARTTLS}
_HOST_AND_PORT = re.compile(r"([^:\[\]]+):([0-9]{1,5})")
_VERIFIED = (
    "the server's certificate is verified, which the connector never does: if a private authority issued it, "
    "fill in caCertificate or certificateFingerprint"
)

_UNNEEDED = {
    "allow_smtputf8": "SMTPUTF8 is used exactly when a mail needs it, and the server offers it",
    "encoding": "Unicode works always, and is encoded so that every server takes it",
}

_NO_LOGIN = {
    True: (Fate.WARNING, "nobody logs in, since there is no password: if one was left out, fill it in"),
    False: (Fate.SAME, "nobody logs in; it is the sender of mails that name none"),
}


@dataclass(frozen=True, slots=True)
class Asset:
    """Credentials by the way they log in (OAuth, Basic, Passwordless), in the order of their use."""

    name: str
    accounts: Mapping[str, Json] = field(repr=False)


def read_asset(document: Source, name: str) -> Asset:
    """The asset in ``document``: the bare configuration, or an object with ``name`` and ``configuration``.

    ``name`` is what one without a name is called. Raises InvalidConfiguration.
    """
    name = title_of(name) or "asset"
    # The configuration comes first: what is warned of there must not drown in notes on other keys.
    if "configuration" not in document.data:
        return Asset(name, _accounts(document))
    configuration = document.inner("configuration")
    if configuration is None:
        raise document.wrong("configuration", "is empty.", "Give the variables of the asset.")
    name = title_of(document.text("name", "credentials") or "") or name
    accounts = _accounts(configuration)
    document.rest("has nothing to do with how mail is sent")
    return Asset(name, accounts)


def title_of(text: str) -> str:
    """``text`` as the name of something of ours: one line, and not a long one."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_TITLE].strip()


def _accounts(source: Source) -> dict[str, Json]:
    ways = _ways(source)
    server = _server(source, ways)
    common = server | _sender(source)
    accounts = {way: _account(source, way, common) for way in ways}
    _tell_of_unused(source, ways)
    for key, what_happens in _UNNEEDED.items():
        if source.flag(key) is not None:
            source.note(key, Fate.BETTER, what_happens)
    source.rest("is no variable of the SMTP connector")
    return accounts


def _server(source: Source, ways: tuple[str, ...]) -> dict[str, Any]:
    text = source.text("server", "host", required=True)
    assert text is not None
    text = text.strip()
    port = source.number("port", 1, 65535, "port")
    both = _HOST_AND_PORT.fullmatch(text) if port is None else None
    if both and 1 <= int(both[2]) <= 65535:
        text, port = both[1], int(both[2])
    found = source.choice("ssl_config", _ENCRYPTIONS)
    encryption: Encryption = Encryption.STARTTLS if found is None else found
    if port is None:
        _tell_of_port(source, encryption)
    host = _host(source, text)
    server = {"host": host, "port": port or encryption.port, "encryption": encryption.value}
    if encryption is Encryption.NONE:
        return server | _in_clear(source, host, ways)
    stripped = "STARTTLS is mandatory: where a server does not offer it, the connector goes on in clear; and "
    source.note(
        "ssl_config",
        Fate.BETTER,
        f"{stripped if encryption is Encryption.STARTTLS else ''}{_VERIFIED}",
        "encryption",
    )
    return server


def _in_clear(source: Source, host: str, ways: tuple[str, ...]) -> dict[str, Any]:
    """What lets a password out in clear text, and the note that goes with it, always."""
    if is_this_machine(host):
        source.note("ssl_config", Fate.SAME, "nothing leaves this machine", "encryption")
        return {}
    if ways == (PASSWORDLESS,):
        source.note("ssl_config", Fate.WARNING, "mails are sent in clear text", "encryption")
        return {}
    secret = " and the ".join({OAUTH: "access token", BASIC: "password"}[way] for way in ways)
    message = f"the {secret} is sent in clear text, and whoever is in between can read it: use StartTLS"
    source.note("ssl_config", Fate.WARNING, message, "allowCleartextLogin")
    return {"allowCleartextLogin": True}


def _tell_of_port(source: Source, encryption: Encryption) -> None:
    if encryption is Encryption.STARTTLS:
        message = (
            "587, as the documentation says; the connector goes to 25: set it, if your server wants that"
        )
        source.note("port", Fate.BETTER, message, "port")
    else:
        source.note("port", Fate.SAME, f"{encryption.port}, as the connector does", "port")


def _host(source: Source, text: str) -> str:
    if is_reference(text):
        return text
    try:
        return parse_host(text)
    except NinaError as error:
        raise source.wrong("server", f"is refused: {error.message}", error.hint) from None


def _sender(source: Source) -> dict[str, Any]:
    address = source.data.get("sender_address")
    if isinstance(address, str) and is_reference(address):
        return {"fromAddress": source.text("sender_address", "fromAddress")}
    return {"fromAddress": source.mailbox("sender_address", "fromAddress")}


def _ways(source: Source) -> tuple[str, ...]:
    """How the asset logs in. Raises InvalidConfiguration for a way that lacks some of its variables."""
    asked = source.choice(
        "auth_type", {word: word for word in (_AUTOMATIC, OAUTH, BASIC, PASSWORDLESS)}, "authMethod"
    )
    missing = {way: [key for key in keys if not source.has(key)] for way, keys in REQUIRED.items()}
    if asked in (None, _AUTOMATIC):
        complete = tuple(way for way in (OAUTH, BASIC) if not missing[way])
        return complete or (PASSWORDLESS,)
    if missing[asked]:
        raise InvalidConfiguration(
            incomplete(asked),
            hint=f"Fill in {' and '.join(missing[asked])}.",
            parameter=source.at(missing[asked][0]),
        )
    return (asked,)


def incomplete(way: str) -> str:
    """What the connector says of a way to log in that lacks some of its variables."""
    return (
        f"One or more required parameters for {way} authentication is missing. "
        f"The required parameters for {way} authentication are: {', '.join(REQUIRED[way])}"
    )


def _account(source: Source, way: str, common: Mapping[str, Any]) -> Json:
    username = source.text("username", "username" if way != PASSWORDLESS else None)
    if way == OAUTH:
        scopes = source.text("scopes", "scopes")
        return credential(
            "smtpOAuth2",
            {
                **common,
                "username": username,
                "grant": "authorizationCode",
                "clientId": source.text("client_id", "clientId"),
                "clientSecret": source.text("client_secret", "clientSecret"),
                "authUrl": _auth_url(source, str(common["host"])),
                "tokenUrl": source.text("token_url", "tokenUrl"),
                "scopes": " ".join(scopes.split()) or None if scopes else None,
            },
        )
    if way == PASSWORDLESS:
        return credential("smtp", {**common, "username": username, "authMethod": "none"})
    password = source.text("password")
    source.note(
        "password",
        Fate.BETTER,
        "PLAIN or LOGIN, whichever is offered; if none is, that is an error, where the connector sends the "
        "mail without a login",
        "password",
    )
    return credential("smtp", {**common, "username": username, "password": password, "authMethod": "auto"})


def _auth_url(source: Source, host: str) -> str | None:
    """The URL with what the connector asks the provider for besides: a token that can be renewed."""
    url = source.text("auth_url", "authUrl")
    if url is None or is_reference(url):
        return url
    try:
        parts = urlsplit(url)
        asked = parse_qs(parts.query)
    except ValueError:
        raise source.wrong("auth_url", "is not a URL.", "Like https://login.example.com/authorize") from None
    wishes = {"access_type": "offline"} | ({"prompt": "consent"} if "gmail" in host else {})
    query = [parts.query] + [f"{key}={value}" for key, value in wishes.items() if key not in asked]
    return urlunsplit(parts._replace(query="&".join(filter(None, query))))


def _tell_of_unused(source: Source, ways: tuple[str, ...]) -> None:
    """A note on what is there for a way to log in that is not used."""
    asked = str(source.data.get("auth_type") or _AUTOMATIC).strip()
    for way in (OAUTH, BASIC):
        if way in ways:
            continue
        for key in (*REQUIRED[way], *(("scopes",) if way == OAUTH else ())):
            if not source.has(key) or (key == "username" and ways != (PASSWORDLESS,)):
                continue
            if key == "username":
                fate, message = _NO_LOGIN[asked.lower() == _AUTOMATIC.lower()]
                source.note(key, fate, message, "username")
            elif asked.lower() == _AUTOMATIC.lower():
                source.note(key, Fate.LEFT_OUT, f"is not used. {incomplete(way)}")
            else:
                source.note(key, Fate.LEFT_OUT, f"is not used with auth_type {asked}")
