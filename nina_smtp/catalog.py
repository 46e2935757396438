"""Finds packs: folders with ``nodes/<type>/`` and ``credentials/<type>/`` in them, loaded by path.

Ours is ``nina_smtp/pack`` in an installed wheel and the repository's top level in a checkout. Other packages
name theirs by an entry point of the group ``nina.packs`` whose object is a path. A type that fails to import
becomes a :class:`Broken` entry with its error, never a dead host.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any, TypeVar

from nina_smtp.credential import CredentialType
from nina_smtp.errors import NinaError
from nina_smtp.forms import nearest
from nina_smtp.node import NodeType

GROUP = "nina.packs"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Broken:
    """A type that could not be loaded, and why."""

    type: str
    folder: Path
    error: str


class Catalog:
    """The node and credential types of some packs, each loaded when it is first asked for.

    ``broken`` are packs that could not even be found.
    """

    def __init__(self, packs: tuple[Path, ...], broken: tuple[Broken, ...] = ()) -> None:
        self._packs = packs
        self._broken = broken

    @cached_property
    def _folders(self) -> Mapping[tuple[str, str], Path]:
        found: dict[tuple[str, str], Path] = {}
        for pack in self._packs:
            for kind in ("nodes", "credentials"):
                for module in sorted((pack / kind).glob("*/__init__.py")):
                    found.setdefault((kind, module.parent.name), module.parent)
        return found

    def node(self, name: str) -> NodeType:
        """The node type called ``name``. Raises NinaError if there is none or it is broken."""
        return self._get("nodes", name, NodeType)  # type: ignore[type-abstract]

    def credential(self, name: str) -> CredentialType:
        """The credential type called ``name``. Raises NinaError if there is none or it is broken."""
        return self._get("credentials", name, CredentialType)  # type: ignore[type-abstract]

    def nodes(self) -> Iterator[NodeType | Broken]:
        """Every node type, sorted by name, then the packs that could not be found."""
        yield from self._all("nodes", NodeType)  # type: ignore[type-abstract]
        yield from self._broken

    def credentials(self) -> Iterator[CredentialType | Broken]:
        """Every credential type, sorted by name."""
        return self._all("credentials", CredentialType)

    def folder(self, kind: str, name: str) -> Path:
        """Where a type's icon, help and example are; ``kind`` is nodes or credentials."""
        return self._folders[kind, name]

    def _get(self, kind: str, name: str, expected: type[T]) -> T:
        names = [known for found, known in self._folders if found == kind]
        if name not in names:
            meant = nearest(name, names)
            hint = f"Did you mean {meant}?" if meant else f"There are: {', '.join(sorted(names))}."
            raise NinaError(f"There is no {kind[:-1]} type {name!r}.", hint=hint, parameter="type")
        loaded = _load(kind, name, self._folders[kind, name], expected)
        if isinstance(loaded, Broken):
            raise NinaError(f"The {kind[:-1]} type {name!r} is broken: {loaded.error}")
        return loaded

    def _all(self, kind: str, expected: type[T]) -> Iterator[T | Broken]:
        for (found, name), folder in sorted(self._folders.items()):
            if found == kind:
                yield _load(kind, name, folder, expected)


def _load(kind: str, name: str, folder: Path, expected: type[T]) -> T | Broken:
    try:
        with _LOADING:
            loaded = getattr(_module(kind, name, folder), kind[:-1].upper())
        if not isinstance(loaded, expected):
            return Broken(name, folder, f"{kind[:-1].upper()} is not a {expected.__name__}")
        return loaded
    except Exception as error:  # whatever a third party's module does at import, the host lives on
        return Broken(name, folder, f"{type(error).__name__}: {error}")


_LOADING = RLock()  # a module that another thread is loading is in sys.modules already, half made


def _module(kind: str, name: str, folder: Path) -> ModuleType:
    qualified = f"nina_smtp.pack.{kind}.{name}"
    if (loaded := sys.modules.get(qualified)) and Path(str(loaded.__file__)).parent == folder:
        return loaded
    _forget(qualified)
    spec = importlib.util.spec_from_file_location(
        qualified, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[qualified] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        _forget(qualified)
        raise
    return module


def _forget(qualified: str) -> None:
    """Removes a type's modules, so that a type of the same name in another pack does not get its parts."""
    for name in [name for name in sys.modules if name == qualified or name.startswith(f"{qualified}.")]:
        del sys.modules[name]


def own_pack() -> Path:
    """The folder of our own nodes and credentials."""
    package = Path(__file__).resolve().parent
    installed = package / "pack"
    return installed if installed.is_dir() else package.parent


def _foreign_packs() -> tuple[tuple[Path, ...], tuple[Broken, ...]]:
    packs: list[Path] = []
    broken: list[Broken] = []
    for entry in importlib.metadata.entry_points(group=GROUP):
        try:
            path: Any = entry.load()
            packs.append(Path(path))
        except Exception as error:  # a package that is half installed is no reason to stop
            broken.append(Broken(entry.name, Path(), f"{type(error).__name__}: {error}"))
    return tuple(packs), tuple(broken)


@lru_cache(maxsize=1)
def default_catalog() -> Catalog:
    """Our pack and every one that is installed."""
    packs, broken = _foreign_packs()
    return Catalog((own_pack(), *packs), broken)
