"""A check for every row of every table of ``email-smtp-provider.md``, and for every key of its workflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from bed.command import Command, Ran
from bed.readers import Mail, read_same
from bed.recorder import Recorder

from nina_smtp.api import read_credential
from nina_smtp.dialects.dialect import read
from nina_smtp.dialects.imported import Fate, Imported
from nina_smtp.errors import InvalidConfiguration
from nina_smtp.smtp.server import Encryption

SEED = "email-smtp-provider.md"
OPTIONS, SETTINGS, WORKFLOW = "Configuration Options", "Common SMTP Server Settings", "Usage in Workflows"
PASSWORD = "hunter-zwölf"
STEP = {"to": ["bob@mail.test"], "subject": "s", "body": {"text": "Text"}}


def provider(port: int = 587, **config: Any) -> dict[str, Any]:
    """A provider of the file; an option that is None is not there."""
    given = {
        "host": "localhost", "port": port, "user": "alice", "pass": PASSWORD, "from": "alerts@corp.example",
    } | config  # fmt: skip
    return {"provider": "email", "config": {k: v for k, v in given.items() if v is not None}}


def step(**config: Any) -> dict[str, Any]:
    """A step of a workflow."""
    given = {key: value for key, value in (STEP | config).items() if value is not None}
    return {"task": "notify", "type": "email", "config": given}


def workflow(*steps: Any, name: str = "w") -> dict[str, Any]:
    return {"name": name, "steps": list(steps)}


def imported(**config: Any) -> Imported:
    """What a file with one provider is here."""
    return read({"providers": {"email": provider(**config)}}, "f", dialect_name="provider")


def data(**config: Any) -> Any:
    """The credential of a provider."""
    return dict(imported(**config).credentials["email"]["data"])


def refused(**config: Any) -> InvalidConfiguration:
    with pytest.raises(InvalidConfiguration) as caught:
        imported(**config)
    return caught.value


def refused_step(**config: Any) -> InvalidConfiguration:
    with pytest.raises(InvalidConfiguration) as caught:
        read({"workflows": [workflow(step(**config))]}, "f", dialect_name="provider")
    return caught.value


@dataclass(frozen=True)
class Bench:
    """A server that trusts nobody but alice, and the command."""

    command: Command
    server: Recorder

    def run(self, *steps: Any, **config: Any) -> Ran:
        """Runs a file with one provider."""
        document = {"providers": {"email": provider(self.server.port, **config)}}
        self.command.put("f.yaml", document | {"workflows": [workflow(*(steps or (step(),)))]})
        return self.command("run", "f.yaml")

    def sent(self, *steps: Any, **config: Any) -> list[Mail]:
        """The mails that arrived from a file with one provider."""
        ran = self.run(*steps, **config)
        assert ran.status == 0, ran.stderr
        return [read_same(message.content) for message in self.server.messages]


def _platform(bench: Bench) -> None:
    assert data(platform="smtp") == data(platform=None) == data(platform="SMTP")
    assert bench.sent(platform="smtp")
    error = refused(platform="stmp")
    assert (error.parameter, error.hint) == (
        "providers.email.config.platform", "There are: smtp, ses, acs.",
    )  # fmt: skip


def _required(key: str) -> InvalidConfiguration:
    for nothing in (None, ""):
        error = refused(**{key: nothing})
        assert error.parameter == f"providers.email.config.{key}"
        assert f"missing email configuration field(s): [{key}]" in error.message
        assert error.hint
    return error


def _host(bench: Bench) -> None:
    _required("host")
    assert data(host="smtp.example.com")["host"] == "smtp.example.com"
    assert bench.sent(host="localhost")
    assert bench.run(host="http://localhost/").error["parameter"] == "host"


def _port(bench: Bench) -> None:
    _required("port")
    for bad in (0, 65536, -1, "smtp", 587.5, True, [587], "${PORT}"):
        assert refused(port=bad).parameter == "providers.email.config.port"
    assert (data(port=587)["port"], data(port=587)["encryption"]) == (587, "starttls")
    assert (data(port="465")["port"], data(port="465")["encryption"]) == (465, "tls")
    assert data(port=25)["encryption"] == "starttls"
    assert bench.sent()
    assert bench.server.messages[0].tls


def _user(bench: Bench) -> None:
    _required("user")
    assert bench.sent(user="alice")
    assert [exchange.user for exchange in bench.server.sessions[0].exchanges] == ["alice"]


def _pass(bench: Bench) -> None:
    _required("pass")
    ran = bench.run(**{"pass": "wrong"})
    assert (ran.status, ran.json["nodes"][1]["error"]["type"]) == (3, "authFailed")
    assert bench.sent()
    assert bench.server.sessions[-1].exchanges[0].password == PASSWORD


def _from(bench: Bench) -> None:
    _required("from")
    for bad in ("nobody", "a@corp.example, b@corp.example", " , ", ["a@corp.example"]):
        assert refused(**{"from": bad}).parameter == "providers.email.config.from"
    (default, own) = bench.sent(step(), step(**{"from": "SOC <soc@corp.example>"}))
    assert (default.from_, own.from_) == (
        [("", "alerts@corp.example")], [("SOC", "soc@corp.example")],
    )  # fmt: skip


def _tls_skip_verify(bench: Bench) -> None:
    bench.server.certificate = "selfsigned"
    for careful in (None, False, "false"):
        assert "tlsSkipVerify" not in data(tls_skip_verify=careful)
        ran = bench.run(tls_skip_verify=careful)
        assert ran.json["nodes"][1]["error"]["type"] == "certificateRejected"
    assert bench.server.messages == []
    assert refused(tls_skip_verify="maybe").parameter == "providers.email.config.tls_skip_verify"
    assert data(tls_skip_verify=True)["tlsSkipVerify"] is True
    (warning,) = imported(tls_skip_verify=True).told(Fate.WARNING)
    assert warning.place == "providers.email.config.tls_skip_verify"
    assert bench.sent(tls_skip_verify="True")


def _setting(host: str, user: str = "someone@corp.example") -> Callable[[Bench], None]:
    def check(_: Bench) -> None:
        found = imported(host=host, port=587, user=user)
        assert not list(found.told(Fate.WARNING, Fate.LEFT_OUT))
        server = read_credential(found.credentials["email"]).server
        assert (server.host, server.port, server.encryption) == (host, 587, Encryption.STARTTLS)
        assert server.mechanism.username == user

    return check


def _provider(bench: Bench) -> None:
    assert bench.sent(step(provider="email"))
    assert bench.sent(step(provider=None))
    bench.command.put("f.yaml", {
        "providers": {"email": provider()}, "workflows": [workflow(step(provider="emial"))],
    })  # fmt: skip
    error = bench.command("run", "f.yaml").error
    assert error["parameter"] == "workflows[0].steps[0].config.provider"
    assert error["hint"] == "There are: email."


def _subject(bench: Bench) -> None:
    (mail, default) = bench.sent(step(subject="Grüße {{ x }}"), step(subject=None))
    assert (mail.subject, default.subject) == ("Grüße {{ x }}", "Workflow Notification")


def _to(bench: Bench) -> None:
    for nothing in (None, [], ""):
        assert refused_step(to=nothing).parameter == "workflows[0].steps[0].config.to"
    assert refused_step(to="nobody").parameter == "workflows[0].steps[0].config.to"
    two = ["bob@mail.test", "Eve, E. <eve@mail.test>"]
    assert refused_step(to=two).parameter == "workflows[0].steps[0].config.to[1]"
    bench.sent(step(to=["bob@mail.test", '"Eve, E." <eve@mail.test>']), step(to="bob@mail.test, x@mail.test"))
    assert [message.recipients for message in bench.server.messages] == [
        [b"bob@mail.test", b"eve@mail.test"], [b"bob@mail.test", b"x@mail.test"],
    ]  # fmt: skip


def _text(bench: Bench) -> None:
    assert refused_step(body=None).parameter == "workflows[0].steps[0].config.body"
    assert refused_step(body={}).parameter == "workflows[0].steps[0].config.body"
    (mail,) = bench.sent(step(body={"text": "A new access request."}))
    assert ((mail.text or "").rstrip(), mail.html) == ("A new access request.", None)


def _html(bench: Bench) -> None:
    (both, alone) = bench.sent(
        step(body={"text": "Plain", "html": "<h2>Access</h2>"}), step(body={"html": "<h2>Access</h2>"})
    )
    assert ((both.text or "").rstrip(), (both.html or "").rstrip()) == ("Plain", "<h2>Access</h2>")
    assert ("Access" in (alone.text or ""), (alone.html or "").rstrip()) == (True, "<h2>Access</h2>")


@dataclass(frozen=True)
class Row:
    """A row of a table of :data:`SEED`, and the check of what it does."""

    table: str
    name: str
    check: Callable[[Bench], None]

    @property
    def id(self) -> str:
        return f"{self.table}: {self.name}"


TABLE = (
    Row(OPTIONS, "platform", _platform),
    Row(OPTIONS, "host", _host),
    Row(OPTIONS, "port", _port),
    Row(OPTIONS, "user", _user),
    Row(OPTIONS, "pass", _pass),
    Row(OPTIONS, "from", _from),
    Row(OPTIONS, "tls_skip_verify", _tls_skip_verify),
    Row(SETTINGS, "Gmail", _setting("smtp.gmail.com")),
    Row(SETTINGS, "Outlook/Office 365", _setting("smtp-mail.outlook.com")),
    Row(SETTINGS, "Yahoo", _setting("smtp.mail.yahoo.com")),
    Row(SETTINGS, "SendGrid", _setting("smtp.sendgrid.net", "apikey")),
    Row(SETTINGS, "Mailgun", _setting("smtp.mailgun.org")),
    Row(SETTINGS, "AWS SES (SMTP)", _setting("email-smtp.us-east-1.amazonaws.com")),
    Row(WORKFLOW, "provider", _provider),
    Row(WORKFLOW, "subject", _subject),
    Row(WORKFLOW, "to", _to),
    Row(WORKFLOW, "body.text", _text),
    Row(WORKFLOW, "body.html", _html),
)
