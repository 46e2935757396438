import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from nina_smtp.errors import ParameterError
from nina_smtp.workflow.blobs import FileRef, FolderBlobStore, NoBlobs, is_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("outside")
    return tmp_path / "blobs"


@pytest.fixture
def store(folder: Path) -> FolderBlobStore:
    return FolderBlobStore(folder)


@pytest.mark.parametrize(
    "reference",
    [
        "../secret",
        "sha256:../secret",
        "/etc/passwd",
        "",
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "0" * 64 + "\n",
        "md5:" + "0" * 64,
        "sha256:" + "../" * 21 + "x",
    ],
)
def test_a_reference_that_is_none_never_becomes_a_path(store: FolderBlobStore, reference: str):
    store.put([b"something"])
    for use in (store.open, store.size):
        with pytest.raises(ParameterError, match="64 hex digits"):
            use(reference)


def test_a_blob_that_is_not_there_says_how_to_get_it(store: FolderBlobStore):
    with pytest.raises(ParameterError) as caught:
        store.open("sha256:" + "0" * 64)
    assert "run the node" in caught.value.hint


def test_a_producer_that_breaks_leaves_nothing(store: FolderBlobStore, folder: Path):
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.put(chunks())
    assert list(folder.iterdir()) == []


def test_a_disk_that_breaks_at_the_rename_leaves_nothing(
    store, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def no_rename(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", no_rename)
    with pytest.raises(OSError, match="No space"):
        store.put([b"x"])
    assert list(folder.iterdir()) == []


def test_what_is_stored_is_named_by_its_hash_and_comes_back(store: FolderBlobStore, folder: Path):
    reference, size = store.put([b"ab", b"", b"c"])
    assert reference == "sha256:" + hashlib.sha256(b"abc").hexdigest()
    assert (size, store.size(reference)) == (3, 3)
    with store.open(reference) as file:
        assert file.read() == b"abc"
    assert store.put([b"abc"]) == (reference, size)
    assert [path.name for path in folder.iterdir()] == [reference.removeprefix("sha256:")]


def test_only_the_owner_may_look(store: FolderBlobStore, folder: Path):
    store.put([b"confidential"])
    assert [path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())] == [0, 0]


def test_a_host_without_blobs_says_so():
    for use in (lambda: NoBlobs().put([b""]), lambda: NoBlobs().size("sha256:" + "0" * 64)):
        with pytest.raises(ParameterError):
            use()


def test_a_file_is_recognised_by_its_reference():
    file = FileRef("a.csv", "sha256:" + "0" * 64, "text/csv", 3).as_dict()
    assert is_file(file)
    assert not is_file({"filename": "a.csv", "content": "YQ=="})
    assert not is_file("sha256:")
