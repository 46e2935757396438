"""Carries one message after another over one session, opened when the first one comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nina_smtp.delivery.account import Account
from nina_smtp.delivery.attempt import attempt
from nina_smtp.errors import NinaError
from nina_smtp.message import Message
from nina_smtp.smtp.session import Delivery, Session


class Courier:
    """One session to the account's server, opened again if it broke.

    If it cannot be opened, that is the answer for every further message too: a thousand items must not
    become a thousand logins with a wrong password.
    """

    def __init__(self, account: Account) -> None:
        self._account = account
        self._session: Session | None = None
        self._hopeless: NinaError | None = None

    @property
    def facts(self) -> Mapping[str, Any] | None:
        """The ``server`` object of a result; None before the first session."""
        return self._session.facts if self._session else None

    @property
    def in_doubt(self) -> bool:
        """Whether a mail was handed over that has no answer yet."""
        return self._session is not None and self._session.in_doubt

    async def deliver(self, message: Message) -> tuple[Delivery, int]:
        """What became of the message, and how many attempts were made. Nothing is raised for the server."""
        if self._hopeless:
            return Delivery((), (), None, self._hopeless), 0
        if self._session is None or not self._session.usable:
            await self.close()
            try:
                self._session = await Session.open(self._account.server)
            except NinaError as error:
                self._hopeless = error
                return Delivery((), (), None, error), 1
        return await attempt(self._session, message), 1

    async def close(self) -> None:
        """Ends the session, politely."""
        if self._session:
            await self._session.quit()
            self._session = None
