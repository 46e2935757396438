"""``nina-smtp soar``: one action on one asset, as a person runs it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from bed.invariants import check_no_secret
from bed.mailservers import MailHost
from bed.oauth import CLIENT_SECRET, OAuthServer
from bed.readers import readers
from bed.recorder import Recorder
from bed.xoauth2 import TokenRecorder
from dialects.soar.running import RECEIVER, SENDER, Connected, Done, Soar, connect, oauth_asset

EXAMPLES = Path(__file__).parents[3] / "examples" / "soar"
EMAIL = {"to": RECEIVER, "subject": "s", "body": "Test body"}
PASSWORD = "s3cret-wörd/+="


def run(folder: Path, *arguments: str, stdin: str = "", **environment: str) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "nina_smtp", "soar", *arguments],
        cwd=folder,
        env=os.environ | {"CLIENT_SECRET": CLIENT_SECRET} | environment,
        input=stdin.encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, json.loads(done.stdout), done.stderr.decode())


# -- what goes wrong ---------------------------------------------------------------------------------


def test_asset_and_parameters_cannot_both_come_from_standard_input(soar: Soar) -> None:
    done = soar.run("soar", "-", "send email", "-")
    assert (done.status, done.printed["error"]["parameter"]) == (2, "parameters")


def test_parameters_of_another_action_are_not_sent(soar: Soar) -> None:
    done = soar("send email", {"action": "send htmlemail", "parameters": {}})
    assert (done.status, done.printed["error"]["parameter"]) == (2, "parameters")
    assert not soar.recorder.sessions


def test_an_asset_that_is_wrong_is_a_failed_result(soar: Soar) -> None:
    done = soar("send email", EMAIL, asset={"auth_type": "Basic", "username": "u"})
    assert (done.status, done.result["status"]) == (2, "failed")
    assert done.message.startswith("One or more required parameters for Basic authentication is missing.")
    assert done.result["parameter"] == EMAIL


def test_a_variable_that_is_not_set_is_named(soar: Soar) -> None:
    done = soar("send email", EMAIL, asset={"username": "u", "password": "${NOT_SET_ANYWHERE}"})
    assert (done.status, done.result["status"]) == (2, "failed")
    assert "NOT_SET_ANYWHERE" in done.message


@pytest.mark.parametrize(
    ("asset", "parameters", "place"),
    [
        ({}, EMAIL | {"subject": "x\ud800"}, "parameters.subject"),
        ({}, EMAIL | {"headers": {"X-A": ["\ud800"]}}, "parameters.headers.X-A[0]"),
        ({"username": "\udcff"}, EMAIL, "asset.username"),
    ],
)
def test_half_a_character_is_a_failed_result(soar: Soar, asset: Any, parameters: Any, place: str) -> None:
    done = soar("send email", parameters, asset=asset)
    assert (done.status, done.result["status"]) == (2, "failed")
    assert done.message.startswith(f"{place}: The text holds half of a surrogate pair.")
    assert done.result["parameter"] == parameters
    assert not soar.recorder.sessions


def test_html_with_half_a_character_is_not_sanitised(soar: Soar) -> None:
    parameters = {"to": RECEIVER, "html_body": "x\ud800", "should_sanitize_template": True}
    done = soar("send htmlemail", parameters)
    assert (done.status, done.result["parameter"]) == (2, parameters)


@pytest.mark.parametrize("depth", [70, 500, 900])
def test_what_is_nested_without_end_is_a_failed_result(soar: Soar, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    asset = soar.file("asset.json", soar.configuration())
    for action in (
        f'{{"headers": {nested}}}',
        f'{{"action": "send email", "parameters": {{"a": {nested}}}}}',
    ):
        done = soar.run("soar", asset, "send email", soar.file("p.json", action))
        assert (done.status, done.result["status"]) == (2, "failed")
        assert "nested deeper than 64 levels" in done.message
    done = soar.run("soar", soar.file("a.json", f'{{"server": {nested}}}'), "test connectivity")
    assert (done.status, done.result["status"]) == (2, "failed")


def test_parameters_that_cannot_be_written_again_are_not_told(
    soar: Soar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON may be read deeper than it is written."""
    honest = json.dumps

    def dumps(value: Any, **options: Any) -> str:
        if value["action_result"]["parameter"]:
            raise RecursionError
        return honest(value, **options)

    files = [
        soar.file("asset.json", soar.configuration()),
        "send email",
        soar.file("p.json", {"to": "x\ud800"}),
    ]
    monkeypatch.setattr("nina_smtp.cli.output.json.dumps", dumps)
    done = soar.run("soar", *files)
    assert (done.status, done.result["parameter"]) == (2, {})


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ([EMAIL], "Give one object, and run the action once for each."),
        ([], "Give one object, and run the action once for each."),
        ({"action": "send email", "parameters": [EMAIL, EMAIL]}, "Give one object, and run the action once"),
        ({"action": "send email", "parameters": None}, "Give one object."),
        ("5", "Give one object."),
        ({"action": "send email", "targets": []}, "nina-smtp import"),
    ],
)
def test_parameters_that_are_not_one_object_run_nothing(soar: Soar, parameters: Any, told: str) -> None:
    done = soar("send email", parameters)
    assert (done.status, done.printed["error"]["parameter"]) == (2, "parameters")
    assert told in done.words
    assert not soar.recorder.sessions


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("action", ["send email", "test connectivity"])
def test_interrupted_it_still_prints_an_action_result(
    tmp_path: Path, action: str, number: signal.Signals, status: int
) -> None:
    (tmp_path / "p.json").write_text(json.dumps(EMAIL), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asset = {"server": "127.0.0.1", "port": silent.getsockname()[1], "ssl_config": "None"}
        (tmp_path / "a.json").write_text(json.dumps(asset | {"sender_address": SENDER}), encoding="utf-8")
        files = ["p.json"] if action == "send email" else []
        with subprocess.Popen(
            [sys.executable, "-m", "nina_smtp", "soar", "a.json", action, *files],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as running:  # fmt: skip
            connection, _ = silent.accept()  # and says nothing
            running.send_signal(number)
            printed, words = running.communicate(timeout=60)
        connection.close()
    assert (running.returncode, "interrupted" in words) == (status, True)
    done = json.loads(printed)
    assert done["action_result"]["status"] == "failed"
    told = "interrupted" if action == "test connectivity" else "The work was stopped before this mail"
    assert told in done["action_result"]["message"]
    assert done["summary"] == {"total_objects": 1, "total_objects_successful": 0}


def test_interrupted_before_there_is_a_mail_it_says_so(soar: Soar, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*_: Any, **__: Any) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("nina_smtp.cli.soar_action._test", interrupted)
    done = soar("test connectivity")
    assert (done.status, done.message) == (143, "It was interrupted before it came to an end. Run it again.")
    monkeypatch.setattr("nina_smtp.cli.soar_action._deliver", interrupted)
    done = soar("send email", EMAIL)
    assert (done.status, done.printed["delivery"]["status"]) == (143, "notAttempted")


def test_a_login_that_is_refused_shows_no_secret(soar: Soar) -> None:
    soar.recorder.users = {"alice": "other"}
    for action in ("send email", "test connectivity"):
        parameters = EMAIL if action == "send email" else None
        done = soar(action, parameters, asset={"username": "alice", "password": PASSWORD})
        assert (done.status, done.result["status"]) == (3, "failed")
        check_no_secret([json.dumps(done.printed), done.words], [PASSWORD], "alice")


def test_what_a_server_says_is_told_as_the_connector_tells_it(soar: Soar) -> None:
    soar.recorder.mail_reply = b"550 5.7.60 SMTP; Client does not have permissions to send as this sender\r\n"
    done = soar("send email", EMAIL)
    assert done.status == 1
    assert done.message.startswith("Email send failed. Error Code: 550. Error Message: 5.7.60 SMTP; Client")
    assert done.printed["delivery"]["error"]["type"] == "senderRefused"


def test_recipients_that_were_refused_are_named(soar: Soar) -> None:
    soar.recorder.rcpt_replies = {b"gone@x.test": b"550 5.1.1 Unknown\r\n"}
    done = soar("send email", EMAIL | {"cc": "gone@x.test"})
    assert (done.status, done.result["status"]) == (0, "success")
    assert done.message.startswith(
        "Email sent. The following recipients were refused by the server: gone@x.test"
    )


def test_a_server_that_offers_no_login_gets_no_mail_and_no_password(
    tmp_path: Path, capsysbinary: Any
) -> None:
    with Recorder(["PIPELINING"]) as recorder:
        soar = Soar(tmp_path, recorder, capsysbinary)
        done = soar("send email", EMAIL, asset={"username": "alice", "password": PASSWORD})
        assert done.status == 3
        assert not recorder.messages
        assert not recorder.saw_secret(PASSWORD)


def test_starttls_that_is_not_offered_is_an_error_and_nothing_secret_is_sent(soar: Soar) -> None:
    asset = {"username": "alice", "password": PASSWORD, "ssl_config": "StartTLS"}
    done = soar("send email", EMAIL, asset=asset)
    assert done.status == 3
    assert not soar.recorder.saw_auth_in_clear


# -- test connectivity -------------------------------------------------------------------------------


def test_connectivity_sends_a_mail_to_the_sender_itself(soar: Soar) -> None:
    done = soar("test_connectivity", asset={"username": "alice", "password": PASSWORD})
    assert (done.status, done.message) == (0, "Test Connectivity Passed for Basic authentication")
    assert soar.recipients == [SENDER]
    assert soar.recorder.messages[0].sender == SENDER.encode()
    assert soar.mail.subject == "Test SMTP config"
    expected = "This is a test mail, sent by nina-smtp,\nto test connectivity to the SMTP Asset.\n"
    assert soar.mail.text == expected
    assert "ok     login" in done.words
    assert done.printed["connectivity"]["Basic"]["passed"] is True


def test_without_a_sender_address_it_is_the_user_name(soar: Soar) -> None:
    asset = {"username": "alice@x.test", "password": PASSWORD, "sender_address": None}
    assert soar("test connectivity", asset=asset).status == 0
    assert soar.recipients == ["alice@x.test"]


def test_where_nobody_logs_in_and_nobody_sends_it_only_connects(soar: Soar) -> None:
    done = soar("test connectivity", asset={"sender_address": None})
    assert (done.status, done.message) == (0, "Test Connectivity Passed for Passwordless authentication")
    assert "no mail was sent" in done.words
    assert not soar.recorder.messages


def test_a_login_that_has_nobody_to_send_as_fails(soar: Soar) -> None:
    done = soar("test connectivity", asset={"username": "alice", "password": "p", "sender_address": None})
    assert done.status == 3
    assert "Neither sender_address nor username" in done.message


def test_a_mail_that_is_refused_fails_the_test(soar: Soar) -> None:
    soar.recorder.mail_reply = b"550 5.7.1 No\r\n"
    done = soar("test connectivity")
    assert (done.status, done.result["status"]) == (1, "failed")
    assert "Error Code: 550" in done.message


# -- OAuth -------------------------------------------------------------------------------------------


def test_before_the_test_of_connectivity_it_says_what_to_run(tmp_path: Path) -> None:
    with OAuthServer() as provider, TokenRecorder() as recorder:
        asset = json.dumps(oauth_asset(provider, recorder))
        (tmp_path / "my asset.json").write_text(asset, encoding="utf-8")
        (tmp_path / "p.json").write_text(json.dumps(EMAIL), encoding="utf-8")
        done = run(tmp_path, "my asset.json", "send email", "p.json")
        assert done.status == 3
        assert done.message.startswith("Unable to get access token. Has Test Connectivity been run?")
        assert "nina-smtp soar 'my asset.json' 'test connectivity'" in done.message
        done = run(tmp_path, "-", "test connectivity", stdin=asset)
        assert "has to be in a file" in done.message
        assert not recorder.sessions


def test_the_browser_is_opened_and_comes_back(soar: Soar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIENT_SECRET", CLIENT_SECRET)
    monkeypatch.setattr("webbrowser.open", lambda url: httpx.get(url, follow_redirects=True, trust_env=False))
    with OAuthServer(secret=CLIENT_SECRET) as provider, TokenRecorder() as recorder:
        recorder.good = provider.issued
        asset = soar.file("asset.json", oauth_asset(provider, recorder))
        before = soar.run("soar", asset, "send email", soar.file("p.json", EMAIL))
        assert before.message.startswith("Unable to get access token.")
        assert soar.run("soar", asset, "test connectivity").status == 0
        assert soar.run("soar", asset, "send email", soar.file("p.json", EMAIL)).status == 0
        assert len(recorder.messages) == 2


def test_nobody_who_agrees_fails_the_test(tmp_path: Path) -> None:
    with OAuthServer() as provider, TokenRecorder() as recorder:
        (tmp_path / "a.json").write_text(json.dumps(oauth_asset(provider, recorder)), encoding="utf-8")
        done = run(tmp_path, "a.json", "test connectivity", "--no-browser", "--timeout", "0.05")
        assert (done.status, done.result["status"]) == (3, "failed")
        assert done.message.startswith("Test Connectivity Failed for OAuth authentication")


def test_after_oauth_has_failed_the_password_passes_the_test(soar: Soar) -> None:
    with OAuthServer() as provider:
        asset = oauth_asset(provider, soar.recorder, password=PASSWORD, client_secret=CLIENT_SECRET)
        done = soar.run(
            "soar", soar.file("a.json", asset), "test connectivity", "--no-browser", "--timeout", "0.05"
        )
        assert (done.status, done.message) == (0, "Test Connectivity Passed for Basic authentication")
        assert done.printed["connectivity"]["OAuth"]["error"]["type"]


def test_an_account_that_was_connected_sends(connected: Connected) -> None:
    assert connected.done.message == "Test Connectivity Passed for OAuth authentication"
    assert connected.recorder.messages[0].recipients == [b"alice@mail.test"]
    (connected.folder / "p.json").write_text(json.dumps(EMAIL), encoding="utf-8")
    done = run(connected.folder, "asset.json", "send email", "p.json")
    assert (done.status, done.message) == (0, "Email sent")
    assert oct((connected.folder / "asset.tokens.json").stat().st_mode & 0o777) == "0o600"
    secrets = [CLIENT_SECRET, *connected.provider.secrets]
    check_no_secret([json.dumps(done.printed), done.words, connected.done.words], secrets)


def test_tokens_that_are_no_good_any_more_are_asked_for_again(tmp_path: Path) -> None:
    with OAuthServer(secret=CLIENT_SECRET) as provider, TokenRecorder() as recorder:
        recorder.good = provider.issued
        (tmp_path / "asset.json").write_text(json.dumps(oauth_asset(provider, recorder)), encoding="utf-8")
        assert connect(tmp_path).status == 0
        provider.refresh_tokens.clear()
        provider.issued.clear()
        assert connect(tmp_path).status == 0


def test_where_oauth_does_not_work_the_password_does(tmp_path: Path) -> None:
    with OAuthServer() as provider, Recorder() as recorder:
        asset = oauth_asset(provider, recorder, password=PASSWORD)
        (tmp_path / "a.json").write_text(json.dumps(asset), encoding="utf-8")
        (tmp_path / "p.json").write_text(json.dumps(EMAIL), encoding="utf-8")
        done = run(tmp_path, "a.json", "send email", "p.json")
        assert (done.status, done.message) == (0, "Email sent")
        (exchange,) = recorder.sessions[-1].exchanges
        assert (exchange.mechanism, exchange.password) == (b"PLAIN", PASSWORD)
        done = run(tmp_path, "a.json", "test connectivity", "--no-browser", "--timeout", "0.05")
        assert done.message == "Test Connectivity Passed for Basic authentication"
        assert set(done.printed["connectivity"]) == {"OAuth", "Basic"}


# -- other ways to call it ---------------------------------------------------------------------------


def test_either_file_may_be_standard_input(soar: Soar) -> None:
    asset = json.dumps(soar.configuration())
    soar.file("a.json", asset)
    soar.file("p.json", EMAIL)
    assert run(soar.folder, "-", "send_email", "p.json", stdin=asset).status == 0
    assert run(soar.folder, "a.json", "send_email", "-", stdin=json.dumps(EMAIL)).status == 0
    assert len(soar.recorder.messages) == 2


def test_with_a_ledger_and_a_key_it_is_sent_once(soar: Soar) -> None:
    options = ("--ledger", str(soar.folder / "mails.db"), "--idempotency-key", "case-7")
    first, second = soar("send email", EMAIL, *options), soar("send email", EMAIL, *options)
    assert (first.message, second.message) == ("Email sent", "Email sent")
    assert second.printed["delivery"]["recorded"] is True
    assert len(soar.recorder.messages) == 1


def test_a_mail_that_waits_in_the_ledger_is_not_called_sent(soar: Soar) -> None:
    soar.recorder.dot_reply = b"451 4.3.0 Later\r\n"
    done = soar("send email", EMAIL, "--ledger", str(soar.folder / "mails.db"))
    assert (done.status, done.result["status"]) == (75, "failed")
    assert done.message.startswith("Email not sent yet")


def test_an_audit_line_is_written(soar: Soar) -> None:
    soar("send email", EMAIL, "--audit", str(soar.folder / "audit.jsonl"))
    (line,) = (soar.folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("send-*.json")), ids=lambda path: path.stem)
def test_every_example_is_sent(soar: Soar, path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    done = soar(document["action"], document, vault=str(EXAMPLES / "vault.json"))
    assert done.status == 0
    unknown = path.stem.endswith("unknown")
    assert done.message.startswith("Email sent. The following" if unknown else "Email sent")
    assert unknown or done.message == "Email sent"
    assert done.result["parameter"] == document["parameters"]
    assert len(soar.recorder.messages) == 1
    named = {"attachments", "attachment1", "attachment_json"} & set(document["parameters"])
    assert len(soar.mail.attachments or []) == (0 if unknown else len(named))


# -- a real server -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ssl_config", ["StartTLS", "SSL"])
@pytest.mark.parametrize("action", ["send email", "send htmlemail", "send rawemail", "test connectivity"])
def test_postfix_takes_every_action(tmp_path: Path, postfix: MailHost, action: str, ssl_config: str) -> None:
    content = b"id,zip\n1,2\n"
    vault_id = hashlib.sha1(content).hexdigest()
    (tmp_path / vault_id).write_bytes(content)
    asset = {
        "server": postfix.host,
        "port": postfix.starttls_port if ssl_config == "StartTLS" else postfix.tls_port,
        "ssl_config": ssl_config,
        "username": postfix.user,
        "password": "${SMTP_PASSWORD}",
        "sender_address": "alice@mail.test",
    }
    to = "bob@mail.test"
    parameters: dict[str, Any] = {
        "send email": {"to": to, "subject": "Grüße", "body": "Größe", "attachments": vault_id},
        "send htmlemail": {
            "to": to,
            "subject": "Grüße",
            "html_body": "<p>Größe</p>",
            "attachment1": vault_id,
        },
        "send rawemail": {"raw_email": rf"from: alice@mail.test\n to: {to}\n subject: Raw\n\nBody"},
        "test connectivity": None,
    }[action]
    (tmp_path / "asset.json").write_text(json.dumps(asset), encoding="utf-8")
    (tmp_path / "p.json").write_text(json.dumps(parameters), encoding="utf-8")
    files = [] if parameters is None else ["p.json", "--vault", "."]
    done = run(
        tmp_path, "asset.json", action, *files,
        SMTP_PASSWORD=postfix.password, SSL_CERT_FILE=str(postfix.ca_pem),
    )  # fmt: skip
    assert done.status == 0, done.words
    check_no_secret([json.dumps(done.printed), done.words], [postfix.password], postfix.user)
    mailbox = to if parameters else "alice@mail.test"
    mail = readers()["python"](postfix.imap_fetch(mailbox, done.printed["delivery"]["messageId"]))
    if action == "test connectivity":
        assert mail.subject == "Test SMTP config"
    elif action == "send rawemail":
        assert (mail.subject, (mail.text or "").strip()) == ("Raw", "Body")
    else:
        assert mail.subject == "Grüße"
        assert [one.content for one in mail.attachments or []] == [content]


def test_the_commands_of_the_documentation_run(soar: Soar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that send, to another port than that of the local inbox."""
    page = (EXAMPLES.parents[1] / "docs" / "from-soar.md").read_text(encoding="utf-8")
    commands = [line for line in page.splitlines() if line.startswith("nina-smtp soar local-inbox.json")]
    asset = json.loads((EXAMPLES / "local-inbox.json").read_text(encoding="utf-8"))
    path = soar.file("asset.json", asset | {"port": soar.recorder.port})
    monkeypatch.chdir(EXAMPLES)
    for command in commands:
        arguments = [path if one == "local-inbox.json" else one for one in shlex.split(command)[1:]]
        done = soar.run(*arguments)
        assert done.status == 0, command
        assert ("invalid and were not sent" in done.message) is ("unknown" in command)
    assert len(soar.recorder.messages) == len(commands) == 5
