"""Files between nodes, by reference: what a blob store does, and one in a folder."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from nina_smtp.errors import ParameterError

_REFERENCE = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file in a blob store: ``size`` in bytes, ``blob`` as ``sha256:`` and 64 hex digits of the content."""

    filename: str
    blob: str
    content_type: str
    size: int

    def as_dict(self) -> dict[str, Any]:
        """The JSON that travels in an item."""
        return {
            "filename": self.filename,
            "blob": self.blob,
            "contentType": self.content_type,
            "size": self.size,
        }


class BlobStore(Protocol):
    """Content by its own hash: the same bytes twice are one blob, so a repeated step changes nothing."""

    def put(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Stores the bytes and returns their reference and size."""
        ...

    def open(self, reference: str) -> BinaryIO:
        """The bytes again, to be read and closed. Raises ParameterError if there is no such blob."""
        ...

    def size(self, reference: str) -> int:
        """Bytes in the blob. Raises ParameterError if there is no such blob."""
        ...


class FolderBlobStore:
    """Blobs as files of one folder, named by their hash.

    A reference is checked against its pattern before it becomes a path, so none can leave the folder. Folder
    and files are the owner's alone: what travels between nodes is often confidential.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Writes to a temporary file, then renames: a crash leaves no half blob under a valid name."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".put-", delete=False) as file:
            try:
                for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(self._folder / digest.hexdigest())
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        _sync_folder(self._folder)
        return f"sha256:{digest.hexdigest()}", size

    def open(self, reference: str) -> BinaryIO:
        """The file, open for reading."""
        return self._existing(reference).open("rb")

    def size(self, reference: str) -> int:
        """The file's size."""
        return self._existing(reference).stat().st_size

    def _existing(self, reference: str) -> Path:
        if not _REFERENCE.fullmatch(reference):
            raise ParameterError("A blob reference is sha256: and 64 hex digits.", parameter="blob")
        path = self._folder / reference.removeprefix("sha256:")
        if not path.is_file():
            raise ParameterError(
                f"No file is stored under {reference[:19]}….",
                hint="It may have been cleaned up: run the node that makes it again.",
                parameter="blob",
            )
        return path


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a power cut: a checkpoint may already refer to the blob."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class NoBlobs:
    """The blob store of a host that has none."""

    def put(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Refuses."""
        raise ParameterError("This host stores no files.", hint="Run the node in a workflow.")

    def open(self, reference: str) -> BinaryIO:
        """Refuses."""
        raise ParameterError(
            f"{reference[:19]}… is a file of another host.",
            hint="Give the content as base64, or run the node in the workflow that made the file.",
            parameter="blob",
        )

    def size(self, reference: str) -> int:
        """Refuses."""
        self.open(reference)
        return 0


def is_file(value: Any) -> bool:
    """Whether a JSON value refers to a stored file."""
    return isinstance(value, Mapping) and isinstance(value.get("blob"), str) and "filename" in value  # pyright: ignore[reportUnknownMemberType]
