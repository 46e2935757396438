"""Where the files of vault ids are: a mapping in a JSON file, or a folder.

A vault id is the SHA-1 of the file's content. It is looked up in what there is, and never becomes part of a
path, so that none can lead anywhere else.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from nina_smtp.dialects.documents import parse
from nina_smtp.errors import InvalidConfiguration

MAX_FILE = 256 * 1024 * 1024

_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class VaultFile:
    """A file of the vault, under the name by which a reader of the mail sees it."""

    filename: str
    content: bytes = field(repr=False)


class Vault(Protocol):
    """Files by vault id."""

    def find(self, vault_id: str) -> VaultFile | None:
        """The file, or None if there is none. Raises InvalidConfiguration for one that cannot be used."""
        ...


class NoVault:
    """What there is when nobody has said where the files are."""

    def find(self, vault_id: str) -> VaultFile | None:
        """Refuses: a mail without its attachments is not what was asked for."""
        raise InvalidConfiguration(
            f"{vault_id[:64]!a} is a file of the vault, and nothing says where that is.",
            hint="Say so with --vault: a JSON file that maps vault ids to files, or a folder.",
            parameter="vault",
        )


class MappedVault:
    """A mapping ``{"<vault id>": "path" | {"path": …, "name": …}}``; paths are relative to ``folder``."""

    def __init__(self, mapping: object, folder: Path) -> None:
        if not isinstance(mapping, Mapping):
            raise InvalidConfiguration(
                "The vault is not an object.", hint='{"<vault id>": "report.pdf"}', parameter="vault"
            )
        self._places = {
            key.strip(): _place(key, one) for key, one in cast(Mapping[str, Any], mapping).items()
        }
        self._folder = folder

    def find(self, vault_id: str) -> VaultFile | None:
        """The file that the mapping names."""
        found = self._places.get(vault_id)
        if found is None:
            return None
        path, name = found
        return VaultFile(name or Path(path).name, _checked(vault_id, _read(vault_id, self._folder / path)))


class FolderVault:
    """A folder of files that are named by their vault id, have that SHA-1, or are blobs of a blob store."""

    def __init__(self, folder: Path) -> None:
        try:
            with os.scandir(folder) as entries:
                files = [Path(one.path) for one in entries if one.is_file(follow_symlinks=False)]
        except OSError as error:
            raise _unreadable("vault", folder, error) from None
        self._files = sorted(files)
        self._named = {path.stem: path for path in self._files} | {path.name: path for path in self._files}
        self._hashed: dict[str, Path] | None = None

    def find(self, vault_id: str) -> VaultFile | None:
        """The file of that name, or with that content."""
        blob = _SHA256.fullmatch(vault_id)
        path = self._named.get(blob[1] if blob else vault_id)
        if path is None and _SHA1.fullmatch(vault_id.lower()):
            path = self._by_content().get(vault_id.lower())
        if path is None:
            return None
        return VaultFile(path.name, _checked(vault_id, _read(vault_id, path)))

    def _by_content(self) -> Mapping[str, Path]:
        if self._hashed is None:
            # Backwards, so that of two files with the same content the first name counts.
            self._hashed = {_sha1_of(path): path for path in reversed(self._files)}
        return self._hashed


def open_vault(place: str) -> Vault:
    """The vault at ``place``, a JSON file or a folder. Raises InvalidConfiguration."""
    path = Path(place)
    if path.is_dir():
        return FolderVault(path)
    return MappedVault(parse(_read("vault", path)), path.parent)


def _place(key: str, value: Any) -> tuple[str, str | None]:
    shape: Mapping[str, Any] = {"path": value} if isinstance(value, str) else value
    if isinstance(shape, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        path, name = shape.get("path"), shape.get("name")
        if isinstance(path, str) and path and "\0" not in path and isinstance(name, str | None):
            return path, name
    raise InvalidConfiguration(
        f"The vault says nothing usable of {key[:64]!a}.",
        hint='Write a path, or {"path": "…", "name": "report.pdf"}.',
        parameter="vault",
    )


def _checked(vault_id: str, content: bytes) -> bytes:
    """``content``, if it is what the id says: an id that is a hash is that of the content."""
    blob = _SHA256.fullmatch(vault_id)
    if _SHA1.fullmatch(vault_id.lower()):
        same = hashlib.sha1(content, usedforsecurity=False).hexdigest() == vault_id.lower()
    else:
        same = not blob or hashlib.sha256(content).hexdigest() == blob[1]
    if not same:
        raise InvalidConfiguration(
            f"The file for the vault id {vault_id[:72]} has another content than its id says.",
            hint="It was changed or mixed up: fetch it again.",
            parameter="vault",
        )
    return content


def _read(vault_id: str, path: Path) -> bytes:
    try:
        if not path.is_file():
            raise FileNotFoundError(2, "There is no such file")
        if path.stat().st_size > MAX_FILE:
            raise InvalidConfiguration(
                f"{path} has more than {MAX_FILE:,} octets.", hint="No server takes that.", parameter="vault"
            )
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(vault_id, path, error) from None


def _sha1_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()
    except OSError:
        return ""  # it is none of the files that are looked for, as far as anybody can tell


def _unreadable(vault_id: str, path: Path, error: OSError) -> InvalidConfiguration:
    what = "The vault" if vault_id == "vault" else f"The file for the vault id {vault_id[:72]!a},"
    return InvalidConfiguration(
        f"{what} {path} cannot be read: {error.strerror}.", hint="Check the path.", parameter="vault"
    )
