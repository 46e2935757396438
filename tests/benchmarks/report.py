"""What a script prints at its end: the machine, what was measured, and whether each target is met."""

from __future__ import annotations

import json
import os
import platform
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

LOAD_BEFORE = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


@dataclass(frozen=True, slots=True)
class Target:
    """A promise and what came of it; ``values`` has one figure for each round and may be of any unit."""

    name: str
    limit: float
    at_least: bool
    values: tuple[float, ...]
    unit: str = "x"

    @property
    def value(self) -> float:
        return median(self.values)

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass(slots=True)
class Report:
    """Rows under headings, targets, and the sides that could not take part."""

    title: str
    headings: Sequence[str]
    packages: Sequence[str] = ()
    rows: list[Sequence[str]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)

    def at_least(self, name: str, limit: float, values: Iterable[float], unit: str = "x") -> None:
        self.targets.append(Target(name, limit, True, tuple(values), unit))

    def at_most(self, name: str, limit: float, values: Iterable[float], unit: str = "x") -> None:
        self.targets.append(Target(name, limit, False, tuple(values), unit))

    def skip(self, reason: object) -> None:
        """Says so at the end, once."""
        if str(reason) not in self.skipped:
            self.skipped.append(str(reason))

    def finish(self, out: Path | None) -> int:
        """Prints everything, writes it to ``out``, and returns the exit status: 1 when a target is missed."""
        machine = described_machine(self.packages) | self.facts
        print(f"{self.title}\n")
        print("; ".join(f"{name} {value}" for name, value in machine.items()) + "\n")
        _print_table([self.headings, *self.rows])
        print()
        verdicts = [("target", "limit", "median", "min … max", "")]
        for target in self.targets:
            verdicts.append(
                (
                    target.name,
                    f"{'>=' if target.at_least else '<='} {_figure(target.limit)}{target.unit}",
                    f"{_figure(target.value)}{target.unit}",
                    f"{_figure(min(target.values))} … {_figure(max(target.values))}",
                    "pass" if target.met else "MISSED",
                )
            )
        _print_table(verdicts)
        for reason in self.skipped:
            print(f"skipped: {reason}")
        print(flush=True)
        if out:
            shape = {
                "title": self.title,
                "machine": machine,
                "rows": [dict(zip(self.headings, row, strict=True)) for row in self.rows],
                "targets": [
                    asdict(target) | {"value": target.value, "met": target.met} for target in self.targets
                ],
                "skipped": self.skipped,
            }
            out.write_text(json.dumps(shape, indent=1, ensure_ascii=False) + "\n")
        return 0 if all(target.met for target in self.targets) else 1


def described_machine(packages: Sequence[str]) -> dict[str, str]:
    facts = {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores",
        "load before": f"{LOAD_BEFORE:.1f}",
        "system": f"{platform.system()} {platform.release()}",
        platform.python_implementation(): platform.python_version(),
        "TLS": " ".join(ssl.OPENSSL_VERSION.split()[:2]),
    }
    for package in packages:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "absent"
    return facts


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _figure(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if not number:
            print("  ".join("-" * width for width in widths))
