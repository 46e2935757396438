"""The file of tokens beside a credential: its owner's alone, and replaced as a whole."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from nina_smtp.errors import CredentialError
from nina_smtp.oauth.filestore import FileStore, beside
from nina_smtp.oauth.tokens import Tokens
from nina_smtp.secret import Secret

TOKENS = Tokens(Secret("tok-1"), Secret("rt-1"), ("a",), 3600.0, 12.5)


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "cred.tokens.json")


def load(store: FileStore, key: str = "k") -> Tokens | None:
    return asyncio.run(store.load(key))


def save(store: FileStore, tokens: Tokens = TOKENS, key: str = "k") -> None:
    asyncio.run(store.save(key, tokens))


def refused(store: FileStore) -> str:
    with pytest.raises(CredentialError) as caught:
        load(store)
    with pytest.raises(CredentialError):
        save(store)
    assert caught.value.hint
    return caught.value.message


def test_a_link_is_refused_and_what_it_points_to_is_left_alone(store: FileStore, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    save(FileStore(other))
    before = other.read_bytes()
    store.path.symlink_to(other)
    assert "link" in refused(store)
    assert other.read_bytes() == before
    assert store.path.is_symlink()


def test_a_link_to_nowhere_is_refused(store: FileStore, tmp_path: Path) -> None:
    store.path.symlink_to(tmp_path / "nowhere")
    assert "link" in refused(store)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_file_that_others_may_read_is_refused(store: FileStore, mode: int) -> None:
    save(store)
    store.path.chmod(mode)
    assert "others" in refused(store)


def test_a_folder_and_a_pipe_are_refused(store: FileStore) -> None:
    store.path.mkdir()
    assert "not a file" in refused(store)
    store.path.rmdir()
    os.mkfifo(store.path, 0o600)
    assert "not a file" in refused(store)


def test_a_folder_that_is_not_there_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="cannot be written"):
        save(FileStore(tmp_path / "nowhere" / "cred.tokens.json"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"key": "k"}', b" " * 70_000]
)
def test_what_is_no_file_of_tokens_counts_as_none(store: FileStore, content: bytes) -> None:
    store.path.write_bytes(content)
    store.path.chmod(0o600)
    assert load(store) is None


def test_another_credential_does_not_get_them(store: FileStore) -> None:
    save(store)
    assert load(store, "other") is None


def test_they_are_kept_for_their_owner_alone_whatever_the_umask(store: FileStore) -> None:
    before = os.umask(0)
    try:
        save(store)
        save(store)
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert load(store) == TOKENS
    assert [path.name for path in store.path.parent.iterdir()] == [store.path.name]


def test_there_are_none_before_there_are_some(store: FileStore) -> None:
    assert load(store) is None


def test_it_is_beside_its_credential_and_not_the_credential_itself(tmp_path: Path) -> None:
    assert beside(str(tmp_path / "cred.json")) == tmp_path / "cred.tokens.json"
    assert beside(str(tmp_path / "cred")) == tmp_path / "cred.tokens.json"
    assert FileStore(beside("x.json")) == FileStore(beside("./x.json"))
