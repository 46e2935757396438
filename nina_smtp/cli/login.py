"""``nina-smtp login``: a person connects an account, and its tokens are kept beside the credential."""

from __future__ import annotations

import argparse
import asyncio
import threading
from collections.abc import Callable
from typing import Any

from nina_smtp.api import read_credential
from nina_smtp.cli import files
from nina_smtp.cli.output import OK, print_json, say
from nina_smtp.delivery.account import Account
from nina_smtp.errors import InvalidCredential, ParameterError


def with_token_file(credential: Any, path: str) -> Any:
    """The credential read from ``path``, with its tokens in the file beside it, where it has any.

    One that came by standard input has no place beside it; and an application that logs in by itself needs
    nothing kept. Those keep them in memory.
    """
    if not isinstance(credential, Account) or path == "-":
        return credential
    from nina_smtp.oauth.account import keeping_tokens, source_of
    from nina_smtp.oauth.client import Grant
    from nina_smtp.oauth.filestore import FileStore, beside

    source = source_of(credential)
    if source is None or source.client.grant is Grant.CLIENT_CREDENTIALS:
        return credential
    return keeping_tokens(credential, FileStore(beside(path)))


def run_login(options: argparse.Namespace) -> int:
    """Connects the account of the credential. Raises NinaError."""
    if options.credential == "-":
        raise ParameterError(
            "The tokens are kept beside the credential, so it has to be in a file.", parameter="credential"
        )
    document = files.read_credential_file(options.credential)
    account = with_token_file(read_credential(document), options.credential)
    print_json(asyncio.run(_connect(account, options)))
    return OK


async def _connect(account: Any, options: argparse.Namespace) -> dict[str, Any]:
    from nina_smtp.oauth import authorization, device
    from nina_smtp.oauth.account import source_of
    from nina_smtp.oauth.client import Grant
    from nina_smtp.oauth.filestore import FileStore
    from nina_smtp.oauth.redirect import Redirect

    source = source_of(account) if isinstance(account, Account) else None
    if source is None or not source.client.grant.needs_a_person:
        raise InvalidCredential(
            "There is nobody to log in for this credential.",
            hint="Use it as it is; nina-smtp test CRED.json shows whether it works.",
            parameter="grant" if source else "type",
        )
    if source.client.grant is Grant.DEVICE_CODE:
        tokens = await device.connect(source, _show_code, seconds=options.timeout)
    else:
        redirect = Redirect(options.redirect, seconds=options.timeout)
        tokens = await authorization.connect(source, redirect, shown_url(opened=options.browser))
    assert isinstance(source.store, FileStore)
    say(f"{source.client.username} is connected; the tokens are in {source.store.path}")
    if not tokens.refresh:
        say("note: the provider gave no refresh token, so this lasts only until the access token expires")
    facts = await source.facts()
    return {"username": source.client.username, **facts, "tokens": str(source.store.path)}


def _show_code(code: Any) -> None:
    say(f"Go to {code.url}\nand enter the code {code.user_code}")


def shown_url(*, opened: bool) -> Callable[[str], None]:
    """What shows a person the URL to agree at, and opens a browser there if it is to be ``opened``."""

    def show(url: str) -> None:
        say(f"Agree in a browser on this machine:\n{url}")
        if opened:
            import webbrowser

            # Some browsers return only when they are closed, and nobody has to wait for that.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    return show
