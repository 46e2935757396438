"""The instance of Mail Sender (New): where to, and as whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from nina_smtp.dialects.exporting import lost
from nina_smtp.dialects.imported import Fate, Json, credential
from nina_smtp.dialects.logins import SKIPS, Account, ehlo_name, host, login, unencrypted
from nina_smtp.dialects.source import Source, verbatim

BRAND = "Mail Sender (New)"
PORT = 25

_TLS = {"None": "none", "false": "none", "STARTTLS": "starttls", "true": "starttls", "SSL/TLS": "tls"}
_FIELDS = frozenset({"host", "port", "credentials", "from", "fqdn", "tls", "insecure", "proxy"})
_ENCRYPTIONS = {"none": "None", "starttls": "STARTTLS", "tls": "SSL/TLS"}


def is_fields(data: Mapping[str, Any]) -> bool:
    """Whether these are the parameters of an instance, and nobody else's."""
    held = data.get("credentials")
    keys = set(data)
    named = isinstance(held, Mapping) and bool(
        {"identifier", "credential"} & set(cast(Mapping[str, Any], held))
    )
    return (
        "host" in keys and keys <= _FIELDS and (named or bool({"fqdn", "insecure"} & keys) or "tls" in keys)
    )


def is_exported(data: Mapping[str, Any]) -> bool:
    """Whether it is an instance as it is exported."""
    return "mail sender" in str(data.get("brand", "")).lower() and isinstance(data.get("data"), list)


def fields_of(source: Source) -> Source:
    """The parameters of an exported instance, each by its name."""
    named: dict[str, Any] = {}
    for entry in source.objects("data"):
        if key := entry.text("name"):
            named[key] = entry.value("value")
    return Source(named, source.at("data"), source.notes)


def read(source: Source, name: str) -> Json:
    """Our credential of the parameters. Raises InvalidConfiguration."""
    tls = source.data.get("tls")
    given = Source({"tls": str(tls).lower() if isinstance(tls, bool) else tls}, source.place, source.notes)
    encryption = given.choice("tls", _TLS) or "none"
    held = source.inner("credentials") or Source({}, source.at("credentials"), source.notes)
    if held.has("credential") and not held.has("identifier"):
        raise held.wrong(
            "credential", "is only the name of a stored credential.", "Give identifier and password."
        )
    port = source.number("port", 1, 65535, "port")
    if port is None:
        source.note("port", Fate.SAME, f"is {PORT}, as there", "port")
    fields: dict[str, Any] = {
        "host": host(source, "host"),
        "port": port or PORT,
        "encryption": encryption,
        **login(held, "identifier", "password", name),
        "fromAddress": verbatim(source.mailbox("from", "fromAddress")),
        "ehloName": ehlo_name(source, "fqdn"),
    }
    if encryption == "none":
        unencrypted(source, "tls", fields)
    else:
        source.note("tls", Fate.BETTER, "the certificate is verified; XSOAR's is not", "encryption")
    _trust(source, fields)
    held.rest("belongs to XSOAR")
    source.rest("is not a parameter of Mail Sender (New)")
    return credential("smtp", fields)


def _trust(source: Source, fields: dict[str, Any]) -> None:
    if source.flag("insecure"):
        fields["tlsSkipVerify"] = True
        source.note("insecure", Fate.WARNING, SKIPS, "tlsSkipVerify")
    elif source.has("insecure"):
        source.note(
            "insecure",
            Fate.BETTER,
            "is kept: XSOAR never looks at it, and verifies no certificate",
            "tlsSkipVerify",
        )


def write(account: Account) -> Json:
    """An instance, by its name."""
    sender, name = account.text("fromAddress"), account.text("ehloName")
    account.data.done()
    if account.encryption not in _ENCRYPTIONS:
        raise lost(f"{account.data.place}.encryption", "is not known")
    held = {"identifier": account.user, "password": account.password}
    fields: dict[str, Any] = {
        "host": account.host,
        "port": str(account.port),
        "credentials": {key: value for key, value in held.items() if value is not None},
        "from": sender,
        "fqdn": name,
        "tls": _ENCRYPTIONS[account.encryption],
        "insecure": "true" if account.skips_verification else None,
    }
    listed = [{"name": key, "value": value} for key, value in fields.items() if value]
    return {"name": account.name, "brand": BRAND, "data": listed}
