"""The rules at the top of the module, one by one, against servers in memory: exact, and without waiting."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any

import pytest
from bed.memory import CHUNKED, ONE_BY_ONE, PIPELINED, Clock, Cut, Peer, Store, pass_time, run

from nina_smtp.envelope import Envelope
from nina_smtp.errors import ParameterError
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.carrier import Carrier
from nina_smtp.smtp.flight import MAX_ATTEMPTS
from nina_smtp.smtp.mail import Delivery, Mail, Shipment
from nina_smtp.smtp.server import Encryption, Server, Timeouts
from nina_smtp.smtp.session import Session
from nina_smtp.smtp.turns import Source

SERVER = Server("localhost", 25, Encryption.NONE, ehlo_name="me.test", timeouts=Timeouts())
CHUNKED_ONE_BY_ONE = (*ONE_BY_ONE, "CHUNKING")
IN_EVERY_MODE = pytest.mark.parametrize(
    "keywords",
    [PIPELINED, CHUNKED, ONE_BY_ONE, CHUNKED_ONE_BY_ONE],
    ids=["data", "chunks", "one by one", "chunks one by one"],
)
LARGE = 3_000_000


class Parcel(Shipment):
    """A mail that notes what it was told, and when its octets went out."""

    def __init__(
        self,
        name: str,
        *recipients: str,
        chunks: Callable[[], Iterable[bytes]] | None = None,
        size: int | None = None,
        fault: Exception | None = None,
    ) -> None:
        self.name = name
        self.recipients = recipients or (f"r.{name}",)
        self.content = f"S: {name}\r\n\r\nend {name}\r\n".encode()
        self.chunks = chunks or (lambda: [self.content])
        self.size = len(self.content) if size is None else size
        self.fault = fault
        self.fates: list[Delivery] = []
        self.returned = 0
        self.written: list[tuple[int, int]] = []
        self.when_settled: Callable[[], object] = lambda: None

    def prepare(self, capabilities: Capabilities) -> Mail:
        if self.fault:
            raise self.fault
        recipients = tuple(f"{recipient}@x.test" for recipient in self.recipients)
        return Mail(Envelope(f"{self.name}@x.test", recipients), self.chunks, self.size)

    def settled(self, delivery: Delivery) -> None:
        self.fates.append(delivery)
        self.when_settled()

    def progress(self, written: int, size: int) -> None:
        self.written.append((written, size))

    @property
    def fate(self) -> Delivery:
        (fate,) = self.fates
        return fate

    @property
    def error(self) -> str | None:
        return self.fate.error.type if self.fate.error else None

    @property
    def accepted(self) -> list[str]:
        return [address.partition("@")[0] for address in self.fate.accepted]

    @property
    def refused(self) -> dict[str, str]:
        return {
            refusal.address.partition("@")[0]: f"{refusal.reply.code} {refusal.reply.enhanced_code}"
            for refusal in self.fate.refused
        }


def large(name: str) -> Parcel:
    """Many chunks of odd sizes, with dots that have to be doubled."""
    lines = [b"." * (1 + n % 70) + b"\r\n" for n in range(LARGE // 38)]
    content = b"".join(lines)
    step = 50_001
    return Parcel(
        name, chunks=lambda: (content[i : i + step] for i in range(0, len(content), step)), size=len(content)
    )


def pair() -> list[Parcel]:
    return [Parcel("m0"), Parcel("m1")]


async def carry(
    peer: Peer,
    parcels: Iterable[Parcel],
    *,
    window: int = 1,
    returning: bool = True,
    ordered: bool = False,
    before: Callable[[Carrier], object] = lambda carrier: None,
) -> Session:
    """A session that has carried ``parcels``, as far as it could."""
    clock = asyncio.get_running_loop()
    assert isinstance(clock, Clock)
    clock.connect = lambda: peer
    waiting = deque(parcels)
    source = Source(lambda: waiting.popleft() if waiting else None, ordered=ordered)

    def put_back(shipment: Shipment) -> None:
        assert isinstance(shipment, Parcel)
        shipment.returned += 1

    session = await Session.open(SERVER)
    peer.writes.clear()
    carrier = Carrier(session, window=window, put_back=put_back if returning else None)
    before(carrier)
    await carrier.run(lambda: source.give(session))
    return session


def carried(
    parcels: Iterable[Parcel],
    keywords: Iterable[str] = PIPELINED,
    *,
    window: int = 1,
    returning: bool = True,
    ordered: bool = False,
    before: Callable[[Carrier], object] = lambda carrier: None,
    **server: Any,
) -> tuple[Peer, bool]:
    """The server behind a session that has carried ``parcels``; whether the session is of any more use."""
    peer = Peer(Store(), keywords, **server)

    async def work() -> bool:
        session = await carry(
            peer, parcels, window=window, returning=returning, ordered=ordered, before=before
        )
        usable = session.usable
        session.connection.abort()
        await session.connection.closed()
        return usable

    usable = run(work, lambda: peer)
    assert not peer.out_of_place
    return peer, usable


def taken(peer: Peer) -> list[str]:
    return [letter.name for letter in peer.store.taken]


def verbs(octets: bytes) -> list[str]:
    """The commands of a write, and END where a content ends."""
    known = ("MAIL", "RCPT", "DATA", "BDAT", "RSET")
    words = (line.split(b" ")[0].decode() for line in octets.split(b"\r\n"))
    return ["END" if word == "end" else word for word in words if word in (*known, "end")]


# -- 1, 2, 3: the order, and what goes out with what -------------------------------------------------


@pytest.mark.parametrize("keywords", [ONE_BY_ONE, CHUNKED_ONE_BY_ONE], ids=["data", "chunks"])
def test_without_pipelining_every_command_and_every_content_waits(keywords: tuple[str, ...]) -> None:
    peer, _ = carried(pair(), keywords, window=4)
    content = [["DATA"], ["END"]] if keywords is ONE_BY_ONE else [["BDAT", "END"]]
    assert [verbs(write) for write in peer.writes] == [["MAIL"], ["RCPT"], *content] * 2
    assert taken(peer) == ["m0", "m1"]


def test_the_next_envelope_goes_out_in_the_write_that_ends_the_content_before_it() -> None:
    peer, _ = carried([*pair(), Parcel("m2", "a", "b")])
    assert [verbs(write) for write in peer.writes] == [
        ["MAIL", "RCPT", "DATA"],
        ["END", "MAIL", "RCPT", "DATA"],
        ["END", "MAIL", "RCPT", "RCPT", "DATA"],
        ["END"],
    ]
    assert peer.writes[1].startswith(b"S: m0\r\n\r\nend m0\r\n.\r\nMAIL FROM:<m1@x.test> ")


def test_the_next_envelope_goes_out_with_the_last_chunk_before_it_and_begins_with_rset() -> None:
    peer, _ = carried([*pair(), Parcel("m2")], CHUNKED)
    assert [verbs(write) for write in peer.writes] == [
        ["MAIL", "RCPT", "BDAT", "END", "RSET", "MAIL", "RCPT"],
        ["BDAT", "END", "RSET", "MAIL", "RCPT"],
        ["BDAT", "END"],
    ]


@pytest.mark.parametrize("keywords", [PIPELINED, CHUNKED], ids=["data", "chunks"])
def test_behind_a_large_content_too_the_next_envelope_goes_out_with_its_end(
    keywords: tuple[str, ...],
) -> None:
    peer, _ = carried([large("m0"), Parcel("m1")], keywords)
    (write,) = [write for write in peer.writes if b"MAIL FROM:<m1@" in write]
    assert not write.startswith((b"MAIL", b"RSET"))
    assert taken(peer) == ["m0", "m1"]


@pytest.mark.parametrize("keywords", [PIPELINED, CHUNKED], ids=["data", "chunks"])
def test_a_content_waits_for_the_verdict_on_the_one_before(keywords: tuple[str, ...]) -> None:
    """Nothing of a content is written while another one is in doubt."""
    mails = [Parcel(f"m{number}") for number in range(6)]
    peer = Peer(Store(), keywords)
    out: list[str] = []
    doubts: list[int] = []

    def look(octets: bytes) -> None:
        out.extend(mail.name for mail in mails if f"S: {mail.name}".encode() in octets)
        doubts.append(sum(1 for mail in mails if mail.name in out and not mail.fates))

    peer.on_write = look
    run(lambda: carry(peer, mails), lambda: peer)
    assert max(doubts) == 1
    assert taken(peer) == [f"m{number}" for number in range(6)]


@IN_EVERY_MODE
@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("place", ["mail", "rcpt", "data", "end"])
def test_a_mail_that_is_refused_in_the_middle_is_the_only_one(
    place: str, window: int, keywords: tuple[str, ...]
) -> None:
    mails = [Parcel(f"m{number}") for number in range(4)]
    who = "r.m1" if place == "rcpt" else "m1"
    if place == "data" and "CHUNKING" in keywords:
        place = "end"
    peer, usable = carried(mails, keywords, window=window, answers={(place, who): b"550 5.7.1"})
    kinds = {
        "mail": "senderRefused",
        "rcpt": "recipientsRefused",
        "data": "messageRefused",
        "end": "messageRefused",
    }
    assert [mail.error for mail in mails] == [None, kinds[place], None, None]
    assert taken(peer) == ["m0", "m2", "m3"]
    assert usable


@IN_EVERY_MODE
@pytest.mark.parametrize("window", [1, 4])
def test_who_is_refused_does_not_get_the_mail_and_the_others_do(
    window: int, keywords: tuple[str, ...]
) -> None:
    mails = [Parcel("m0"), Parcel("m1", "a", "b", "c"), Parcel("m2")]
    refusals = {("rcpt", "a"): b"550 5.1.1", ("rcpt", "c"): b"450 4.2.1"}
    peer, _ = carried(mails, keywords, window=window, answers=refusals)
    assert [mail.error for mail in mails] == [None] * 3
    assert mails[1].accepted == ["b"]
    assert mails[1].refused == {"a": "550 5.1.1", "c": "450 4.2.1"}
    assert [letter.recipients for letter in peer.store.taken] == [("r.m0",), ("b",), ("r.m2",)]


@pytest.mark.parametrize("verdict", [b"554 5.5.1", b"250 2.0.0"])
def test_a_354_although_nobody_was_accepted_gets_a_lone_dot_and_the_next_mail_is_unharmed(
    verdict: bytes,
) -> None:
    mails = [Parcel("m0"), Parcel("m1", "a", "b"), Parcel("m2")]
    answers = {("rcpt", "a"): b"550 5.1.1", ("rcpt", "b"): b"550 5.1.1", ("end", "m1"): verdict}
    peer, usable = carried(mails, eager=True, answers=answers)
    assert [mail.error for mail in mails] == [None, "recipientsRefused", None]
    assert mails[1].fate.reply is None
    assert mails[1].accepted == []
    assert peer.lone_dots == 1
    assert b"end m1" not in peer.octets
    assert taken(peer) == ["m0", "m2"]
    assert usable
    assert verbs(peer.writes[2])[:2] == ["MAIL", "RCPT"]  # behind the lone dot


# -- 4: in chunks, at once ---------------------------------------------------------------------------


def test_a_small_mail_that_has_the_session_to_itself_goes_out_at_once() -> None:
    peer, _ = carried([Parcel("m0")], CHUNKED)
    assert [verbs(write) for write in peer.writes] == [["MAIL", "RCPT", "BDAT", "END"]]


@pytest.mark.parametrize("keywords", [CHUNKED, CHUNKED_ONE_BY_ONE, PIPELINED])
def test_a_large_mail_does_not(keywords: tuple[str, ...]) -> None:
    peer, _ = carried([large("m0")], keywords, answers={("rcpt", "r.m0"): b"550 5.1.1"})
    assert "BDAT" not in verbs(bytes(peer.octets))
    assert len(peer.octets) < 200


@pytest.mark.parametrize("window", [2, 3, 8])
def test_a_window_of_mails_goes_out_in_one_write_and_then_one_for_each_that_is_answered(window: int) -> None:
    mails = [Parcel(f"m{number}") for number in range(10)]
    peer, _ = carried(mails, CHUNKED, window=window)
    one = ["MAIL", "RCPT", "BDAT", "END"]
    assert verbs(peer.writes[0]) == [*one, *["RSET", *one] * (window - 1)]
    assert taken(peer) == [mail.name for mail in mails]
    assert [mail.error for mail in mails] == [None] * 10


@pytest.mark.parametrize(("window", "ordered", "most"), [(1, False, 1), (4, True, 1), (4, False, 4)])
def test_only_a_window_puts_more_than_one_mail_in_doubt_and_never_an_ordered_source(
    window: int, ordered: bool, most: int
) -> None:
    mails = [Parcel(f"m{number}") for number in range(9)]
    peer = Peer(Store(), CHUNKED, segments=repeat(1))
    doubts: list[int] = []

    def look(octets: bytes) -> None:
        doubts.append(sum(f"end {mail.name}".encode() in peer.octets and not mail.fates for mail in mails))

    peer.on_write = look
    run(lambda: carry(peer, mails, window=window, ordered=ordered), lambda: peer)
    assert max(doubts) == most
    assert taken(peer) == [mail.name for mail in mails]


# -- 5: after a pause --------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize(("seconds", "envelope_first"), [(0.9, False), (1.1, True)])
def test_the_first_mail_after_a_pause_goes_out_envelope_first(
    seconds: float, envelope_first: bool, window: int
) -> None:
    peer, _ = carried(pair(), CHUNKED, window=window, before=lambda carrier: pass_time(seconds))
    assert verbs(peer.writes[0])[:2] == ["MAIL", "RCPT"]
    assert ("BDAT" not in verbs(peer.writes[0])) == envelope_first
    assert taken(peer) == ["m0", "m1"]


def test_a_server_that_went_away_in_a_pause_leaves_nothing_in_doubt() -> None:
    mails = pair()
    peer = Peer(Store(), CHUNKED)

    async def work() -> None:
        clock = asyncio.get_running_loop()
        assert isinstance(clock, Clock)
        clock.connect = lambda: peer
        session = await Session.open(SERVER)
        carrier = Carrier(session, window=4, put_back=lambda shipment: setattr(shipment, "returned", 1))
        for mail in mails:
            waiting = iter([mail])
            await carrier.run(lambda waiting=waiting: next(waiting, None))  # type: ignore[misc]
            pass_time(60)
            peer.cut = Cut("close", received=peer.received - peer.before[0])
        assert not session.usable

    run(work, lambda: peer)
    assert mails[0].error is None
    assert mails[1].returned == 1
    assert not mails[1].fates


# -- 6: a refused chunk ------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("ends", [True, False], ids=["ends the transaction", "leaves it open"])
@pytest.mark.parametrize("how", ["the chunk", "everybody"])
def test_behind_a_refused_chunk_the_next_mail_begins_afresh(how: str, ends: bool, window: int) -> None:
    mails = [Parcel(f"m{number}") for number in range(4)]
    place = ("end", "m1") if how == "the chunk" else ("rcpt", "r.m1")
    peer, usable = carried(
        mails, CHUNKED, window=window, answers={place: b"550 5.7.1"}, refused_chunk_ends=ends
    )
    assert [mail.error is None for mail in mails] == [True, False, True, True]
    assert taken(peer) == ["m0", "m2", "m3"]
    assert usable


@pytest.mark.parametrize("ends", [True, False], ids=["ends the transaction", "leaves it open"])
def test_behind_a_refused_chunk_that_was_the_last_for_now_too(ends: bool) -> None:
    peer = Peer(Store(), CHUNKED, answers={("end", "m0"): b"550 5.7.1"}, refused_chunk_ends=ends)
    mails = pair()

    async def work() -> None:
        clock = asyncio.get_running_loop()
        assert isinstance(clock, Clock)
        session = await Session.open(SERVER)
        for mail in mails:
            await session.carry(mail)

    run(work, lambda: peer)
    assert taken(peer) == ["m1"]
    assert not peer.out_of_place


# -- 7: the end of a session -------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "who"), [("mail", "m1"), ("rcpt", "r.m1"), ("data", "m1"), ("end", "m1")])
@pytest.mark.parametrize("code", [b"421 4.3.2", b"521 5.3.2"])
@pytest.mark.parametrize("returning", [True, False], ids=["pool", "session"])
def test_when_the_server_closes_at_a_mail_that_one_is_turned_away_and_those_behind_it_are_not_touched(
    returning: bool, code: bytes, place: str, who: str
) -> None:
    mails = [Parcel("m0"), Parcel("m1"), Parcel("m2"), Parcel("m3")]
    peer, usable = carried(mails, returning=returning, answers={(place, who): code})
    assert mails[0].error is None
    assert not usable
    assert taken(peer) == ["m0"]
    if returning and place == "mail" and code.startswith(b"421"):  # it was not even looked at
        assert mails[1].returned == 1
        assert not mails[1].fates
    else:
        fate = mails[1].fate
        assert fate.error
        assert not fate.error.uncertain
        assert fate.error.code == int(code[:3])
    assert not any(fate.error and fate.error.uncertain for mail in mails for fate in mail.fates)
    if returning:
        assert not mails[2].fates
        assert not mails[3].fates


@pytest.mark.parametrize("window", [2, 4])
def test_when_the_server_closes_at_a_recipient_that_chunk_and_those_behind_it_were_certainly_not_taken(
    window: int,
) -> None:
    mails = [Parcel("m0", "a", "b"), Parcel("m1"), Parcel("m2")]
    peer, usable = carried(mails, CHUNKED, window=window, answers={("rcpt", "b"): b"421 4.3.2"})
    assert not usable
    assert mails[0].error == "connectionLost"
    assert mails[0].accepted == []
    assert [mail.returned for mail in mails[1:window]] == [1] * min(window - 1, 2)
    assert taken(peer) == []


def test_a_verdict_that_is_none_puts_only_that_mail_in_doubt() -> None:
    """The next one's content was not begun: nothing of it is uncertain, though the session ends for it."""
    mails = pair()
    carried(mails, returning=False, answers={("end", "m0"): b"354"})
    assert mails[0].error == "deliveryUncertain"
    assert mails[1].fate.error
    assert not mails[1].fate.error.uncertain


