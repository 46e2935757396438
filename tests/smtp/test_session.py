"""A session: one mail after another, and what is left when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import pytest
from bed.faulty import FaultyServer
from bed.invariants import check_wire
from bed.recorder import EVERYTHING, Recorder

from nina_smtp.delivery.outgoing import send_over
from nina_smtp.envelope import Envelope
from nina_smtp.message import Attachment, Email, compose
from nina_smtp.secret import Secret
from nina_smtp.smtp.auth import Login, Plain
from nina_smtp.smtp.mail import Delivery, Mail
from nina_smtp.smtp.server import Encryption, Server, Timeouts
from nina_smtp.smtp.session import Session

T = TypeVar("T")
SHORT = Timeouts(connect=2, greeting=1, command=1, data=1, final=1, quit=0.2, total=5)
ENVELOPE = Envelope("a@mail.test", ("b@mail.test",))
MAIL = b"Subject: s\r\n\r\nb\r\n"


def with_session(server: Recorder, work: Callable[[Session], Awaitable[T]], **wishes: Any) -> T:
    """What ``work`` makes of a session, which is then ended."""

    async def run() -> T:
        session = await Session.open(
            Server("localhost", server.port, Encryption.NONE, **({"timeouts": SHORT} | wishes))
        )
        result = await work(session)
        await session.quit()
        return result

    return asyncio.run(run())


async def send(session: Session, *recipients: str) -> Delivery:
    envelope = Envelope("a@mail.test", recipients) if recipients else ENVELOPE
    return await session.send(Mail(envelope, lambda: [MAIL], len(MAIL)))


# -- what ends a session -----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["d_250", "d_354_250", "x_354", "x_junk", "x_close", "x_hang"])
def test_after_what_makes_no_sense_no_further_mail_is_sent(fault: str) -> None:
    async def work(session: Session) -> tuple[Delivery, bool]:
        return await send(session), session.usable

    with FaultyServer(fault, mode="none", patience=2) as server:
        delivery, usable = with_session(server, work)
    assert delivery.error
    assert not usable
    assert len(server.transactions) == 1


def test_after_421_no_further_mail_is_sent() -> None:
    async def work(session: Session) -> tuple[Delivery, bool]:
        return await send(session), session.usable

    with Recorder(mail_reply=b"421 4.3.2 Bye") as server:
        delivery, usable = with_session(server, work)
    assert delivery.error
    assert delivery.error.type == "serverRefused"
    assert delivery.error.retry
    assert not usable


def test_a_send_that_is_cancelled_before_the_dot_delivers_nothing_and_closes() -> None:
    async def work(session: Session) -> None:
        begun = asyncio.Event()

        def content() -> Iterator[bytes]:
            for _ in range(100):
                yield b"x" * 70 + b"\r\n" + b"y" * 262_144 + b"\r\n"
                begun.set()

        task = asyncio.create_task(session.send(Mail(ENVELOPE, content, 100 * (72 + 262_146))))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not session.usable
        await session.connection.closed()

    with FaultyServer("d_stop", mode="none") as server:
        with_session(server, work)
    (transaction,) = server.transactions
    assert not transaction.ended
    assert not server.messages


def test_content_that_cannot_be_read_delivers_nothing_and_closes() -> None:
    def content() -> Iterator[bytes]:
        yield MAIL
        raise OSError("the disk is gone")

    async def work(session: Session) -> None:
        delivery = await session.send(Mail(ENVELOPE, content, 100))
        assert delivery.error
        assert delivery.error.type == "internalError"
        assert "disk" not in delivery.error.message
        assert not session.usable

    with Recorder() as server:
        with_session(server, work)
    assert not server.messages


@pytest.mark.parametrize("fault", ["q_hang", "q_close", "ok_close"])
def test_quit_is_a_courtesy(fault: str) -> None:
    with FaultyServer(fault, mode="none", patience=1) as server:
        delivery = with_session(server, send)
    assert delivery.error is None
    assert server.messages


# -- what does not -----------------------------------------------------------------------------------


def test_several_mails_go_over_one_session_without_anything_between() -> None:
    async def work(session: Session) -> list[Delivery]:
        return [await send(session) for _ in range(3)]

    with Recorder() as server:
        deliveries = with_session(server, work)
    assert [delivery.error for delivery in deliveries] == [None] * 3
    assert server.verbs == ["EHLO", *["MAIL", "RCPT", "DATA"] * 3, "QUIT"]
    assert len(server.sessions) == 1
    check_wire(server, ["b@mail.test"] * 3, messages=3)


@pytest.mark.parametrize("keywords", [EVERYTHING, ()], ids=["pipelined", "one by one"])
def test_after_a_failed_mail_the_next_one_begins_afresh(keywords: tuple[str, ...]) -> None:
    async def work(session: Session) -> tuple[Delivery, Delivery]:
        return await send(session, "gone@mail.test"), await send(session)

    with Recorder(keywords, rcpt_replies={b"gone@mail.test": b"550 5.1.1 Gone"}) as server:
        failed, sent = with_session(server, work)
    assert failed.error
    assert failed.error.type == "recipientsRefused"
    assert failed.accepted == ()
    assert [refusal.reply.enhanced_code for refusal in failed.refused] == ["5.1.1"]
    assert sent.error is None
    data = ["DATA"] if keywords else []
    assert server.verbs == ["EHLO", "MAIL", "RCPT", *data, "RSET", "MAIL", "RCPT", "DATA", "QUIT"]


def test_a_refusal_after_the_dot_does_not_end_the_session() -> None:
    async def work(session: Session) -> list[bool]:
        delivery = await send(session)
        assert delivery.error
        assert (delivery.error.type, delivery.error.retry) == ("messageRefused", True)
        return [session.usable, (await send(session)).error is not None]

    with Recorder(dot_reply=b"451 4.3.0 Later") as server:
        assert with_session(server, work) == [True, True]
    assert "RSET" not in server.verbs  # the dot ends a transaction, whatever is said to it


def test_a_probe_tells_who_would_be_accepted_and_sends_nothing() -> None:
    async def work(session: Session) -> Delivery:
        probed = await session.probe(Envelope("a@mail.test", ("b@mail.test", "gone@mail.test")))
        await send(session)
        return probed

    with Recorder(rcpt_replies={b"gone@mail.test": b"550 5.1.1 Gone"}) as server:
        probed = with_session(server, work)
    assert probed.accepted == ("b@mail.test",)
    assert [refusal.address for refusal in probed.refused] == ["gone@mail.test"]
    assert server.verbs == ["EHLO", "MAIL", "RCPT", "RCPT", "RSET", "MAIL", "RCPT", "DATA", "QUIT"]


# -- size and features -------------------------------------------------------------------------------


def test_a_mail_beyond_size_is_refused_before_mail_and_names_the_largest_attachment() -> None:
    message = compose(
        Email(
            "a@mail.test", "b@mail.test", "s", text="t",
            attachments=[Attachment("small.bin", "AAAA"), Attachment("large.bin", "AAAA" * 1000)],
        )
    )  # fmt: skip
    with Recorder(["SIZE 2000"]) as server:
        delivery = with_session(server, lambda session: send_over(session, message))
    assert delivery.error
    assert delivery.error.type == "messageTooLarge"
    assert "large.bin" in (delivery.error.hint or "")
    assert "MAIL" not in server.verbs


def test_552_to_a_recipient_is_told_as_it_is() -> None:
    with Recorder(rcpt_replies={b"full@mail.test": b"552 5.2.3 Message too large for it"}) as server:
        delivery = with_session(server, lambda session: send(session, "b@mail.test", "full@mail.test"))
    (refusal,) = delivery.refused
    assert (refusal.reply.code, refusal.reply.enhanced_code) == (552, "5.2.3")
    assert not refusal.reply.is_transient
    assert delivery.accepted == ("b@mail.test",)


def test_helo_is_enough_for_plain_delivery_and_offers_nothing() -> None:
    with FaultyServer("e_502", mode="none") as server:
        delivery = with_session(server, send)
    assert delivery.error is None
    assert server.verbs[:2] == ["EHLO", "HELO"]
    assert server.transactions[0].mail_parameters == {}


def test_an_early_refusal_of_the_content_is_a_refusal() -> None:
    class Early(FaultyServer):
        """Refuses while the content is still coming."""

    def content() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * 998 + b"\r\n" + b"z" * 131_072 + b"\r\n"

    from bed.faulty import FaultyDialogue

    class Impatient(FaultyDialogue):
        def on_data(self, argument: bytes) -> None:
            self.send(b"354 Go\r\n")
            self.receive()
            self.send(b"552 5.3.4 Too large\r\n")
            self.silence()

    Early.dialogue = Impatient
    with Early("ok", mode="none", patience=2) as server:
        mail = Mail(ENVELOPE, content, 64 * (1000 + 131_074))
        delivery = with_session(server, lambda session: session.send(mail))
    assert delivery.error
    assert delivery.error.code == 552
    assert not delivery.error.uncertain
    assert not server.messages


# -- login -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", [Login, Plain])
@pytest.mark.parametrize("password", ["pässwörd 日本", " spaces ", "x" * 500, "=AAA"])
def test_a_password_goes_out_as_it_is(mechanism: type[Login] | type[Plain], password: str) -> None:
    with Recorder(users={"ali ce": password}) as server:
        with_session(server, send, mechanism=mechanism("ali ce", Secret(password)))
    assert server.sessions[0].exchanges[0].accepted
    assert server.sessions[0].exchanges[0].password == password


@pytest.mark.parametrize(("mechanism", "offered"), [(Login, "AUTH PLAIN XOAUTH2"), (Plain, "AUTH LOGIN")])
def test_no_other_mechanism_than_the_one_asked_for_is_used(
    mechanism: type[Login] | type[Plain], offered: str
) -> None:
    from nina_smtp.errors import AuthUnavailable

    with Recorder([offered]) as server, pytest.raises(AuthUnavailable, match=offered.split()[1]):
        with_session(server, send, mechanism=mechanism("alice", Secret("secret-word")))
    assert "AUTH" not in server.verbs
