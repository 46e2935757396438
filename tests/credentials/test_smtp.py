"""The SMTP credential: each field of the contract's section 1, and that its secrets never show."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
import traceback
from typing import Any

import pytest
from bed.certs import make_certs
from bed.invariants import check_no_secret
from bed.recorder import Recorder

import nina_smtp
from nina_smtp.api import read_credential
from nina_smtp.catalog import default_catalog
from nina_smtp.credential import Step
from nina_smtp.delivery.account import Account
from nina_smtp.errors import InvalidCredential, NinaError
from nina_smtp.forms import all_problems
from nina_smtp.secret import Hidden, Secret
from nina_smtp.smtp.auth import Login, Plain, PlainOrLogin
from nina_smtp.smtp.server import Encryption

TYPE = default_catalog().credential("smtp")
PASSWORD = "S3cret-pässword/+="
KEY = "k3y-of-the-signature"
DATA: dict[str, Any] = {"host": "mail.test", "username": "soc@corp.test", "password": PASSWORD}


def account(**fields: Any) -> Account:
    found = TYPE.read({key: value for key, value in (DATA | fields).items() if value != "—"})
    assert isinstance(found, Account)
    return found


def refused(**fields: Any) -> dict[str, Any]:
    with pytest.raises(InvalidCredential) as caught:
        account(**fields)
    error = caught.value.as_dict()
    check_no_secret([json.dumps(error), str(caught.value), repr(caught.value)], [PASSWORD])
    return error


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("host", "https://mail.test"),
            ("host", "mail.test/x"),
            ("host", "u@mail.test"),
            ("host", "mail.test:25"),
            ("host", "mail test"),
            ("host", "mail.test\n"),
            ("host", 5),
            ("host", "2130706433"),
            ("host", "-.test"),
            ("host", " mail.test"),
            ("port", 0),
            ("port", 65536),
            ("port", "587"),
            ("port", True),
            ("port", 587.0),
            ("port", -1),
            ("encryption", "ssl"),
            ("encryption", "STARTTLS"),
            ("encryption", True),
            ("username", "a\0b"),
            ("username", "a\rb"),
            ("username", "a\nb"),
            ("username", "\x01auth=Bearer"),
            ("username", "x" * 1025),
            ("username", 5),
            ("username", "\ud800"),
            ("password", "a\0b"),
            ("password", "a\rb"),
            ("password", "a\nb"),
            ("password", 5),
            ("password", "\ud800"),
            ("password", "x" * 8001),
            ("authMethod", "cram-md5"),
            ("authMethod", "LOGIN"),
            ("authMethod", False),
            ("fromAddress", "nobody"),
            ("fromAddress", "a@x.test, b@x.test"),
            ("fromAddress", "a@x.test\r\nBcc: b@x.test"),
            ("fromAddress", ["a@x.test"]),
            ("secretKey", "a\nb"),
            ("secretKey", 5),
            ("certificateFingerprint", "sha1:00"),
            ("certificateFingerprint", "sha256:00"),
            ("certificateFingerprint", "sha256:" + "0" * 65),
            ("certificateFingerprint", "sha256:" + "g" * 64),
            ("tlsSkipVerify", "yes"),
            ("tlsSkipVerify", 1),
            ("allowCleartextLogin", "true"),
            ("timeouts", 5),
            ("timeouts", []),
            ("ehloName", "a b"),
            ("ehloName", "a\r\nMAIL"),
            ("ehloName", 5),
            ("recipientPolicy", "corp.test"),
            ("limits", 5),
        ],
    )
    def test_a_bad_value_is_named_by_its_field(self, field: str, value: Any):
        error = refused(**{field: value})
        assert (error["type"], error["parameter"], error["source"]) == (
            "invalidCredential",
            field,
            "credential",
        )

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("timeouts.connect", 0),
            ("timeouts.connect", -1),
            ("timeouts.total", 86_401),
            ("timeouts.data", "5"),
            ("timeouts.quit", True),
            ("timeouts.final", float("nan")),
            ("timeouts.greetings", 5),
            ("recipientPolicy.maxRecipients", 0),
            ("recipientPolicy.allow", "corp.test"),
            ("recipientPolicy.maxRecipients", 1.5),
            ("limits.connections", 0),
            ("recipientPolicy.maxPerRecipient", 0),
            ("limits.messagesPerSecond", 0),
            ("limits.messagesPerSecond", 10_001),
            ("limits.messagesPerDay", 0),
            ("limits.pipelineWindow", 0),
            ("limits.connection", 5),
        ],
    )
    def test_a_bad_value_inside_is_named_by_its_path(self, field: str, value: Any):
        outer, inner = field.split(".")
        assert refused(**{outer: {inner: value}})["parameter"] == field

    @pytest.mark.parametrize(
        "policy", [{"redirectAllTo": "nobody"}, {"allow": ["corp"]}, {"deny": [""]}, {"deny": ["a b"]}]
    )
    def test_a_bad_policy_is_named(self, policy: dict[str, Any]):
        assert refused(recipientPolicy=policy)["parameter"].startswith("recipientPolicy")

    @pytest.mark.parametrize("missing", ["host", "username", "password"])
    @pytest.mark.parametrize("nothing", ["—", None, ""])
    def test_what_is_required_is_missed(self, missing: str, nothing: Any):
        error = refused(**{missing: nothing})
        assert error["parameter"] == missing
        assert error["message"] == f"{missing} is required."
        if missing != "host":
            assert "authMethod none" in error["hint"]

    @pytest.mark.parametrize(
        "pem", ["nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    )
    def test_a_certificate_that_cannot_be_read(self, pem: str):
        assert refused(caCertificate=pem)["parameter"] == "caCertificate"

    @pytest.mark.parametrize(
        ("field", "meant"),
        [
            ("hostname", "host"),
            ("user_name", "username"),
            ("authmethod", "authMethod"),
            ("Password", "password"),
            ("tlsSkipVerfy", "tlsSkipVerify"),
        ],
    )
    def test_an_unknown_field_names_the_one_that_was_meant(self, field: str, meant: str):
        error = refused(**{field: PASSWORD})
        assert (error["parameter"], error["hint"]) == (field, f"Did you mean {meant}?")

    def test_an_unknown_field_comes_before_the_one_that_is_missing_for_it(self):
        with pytest.raises(InvalidCredential) as caught:
            TYPE.read({"hosst": "mail.test"})
        assert caught.value.hint == "Did you mean host?"

    @pytest.mark.parametrize(
        "credential",
        [
            "smtp://u:p@mail.test",
            None,
            5,
            [],
            {"data": "x"},
            {"type": 5, "data": {}},
            {"type": "smpt", "data": {}},
        ],
    )
    def test_what_is_no_credential_at_all(self, credential: Any):
        with pytest.raises(InvalidCredential) as caught:
            read_credential(credential)
        assert caught.value.hint

    def test_an_unknown_type_names_the_one_that_was_meant(self):
        with pytest.raises(InvalidCredential, match="no credential type 'smpt'") as caught:
            read_credential({"type": "smpt", "data": DATA})
        assert caught.value.hint == "Did you mean smtp?"


class TestDefaults:
    def test_the_port_follows_the_encryption(self):
        assert account().server.encryption is Encryption.STARTTLS
        assert account().server.port == 587
        assert account(encryption="tls").server.port == 465
        assert account(encryption="none").server.port == 25
        assert account(encryption="tls", port=2465).server.port == 2465

    def test_everything_else(self):
        found = account()
        assert isinstance(found.server.mechanism, Login)
        assert not found.server.allow_cleartext_login
        assert not found.server.trust.skip_verify
        assert found.server.ehlo_name is None
        assert found.secret_key is None
        timeouts = found.server.timeouts
        assert (timeouts.connect, timeouts.greeting, timeouts.command, timeouts.data) == (15, 60, 60, 120)
        assert (timeouts.final, timeouts.quit, timeouts.total) == (600, 2, 1200)
        limits = found.limits
        assert (limits.connections, limits.messages_per_second, limits.messages_per_day) == (5, None, None)
        assert limits.pipeline_window == 1
        assert (found.policy.allow, found.policy.deny, found.policy.redirect_all_to) == (None, (), None)
        assert found.warnings == ()

    def test_the_sender_is_the_username_if_it_is_a_mailbox(self):
        assert str(account().sender) == "soc@corp.test"
        assert account(username="apikey").sender is None
        assert str(account(fromAddress="SOC <from@corp.test>").sender) == "SOC <from@corp.test>"

    def test_an_empty_field_is_a_field_that_is_not_there(self):
        assert (
            account(port=None, fromAddress="", secretKey="", ehloName="", caCertificate="").server.port == 587
        )

    def test_without_a_login_no_name_is_needed(self):
        found = TYPE.read({"host": "mail.test", "authMethod": "none"})
        assert found.server.mechanism is None
        assert found.sender is None


class TestWhatAMessageDoesNotQuote:
    @pytest.mark.parametrize(
        "host", ["https://user:pa55word@mail.test", "user:pa55word@mail.test", "u:pa55word@m t"]
    )
    def test_a_password_in_front_of_the_host(self, host: str):
        error = refused(host=host)
        assert error["parameter"] == "host"
        assert "pa55word" not in json.dumps(error)


class TestWhatIsTaken:
    def test_a_password_is_never_trimmed(self):
        for password in (" x ", "\tx\t", "\u00a0", "🔑" * 50, "x" * 8000):
            found = account(password=password).server.mechanism
            assert found
            assert found.password.reveal() == password

    def test_login_and_plain(self):
        assert isinstance(account(authMethod="plain").server.mechanism, Plain)
        assert isinstance(account(authMethod="login").server.mechanism, Login)

    @pytest.mark.parametrize(
        ("offered", "used"),
        [({"PLAIN", "LOGIN"}, Plain), ({"LOGIN", "XOAUTH2"}, Login), ({"CRAM-MD5"}, type(None))],
    )
    def test_auto_is_plain_if_it_is_offered_else_login(self, offered: set[str], used: type):
        mechanism = account(authMethod="auto").server.mechanism
        assert isinstance(mechanism, PlainOrLogin)
        assert isinstance(mechanism.chosen(offered), used)

    @pytest.mark.parametrize(
        ("host", "found"),
        [
            ("MAIL.test", "mail.test"),
            ("münchen.test", "xn--mnchen-3ya.test"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("localhost", "localhost"),
        ],
    )
    def test_a_host(self, host: str, found: str):
        assert account(host=host).server.host == found

    @pytest.mark.parametrize("spelling", ["sha256:{}", "SHA256:{}", "sha256:{:upper}", "sha256:{:colons}"])
    def test_a_fingerprint_in_any_spelling(self, spelling: str):
        digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        colons = ":".join(digest[n : n + 2] for n in range(0, 64, 2)).upper()
        text = spelling.replace("{:upper}", digest.upper()).replace("{:colons}", colons).replace("{}", digest)
        assert account(certificateFingerprint=text).server.trust.fingerprint == digest

    def test_a_certificate(self):
        pem = make_certs().ca_pem.read_text()
        assert account(caCertificate=pem).server.trust.ca_pem == pem

    def test_both_spellings_of_a_field(self):
        assert account(auth_method="plain", from_address="a@x.test").sender

    def test_a_policy(self):
        policy = account(
            recipientPolicy={
                "allow": ["Corp.test", "@münchen.test"],
                "redirectAllTo": "Me <me@x.test>",
                "maxRecipients": 3,
            }
        ).policy
        assert policy.allow == ("corp.test", "xn--mnchen-3ya.test")
        assert str(policy.redirect_all_to) == "Me <me@x.test>"
        assert policy.max_recipients == 3
        assert policy.max_per_recipient == 1000

    def test_a_policy_without_a_guard_against_loops(self):
        assert account(recipientPolicy={"maxPerRecipient": None}).policy.max_per_recipient is None

    def test_with_its_type_or_without(self):
        for credential in (
            DATA,
            {"type": "smtp", "data": DATA},
            {"type": "smtp", **DATA},
            {"name": "n", "type": "smtp", "data": DATA},
        ):
            assert read_credential(credential) == account()

    def test_nothing_of_it_is_changed(self):
        data = copy.deepcopy(DATA)
        read_credential(data)
        assert data == DATA


class TestWarnings:
    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"tlsSkipVerify": True}, "not verified"),
            ({"tlsSkipVerify": True, "encryption": "tls"}, "not verified"),
            ({"encryption": "none"}, "The password is sent in clear text."),
            ({"encryption": "none", "host": "127.evil.test"}, "The password is sent in clear text."),
            ({"encryption": "none", "authMethod": "none"}, "Mails are sent in clear text."),
        ],
    )
    def test_what_is_dangerous_is_said(self, fields: dict[str, Any], words: str):
        assert words in " ".join(account(**fields).warnings)

    def test_what_is_pinned_is_verified(self):
        assert account(tlsSkipVerify=True, certificateFingerprint="sha256:" + "0" * 64).warnings == ()


@pytest.mark.parametrize("preset", TYPE.presets, ids=lambda preset: preset.name)
def test_a_preset_is_a_credential_but_for_what_only_its_owner_knows(preset: Any):
    values = {**preset.values, "host": preset.values["host"].replace("{region}", "eu-west-1") or "mail.test"}
    found = TYPE.read({"username": "u@x.test", "password": "p"} | values)
    assert found.server.port in (587, 465, 2525)
    assert found.server.encryption is not Encryption.NONE or found.server.host == "127.0.0.1"
    assert preset.hint.count(".") <= 5


def test_there_is_a_preset_for_each_provider_of_the_contract():
    assert [preset.name for preset in TYPE.presets] == [
        "gmail",
        "office365",
        "outlook",
        "yahoo",
        "sendgrid",
        "mailgun",
        "ses",
        "self-hosted",
        "inbox",
    ]


class TestSecretsNeverShow:
    FULL: Any = DATA | {"secretKey": KEY}

    def never(self, *texts: str) -> None:
        check_no_secret(texts, [PASSWORD, KEY], "soc@corp.test")

    def test_in_the_account(self):
        found = TYPE.read(self.FULL)
        assert found.secret_key.reveal() == KEY
        self.never(repr(found), str(found), f"{found}", f"{found!r}", f"{found!s:>9}")
        self.never(repr(found.server), repr(found.server.mechanism), str(vars(found.server)))
        _ = found.server.redactor
        self.never(repr(found.server), repr(found.server.redactor))

    def test_in_the_form(self):
        form = TYPE.fields.model_validate(self.FULL)
        self.never(
            repr(form),
            str(form),
            form.model_dump_json(),
            str(form.model_dump()),
            json.dumps(form.model_json_schema()),
        )

    def test_in_a_secret(self):
        secret = Secret(PASSWORD)
        self.never(
            repr(secret),
            str(secret),
            f"{secret:>80}",
            f"{secret!r}",
            f"{secret}",
            f"{secret}",
            repr([secret]),
            repr({secret: secret}),
        )
        for write in (json.dumps, pickle.dumps, copy.deepcopy, copy.copy):
            with pytest.raises(TypeError) as caught:
                write(secret)
            self.never(str(caught.value))
        assert secret == Secret(PASSWORD)
        assert secret != PASSWORD
        assert hash(secret) == hash(Secret(PASSWORD))
        assert Secret("x")
        assert not Secret("")

    def test_in_a_log(self, caplog: pytest.LogCaptureFixture):
        logging.getLogger("x").error("%s %r %s", Secret(PASSWORD), TYPE.read(self.FULL), Hidden(self.FULL))
        self.never(caplog.text)

    @pytest.mark.parametrize(
        "bad",
        [
            {"port": PASSWORD},
            {"encryption": PASSWORD},
            {"timeouts": {"connect": PASSWORD}},
            {"limits": PASSWORD},
            {"tlsSkipVerify": PASSWORD},
            {PASSWORD[:3]: 1},
        ],
    )
    def test_in_the_error_of_another_field(self, bad: dict[str, Any]):
        with pytest.raises(InvalidCredential) as caught:
            read_credential(self.FULL | bad)
        self.never(json.dumps(caught.value.as_dict()), "".join(traceback.format_exception(caught.value)))
        self.never(*(str(problem) for problem in all_problems(TYPE.fields, self.FULL | bad)))
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    @pytest.mark.parametrize(
        "bad",
        [
            {"password": PASSWORD + "\n"},
            {"secretKey": KEY + "\0"},
            {"password": [PASSWORD]},
            {"password": {PASSWORD: 1}},
        ],
    )
    def test_in_the_error_of_the_secret_itself(self, bad: dict[str, Any]):
        with pytest.raises(InvalidCredential) as caught:
            read_credential(self.FULL | bad)
        self.never(json.dumps(caught.value.as_dict()), "".join(traceback.format_exception(caught.value)))

    @pytest.mark.parametrize(
        "bad",
        [
            {"host": "a b"},
            {"port": 0},
            {"hosst": "x"},
            {"fromAddress": "x"},
            {"recipientPolicy": {"deny": ["x"]}},
            {"caCertificate": "x"},
            {"authMethod": "x"},
        ],
    )
    @pytest.mark.parametrize("whole", [True, False])
    def test_in_the_variables_of_a_traceback(self, bad: dict[str, Any], whole: bool):
        credential = {"type": "smtp", "data": self.FULL | bad} if whole else self.FULL | bad

        def call(what: Any) -> NinaError:
            with pytest.raises(NinaError) as caught:
                what()
            return caught.value

        node = {"parameters": {"to": "a@x.test", "subject": "S", "body": "B"}}
        result = nina_smtp.send(node, credential)[0]
        assert result.error
        for error in (call(lambda: nina_smtp.build(node, credential)), result.error):
            ours = [
                frame
                for frame in traceback.TracebackException.from_exception(error, capture_locals=True).stack
                if "/tests/" not in frame.filename
            ]
            assert bool(ours) is (error is not result.error)
            self.never(*(str(frame.locals) for frame in ours))

    def test_in_the_variables_of_a_traceback_when_the_server_says_no(self):
        with Recorder(tls="starttls", users={}) as server:
            data = self.FULL | {
                "host": "localhost",
                "port": server.port,
                "caCertificate": server.certs.ca_pem.read_text(),
            }
            node = {"parameters": {"to": "a@x.test", "subject": "S", "body": "B"}}
            (result,) = nina_smtp.send(node, data)
        assert result.error
        assert result.error.type == "authFailed"
        self.never(
            "".join(traceback.TracebackException.from_exception(result.error, capture_locals=True).format())
        )


class TestTheTest:
    def run(self, data: dict[str, Any], send_to: str | None = None) -> Any:
        seen: list[Step] = []
        report = asyncio.run(TYPE.test(TYPE.read(data), send_to=send_to, progress=seen.append))
        assert [step for step in seen if step.ok is not None] == list(report.steps)
        return report

    def test_shows_each_step_and_sends_nothing(self):
        with Recorder(tls="starttls", users={"soc@corp.test": PASSWORD}) as server:
            report = self.run(
                DATA
                | {"host": "localhost", "port": server.port, "caCertificate": server.certs.ca_pem.read_text()}
            )
        assert report.passed, report
        assert [step.name for step in report.steps] == [
            "resolve",
            "connect",
            "greeting",
            "ehlo",
            "tls",
            "login",
        ]
        tls = next(step.facts for step in report.steps if step.name == "tls")
        assert {"version", "cipher", "subject", "issuer", "expires", "size", "mechanisms"} <= set(tls)
        assert server.messages == []
        check_no_secret([json.dumps(report.as_dict()), repr(report)], [PASSWORD], "soc@corp.test")

    def test_stops_at_the_step_that_fails(self):
        with Recorder(tls="starttls", users={"soc@corp.test": "other"}) as server:
            report = self.run(
                DATA
                | {"host": "localhost", "port": server.port, "caCertificate": server.certs.ca_pem.read_text()}
            )
        assert not report.passed
        assert report.steps[-1].name == "login"
        assert report.steps[-1].error["type"] == "authFailed"

    def test_of_a_port_where_nobody_is(self):
        report = self.run({"host": "127.0.0.1", "port": 1, "encryption": "none", "authMethod": "none"})
        assert [(step.name, step.ok) for step in report.steps] == [("resolve", True), ("connect", False)]

    def test_sends_one_mail_if_it_is_to(self):
        with Recorder() as server:
            data = {"host": server.host, "port": server.port, "encryption": "none", "authMethod": "none"}
            report = self.run(data | {"fromAddress": "a@x.test"}, "b@x.test")
            assert report.passed
            assert [message.recipients for message in server.messages] == [[b"b@x.test"]]
            assert self.run(data, "b@x.test").steps[-1].error["parameter"] == "fromAddress"
            denied = self.run(
                data | {"fromAddress": "a@x.test", "recipientPolicy": {"deny": ["x.test"]}}, "b@x.test"
            )
            assert denied.steps[-1].error["type"] == "recipientNotAllowed"
        assert len(server.messages) == 1

    def test_never_logs_in_in_clear(self):
        with Recorder() as server:
            report = self.run(DATA | {"host": server.host, "port": server.port})
        assert report.steps[-1].error["type"] == "tlsRequired"
        assert not server.saw_secret(PASSWORD, "soc@corp.test")