def test_what_comes_along_with_a_reply_and_ends_the_session_is_what_the_mail_is_told() -> None:
    (mail,) = mails = [Parcel("m0")]
    carried(mails, ONE_BY_ONE, answers={("mail", "m0"): b"250 2.1.0 Ok\r\n421 4.3.2 Bye, says"})
    assert mail.error == "serverRefused"
    assert mail.fate.error
    assert mail.fate.error.retry


@pytest.mark.parametrize("window", [2, 4])
def test_a_mail_is_not_begun_when_what_came_along_with_a_verdict_ended_the_session(window: int) -> None:
    mails = [Parcel(f"m{number}") for number in range(6)]
    carried(mails, CHUNKED, window=window, answers={("end", "m0"): b"250 2.0.0 Ok\r\n!junk!\r\n250"})
    assert mails[0].error is None
    for mail in mails[1:window]:
        assert mail.error == "deliveryUncertain"
        assert mail.fate.error
        assert "not a reply" in mail.fate.error.message
    assert not any(mail.fates or mail.returned for mail in mails[window:])


def test_a_server_that_goes_on_after_it_said_that_it_closes_may_have_the_mail() -> None:
    """It said 354 to the content, after all, so when it is gone before its verdict nobody can tell."""
    mails = [Parcel("m0", "a", "b")]
    replies = b"250 2.1.0 m0\r\n250 2.1.5 m0\r\n421 4.3.2 m0\r\n354 m0\r\n"
    peer, _ = carried(
        mails, stays=True, answers={("rcpt", "b"): b"421 4.3.2"}, cut=Cut("close", sent=len(replies) + 1)
    )
    assert taken(peer) == ["m0"]
    assert mails[0].error == "deliveryUncertain"


