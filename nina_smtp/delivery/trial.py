"""The test of a credential, step by step, so that a failure says where it is.

A certificate that is rejected is looked at again, over a second connection that verifies nothing and on which
nobody logs in, so that the failed step can show what a person would have to pin.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any

from nina_smtp.credential import Report, Step
from nina_smtp.delivery.account import Account
from nina_smtp.delivery.outgoing import send_over
from nina_smtp.errors import CertificateRejected, NinaError
from nina_smtp.message import Email, compose
from nina_smtp.smtp.auth import XOAuth2
from nina_smtp.smtp.doctor import presented
from nina_smtp.smtp.server import Encryption
from nina_smtp.smtp.session import Session

Facts = dict[str, Any]


async def run_test(
    account: Account, *, send_to: str | None, progress: Callable[[Step], None] | None
) -> Report:
    """Runs the steps in order, up to the first that fails. Nothing is raised for what the server does."""
    trial = _Trial(account, progress or (lambda step: None))
    try:
        await trial.run(send_to)
    except NinaError:
        pass  # the step that failed has it
    finally:
        await trial.session.quit()
    return Report(tuple(trial.steps), account.warnings, trial.transcript)


class _Trial:
    def __init__(self, account: Account, progress: Callable[[Step], None]) -> None:
        self.account = account
        self.session = Session(account.server)
        self.steps: list[Step] = []
        self._said: tuple[str, ...] = ()  # with the mail, if there was one
        self._progress = progress

    @property
    def transcript(self) -> tuple[str, ...]:
        """What was said."""
        opening = self.session.connection.opening
        return self._said or (f"# {opening.title}", *opening.lines)

    async def run(self, send_to: str | None) -> None:
        encryption = self.account.server.encryption
        self.session.connection.begin_attempt()
        await self._step("resolve", self._resolve)
        await self._step("connect", self._connect)
        if encryption is Encryption.TLS:
            await self._step("tls", self._implicit_tls)
        await self._step("greeting", self._greeting)
        await self._step("ehlo", self._ehlo)
        if encryption is Encryption.STARTTLS:
            await self._step("tls", self._starttls)
        if isinstance(mechanism := self.account.server.mechanism, XOAuth2):
            await self._step("token", mechanism.tokens.facts)
        await self._step("login", self._login)
        if send_to:
            await self._step("send", lambda: self._send(send_to))

    async def _step(self, name: str, action: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
        self._progress(Step(name))
        begin = monotonic()
        try:
            facts = await action()
        except NinaError as error:
            facts = await self._rejected_certificate() if isinstance(error, CertificateRejected) else {}
            self._done(Step(name, False, _since(begin), facts, error.as_dict()))
            raise
        self._done(Step(name, True, _since(begin), facts))

    def _done(self, step: Step) -> None:
        self.steps.append(step)
        self._progress(step)

    async def _resolve(self) -> Facts:
        self._addresses = await self.session.connection.resolve()
        return {"host": self.account.server.host, "addresses": [str(address) for address in self._addresses]}

    async def _connect(self) -> Facts:
        await self.session.connection.connect(self._addresses)
        return {"address": str(self.session.connection.peer), "port": self.account.server.port}

    async def _implicit_tls(self) -> Facts:
        await self.session.connection.start_tls()
        return self._tls_facts()

    async def _rejected_certificate(self) -> Facts:
        self.session.connection.abort()
        peer = self.session.connection.peer
        tls, _ = await presented(self.account.server, [peer] if peer else [])
        return tls.details() if tls else {}

    async def _greeting(self) -> Facts:
        return {"reply": str(await self.session.greet())}

    async def _ehlo(self) -> Facts:
        await self.session.hello()
        return self._offers()

    async def _starttls(self) -> Facts:
        await self.session.upgrade()
        return self._tls_facts() | self._offers()

    async def _login(self) -> Facts:
        mechanism = self.account.server.mechanism
        used = await self.session.login()
        return {"authMethod": used} | ({"username": mechanism.username} if mechanism else {})

    async def _send(self, address: str) -> Facts:
        sender = self.account.sender
        if sender is None:
            raise NinaError(
                "The credential has no sender.", hint="Fill in fromAddress.", parameter="fromAddress"
            )
        message = compose(
            Email(
                sender,
                address,
                "Test of a mail credential",
                text="This mail shows that the credential works.\n",
            )
        )
        delivery = await send_over(self.session, self.account.policy.enforced(message), transcript=True)
        self._said = delivery.transcript
        if delivery.error:
            raise delivery.error
        return {"to": list(delivery.accepted), "reply": str(delivery.reply), "messageId": message.message_id}

    def _offers(self) -> Facts:
        capabilities = self.session.capabilities
        return {
            "size": capabilities.size,
            "mechanisms": sorted(capabilities.mechanisms),
            "extensions": sorted(capabilities.keywords),
        }

    def _tls_facts(self) -> Facts:
        tls = self.session.connection.tls
        assert tls
        return tls.details()


def _since(begin: float) -> int:
    return round((monotonic() - begin) * 1000)
