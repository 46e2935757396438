"""Access tokens for a login: one that is good, whoever asks, renewed before it expires.

Everything in a process that uses the same credential and the same store shares one source, so that however
many connections there are, in however many threads and event loops, a token is renewed once.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from nina_smtp.errors import CredentialError
from nina_smtp.oauth import failures
from nina_smtp.oauth.client import Grant, OAuthClient
from nina_smtp.oauth.endpoint import Form, ask
from nina_smtp.oauth.failures import Refusal
from nina_smtp.oauth.single_flight import SingleFlight
from nina_smtp.oauth.store import PROCESS, TokenStore
from nina_smtp.oauth.tokens import Clock, Held, Tokens
from nina_smtp.secret import Secret


class TokenSource:
    """The tokens of ``client``, kept in ``store``. Ask :func:`token_source` for the one there is."""

    def __init__(self, client: OAuthClient, store: TokenStore, clock: Clock | None = None) -> None:
        self.client = client
        self.store = store
        self._clock = clock or Clock()
        self._held: Held | None = None
        self._flight: SingleFlight[Held] = SingleFlight()

    @property
    def renewable(self) -> bool:
        """Whether there is a way to another token than the one in hand."""
        held = self._held
        return self.client.grant is Grant.CLIENT_CREDENTIALS or bool(
            self.client.refresh_token or (held and held.tokens.refresh)
        )

    async def token(self) -> Secret:
        """A token that is good for five minutes yet. Raises CredentialError."""
        return (await self._good()).tokens.access

    async def renewed(self, refused: Secret) -> Secret:
        """Another token than ``refused``: one that somebody has got meanwhile, or a new one.

        Raises CredentialError.
        """
        held = self._held
        if held and held.good and held.tokens.access != refused:
            return held.tokens.access
        held = await self._flight.run(lambda: self._obtain(refused))
        return held.tokens.access

    async def facts(self) -> dict[str, Any]:
        """``expiresIn`` in seconds and ``scopes`` of a good token. Raises CredentialError."""
        held = await self._good()
        known = held.remaining != float("inf")
        return {"expiresIn": int(held.remaining) if known else None, "scopes": list(held.tokens.scopes)}

    async def adopt(self, answer: Mapping[str, Any] | Refusal) -> Tokens:
        """Keeps what a person's login at the provider has brought. Raises CredentialError."""
        if isinstance(answer, Refusal):
            raise failures.refused(self.client, answer)
        tokens = self._tokens(answer, self._clock.wall(), None)
        self._held = Held(tokens, self._clock)
        await self.store.save(self.client.key, tokens)
        return tokens

    async def _good(self) -> Held:
        held = self._held
        return held if held and held.good else await self._flight.run(lambda: self._obtain(None))

    async def _obtain(self, refused: Secret | None) -> Held:
        """Tokens from the store, if somebody else has put good ones there; else from the provider."""
        known = await self._known()
        if held := self._usable(known, refused):
            return held
        refresh = (known.refresh if known else None) or self.client.refresh_token
        if refresh is None and self.client.grant is not Grant.CLIENT_CREDENTIALS:
            return self._given(refused, connected=known is not None)
        asked_at = self._clock.wall()
        answer = await ask(self.client, self.client.token_url, self._question(refresh))
        if isinstance(answer, Refusal):  # another process may have used the refresh token just before
            if held := self._usable(await self._known(), refused):
                return held
            raise failures.refused(self.client, answer)
        tokens = self._tokens(answer, asked_at, refresh)
        held = self._held = Held(tokens, self._clock)
        try:
            await self.store.save(self.client.key, tokens)
        except CredentialError:
            if tokens.refresh != refresh:  # this one is good only once, and now nobody keeps the next
                raise
        return held

    def _usable(self, known: Tokens | None, refused: Secret | None) -> Held | None:
        if known is None or known.access == refused:
            return None
        held = Held(known, self._clock)
        if held.good:
            self._held = held
        return held if held.good else None

    async def _known(self) -> Tokens | None:
        """The newest tokens: those in the store, unless it did not take the ones in hand."""
        kept, held = await self.store.load(self.client.key), self._held
        if held and (kept is None or held.tokens.obtained > kept.obtained):
            return held.tokens
        return kept

    def _given(self, refused: Secret | None, *, connected: bool) -> Held:
        """The access token of the credential itself, which is good until the server refuses it."""
        token = self.client.access_token
        if token is None or token == refused:
            if connected or token:
                raise failures.used_up(self.client)
            raise failures.not_connected(self.client)
        given = Tokens(token, None, self.client.scopes, float("inf"), self._clock.wall())
        self._held = Held(given, self._clock)
        return self._held

    def _question(self, refresh: Secret | None) -> Form:
        scope = " ".join(self.client.scopes)
        if self.client.grant is Grant.CLIENT_CREDENTIALS:
            return {"grant_type": "client_credentials", "scope": scope}
        return {"grant_type": "refresh_token", "refresh_token": refresh}

    def _tokens(self, answer: Mapping[str, Any], asked_at: float, refresh: Secret | None) -> Tokens:
        found = Tokens.from_answer(answer, obtained=asked_at, scopes=self.client.scopes, refresh=refresh)
        if found is None:
            raise failures.nonsense(
                self.client.token_url, 200, "there is no access token in it that fits a login"
            )
        return found


_sources: WeakValueDictionary[tuple[OAuthClient, TokenStore], TokenSource] = WeakValueDictionary()
_lock = threading.Lock()


def token_source(client: OAuthClient, store: TokenStore = PROCESS) -> TokenSource:
    """The source of the tokens of ``client`` in ``store``."""
    with _lock:
        source = _sources.get((client, store))
        if source is None:
            source = _sources[client, store] = TokenSource(client, store)
        return source