def test_a_server_that_goes_on_after_it_said_that_it_closes_may_have_the_chunk() -> None:
    mails = [Parcel("m0", "a", "b", "c")]
    replies = b"250 2.1.0 m0\r\n250 2.1.5 m0\r\n421 4.3.2 m0\r\n250 2.1.5 m0\r\n"
    peer, _ = carried(
        mails,
        CHUNKED,
        stays=True,
        answers={("rcpt", "b"): b"421 4.3.2"},
        cut=Cut("close", sent=len(replies) + 1),
    )
    assert taken(peer) == ["m0"]
    assert mails[0].error == "deliveryUncertain"


def test_a_server_that_goes_on_after_it_said_that_it_closes_may_have_what_is_behind_it() -> None:
    """It answered the mail that it turned away to its end, so it went on reading."""
    replies = (
        b"250 2.1.0 m0\r\n250 2.1.5 m0\r\n250 2.0.0 m0 verdict\r\n421 4.3.2 m1\r\n503 5.5.1\r\n503 5.5.1\r\n"
    )
    for more in range(20):
        mails = [Parcel(f"m{number}") for number in range(4)]
        peer, _ = carried(
            mails,
            CHUNKED,
            window=4,
            stays=True,
            answers={("mail", "m1"): b"421 4.3.2"},
            cut=Cut("reset", sent=len(replies) + more),
        )
        assert taken(peer) == ["m0", "m2", "m3"]
        assert [mail.error for mail in mails[2:]] == ["deliveryUncertain"] * 2


