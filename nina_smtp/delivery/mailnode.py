"""What the library asks of the node that sends mail, beyond what every node does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from nina_smtp.delivery.result import Result, Results
from nina_smtp.envelope import Envelope
from nina_smtp.message import Message
from nina_smtp.node import Task
from nina_smtp.parameters.merge import Source


class Depth(StrEnum):
    """How far a dry run goes. Nothing is sent in any."""

    BUILD = "build"
    """Merge and build."""
    LOGIN = "login"
    """Also connect, secure the connection and log in."""
    RECIPIENTS = "recipients"
    """Also ask whether the server takes the sender and the recipients."""


OnMessage = Callable[[int, Message], object]
OnResult = Callable[[Result], object]
OnProgress = Callable[[int, int, int], object]


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Who hears of an execution while it goes on (:meth:`MailNode.deliver`)."""

    on_message: OnMessage | None = None
    on_result: OnResult | None = None
    on_progress: OnProgress | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """A mail that was merged and built, and not sent."""

    message: Message
    sources: Mapping[str, Source]

    @property
    def bytes(self) -> bytes:
        """The whole message, CRLF line ends."""
        return self.message.bytes

    @property
    def envelope(self) -> Envelope:
        """Who it is from and to."""
        return self.message.envelope

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to look at before sending it."""
        return self.message.warnings


class MailNode(Protocol):
    """The SMTP node, as :mod:`nina_smtp.api` uses it."""

    def build(self, task: Task, index: int = 0) -> Built:
        """The mail for one input item. Raises ParameterError."""
        ...

    async def deliver(
        self,
        task: Task,
        *,
        dry_run: Depth | None = None,
        on_message: OnMessage | None = None,
        on_result: OnResult | None = None,
        on_progress: OnProgress | None = None,
    ) -> Results:
        """Sends the mail for every input item; the results say what became of each.

        With ``dry_run`` no mail is sent. ``on_message`` gets every finished message before it is
        sent, with the number of its item; ``on_result`` every result, in the order of the items;
        ``on_progress`` an item's number, the octets of its mail that were written, and those there are.
        """
        ...
