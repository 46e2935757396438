"""Vault ids, as attachments."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from nina_smtp.dialects.imported import Fate
from nina_smtp.dialects.soar.headers import parse_json
from nina_smtp.dialects.soar.vault import Vault
from nina_smtp.dialects.source import Source, as_list
from nina_smtp.errors import InvalidConfiguration, NinaError
from nina_smtp.message.attachment import check_content_id

NUMBERS = range(1, 6)
NO_VAULT = (
    "files of the vault do not come along: run the action with nina-smtp soar --vault, or give the node's "
    "attachments here"
)

_JSON = "attachment_json"
_ERROR = "Error: attachment json field is not"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A vault id, at ``key`` of the parameters, and the content id that the HTML calls it by."""

    key: str
    vault_id: str
    content_id: str | None = None


def by_comma(source: Source, vault: Vault | None) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The attachments of ``send email``, and the ids that nothing is known of.

    Raises InvalidConfiguration for a file that cannot be used.
    """
    value: object = source.value("attachments")
    listed = (
        as_list(cast(object, value))
        if isinstance(value, list | tuple)
        else [source.text("attachments") or ""]
    )
    if not all(isinstance(one, str) for one in listed):
        raise source.wrong("attachments", "is not a list of vault ids.", "Write them with commas.")
    ids = [part.strip() for one in listed for part in one.split(",") if part.strip()]
    if ids and vault is None:
        source.note("attachments", Fate.LEFT_OUT, NO_VAULT)
    if not ids or vault is None:
        return [], ()
    found = {one: vault.find(one) for one in dict.fromkeys(ids)}
    source.note("attachments", Fate.SAME, becomes="parameters.attachments")
    return [attachment(file) for file in found.values() if file], tuple(k for k, v in found.items() if not v)


def numbered(source: Source, vault: Vault | None) -> list[dict[str, Any]]:
    """The attachments of ``send htmlemail``: those of the JSON, then those with a number.

    Raises InvalidConfiguration, in the connector's words, for an id that nothing is known of.
    """
    wanted = [*_from_json(source), *_from_numbers(source)]
    if vault is None:
        for one in wanted:
            source.note(one.key, Fate.LEFT_OUT, NO_VAULT)
        return []
    attachments: list[dict[str, Any]] = []
    for one in wanted:
        file = vault.find(one.vault_id)
        if file is None:
            raise InvalidConfiguration(
                f"Error: failed to find vault id: {one.vault_id}",
                hint="Add the file to the vault.",
                parameter=source.at(one.key),
            )
        source.note(one.key, Fate.SAME, becomes="parameters.attachments")
        attachments.append(attachment(file, one.content_id))
    return attachments


def attachment(file: Any, content_id: str | None = None) -> dict[str, Any]:
    """A file of the vault as an attachment of ours."""
    shape = {"filename": file.filename, "content": b64encode(file.content).decode()}
    return shape | ({"contentId": content_id} if content_id else {})


def parameter(attachments: list[dict[str, Any]]) -> Any:
    """The attachments as a parameter. A name is what it is, also one that looks like a template."""
    names = [text for one in attachments for key, text in one.items() if key != "content"]
    return {"literal": attachments} if re.search(r"\{[{%]", "\n".join(names)) else attachments


def _from_json(source: Source) -> Iterator[Wanted]:
    value: object = parse_json(source, _JSON, f"{_ERROR} valid json")
    if value is None:
        return
    if not isinstance(value, list):
        raise _json_error(source, f"{_ERROR} a list")
    listed = as_list(cast(object, value))
    wanted: list[Wanted] = []
    for one in listed:
        shape: Mapping[str, Any] = cast(Mapping[str, Any], one) if isinstance(one, Mapping) else {}
        vault_id = shape.get("vault_id")
        if isinstance(vault_id, str) and vault_id.strip():
            wanted.append(
                Wanted(_JSON, vault_id.strip(), _content_id(source, _JSON, shape.get("content_id")))
            )
    if not wanted:
        raise _json_error(
            source,
            'Error: attachment json field does not contain any dictionaries with the "vault_id" key',
        )
    if len(wanted) < len(listed):
        source.note(_JSON, Fate.WARNING, "what has no vault_id is left out, as in the connector")
    yield from wanted


def _from_numbers(source: Source) -> Iterator[Wanted]:
    for number in NUMBERS:
        key, id_key = f"attachment{number}", f"content_id{number}"
        vault_id = (source.text(key) or "").strip()
        content_id = _content_id(source, id_key, source.text(id_key))
        if vault_id:
            if content_id:
                source.note(id_key, Fate.SAME, becomes="parameters.attachments")
            yield Wanted(key, vault_id, content_id)
        elif content_id:
            source.note(id_key, Fate.LEFT_OUT, f"there is no {key} that it could name")


def _content_id(source: Source, key: str, value: Any) -> str | None:
    if value is None:
        return None
    try:
        text = str(value).strip()
        return check_content_id(text) if text else None
    except NinaError as error:
        raise source.wrong(key, f"is refused: {error.message}", error.hint) from None


def _json_error(source: Source, message: str) -> InvalidConfiguration:
    hint = 'Like [{"vault_id": "…", "content_id": "logo"}].'
    return InvalidConfiguration(message, hint=hint, parameter=source.at(_JSON))