@IN_EVERY_MODE
@pytest.mark.parametrize("window", [1, 4])
def test_a_server_that_does_not_know_rset_gets_no_empty_mail_and_what_it_takes_is_not_called_failed(
    window: int, keywords: tuple[str, ...]
) -> None:
    mails = [Parcel("m0"), Parcel("m1")]
    answers = {("mail", "m0"): b"550 5.7.1", ("rset", ""): b"502 5.5.1 What?"}
    peer, _ = carried(mails, keywords, window=window, answers=answers)
    assert mails[0].error == "senderRefused"
    assert peer.lone_dots == 0
    assert [letter.content for letter in peer.store.taken] in ([], [mails[1].content])
    assert len(taken(peer)) == (mails[1].error is None) or mails[1].error == "deliveryUncertain"


def test_the_first_mail_of_a_session_does_not_go_back() -> None:
    mails = pair()
    carried(mails, cut=Cut("close", received=10))
    assert mails[0].error == "connectionLost"
    assert [mail.returned for mail in mails] == [0, 0]


@pytest.mark.parametrize("attempts", range(MAX_ATTEMPTS + 1))
def test_a_mail_goes_back_until_it_was_in_too_many_sessions(attempts: int) -> None:
    mails = pair()
    mails[1].attempts = attempts
    end = (
        len(b"MAIL FROM:<m0@x.test> SIZE=17\r\nRCPT TO:<r.m0@x.test>\r\nDATA\r\n") + len(mails[0].content) + 5
    )
    carried(mails, cut=Cut("reset", received=end))
    assert mails[1].returned == (attempts + 1 < MAX_ATTEMPTS)
    assert len(mails[1].fates) == 1 - mails[1].returned


