"""The source of tokens: one renewal whoever asks, and nothing lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from bed.oauth import CLIENT_SECRET, OAuthServer

from nina_smtp.errors import CredentialError, NinaError
from nina_smtp.oauth.client import Grant, OAuthClient
from nina_smtp.oauth.source import TokenSource, token_source
from nina_smtp.oauth.store import MemoryStore
from nina_smtp.oauth.tokens import Tokens
from nina_smtp.secret import Secret

Source = Callable[..., TokenSource]


def token_of(source: TokenSource) -> str:
    return asyncio.run(source.token()).reveal()


class BrokenStore(MemoryStore):
    """Takes nothing."""

    async def save(self, key: str, tokens: Tokens) -> None:
        raise CredentialError("The vault is sealed.")


# -- failing -----------------------------------------------------------------------------------------


def test_all_who_wait_for_a_renewal_that_fails_get_an_error_of_their_own(
    provider: OAuthServer, source: Source
) -> None:
    tokens = source("rt-revoked")

    async def run() -> list[Any]:
        return await asyncio.gather(*(tokens.token() for _ in range(5)), return_exceptions=True)

    errors = asyncio.run(run())
    assert provider.asked_for_tokens == 1
    assert {error.type for error in errors} == {"authFailed"}
    assert len({id(error) for error in errors}) == 5


def test_an_account_that_nobody_has_connected(provider: OAuthServer, source: Source) -> None:
    with pytest.raises(NinaError, match="Nobody has connected") as caught:
        token_of(source(None, grant=Grant.AUTHORIZATION_CODE))
    assert caught.value.hint == "Connect the account: nina-smtp login CRED.json"
    assert provider.requests == []


def test_a_failure_is_not_remembered(provider: OAuthServer, source: Source) -> None:
    tokens = source("rt-later")
    with pytest.raises(NinaError):
        token_of(tokens)
    provider.refresh_tokens.add("rt-later")
    assert token_of(tokens) == provider.issued[0]


def test_a_refresh_token_that_rotates_and_cannot_be_kept_is_an_error_and_one_that_does_not_is_none(
    provider: OAuthServer, source: Source
) -> None:
    assert token_of(source(store=BrokenStore()))
    provider.rotating = True
    tokens = source(store=BrokenStore())
    with pytest.raises(CredentialError, match="sealed"):
        token_of(tokens)
    assert token_of(tokens) == provider.issued[-1]  # it has it all the same, as long as the process lives


def test_who_is_cancelled_does_not_lose_what_was_exchanged(provider: OAuthServer, source: Source) -> None:
    provider.rotating = True
    tokens = source()
    asked, go_on = threading.Event(), threading.Event()
    provider.when_asked = lambda: (asked.set(), go_on.wait(10))

    async def run() -> str:
        first = asyncio.create_task(tokens.token())
        await asyncio.to_thread(asked.wait, 10)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go_on.set()
        return (await tokens.token()).reveal()

    assert asyncio.run(run()) == provider.issued[0]
    assert provider.asked_for_tokens == 1


def test_when_the_loop_of_who_asked_ends_another_one_asks(provider: OAuthServer, source: Source) -> None:
    tokens = source()
    asked, go_on = threading.Event(), threading.Event()
    found: list[str] = []
    abandoned: list[asyncio.Task[Secret]] = []

    def wait_first() -> object:
        first = not asked.is_set()
        asked.set()
        return first and go_on.wait(10)

    provider.when_asked = wait_first

    async def first() -> None:
        abandoned.append(asyncio.create_task(tokens.token()))
        await asyncio.to_thread(asked.wait, 10)

    other = threading.Thread(target=lambda: asked.wait(10) and found.append(token_of(tokens)))
    other.start()
    asyncio.run(first())
    go_on.set()
    other.join(20)
    assert len(found) == 1
    assert found[0] in provider.issued  # the provider has given out the one that was abandoned, too


# -- once --------------------------------------------------------------------------------------------


def test_twenty_who_ask_at_once_are_one_renewal(provider: OAuthServer, source: Source) -> None:
    tokens = source()

    async def run() -> set[Secret]:
        return set(await asyncio.gather(*(tokens.token() for _ in range(20))))

    (token,) = asyncio.run(run())
    assert token.reveal() == provider.issued[0]
    assert provider.asked_for_tokens == 1


def test_twenty_whose_token_was_refused_are_one_renewal(provider: OAuthServer, source: Source) -> None:
    tokens = source()

    async def run() -> set[Secret]:
        refused = await tokens.token()
        return set(await asyncio.gather(*(tokens.renewed(refused) for _ in range(20))))

    (token,) = asyncio.run(run())
    assert [token.reveal()] == provider.issued[1:]
    assert provider.asked_for_tokens == 2


def test_threads_with_loops_of_their_own_are_one_renewal(provider: OAuthServer, source: Source) -> None:
    tokens = source()
    together = threading.Barrier(8)
    found: list[str] = []

    def run() -> None:
        together.wait(10)
        found.append(token_of(tokens))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == provider.issued * 8
    assert provider.asked_for_tokens == 1


def test_equal_credentials_have_one_source_and_others_do_not(client: Callable[..., OAuthClient]) -> None:
    one, same = token_source(client()), token_source(client())
    assert one is same
    assert token_source(client("rt-other")) is not one
    assert token_source(client(), MemoryStore()) is not one


def test_a_token_is_asked_for_again_five_minutes_before_it_expires_and_not_before(
    provider: OAuthServer, source: Source, stopped: Any
) -> None:
    tokens = source()
    found = [token_of(tokens)]
    stopped.pass_(3290)
    found.append(token_of(tokens))
    stopped.pass_(20)
    found.append(token_of(tokens))
    assert found == [provider.issued[0], provider.issued[0], provider.issued[1]]


def test_a_clock_that_jumps_a_day_either_way_costs_one_renewal_at_most(
    provider: OAuthServer, source: Source, stopped: Any
) -> None:
    tokens = source()
    for jump, asked in ((0, 1), (86_400, 2), (0, 2), (-2 * 86_400, 2), (0, 2)):
        stopped.wall += jump
        token_of(tokens)
        token_of(tokens)
        assert provider.asked_for_tokens == asked
    stopped.pass_(3400)
    token_of(tokens)
    assert provider.asked_for_tokens == 3


# -- kept --------------------------------------------------------------------------------------------


def test_a_refresh_token_that_rotates_is_kept_for_the_next_time(
    provider: OAuthServer, source: Source, stopped: Any
) -> None:
    provider.rotating = True
    store = MemoryStore()
    for _ in range(4):
        token_of(source(store=store))
        stopped.pass_(4000)
    used = [form["refresh_token"] for _, form in provider.requests]
    assert used[0] == "rt-mine"
    assert len(set(used)) == 4


def test_a_token_that_somebody_else_has_put_into_the_store_is_used(
    provider: OAuthServer, source: Source, stopped: Any
) -> None:
    store = MemoryStore()
    one, other = source(store=store), source(store=store)
    first = token_of(one)
    assert token_of(other) == first
    stopped.pass_(4000)
    second = token_of(one)
    assert token_of(other) == second
    third = asyncio.run(one.renewed(Secret(second))).reveal()
    assert asyncio.run(other.renewed(Secret(second))).reveal() == third
    assert provider.asked_for_tokens == 3


def test_a_refresh_token_that_another_process_has_just_used_is_no_failure(
    provider: OAuthServer, source: Source, stopped: Any
) -> None:
    store = MemoryStore()
    tokens = source(store=store)

    def another_process() -> None:
        provider.refresh_tokens.clear()
        theirs = Tokens(Secret("tok-theirs"), Secret("rt-theirs"), obtained=stopped.wall)
        asyncio.run(store.save(tokens.client.key, theirs))

    provider.when_asked = another_process
    assert token_of(tokens) == "tok-theirs"
    assert provider.asked_for_tokens == 1


def test_an_application_asks_for_itself(provider: OAuthServer, source: Source) -> None:
    provider.secret = CLIENT_SECRET
    tokens = source(None, grant=Grant.CLIENT_CREDENTIALS, client_secret=Secret(CLIENT_SECRET))
    assert tokens.renewable
    assert token_of(tokens) == provider.issued[0]
    (asked,) = [form for _, form in provider.requests]
    assert asked["grant_type"] == "client_credentials"
    assert asked["scope"] == "https://mail.test/ offline_access"


def test_an_access_token_of_the_credential_is_good_until_it_is_refused(
    provider: OAuthServer, source: Source, stopped: Any
) -> None:
    tokens = source(None, grant=Grant.AUTHORIZATION_CODE, access_token=Secret("tok-given"))
    stopped.pass_(1e6)
    assert token_of(tokens) == "tok-given"
    assert asyncio.run(tokens.facts())["expiresIn"] is None
    assert not tokens.renewable
    with pytest.raises(NinaError, match="no refresh token"):
        asyncio.run(tokens.renewed(Secret("tok-given")))
    assert provider.requests == []


def test_the_facts_of_a_token_are_no_secret(source: Source) -> None:
    tokens = source()
    assert asyncio.run(tokens.facts()) == {
        "expiresIn": 3600,
        "scopes": ["https://mail.test/", "offline_access"],
    }
