"""``nina-smtp soar``: one action of the connector, on one asset."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from nina_smtp.api import mail_node, mail_task, outbox_of, read_credential
from nina_smtp.catalog import default_catalog
from nina_smtp.cli import files
from nina_smtp.cli.login import shown_url, with_token_file
from nina_smtp.cli.output import NO_CONNECTION, OK, explain, print_json, say, status_of, status_of_results
from nina_smtp.cli.sending import run_until_stopped
from nina_smtp.cli.soar_input import check, read_parameters
from nina_smtp.delivery.account import Account
from nina_smtp.delivery.result import Result, Results, Status
from nina_smtp.dialects.imported import Fate, Json, Note
from nina_smtp.dialects.soar.actions import CONNECTIVITY, OPTIONS, Action, action_name, read_action
from nina_smtp.dialects.soar.asset import OAUTH, PASSWORDLESS, Asset, read_asset
from nina_smtp.dialects.soar.result import action_result, failed_result, failure, shaped
from nina_smtp.dialects.soar.vault import NoVault, open_vault
from nina_smtp.dialects.source import Source
from nina_smtp.errors import AuthFailed, Interrupted, NinaError, ParameterError

TEST_SUBJECT = "Test SMTP config"
TEST_BODY = "This is a test mail, sent by nina-smtp,\nto test connectivity to the SMTP Asset."


def run_action(options: argparse.Namespace) -> int:
    """Runs the action and prints its result. Raises NinaError for files that cannot be read."""
    action = action_name(options.action)
    if options.asset == "-" and options.parameters == "-":
        raise ParameterError(
            "Asset and parameters cannot both come from standard input.",
            hint="Put one of them in a file.",
            parameter="parameters",
        )
    document = files.read_object(options.asset, "asset")
    parameters = read_parameters(options.parameters, action)
    try:
        check(document, "asset")
        check(parameters, "parameters")
        return _acted(action, files.expand(document), parameters, options)
    except NinaError as error:
        return _failed(parameters, error)


def _failed(parameters: Json, error: NinaError) -> int:
    try:
        print_json(failed_result(parameters, error))
    except RecursionError:  # parameters that are nested so deep are not told again
        print_json(failed_result({}, error))
    say(f"nina-smtp: {error.message}")
    if error.hint:
        say(f"  {error.hint}")
    return status_of(error)


def _acted(action: str, document: Json, parameters: Json, options: argparse.Namespace) -> int:
    notes: list[Note] = []
    asset = read_asset(Source(document, notes=notes), Path(options.asset).stem)
    _tell(notes, Fate.WARNING)
    if action == CONNECTIVITY:
        return _tested(asset, options)
    vault = open_vault(options.vault) if options.vault else NoVault()
    said = Source(parameters)
    wanted = read_action(action, said, vault)
    _tell(said.notes, Fate.WARNING, Fate.LEFT_OUT)
    return _sent(wanted, asset, parameters, options)


def _tell(notes: Sequence[Note], *fates: Fate) -> None:
    for note in notes:
        if note.fate in fates:
            say(f"note: {note}")


def _accounts(asset: Asset, path: str) -> dict[str, Account]:
    """The accounts by their way to log in, with the tokens beside the asset."""
    return {way: with_token_file(read_credential(one), path) for way, one in asset.accounts.items()}


# the mails


def _sent(action: Action, asset: Asset, parameters: Json, options: argparse.Namespace) -> int:
    accounts = _accounts(asset, options.asset)
    results = Results()

    async def deliver() -> None:
        await _deliver(action.node, asset, accounts, options, settle=results.append)

    stopped = run_until_stopped(deliver)
    if not results:
        results.append(Result(Status.NOT_ATTEMPTED, error=_interrupted()))
    done = action_result(parameters, results[0], action.unknown)
    print_json(done)
    if action.unknown:
        say(f"note: {done['action_result']['message']}")
    explain(results, stopped=stopped is not None)
    return status_of_results(results) if stopped is None else stopped


async def _deliver(
    node: Json,
    asset: Asset,
    accounts: Mapping[str, Account],
    options: argparse.Namespace,
    *,
    on_record: bool = True,
    settle: Callable[[Result], None] | None = None,
) -> Results:
    """The one mail of ``node``. Each account after the first is fallen back on."""
    if list(accounts) == [OAUTH] and not await _is_connected(accounts[OAUTH]):
        raise _not_connected(options.asset)
    task = mail_task(node, [asset.accounts[way] for way in accounts], {}, key=options.idempotency_key)
    first, *others = accounts.values()  # these have their tokens
    task = replace(task, credential=first, fallbacks=others, patience=options.wait)
    async with AsyncExitStack() as stack:
        if on_record and options.ledger is not None:
            task = replace(task, outbox=await stack.enter_async_context(outbox_of(options.ledger)))
        return await mail_node().deliver(task, on_result=settle)


def _interrupted() -> Interrupted:
    return Interrupted("It was interrupted before it came to an end.", hint="Run it again.")


# test connectivity


def _tested(asset: Asset, options: argparse.Namespace) -> int:
    status = OK

    async def test() -> None:
        nonlocal status
        status = await _test(asset, options)

    stopped = run_until_stopped(test)
    if stopped is None:
        return status
    print_json(failed_result({}, _interrupted()))
    say("nina-smtp: interrupted")
    return stopped


async def _test(asset: Asset, options: argparse.Namespace) -> int:
    """Logs in by each way of the asset, until one works, and sends a mail by that."""
    reports: dict[str, Any] = {}
    shape: dict[str, Any] = {}
    status = NO_CONNECTION
    for way, account in _accounts(asset, options.asset).items():
        report, message = await _login(asset, way, account, options)
        reports[way] = report
        if message is None:
            message, status, shape = await _test_mail(asset, way, account, options)
        good = status == OK
        words = f"Test Connectivity {'Passed' if good else 'Failed'} for {way} authentication"
        shape = shaped({}, good, words if good else f"{words}. {message}") | shape
        say(shape["action_result"]["message"])
        if good:
            break
    print_json(shape | {"connectivity": reports})
    return status


async def _login(
    asset: Asset, way: str, account: Account, options: argparse.Namespace
) -> tuple[Any, str | None]:
    """The report of the credential's test, and what went wrong, if anything did."""
    from nina_smtp.cli.commands import show_step

    say(f"{way} authentication:")
    kind = default_catalog().credential(asset.accounts[way]["type"])
    try:
        connected = await _is_connected(account)
        if not connected:
            await _connect(account, options)
        report = await kind.test(account, progress=show_step)
        if way == OAUTH and connected and not report.passed and report.steps[-1].name in ("token", "login"):
            await _connect(account, options)  # the tokens are no good any more
            report = await kind.test(account, progress=show_step)
    except NinaError as error:
        return {"error": error.as_dict()}, failure(error)
    errors = [step.error for step in report.steps if step.error]
    message = f"{errors[-1]['message']} {errors[-1].get('hint', '')}".strip() if errors else None
    return report.as_dict(), message