# -- 8: too many recipients at a time ----------------------------------------------------------------


@IN_EVERY_MODE
@pytest.mark.parametrize("window", [1, 4])
def test_those_that_are_too_many_get_the_mail_next_and_it_is_one_delivery(
    window: int, keywords: tuple[str, ...]
) -> None:
    mails = [Parcel("m0", "a", "b", "c", "d", "e"), Parcel("m1")]
    peer, _ = carried(mails, keywords, window=window, at_most=2, answers={("rcpt", "d"): b"550 5.1.1"})
    assert mails[0].error is None
    assert mails[0].accepted == ["a", "b", "c", "e"]
    assert mails[0].refused == {"d": "550 5.1.1"}
    assert mails[0].fate.attempts == 1
    parts = [letter.recipients for letter in peer.store.taken if letter.name == "m0"]
    assert parts == [("a", "b"), ("c", "e")]
    assert all(letter.content == mails[0].content for letter in peer.store.taken if letter.name == "m0")
    assert mails[1].error is None


@IN_EVERY_MODE
@pytest.mark.parametrize("place", ["mail", "end"])
def test_when_the_second_part_is_refused_its_recipients_are_and_the_others_have_the_mail(
    place: str, keywords: tuple[str, ...]
) -> None:
    mails = [Parcel("m0", "a", "b", "c"), Parcel("m1")]
    replies = [b"250 2.0.0", b"451 4.3.0"]
    peer, usable = carried(mails, keywords, at_most=1, answers={(place, "m0"): replies})
    assert mails[0].error is None
    assert mails[0].accepted == ["a"]
    assert set(mails[0].refused) == {"b", "c"}
    assert peer.store.got("a") == 1
    assert peer.store.got("b") == peer.store.got("c") == 0
    assert mails[1].error is None
    assert usable


