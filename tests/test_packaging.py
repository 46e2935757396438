"""What is built from this repository, and that it works where the repository is not."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None,
    reason="hatchling, which builds the wheel, is not installed",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel, the sdist, and the wheel made from the sdist in ``again``."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as sdist:
        sdist.extractall(folder / "source", filter="data")
    build(next((folder / "source").iterdir()), folder / "again", "wheel")
    return folder


def build(source: Path, target: Path, *kinds: str) -> None:
    program = (
        "import sys; from hatchling import build\n"
        "for kind in sys.argv[2:]: getattr(build, f'build_{kind}')(sys.argv[1])"
    )
    target.mkdir(exist_ok=True)
    subprocess.run(
        [sys.executable, "-c", program, str(target), *(kinds or ("wheel", "sdist"))],
        cwd=source,
        check=True,
        capture_output=True,
    )


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked: it is pure Python, and that is all that installing it does."""
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        archive.extractall(target)
    return target


def run(installed: Path, program: str) -> str:
    """What a program says in an empty folder, with the wheel before everything else."""
    bootstrap = f"import sys; sys.path.insert(0, {str(installed)!r})\n"
    told = subprocess.run(
        [sys.executable, "-P", "-c", bootstrap + program],
        cwd=installed.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


def test_the_wheel_has_the_pack_inside_the_package(built: Path):
    names = names_in(next(built.glob("*.whl")))
    for name in (
        "py.typed",
        "api.py",
        "pack/nodes/smtp/__init__.py",
        "pack/nodes/smtp/icon.svg",
        "pack/nodes/smtp/help.md",
        "pack/nodes/smtp/example.json",
        "pack/nodes/manual_trigger/__init__.py",
        "pack/nodes/table_to_file/icon.svg",
        "pack/credentials/smtp/__init__.py",
        "pack/credentials/smtp/icon.svg",
        "pack/credentials/smtp/help.md",
        "pack/credentials/smtpOAuth2/presets.py",
        "inbox/page/inbox.js",
    ):
        assert f"nina_smtp/{name}" in names


def test_the_wheel_has_nothing_at_the_top_but_the_package(built: Path):
    tops = {name.partition("/")[0] for name in names_in(next(built.glob("*.whl")))}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"nina_smtp"}


def test_nothing_of_ours_is_left_out_and_no_leftovers_are_in(built: Path):
    names = names_in(next(built.glob("*.whl")))
    tracked = subprocess.run(
        ["git", "ls-files", "nina_smtp", "nodes", "credentials"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if tracked.returncode:
        pytest.skip("there is no git here to say what is ours")
    for name in filter(lambda name: (ROOT / name).exists(), tracked.stdout.split()):
        assert (name if name.startswith("nina_smtp/") else f"nina_smtp/pack/{name}") in names
    assert [
        name
        for name in names
        if name.endswith((".pyc", ".orig", ".rej")) or "__pycache__" in name or "/tests/" in name
    ] == []


def test_the_wheel_made_from_the_sdist_is_the_same(built: Path):
    assert names_in(next((built / "again").glob("*.whl"))) == names_in(next(built.glob("*.whl")))


def test_the_license_and_the_command_are_in_it(built: Path):
    wheel = next(built.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        info = {name.partition("/")[2]: name for name in archive.namelist() if ".dist-info/" in name}
        assert "licenses/LICENSE" in info
        assert "nina-smtp = nina_smtp.cli:main" in archive.read(info["entry_points.txt"]).decode()
        metadata = archive.read(info["METADATA"]).decode()
    assert "Requires-Python: >=3.11" in metadata
    assert "License-Expression: Apache-2.0" in metadata


def test_an_installed_wheel_finds_its_own_types(installed: Path):
    told = json.loads(
        run(
            installed,
            "import json, nina_smtp\nfrom nina_smtp.describe import description\n"
            "from nina_smtp.catalog import own_pack\n"
            "print(json.dumps([nina_smtp.__file__, str(own_pack()), description()]))",
        )
    )
    package, pack, described = told
    assert Path(package).is_relative_to(installed)
    assert Path(pack) == installed / "nina_smtp" / "pack"
    assert {"smtp", "manual_trigger", "table_to_file"} <= {node["type"] for node in described["nodes"]}
    assert [kind for kind in described["nodes"] + described["credentials"] if "error" in kind] == []
    assert all(kind["icon"].startswith("<svg") for kind in described["nodes"] + described["credentials"])


def test_an_installed_wheel_builds_a_mail(installed: Path):
    told = run(
        installed,
        "import nina_smtp\n"
        "node = {'parameters': {'to': 'a@x.test', 'subject': '{{ s | upcase }}', 'body': 'B'}}\n"
        "built = nina_smtp.build(node,"
        " {'host': 'mail.test', 'username': 'u@x.test', 'password': 'p'}, {'s': 'hello'})\n"
        "print(built.bytes.decode())",
    )
    assert "Subject: HELLO" in told
