"""A server that answers from lists while there is something in them, and correctly then.

    with Fickle(dot=[b"451 4.3.0 Try later"], rcpt={b"b@mail.test": [b"550 5.1.1 No"]}) as server:

The lists: `greet`, `ehlo`, `auth`, `mail`, `data`, `dot`, and `rcpt` for single addresses. b"" is the correct
answer; None takes the mail, if it is `dot`, and hangs up without any. `at` has functions that are called, in
the server's thread, before something is answered.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bed.dialogue import Dialogue
from bed.recorder import EVERYTHING, Recorder
from bed.recording import Exchange, Message, path_of

Answer = bytes | None


class Fickle(Recorder):
    def __init__(
        self,
        keywords: Iterable[str] = EVERYTHING,
        *,
        rcpt: Mapping[bytes, Iterable[Answer]] | None = None,
        at: Mapping[str, Callable[[], object]] | None = None,
        users: Mapping[str, str] | None = None,
        **answers: Iterable[Answer],
    ) -> None:
        super().__init__(keywords, users=users)
        self.answers = {place: list(some) for place, some in answers.items()}
        self.answers |= {f"rcpt {address.decode()}": list(some) for address, some in (rcpt or {}).items()}
        self.at = dict(at or {})

    @property
    def contents(self) -> list[bytes]:
        return [message.content for message in self.messages]

    class dialogue(Dialogue):  # noqa: N801 - what Recorder calls it
        server: "Fickle"

        def otherwise(self, place: str, *, close: bool = False) -> bool:
            """Whether something else than the correct answer was given."""
            if act := self.server.at.get(place):
                act()
            waiting = self.server.answers.get(place)
            answer = waiting.pop(0) if waiting else b""
            if answer == b"":
                return False
            self.closing = close or answer is None or answer.startswith(b"421")
            if answer:
                self.send(answer + b"\r\n")
            return True

        def greet(self) -> None:
            if not self.otherwise("greet", close=True):
                super().greet()

        def on_ehlo(self, argument: bytes) -> None:
            if not self.otherwise("ehlo"):
                super().on_ehlo(argument)

        def judge(self, exchange: Exchange) -> None:
            if not self.otherwise("auth"):
                super().judge(exchange)

        def mail(self, argument: bytes, reply: bytes) -> None:
            waiting: Any = self.server.answers.get("mail")
            super().mail(argument, waiting.pop(0) + b"\r\n" if waiting else reply)

        def on_rcpt(self, argument: bytes) -> None:
            waiting: Any = self.server.answers.get(f"rcpt {path_of(argument).decode()}")
            if waiting and (answer := waiting.pop(0)):
                self.rcpt(argument, answer + b"\r\n")
            else:
                super().on_rcpt(argument)

        def on_data(self, argument: bytes) -> None:
            if self.transaction is None or not self.transaction.accepted or not self.otherwise("data"):
                super().on_data(argument)

        def dot(self, message: Message) -> None:
            message.taken = (self.server.answers.get("dot") or [b""])[0] in (b"", None)
            if not self.otherwise("dot"):
                super().dot(message)