def test_when_the_second_part_is_in_doubt_so_is_the_mail_and_those_who_have_it_are_named() -> None:
    mails = [Parcel("m0", "a", "b")]
    peer, _ = carried(mails, at_most=1, answers={("end", "m0"): [b"250 2.0.0", b"354"]})
    assert mails[0].error == "deliveryUncertain"
    assert mails[0].accepted == ["a"]
    assert mails[0].refused == {}
    assert [letter.recipients for letter in peer.store.taken] == [("a",)]


@pytest.mark.parametrize("returning", [True, False], ids=["pool", "session"])
def test_when_the_session_ends_before_the_second_part_that_part_alone_is_left(returning: bool) -> None:
    mails = [Parcel("m0", "a", "b")]
    store = Store()
    first = Peer(store, answers={("mail", "m0"): [b"250 2.1.0"]}, at_most=1)
    first.on_write = lambda octets: second_envelope(octets)

    def second_envelope(octets: bytes) -> None:
        if first.store.taken and b"MAIL" in octets:
            first.cut = Cut("reset", received=first.received - first.before[0] + 5)

    second = Peer(store)

    async def work() -> None:
        await carry(first, mails, returning=returning)
        if returning:
            assert mails[0].returned == 1
            await carry(second, mails)

    run(work, lambda: first)
    if returning:
        assert mails[0].error is None
        assert mails[0].accepted == ["a", "b"]
        assert mails[0].refused == {}
        assert [letter.recipients for letter in store.taken] == [("a",), ("b",)]
    else:
        assert mails[0].error is None
        assert mails[0].accepted == ["a"]
        assert set(mails[0].refused) == {"b"}
        assert [letter.recipients for letter in store.taken] == [("a",)]


