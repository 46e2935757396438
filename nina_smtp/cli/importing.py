"""``nina-smtp import`` and ``nina-smtp export``: configurations of other systems, in and out."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from nina_smtp.api import read_credential
from nina_smtp.catalog import Catalog, default_catalog
from nina_smtp.cli import files
from nina_smtp.cli.output import OK, print_json, say
from nina_smtp.dialects.dialect import dialect, read
from nina_smtp.dialects.documents import parse
from nina_smtp.dialects.imported import SECRETS, Fate, Imported, Json, plain
from nina_smtp.dialects.source import as_list, is_placeholder
from nina_smtp.errors import InvalidConfiguration, NinaError, ParameterError
from nina_smtp.workflow.validate import validate


def run_import(options: argparse.Namespace) -> int:
    """Prints what became of it; on standard output a secret is the name of a variable."""
    imported = read_foreign(options.file, options.dialect)
    check(imported, default_catalog())
    written = _write(imported, options.to, force=options.force) if options.to else []
    print_json(imported.as_dict() | ({"files": [str(path) for path in written]} if written else {}))
    tell(imported.notes, Fate)
    counts = Counter(note.fate for note in imported.notes)
    say(", ".join(f"{counts[fate]} {_WORDS[fate]}" for fate in Fate if counts[fate]) or "nothing to tell")
    for path in written:
        say(f"written: {path}")
    for command in _next(imported, options.to) if written else ():
        say(f"next: {command}")
    if not written and any(SECRETS & set(one["data"]) for one in imported.credentials.values()):
        say("Secrets are not shown. With --to DIR they are written to files that only you can read.")
    return OK


def read_foreign(path: str, dialect_name: str | None = None) -> Imported:
    """The configuration in a file. Raises InvalidConfiguration."""
    return read_document(parse(files.read_bytes(path, "configuration")), path, dialect_name)


def read_document(document: Any, path: str, dialect_name: str | None = None) -> Imported:
    """A configuration that was read from ``path``. Raises InvalidConfiguration."""
    stem = "imported" if path == "-" else Path(path).name.partition(".")[0] or "imported"
    return read(document, stem, dialect_name=dialect_name)


def check(imported: Imported, catalog: Catalog) -> None:
    """Raises NinaError if what came of a configuration could never run, naming the field."""
    for name, document in imported.credentials.items():
        texts = [text for text in document["data"].values() if isinstance(text, str)]
        if not any(_VARIABLE.search(text) or is_placeholder(text) for text in texts):
            _named(name, lambda d=document: read_credential(d, catalog))
    for name, node in imported.nodes.items():
        _named(name, lambda n=node: catalog.node("smtp").check(plain(n)))
    for workflow in imported.workflows:
        validate(plain(workflow), catalog)


_VARIABLE = re.compile(r"(?<!\$)\$\{[A-Za-z_]")


def _named(name: str, do: Any) -> None:
    try:
        do()
    except NinaError as error:
        raise InvalidConfiguration(
            f"{name}: {error.message}", hint=error.hint, parameter=error.parameter
        ) from None


def tell(notes: Iterable[Any], fates: Iterable[Fate]) -> None:
    """The notes, for people, gravest first."""
    listed = list(notes)
    for fate in (Fate.WARNING, Fate.LEFT_OUT, Fate.BETTER, Fate.SAME):
        for note in listed if fate in tuple(fates) else ():
            if note.fate is fate:
                say(f"{_LABELS[fate]:<10}{note}")


def _next(imported: Imported, folder: Path) -> Iterator[str]:
    """What to do with the files: try the credentials, then run what there is."""
    accounts = {name: shlex.quote(str(folder / _file_name(f"{name}.credential.json")))
                for name in imported.credentials}  # fmt: skip
    for path in accounts.values():
        yield f"nina-smtp test {path}"
    for workflow in imported.workflows:
        flow = folder / _file_name(f"{workflow['name']}.workflow.json")
        used = {name for node in workflow["nodes"] for name in as_list(node.get("credential"))}
        files_of = {name: accounts.get(name, "CRED.json") for name in used if isinstance(name, str)}
        given = [f"--credential {shlex.quote(name)}={one}" for name, one in sorted(files_of.items())]
        yield " ".join(["nina-smtp run", shlex.quote(str(flow)), *given])
    for name in imported.nodes:
        path = shlex.quote(str(folder / _file_name(f"{name}.node.json")))
        given = [f"--credential {one}" for one in accounts.values()] or ["--credential CRED.json"]
        yield " ".join([f"nina-smtp send {path}", *given])


_LABELS = {Fate.SAME: "same", Fate.BETTER: "better", Fate.WARNING: "warning", Fate.LEFT_OUT: "left out"}
_WORDS = {
    Fate.SAME: "the same",
    Fate.BETTER: "on purpose otherwise",
    Fate.WARNING: "to look at",
    Fate.LEFT_OUT: "left out",
}


def _write(imported: Imported, folder: Path, *, force: bool) -> list[Path]:
    documents = [(f"{name}.credential.json", one) for name, one in imported.credentials.items()]
    documents += [(f"{name}.node.json", one) for name, one in imported.nodes.items()]
    documents += [(f"{one['name']}.workflow.json", one) for one in imported.workflows]
    paths = [folder / _file_name(name) for name, _ in documents]
    if twice := next((path for path, count in Counter(paths).items() if count > 1), None):
        raise ParameterError(f"{twice} would be written twice.", hint="Give them different names.")
    _refuse_to_replace(paths, "to", force=force)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error, "to") from None
    for path, (_, document) in zip(paths, documents, strict=True):
        _write_file(path, document, "to")
    return paths


def _refuse_to_replace(paths: Iterable[Path], parameter: str, *, force: bool) -> None:
    there = next((path for path in paths if path.exists()), None)
    if there and not force:
        raise ParameterError(
            f"{there} is there already.", hint="Name another place, or --force to replace it.",
            parameter=parameter,
        )  # fmt: skip


def _write_file(path: Path, document: Any, parameter: str) -> None:
    """For its owner alone from the moment it is there, and whole or not at all."""
    content = json.dumps(plain(document), ensure_ascii=False, indent=2).encode() + b"\n"
    new = path.parent / f".{path.name}.new"
    try:
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise _unwritable(path, error, parameter) from None


def _unwritable(path: Path, error: OSError, parameter: str) -> ParameterError:
    return ParameterError(
        f"{path} cannot be written: {error.strerror}.", hint="Write it somewhere else.", parameter=parameter
    )


def _file_name(name: str) -> str:
    """No folder, not hidden, and short enough for a file system: the end says what it is."""
    plain_name = re.sub(r"[^\w.@ -]+", "_", name).encode()[-_LONGEST:].decode(errors="ignore")
    return plain_name.strip(". ") or "unnamed"


_LONGEST = 200  # octets


def run_export(options: argparse.Namespace) -> int:
    """Prints the document; on standard output a secret is the name of a variable."""
    ours = _ours(options.files)
    check(ours, default_catalog())
    target = dialect(options.dialect)
    if options.out:
        _refuse_to_replace([options.out], "out", force=options.force)
        _write_file(options.out, target.write(ours), "out")
        say(f"written: {options.out}")
        return OK
    shown = ours.as_dict()
    print_json(target.write(Imported(ours.dialect, shown["credentials"], ours.nodes, ours.workflows)))
    return OK


def _ours(paths: Iterable[str]) -> Imported:
    credentials: dict[str, Json] = {}
    nodes: dict[str, Json] = {}
    workflows: list[Json] = []
    for path in paths:
        document = files.read_object(path, "file")
        name = re.sub(r"\.(credential|node|workflow)$", "", Path(path).stem) or path
        if "nodes" in document:
            workflows.append(document)
        elif "parameters" in document:
            _add(nodes, name, document, path)
        elif isinstance(document.get("data"), Mapping):
            _add(credentials, name, document, path)
        elif "host" in document:
            _add(credentials, name, {"type": "smtp", "data": document}, path)
        else:
            raise ParameterError(
                f"{path} is neither a credential nor a node nor a workflow.", parameter="file",
                hint="A credential has data, a node parameters, a workflow nodes.",
            )  # fmt: skip
    return Imported("nina", cast(Mapping[str, Json], credentials), nodes, tuple(workflows))


def _add(to: dict[str, Json], name: str, document: Json, path: str) -> None:
    if name in to:
        raise ParameterError(
            f"{path}: there is another file called {name}.", hint="Rename one: files name what is in them.",
            parameter="file",
        )  # fmt: skip
    to[name] = document
