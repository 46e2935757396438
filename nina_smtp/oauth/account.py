"""Mail credentials that keep their tokens in a store of the host's."""

from __future__ import annotations

from dataclasses import replace

from nina_smtp.delivery.account import Account
from nina_smtp.oauth.source import TokenSource, token_source
from nina_smtp.oauth.store import TokenStore
from nina_smtp.smtp.auth import XOAuth2


def source_of(account: Account) -> TokenSource | None:
    """Where the account's tokens come from; None if it logs in without."""
    mechanism = account.server.mechanism
    if isinstance(mechanism, XOAuth2) and isinstance(mechanism.tokens, TokenSource):
        return mechanism.tokens
    return None


def keeping_tokens(account: Account, store: TokenStore) -> Account:
    """The account, with its tokens in ``store``; as it is if it has none."""
    source = source_of(account)
    if source is None:
        return account
    mechanism = XOAuth2(source.client.username, token_source(source.client, store))
    return replace(account, server=replace(account.server, mechanism=mechanism))