@pytest.mark.parametrize("returning", [True, False], ids=["pool", "session"])
def test_a_session_that_ends_before_the_second_part_was_begun_was_one_attempt(returning: bool) -> None:
    mails = [Parcel("m0", "a", "b"), Parcel("m1")]
    peer, _ = carried(mails, at_most=1, returning=returning, answers={("mail", "m1"): b"421 4.3.2"})
    assert taken(peer) == ["m0"]
    assert mails[0].attempts == 1
    if not returning:
        assert mails[0].error is None
        assert mails[0].accepted == ["a"]
        assert set(mails[0].refused) == {"b"}
        assert mails[0].fate.attempts == 1


@pytest.mark.parametrize("returning", [True, False], ids=["pool", "session"])
def test_a_second_part_that_was_not_begun_is_not_in_doubt_because_another_mail_is(returning: bool) -> None:
    mails = [Parcel("m0", "a", "b"), Parcel("m1"), Parcel("m2")]
    answers = {("end", "m1"): b"354"}
    carried(mails, CHUNKED, window=3, at_most=1, returning=returning, answers=answers)
    assert mails[1].error == "deliveryUncertain"
    if returning:
        assert mails[0].returned == 1
    else:
        assert mails[0].error is None
        assert set(mails[0].refused) == {"b"}


@pytest.mark.parametrize(
    ("reply", "parts"), [(b"452 4.5.3", 2), (b"452 Too many recipients,", 2), (b"452 4.2.2", 1)]
)
def test_only_too_many_recipients_make_a_second_transaction(reply: bytes, parts: int) -> None:
    mails = [Parcel("m0", "a", "b")]
    peer, _ = carried(mails, answers={("rcpt", "b"): [reply]})
    assert len(peer.store.taken) == parts
    assert mails[0].accepted == ["a", "b"][:parts]


# -- 9: withdrawn ------------------------------------------------------------------------------------


@IN_EVERY_MODE
def test_a_mail_that_is_withdrawn_before_its_content_is_not_delivered(keywords: tuple[str, ...]) -> None:
    mail = Parcel("m0") if keywords != CHUNKED else large("m0")
    peer = Peer(Store(), keywords, answers={("mail", "m0"): [b"250 2.1.0"]})

    def look(octets: bytes) -> None:
        if octets.startswith(b"MAIL"):
            mail.withdrawn = True

    peer.on_write = look
    session = run(lambda: carry(peer, [mail]), lambda: peer)
    assert mail.error == "interrupted"
    assert taken(peer) == []
    assert peer.lone_dots == 0
    assert b"end m0" not in peer.octets
    assert not session.usable


@pytest.mark.parametrize("keywords", [PIPELINED, CHUNKED], ids=["data", "chunks"])
def test_a_large_mail_that_is_withdrawn_within_its_content_is_not_delivered(
    keywords: tuple[str, ...],
) -> None:
    mail = large("m0")

    def slow() -> Iterator[int]:
        yield from repeat(20_000, 40)
        mail.withdrawn = True
        yield from repeat(20_000)

    peer, usable = carried([mail], keywords, gulps=slow())
    assert mail.error == "interrupted"
    assert taken(peer) == []
    assert 100_000 < len(peer.octets) < LARGE
    assert not usable


@IN_EVERY_MODE
def test_a_mail_that_is_withdrawn_after_its_last_octet_is_told_the_truth(keywords: tuple[str, ...]) -> None:
    mails = pair()
    peer = Peer(Store(), keywords)

    def look(octets: bytes) -> None:
        if b"end m0" in octets:
            mails[0].withdrawn = True

    peer.on_write = look
    session = run(lambda: carry(peer, mails), lambda: peer)
    assert [mail.error for mail in mails] == [None, None]
    assert taken(peer) == ["m0", "m1"]
    assert session.usable


def test_a_withdrawn_mail_behind_one_in_doubt_leaves_that_one_its_verdict() -> None:
    mails = pair()
    peer = Peer(Store())

    def look(octets: bytes) -> None:
        if b"MAIL FROM:<m1@" in octets:
            mails[1].withdrawn = True

    peer.on_write = look
    run(lambda: carry(peer, mails), lambda: peer)
    assert mails[0].error is None
    assert mails[1].error == "interrupted"
    assert taken(peer) == ["m0"]


