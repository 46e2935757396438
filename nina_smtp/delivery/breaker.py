"""Leaves a server alone that fails again and again. Without I/O; the clock and the dice are given.

The rules:

1. It opens after five failures in a row to open a session: connecting, the greeting, TLS, the login.
2. It opens at the first refused login, and for longer: ten of them lock the account.
3. While it is open nothing is connected to. It stays so for 30 seconds, then twice as long each time, up to
   15 minutes; after a refused login for 5 minutes, up to an hour; and up to a quarter more, so that not
   everybody comes back at once.
4. Then one session may prove itself, up to NOOP, before any mail is taken for it. It closes the breaker, or
   opens it again.
5. A mail that another connection delivers meanwhile shows that the server is well; the login may still be
   refused, so it does not end rule 2.
"""

from __future__ import annotations

from collections.abc import Callable

from nina_smtp.delivery.pace import Clock
from nina_smtp.delivery.verdict import Kind, kind_of
from nina_smtp.errors import AuthFailed, CircuitOpen, NinaError

FAILURES = 5
_FIRST, _LONGEST = 30.0, 900.0
_FIRST_AFTER_LOGIN, _LONGEST_AFTER_LOGIN = 300.0, 3600.0
_SPREAD = 0.25


class Breaker:
    """The breaker of one credential. ``dice`` returns a number from 0 up to 1."""

    def __init__(self, clock: Clock, dice: Callable[[], float]) -> None:
        self.failures = 0
        """How many there were in a row."""
        self._clock = clock
        self._dice = dice
        self._times = 0  # it was opened, since it was closed last
        self._until = float("-inf")
        self._last: NinaError | None = None
        self._login_refused = False

    @property
    def on_trial(self) -> bool:
        """Whether the next session has to prove itself."""
        return self._times > 0

    def seconds_left(self) -> float:
        """How long nothing may be connected to; 0: it may."""
        return max(0.0, self._until - self._clock()) if self._times else 0.0

    def failed(self, error: NinaError) -> None:
        """A session could not be opened."""
        self.failures += 1
        login_refused = isinstance(error, AuthFailed) and kind_of(error) is Kind.LOGIN
        is_late = self.seconds_left() > 0  # begun together with the one that opened it
        if is_late and (self._login_refused or not login_refused):
            return
        if login_refused and not self._login_refused:
            self._times = 0
        self._last, self._login_refused = error, login_refused
        if login_refused or self._times or self.failures >= FAILURES:
            self._open()

    def succeeded(self) -> None:
        """A session was opened."""
        self.failures = self._times = 0
        self._last, self._login_refused = None, False

    def delivered(self) -> None:
        """A mail was delivered over a session that was open before."""
        if not self._login_refused:
            self.succeeded()

    def error(self) -> CircuitOpen | None:
        """What is said of a mail while it is open."""
        left = self.seconds_left()
        if not left or not self._last:
            return None
        when = f"It is tried again in {in_words(left)}; nothing was sent."
        if self._login_refused:
            what = f"The server refused the login, and is not asked again at once: {self._last.message}"
            when += " Tried too often, it would lock the account."
        else:
            what = f"The server failed {self.failures} times in a row, the last time so: {self._last.message}"
        return CircuitOpen(what, hint=when, phase=self._last.phase, until_seconds=left)

    def _open(self) -> None:
        first, longest = (
            (_FIRST_AFTER_LOGIN, _LONGEST_AFTER_LOGIN) if self._login_refused else (_FIRST, _LONGEST)
        )
        seconds = min(first * 2 ** min(self._times, 10), longest)
        self._times += 1
        self._until = self._clock() + seconds * (1 + _SPREAD * self._dice())


def in_words(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3 h 20 min``: never less than it is."""
    whole = max(1, -int(-seconds // 1))
    if whole < 120:
        return f"{whole} s"
    minutes = -(-whole // 60)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {rest} min" if rest else f"{hours} h"
