"""A mail server that takes access tokens, and says no as Google and Microsoft do."""

import base64
from typing import Any

from bed.dialogue import Dialogue
from bed.recorder import Recorder
from bed.recording import Exchange

ERROR = base64.b64encode(b'{"status":"401","schemes":"bearer","scope":"https://mail.test/"}')
OFFER = ("PIPELINING", "SIZE 52428800", "ENHANCEDSTATUSCODES", "AUTH XOAUTH2 PLAIN")


class _TokenDialogue(Dialogue):
    def judge(self, exchange: Exchange) -> None:
        server = self.server
        assert isinstance(server, TokenRecorder)
        exchange.accepted = exchange.user is not None and exchange.password in server.good
        self.logged_in = exchange.accepted
        if exchange.accepted:
            self.send(b"235 2.7.0 Welcome\r\n")
            return
        if server.challenges:
            self.send(b"334 " + ERROR + b"\r\n")
            line = self.read_line()
            exchange.lines.append(line or b"")
            if line != b"\r\n":
                self.send(b"501 5.5.4 An empty line was expected\r\n")
                return
        said = exchange.password or "" if server.echoes else ""
        self.send(server.refusal + said.encode() + b"\r\n")
        self.closing = server.hangs_up


class TokenRecorder(Recorder):
    """`good` are the tokens that are taken. `challenges`: an error is told in a 334 first. `hangs_up` after a
    refusal. `echoes` the token in it.
    """

    dialogue = _TokenDialogue

    def __init__(
        self,
        *good: str,
        challenges: bool = True,
        hangs_up: bool = False,
        echoes: bool = False,
        refusal: bytes = b"535 5.7.8 Username and Password not accepted. ",
        **wishes: Any,
    ) -> None:
        super().__init__(**({"keywords": OFFER} | wishes))
        self.good: set[str] | list[str] = set(good)
        self.challenges = challenges
        self.hangs_up = hangs_up
        self.echoes = echoes
        self.refusal = refusal

    @property
    def exchanges(self) -> list[Exchange]:
        return [exchange for session in self.sessions for exchange in session.exchanges]