@IN_EVERY_MODE
def test_a_cancelled_task_settles_everything_and_puts_nothing_back(keywords: tuple[str, ...]) -> None:
    mails = [Parcel(f"m{number}") for number in range(3)]
    peer = Peer(Store(), keywords, answers={})
    tasks: list[asyncio.Task[Session]] = []

    def look(octets: bytes) -> None:
        if b"end m1" in octets:
            tasks[0].cancel()

    peer.on_write = look

    async def work() -> None:
        tasks.append(asyncio.ensure_future(carry(peer, mails, window=3)))
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]

    run(work, lambda: peer)
    assert [len(mail.fates) for mail in mails[:2]] == [1, 1]
    assert [mail.returned for mail in mails] == [0, 0, 0]
    assert mails[1].error == "deliveryUncertain" or "m1" in taken(peer)
    assert len(mails[2].fates) <= 1


# -- contents that are not as they should be ---------------------------------------------------------


def faulty(fault: str, size: int) -> Parcel:
    """A content that breaks, or is shorter or longer than it said; small or large."""
    piece = b"x" * 70 + b"\r\n"
    count = size // len(piece)

    def chunks() -> Iterator[bytes]:
        for _ in range(count):
            yield piece
        if fault == "breaks":
            raise OSError("the disk is gone")

    announced = {"breaks": 0, "short": 1, "long": -1}[fault] + count * len(piece)
    return Parcel("m1", chunks=chunks, size=announced)


@IN_EVERY_MODE
@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("size", [720, 720_000], ids=["small", "large"])
@pytest.mark.parametrize("fault", ["breaks", "short", "long"])
def test_a_content_that_breaks_or_is_not_as_long_as_announced_is_an_error_and_not_delivered(
    fault: str, size: int, window: int, keywords: tuple[str, ...]
) -> None:
    mails = [Parcel("m0"), faulty(fault, size), Parcel("m2")]
    peer, _ = carried(mails, keywords, window=window)
    assert mails[0].error is None
    assert mails[1].error == "internalError"
    assert mails[1].fate.error
    assert "disk" not in mails[1].fate.error.message
    assert "m1" not in taken(peer)
    assert len(mails[2].fates) + mails[2].returned <= 1


@IN_EVERY_MODE
@pytest.mark.parametrize("fault", [OSError("the disk is gone"), ParameterError("bad")])
def test_a_mail_that_cannot_be_built_is_told_so_and_the_others_go_on(
    fault: Exception, keywords: tuple[str, ...]
) -> None:
    mails = [Parcel("m0"), Parcel("m1", fault=fault), Parcel("m2")]
    peer, usable = carried(mails, keywords)
    kind = "internalError" if isinstance(fault, OSError) else "parameterError"
    assert mails[0].error is mails[2].error is None
    assert mails[1].error not in (None, "deliveryUncertain")
    assert (mails[1].error == kind) or isinstance(fault, ParameterError)
    assert taken(peer) == ["m0", "m2"]
    assert usable
    assert b"m1@" not in peer.octets


def test_a_mail_that_is_larger_than_the_server_takes_is_told_so_before_mail() -> None:
    mails = [Parcel("m0"), Parcel("m1", size=52428801), Parcel("m2")]
    peer, usable = carried(mails)
    assert [mail.error for mail in mails] == [None, "messageTooLarge", None]
    assert b"m1@" not in peer.octets
    assert usable


# -- large mails -------------------------------------------------------------------------------------


@IN_EVERY_MODE
def test_a_large_mail_arrives_as_it_is_and_its_progress_goes_up_to_its_size(
    keywords: tuple[str, ...],
) -> None:
    mail = large("m0")
    peer, _ = carried([mail, Parcel("m1")], keywords, gulps=repeat(30_000))
    assert mail.error is None
    assert peer.store.taken[0].content == b"".join(mail.chunks())
    steps = [written for written, _ in mail.written]
    assert len(steps) > 10
    assert steps == sorted(steps)
    assert steps[-1] == mail.size
    assert {size for _, size in mail.written} == {mail.size}


def test_a_server_that_stops_taking_a_large_mail_has_not_got_it() -> None:
    mail = large("m0")
    peer, usable = carried([mail], cut=Cut("silence", received=100_000))
    assert mail.error == "replyTimeout"
    assert mail.fate.error
    assert not mail.fate.error.uncertain
    assert taken(peer) == []
    assert len(peer.octets) < LARGE
    assert not usable
