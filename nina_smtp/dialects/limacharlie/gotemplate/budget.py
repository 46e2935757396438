"""What a template may cost: neither it nor the element it reads can take long or write much."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_TEMPLATE = 1_000_000  # characters
MAX_DEPTH = 64  # blocks and parentheses in one another; lists and objects in a printed value
MAX_STEPS = 100_000  # parts of a template; parts run, rounds of range and values printed
MAX_OUTPUT = 2_000_000  # octets of UTF-8, of the whole and of what any function makes
MAX_WORK = 32_000_000  # octets that all functions together read and make


class Fault(Exception):
    """What is wrong with a template, before it is known where: it never leaves the package.

    ``at`` is the offset in the template, where the fault itself knows it.
    """

    def __init__(self, message: str, hint: str, at: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.at = at


def octets(text: str) -> int:
    """The length in UTF-8, which is what Go counts."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class Budget:
    """What one filling in has used so far. Every method raises Fault once it is too much."""

    __slots__ = ("steps", "worked", "written")

    def __init__(self) -> None:
        self.steps = self.worked = self.written = 0

    def step(self, count: int = 1) -> None:
        """Parts run, rounds of a loop, values looked at."""
        self.steps += count
        if self.steps > MAX_STEPS:
            raise Fault(
                f"The template takes more than {MAX_STEPS:,} steps with this element.",
                "Go through fewer entries, or print a smaller part of the element.",
            )

    def work(self, count: int) -> None:
        """Octets that a function reads, or is about to make."""
        self.worked += count
        if count > MAX_OUTPUT or self.worked > MAX_WORK:
            raise Fault(
                f"A text of more than {MAX_OUTPUT:,} octets, or too many long ones.",
                "Use a smaller part of the element.",
            )

    def write(self, count: int) -> None:
        """Octets of the output."""
        self.written += count
        if self.written > MAX_OUTPUT:
            raise Fault(
                f"The template writes more than {MAX_OUTPUT:,} octets with this element.",
                "Print a smaller part of the element.",
            )


@dataclass(frozen=True, slots=True)
class Means:
    """What a function may use besides its values."""

    budget: Budget
    seed: str | None = field(default=None, repr=False)
    """The secret of ``anon``."""


class Pieces:
    """A text as a function makes it: paid for before it is there."""

    __slots__ = ("budget", "size", "texts")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.texts: list[str] = []
        self.size = 0

    def add(self, text: str) -> None:
        """One more piece."""
        count = octets(text)
        self.size += count
        self.budget.work(self.size if self.size > MAX_OUTPUT else count)
        self.texts.append(text)

    def text(self) -> str:
        """All of it."""
        return "".join(self.texts)
