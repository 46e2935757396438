"""A file of tokens beside a credential: for the command line, which has no vault.

It is its owner's alone (mode 0600) and is replaced as a whole. A link, or a file that others may read, is
refused: somebody else may have put it there, or may know what is in it.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from nina_smtp.errors import CredentialError
from nina_smtp.oauth.tokens import Tokens

_MAX_FILE = 64 * 1024
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


def beside(credential: str) -> Path:
    """The file for the tokens of the credential in ``credential``: cred.tokens.json beside cred.json."""
    path = Path(os.path.abspath(credential))
    return path.with_name(f"{path.stem}.tokens.json")


@dataclass(frozen=True, slots=True)
class FileStore:
    """The tokens of one credential, in the file ``path``."""

    path: Path

    async def load(self, key: str) -> Tokens | None:
        """The tokens in the file, unless they are another credential's. Raises CredentialError."""
        found = self._document()
        return Tokens.from_document(found) if found.get("key") == key else None

    async def save(self, key: str, tokens: Tokens) -> None:
        """Replaces the file. Raises CredentialError."""
        self._check(self._status())
        self._replace(json.dumps({"key": key, **tokens.as_document()}, indent=1).encode())

    def _document(self) -> dict[str, Any]:
        try:
            self._check(self._status())
            descriptor = os.open(self.path, os.O_RDONLY | _NO_LINKS)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unusable(f"cannot be read: {error.strerror}") from None
        with open(descriptor, "rb") as file:
            self._check(os.fstat(descriptor))  # again: it may have been exchanged
            octets = file.read(_MAX_FILE + 1)
        return _read(octets) or {}

    def _replace(self, octets: bytes) -> None:
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, 0o600), "wb") as file:
                file.write(octets)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self.path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            raise self._unusable(f"cannot be written: {error.strerror}") from None

    def _status(self) -> os.stat_result | None:
        try:
            return os.lstat(self.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(f"cannot be read: {error.strerror}") from None

    def _check(self, status: os.stat_result | None) -> None:
        if status is None:
            return
        if not stat.S_ISREG(status.st_mode):
            raise self._unusable("is a link or something else that is not a file")
        if os.name == "posix" and (status.st_uid != os.geteuid() or status.st_mode & 0o077):
            raise self._unusable("can be read by others than you, or belongs to somebody else")

    def _unusable(self, why: str) -> CredentialError:
        return CredentialError(
            f"The file of tokens {self.path} {why}.",
            hint="Remove it, or make it yours alone (chmod 600), and connect the account again: nina-smtp "
            "login CRED.json",
        )


def _read(octets: bytes) -> dict[str, Any] | None:
    """What is no longer JSON counts as nothing: the account is to be connected again."""
    if len(octets) > _MAX_FILE:
        return None
    try:
        found: Any = json.loads(octets)
    except (ValueError, RecursionError):
        return None
    return cast(dict[str, Any], found) if isinstance(found, dict) else None
