"""The secret ``smtp`` of Tracecat, and what an action says of the connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from nina_smtp.dialects.exporting import Ours, lost
from nina_smtp.dialects.imported import Fate, Json, credential
from nina_smtp.dialects.logins import SKIPS, Account, belongs, host, login, unencrypted
from nina_smtp.dialects.source import Source, objects_in

KEYS = ("SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_PASS")
NAME = "smtp"
FLAGS = ("enable_starttls", "enable_ssl", "enable_auth", "ignore_cert_errors", "timeout")

_VARIABLES = {"host": "${SMTP_HOST}", "username": "${SMTP_USER}", "password": "${SMTP_PASS}"}
_WAITS = ("connect", "greeting", "command")


def keys_of(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """The keys of a secret, flat or as a list of them; None if it is no secret for SMTP."""
    listed = data.get("keys")
    if isinstance(listed, list):
        held = {str(one.get("key")): one.get("value") for one in objects_in(cast(object, listed))}
        return held if "SMTP_HOST" in held else None
    return dict(data) if "SMTP_HOST" in data else None


def secret(part: Source) -> Source:
    """The keys of a secret, with the notes on what is around them."""
    held = keys_of(part.data) or {}
    if "keys" not in part.data:
        return part
    inner = Source(held, part.at("keys"), part.notes)
    part.note("keys", Fate.SAME, becomes="credential")
    belongs(part, "Tracecat", "name", "type")
    return inner


def alone(keys: Source) -> Json:
    """A credential of a secret without an action that says how it is used."""
    port = _port(keys)
    tls = port == 465
    keys.note(
        "SMTP_PORT",
        Fate.BETTER,
        "TLS from the start"
        if tls
        else "STARTTLS is mandatory: no action in the document says how to connect",
        "port, encryption",
    )
    return _document(keys, {"encryption": "tls" if tls else "starttls"}, port, logs_in=keys.has("SMTP_USER"))


def read(args: Source, keys: Source | None) -> Json:
    """The credential that an action uses. Without the secret, its values come from the environment."""
    ssl, starttls = args.flag("enable_ssl") is True, args.flag("enable_starttls") is True
    logs_in = args.flag("enable_auth") is True
    fields: dict[str, Any] = {"encryption": "tls" if ssl else "starttls" if starttls else "none"}
    if logs_in:
        fields["authMethod"] = "auto"
    args.note("enable_auth", Fate.SAME, "" if logs_in else "nobody logs in", "authMethod")
    _note_encryption(args, ssl=ssl, starttls=starttls)
    if fields["encryption"] == "none":
        server = keys.text("SMTP_HOST") if keys else None
        known: dict[str, Any] = {"authMethod": "none", **fields, "host": (server or "").strip()}
        unencrypted(args, "enable_starttls", known)
        if "allowCleartextLogin" in known:
            fields["allowCleartextLogin"] = True
    if args.flag("ignore_cert_errors"):
        fields["tlsSkipVerify"] = True
        args.note("ignore_cert_errors", Fate.WARNING, SKIPS, "tlsSkipVerify")
    elif args.has("ignore_cert_errors"):
        args.note("ignore_cert_errors", Fate.SAME, becomes="tlsSkipVerify")
    if timeout := _timeout(args):
        fields["timeouts"] = dict.fromkeys(_WAITS, timeout)
    if keys is not None:
        port = _port(keys)
        keys.note("SMTP_PORT", Fate.SAME, becomes="port")
        return _document(keys, fields, port, logs_in=logs_in)
    if logs_in:
        fields |= _VARIABLES
    else:
        fields |= {"host": _VARIABLES["host"], "authMethod": "none"}
    args.note(
        "secret smtp",
        Fate.WARNING,
        "is not in the document: set SMTP_HOST, SMTP_USER and SMTP_PASS in the "
        "environment, and the port in the credential if it is not the usual one",
        "credential",
    )
    return credential("smtp", fields)


def _port(keys: Source) -> int:
    port = keys.number("SMTP_PORT", 1, 65535)
    if port is None:
        raise keys.missing("SMTP_PORT")
    return port


def _note_encryption(args: Source, *, ssl: bool, starttls: bool) -> None:
    if ssl:
        args.note("enable_ssl", Fate.BETTER, "the certificate is verified; there it is not", "encryption")
        if starttls:
            args.note("enable_starttls", Fate.LEFT_OUT, "is not needed beside enable_ssl")
    elif starttls:
        args.note("enable_starttls", Fate.SAME, becomes="encryption")
    for key in ("enable_ssl", "enable_starttls") if ssl or starttls else ("enable_ssl",):
        if args.has(key):
            args.note(key, Fate.SAME, becomes="encryption")


def _timeout(args: Source) -> float | None:
    text = args.text("timeout")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise args.wrong("timeout", "is not a number of seconds up to 3600.", "For example timeout: 10.")
    args.note(
        "timeout",
        Fate.BETTER,
        "is for the connection and each reply; the server gets longer for a whole "
        "message, whose fate would be unknown",
        "timeouts",
    )
    return seconds


def _document(keys: Source, fields: dict[str, Any], port: int, *, logs_in: bool) -> Json:
    found = {"host": host(keys, "SMTP_HOST"), "port": port, **fields}
    if logs_in:
        if not keys.has("SMTP_USER"):
            hint = keys.missing("SMTP_USER").hint
            raise keys.wrong("SMTP_USER", "is required: enable_auth is true.", hint)
        found |= login(keys, "SMTP_USER", "SMTP_PASS", NAME)
    else:
        found["authMethod"] = "none"
        for key in ("SMTP_USER", "SMTP_PASS"):
            if key in keys.data:
                keys.note(key, Fate.LEFT_OUT, "enable_auth is not true: nobody logs in")
    keys.rest("is not a key of the secret")
    return credential("smtp", found)


def write(name: str, document: Json) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The secret, or None if all of it is in the environment, and what the actions say."""
    data = cast(Json, document["data"])
    variables = data.get("host") == _VARIABLES["host"]
    if variables:
        free = {
            key: "x.example" if key == "host" else "x"
            for key in _VARIABLES
            if data.get(key) == _VARIABLES[key]
        }
        document = {**document, "data": {**data, **free}}
    opened = Account(name, document)
    timeouts = Ours(opened.data.take("timeouts", {}), f"{opened.data.place}.timeouts")
    waits = {timeouts.take(key) for key in _WAITS}
    timeouts.done()
    if len(waits) > 1:
        raise lost(timeouts.place, "have to be the same there")
    if variables and "port" in data:
        raise lost(f"{opened.data.place}.port", "is in the environment there, as the host is")
    opened.data.done()
    flags: dict[str, Any] = {
        "enable_starttls": opened.encryption == "starttls",
        "enable_ssl": opened.encryption == "tls",
        "enable_auth": opened.method != "none",
    }
    if opened.skips_verification:
        flags["ignore_cert_errors"] = True
    if (wait := waits.pop()) is not None:
        flags["timeout"] = wait
    if variables:
        return None, flags
    values = (opened.host, str(opened.port), opened.user, opened.password)
    keys = [{"key": key, "value": value} for key, value in zip(KEYS, values, strict=True) if value]
    return {"name": NAME, "keys": keys}, flags
