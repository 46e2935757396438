"""Where the files of vault ids are."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from nina_smtp.dialects.soar.vault import MAX_FILE, FolderVault, MappedVault, NoVault, open_vault
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.workflow.blobs import FolderBlobStore

CONTENT = b"id,zip\n1,2\n"
VAULT_ID = hashlib.sha1(CONTENT).hexdigest()
OTHER_ID = "ab2b2ccfba08ea538ef22f521caa01c3c2b17ccf"


def write(path: Path, content: bytes = CONTENT) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", ["mapping", "named", "blob"])
def test_a_file_with_another_content_than_its_id_says_is_an_error(tmp_path: Path, kind: str) -> None:
    vault_id = hashlib.sha256(b"other").hexdigest() if kind == "blob" else OTHER_ID
    write(tmp_path / vault_id)
    vault = MappedVault({vault_id: vault_id}, tmp_path) if kind == "mapping" else FolderVault(tmp_path)
    with pytest.raises(InvalidConfiguration, match="another content"):
        vault.find(vault_id)


@pytest.mark.parametrize(
    "vault_id", ["../secret", "..", ".", "/etc/passwd", "a/../../secret", "", "\0", "sub"]
)
def test_an_id_is_never_a_path(tmp_path: Path, vault_id: str) -> None:
    write(tmp_path / "secret")
    folder = tmp_path / "vault"
    (folder / "sub").mkdir(parents=True)
    assert FolderVault(folder).find(vault_id) is None
    assert MappedVault({}, folder).find(vault_id) is None


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "secret")
    folder = tmp_path / "vault"
    folder.mkdir()
    (folder / "linked").symlink_to(tmp_path / "secret")
    assert FolderVault(folder).find("linked") is None
    assert FolderVault(folder).find(VAULT_ID) is None


@pytest.mark.parametrize("mapping", [[], "x", {"a": 1}, {"a": {}}, {"a": {"path": 1}}, {"a": {"path": ""}},
                                     {"a": {"path": "x", "name": 1}}, {"a": "x\0"}, {"a": None}])  # fmt: skip
def test_a_mapping_that_is_none_is_told_so(tmp_path: Path, mapping: Any) -> None:
    with pytest.raises(InvalidConfiguration, match="vault"):
        MappedVault(mapping, tmp_path)


@pytest.mark.parametrize("place", ["gone.json", "bad.json"])
def test_a_vault_that_cannot_be_read_is_told_so(tmp_path: Path, place: str) -> None:
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(InvalidConfiguration):
        open_vault(str(tmp_path / place))


def test_a_mapped_file_that_is_gone_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        MappedVault({"a": "gone.csv"}, tmp_path).find("a")


def test_a_folder_that_is_gone_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        FolderVault(tmp_path / "gone")


def test_a_file_that_no_server_takes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_FILE + 1)
    with pytest.raises(InvalidConfiguration, match="has more than"):
        FolderVault(tmp_path).find("huge")


def test_a_file_that_is_gone_meanwhile_is_none_of_those_that_are_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "a.csv")
    vault = FolderVault(tmp_path)
    (tmp_path / "a.csv").unlink()
    assert vault.find(VAULT_ID) is None
    assert vault.find(OTHER_ID) is None


def test_without_a_vault_an_id_is_an_error() -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        NoVault().find(OTHER_ID)
    assert "--vault" in (caught.value.hint or "")


def test_paths_are_relative_to_the_mapping(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    write(tmp_path / "files" / "a.csv")
    mapping = {VAULT_ID: "files/a.csv", "short": {"path": "files/a.csv", "name": "report.csv"}}
    (tmp_path / "vault.json").write_text(json.dumps(mapping), encoding="utf-8")
    vault = open_vault(str(tmp_path / "vault.json"))
    for vault_id, name in ((VAULT_ID, "a.csv"), ("short", "report.csv")):
        found = vault.find(vault_id)
        assert found
        assert (found.filename, found.content) == (name, CONTENT)
    assert vault.find(OTHER_ID) is None


@pytest.mark.parametrize("name", ["findings.csv", VAULT_ID, f"{VAULT_ID}.csv"])
@pytest.mark.parametrize("spelt", [str.lower, str.upper])
def test_a_folder_finds_a_file_by_its_name_or_its_content(tmp_path: Path, name: str, spelt: Any) -> None:
    write(tmp_path / name)
    write(tmp_path / "another.bin", b"other")
    found = open_vault(str(tmp_path)).find(spelt(VAULT_ID))
    assert found
    assert (found.filename, found.content) == (name, CONTENT)


def test_a_blob_store_is_a_vault_too(tmp_path: Path) -> None:
    reference, _ = FolderBlobStore(tmp_path).put([CONTENT])
    for vault_id in (reference, reference.removeprefix("sha256:"), VAULT_ID):
        found = open_vault(str(tmp_path)).find(vault_id)
        assert found
        assert found.content == CONTENT