async def _test_mail(
    asset: Asset, way: str, account: Account, options: argparse.Namespace
) -> tuple[str, int, dict[str, Any]]:
    """A mail from the sender to the sender: what went wrong, the exit status, and the delivery."""
    if account.sender is None:
        if way == PASSWORDLESS:
            say("note: no mail was sent, since the asset has no sender_address")
            return "", OK, {}
        return (
            "Neither sender_address nor username is a mail address, so no mail can be sent.",
            NO_CONNECTION,
            {},
        )
    address = account.sender.address
    parameters = {"to": [address], "subject": TEST_SUBJECT, "body": TEST_BODY}
    node = {"parameters": parameters, "options": OPTIONS}
    results = await _deliver(node, asset, {way: account}, options, on_record=False)
    if results[0].status is not Status.SENT:
        error = results[0].error
        return (
            failure(error) if error else "",
            status_of_results(results),
            {"delivery": results.as_dicts()[0]},
        )
    return "", OK, {"delivery": results.as_dicts()[0]}


# OAuth


async def _is_connected(account: Account) -> bool:
    """Whether there is a token, or a way to one that needs nobody."""
    from nina_smtp.oauth.account import source_of

    source = source_of(account)
    return source is None or await source.store.load(source.client.key) is not None


def _not_connected(asset: str) -> AuthFailed:
    return AuthFailed(
        "Unable to get access token. Has Test Connectivity been run?",
        hint="The tokens are kept beside the asset, so it has to be in a file."
        if asset == "-"
        else f"Run: nina-smtp soar {shlex.quote(asset)} 'test connectivity'",
        phase="auth",
    )


async def _connect(account: Account, options: argparse.Namespace) -> None:
    """Has a person agree in a browser, as the connector does, and keeps the tokens beside the asset."""
    from nina_smtp.oauth import authorization
    from nina_smtp.oauth.account import source_of
    from nina_smtp.oauth.redirect import Redirect

    if options.asset == "-":
        raise _not_connected(options.asset)
    source = source_of(account)
    assert source
    redirect = Redirect(options.redirect, seconds=options.timeout)
    tokens = await authorization.connect(source, redirect, shown_url(opened=options.browser))
    if not tokens.refresh:
        say("note: the provider gave no refresh token, so this lasts only until the access token expires")
