"""The credential ``smtp`` of n8n."""

from __future__ import annotations

from typing import Any

from nina_smtp.dialects.exporting import lost
from nina_smtp.dialects.imported import Fate, Json, credential
from nina_smtp.dialects.logins import Account, ehlo_name, host, login, unencrypted
from nina_smtp.dialects.source import Source

FIELDS = frozenset({"user", "password", "host", "port", "secure", "disableStartTls", "hostName"})
EXPORTED = frozenset(
    {
        "id",
        "name",
        "type",
        "data",
        "createdAt",
        "updatedAt",
        "isManaged",
        "isGlobal",
        "isResolvable",
        "resolvableAllowFallback",
        "resolverId",
        "shared",
        "scopes",
        "homeProject",
    }
)
"""The keys around the fields, as they are exported."""
PORT = 465

_STARTTLS_PORTS = (25, 587, 2525)


def looks_like(keys: set[str]) -> bool:
    """Whether these are the fields, and nobody else's."""
    return (
        "host" in keys and keys <= FIELDS and bool(keys & {"secure", "user", "disableStartTls", "hostName"})
    )


def read(source: Source, name: str) -> Json:
    """Our credential of the fields. Raises InvalidConfiguration."""
    secure = source.flag("secure") is not False
    plain = source.flag("disableStartTls") is True
    port = source.number("port", 1, 65535)
    _note_encryption(source, port or PORT, secure=secure, plain=plain)
    fields: dict[str, Any] = {
        "host": host(source, "host"),
        "port": port or PORT,
        "encryption": "tls" if secure else "none" if plain else "starttls",
        **login(source, "user", "password", name),
        "ehloName": ehlo_name(source, "hostName"),
    }
    if plain and not secure:
        unencrypted(source, "disableStartTls", fields)
    elif "disableStartTls" in source.data:
        why = "only counts where secure is false" if plain else "is how it is here"
        source.note("disableStartTls", Fate.LEFT_OUT if plain else Fate.SAME, why)
    source.rest("is not a field of the credential")
    return credential("smtp", fields)


def _note_encryption(source: Source, port: int, *, secure: bool, plain: bool) -> None:
    if secure and port in _STARTTLS_PORTS:
        source.note(
            "port", Fate.WARNING, f"{port} usually speaks STARTTLS, and secure is TLS from the start", "port"
        )
    elif not secure and port == PORT:
        source.note(
            "port", Fate.WARNING, f"{port} usually speaks TLS from the start, and secure is false", "port"
        )
    else:
        why = "" if source.has("port") else f"is {PORT}, as there"
        source.note("port", Fate.SAME, why, "port")
    if secure or plain:
        source.note("secure", Fate.SAME, "" if source.has("secure") else "is true, as there", "encryption")
    else:
        source.note(
            "secure",
            Fate.BETTER,
            "STARTTLS is mandatory: n8n goes on in clear text if the server does not offer it",
            "encryption",
        )


def write(account: Account) -> dict[str, Any]:
    """The fields of a credential, without whether the certificate is verified: the nodes say that."""
    name = account.text("ehloName")
    account.data.done()
    if account.encryption not in ("tls", "starttls", "none"):
        raise lost(f"{account.data.place}.encryption", "is not known")
    fields: dict[str, Any] = {
        "host": account.host,
        "port": account.port,
        "secure": account.encryption == "tls",
        "user": account.user,
        "password": account.password,
        "disableStartTls": account.encryption == "none" or None,
        "hostName": name,
    }
    return {key: value for key, value in fields.items() if value is not None}
