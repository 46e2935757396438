"""A server that goes away at any octet, while several mails are in flight: what is said of each is true.

sent     the server took it, once               failed, put back   the server never took it
unknown  its last octet is out, and no verdict on it was read
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import pytest
from bed.memory import CHUNKED, ONE_BY_ONE, PIPELINED, Clock, Cut, Peer, Store, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nina_smtp.envelope import Envelope
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.carrier import Carrier
from nina_smtp.smtp.mail import Delivery, Mail, Shipment
from nina_smtp.smtp.pool import ConnectionPool
from nina_smtp.smtp.server import Encryption, Server, Timeouts
from nina_smtp.smtp.session import Session
from nina_smtp.smtp.turns import Source

SERVER = Server("localhost", 25, Encryption.NONE, ehlo_name="me.test", timeouts=Timeouts())
MAILS = 5
MODES = {
    "data": (PIPELINED, 1),
    "one by one": (ONE_BY_ONE, 1),
    "chunks": (CHUNKED, 1),
    "window of 4": (CHUNKED, 4),
}
IN_EACH_MODE = pytest.mark.parametrize("mode", MODES)


class Parcel(Shipment):
    """A mail that notes what it was told."""

    def __init__(self, name: str, recipients: Iterable[str] = ("r",)) -> None:
        self.name = name
        self.recipients = tuple(f"{recipient}.{name}" for recipient in recipients)
        self.content = f"S: {name}\r\n\r\n.begin {name}\r\nend {name}\r\n".encode()
        self.fates: list[Delivery] = []
        self.returned = 0

    def prepare(self, capabilities: Capabilities) -> Mail:
        envelope = Envelope(f"{self.name}@x.test", tuple(f"{name}@x.test" for name in self.recipients))
        return Mail(envelope, lambda: [self.content[:9], self.content[9:]], len(self.content))

    def settled(self, delivery: Delivery) -> None:
        self.fates.append(delivery)

    @property
    def status(self) -> str:
        if not self.fates:
            return "put back" if self.returned else "waiting"
        error = self.fates[0].error
        return "sent" if error is None else "unknown" if error.uncertain else "failed"


@dataclass
class Run:
    """Mails over one session, and what came of it."""

    store: Store
    peer: Peer
    parcels: list[Parcel]
    waiting: deque[Parcel]
    window: int
    received: int = 0
    """Octets that the server read, and sent, of what it was to do with these mails."""
    sent: int = 0

    def mails(self, status: str) -> list[Parcel]:
        return [parcel for parcel in self.parcels if parcel.status == status]

    def check(self) -> None:
        """All that must hold, whatever the server does."""
        assert not self.peer.out_of_place
        written, heard = bytes(self.peer.octets), bytes(self.peer.heard)
        for parcel in self.parcels:
            name, status = parcel.name, parcel.status
            copies = self.store.copies(name)
            verdicts = len(re.findall(rf"(?m)^[245].* {name} verdict\r\n".encode(), heard))
            assert len(parcel.fates) + parcel.returned == (parcel not in self.waiting), name
            assert all(self.store.got(recipient) <= 1 for recipient in parcel.recipients)
            assert all(letter.content == parcel.content for letter in copies)
            if status == "sent":
                assert copies
                assert verdicts or (
                    self.peer.cut and self.peer.cut.how == "junk"
                )  # with which a reply may end
            elif status == "unknown":
                assert written.count(f"end {name}\r\n".encode()) > verdicts
            elif status == "put back" and parcel.so_far:  # some have it, and it is not theirs any more
                assert not any(self.store.got(local(refusal.address)) for refusal in parcel.excess)
            else:
                assert not copies, f"{name} is {status}, and the server has it"
            if (
                status == "put back" and b"\r\n421 " not in heard
            ):  # with which what is behind it goes back, too
                assert written.count(f"begin {name}\r\n".encode()) == len(parcel.so_far)
            for fate in parcel.fates:
                assert all(self.store.got(local(address)) == 1 for address in fate.accepted)
                assert not any(self.store.got(local(refusal.address)) for refusal in fate.refused)
                assert not (fate.error and "unexpected" in fate.error.message), (
                    "what the server does is no bug"
                )
        assert len(self.mails("unknown")) <= self.window


def local(address: str) -> str:
    return address.partition("@")[0]


async def carry(
    peer: Peer,
    parcels: Iterable[Parcel],
    window: int = 1,
    *,
    returning: bool = True,
    ordered: bool = False,
) -> Run:
    """All of ``parcels``, as long as the session lasts."""
    clock = asyncio.get_running_loop()
    assert isinstance(clock, Clock)
    clock.connect = lambda: peer
    out = Run(peer.store, peer, all_of := list(parcels), deque(all_of), window)
    source = Source(lambda: out.waiting.popleft() if out.waiting else None, ordered=ordered)

    def put_back(shipment: Shipment) -> None:
        assert isinstance(shipment, Parcel)
        shipment.returned += 1

    session = await Session.open(SERVER)
    carrier = Carrier(session, window=window, put_back=put_back if returning else None)
    await carrier.run(lambda: source.give(session))
    out.received, out.sent = peer.received - peer.before[0], peer.sent - peer.before[1]
    await session.quit()
    return out


def parcels(count: int = MAILS) -> list[Parcel]:
    return [Parcel(f"m{number}") for number in range(count)]


def places(mode: str) -> tuple[range, range]:
    """Every octet that goes to the server while nothing happens to it, and every octet that it sends."""
    keywords, window = MODES[mode]
    done = run(lambda: carry(Peer(Store(), keywords), parcels(), window), lambda: Peer(Store()))
    done.check()
    assert len(done.mails("sent")) == MAILS
    return range(done.received), range(done.sent)


def every(mode: str, cuts: Iterable[Cut], **how: Any) -> Iterator[Run]:
    """A session with each of ``cuts``, all on one loop."""
    keywords, window = MODES[mode]

    async def work() -> list[Run]:
        return [await carry(Peer(Store(), keywords, cut=cut), parcels(), window, **how) for cut in cuts]

    yield from run(work, lambda: Peer(Store()))


# -- every octet -------------------------------------------------------------------------------------


@pytest.mark.no_cover
@IN_EACH_MODE
@pytest.mark.parametrize("returning", [True, False], ids=["pool", "session"])
@pytest.mark.parametrize("how", ["close", "reset", "junk", "bye"])
def test_wherever_the_server_stops_reading_what_is_said_of_each_mail_is_true(
    how: str, returning: bool, mode: str
) -> None:
    received, _ = places(mode)
    statuses = set()
    step = (1 if how == "close" else 3) if returning else 7
    for done in every(mode, (Cut(how, received=n) for n in received[::step]), returning=returning):
        done.check()
        statuses |= {parcel.status for parcel in done.parcels}
    assert "sent" in statuses
    assert "unknown" in statuses or how == "bye"


@pytest.mark.no_cover
@IN_EACH_MODE
@pytest.mark.parametrize("how", ["close", "reset", "junk"])
def test_wherever_the_server_stops_talking_what_is_said_of_each_mail_is_true(how: str, mode: str) -> None:
    _, sent = places(mode)
    for done in every(mode, (Cut(how, sent=n) for n in sent)):
        done.check()


@IN_EACH_MODE
def test_wherever_the_server_falls_silent_each_mail_is_told_the_truth_in_time(mode: str) -> None:
    received, sent = places(mode)
    cuts = [
        *(Cut("silence", received=n) for n in received[::11]),
        *(Cut("silence", sent=n) for n in sent[::7]),
    ]
    for done in every(mode, cuts):
        done.check()
        told = [fate.error for parcel in done.parcels for fate in parcel.fates if fate.error]
        assert all("did not answer within" in error.message for error in told)
        assert told or done.mails("put back")


@pytest.mark.no_cover
@IN_EACH_MODE
def test_a_cut_leaves_one_mail_in_doubt_and_with_a_window_no_more_than_are_in_it(mode: str) -> None:
    received, _ = places(mode)
    window = MODES[mode][1]
    doubts = {
        len(done.mails("unknown")) for done in every(mode, (Cut("reset", received=n) for n in received))
    }
    assert max(doubts) == window


def test_an_ordered_source_has_one_mail_in_doubt_whatever_the_window() -> None:
    received, _ = places("window of 4")
    for done in every("window of 4", (Cut("reset", received=n) for n in received), ordered=True):
        done.check()
        assert len(done.mails("unknown")) <= 1


# -- every octet, and another connection after it ----------------------------------------------------


@pytest.mark.no_cover
@IN_EACH_MODE
@pytest.mark.parametrize("ordered", [False, True], ids=["any order", "ordered"])
def test_what_a_cut_leaves_goes_out_over_another_connection_and_nothing_twice(
    ordered: bool, mode: str
) -> None:
    """What is put back is sent, what is in doubt is not, and an ordered source stays in order."""
    keywords, window = MODES[mode]
    received, sent = places(mode)

    async def deliver(cut: Cut) -> None:
        clock = asyncio.get_running_loop()
        assert isinstance(clock, Clock)
        store, mails = Store(), parcels()
        peers = iter([Peer(store, keywords, cut=cut), Peer(store, keywords)])
        clock.connect = lambda: next(peers)
        waiting = deque(mails)
        pool = ConnectionPool(SERVER, connections=1, window=window)
        pool.add(Source(lambda: waiting.popleft() if waiting else None, ordered=ordered))
        await pool.close()
        assert [len(mail.fates) for mail in mails] == [1] * MAILS
        in_doubt = [mail for mail in mails if mail.status == "unknown"]
        assert len(in_doubt) <= (1 if ordered else window)
        for mail in mails:
            copies = len(store.copies(mail.name))
            assert copies <= 1
            assert copies == (mail.status == "sent") or mail in in_doubt
        failed = [mail.name for mail in mails if mail.status == "failed"]
        assert failed in ([], ["m0"]) or len(failed) == 1, "the break had to do with one mail at most"
        names = [letter.name for letter in store.taken]
        assert names == sorted(names) or not ordered

    async def work() -> None:
        for how in ("close", "reset"):
            for n in received[::5]:
                await deliver(Cut(how, received=n))
            for n in sent[::5]:
                await deliver(Cut(how, sent=n))

    run(work, lambda: Peer(Store()))


# -- anything ----------------------------------------------------------------------------------------

REFUSALS = {
    "mail": [b"550 5.7.1", b"451 4.3.0", b"552 5.3.4", b"421 4.3.2"],
    "rcpt": [b"550 5.1.1", b"451 4.2.0", b"452 4.2.2", b"421 4.3.2", b"521 5.3.2"],
    "data": [b"554 5.5.0", b"451 4.3.0", b"421 4.3.2"],
    "end": [b"552 5.2.3", b"451 4.3.0", b"421 4.3.2", b"354"],
}
ENDS_ALL = (b"421", b"521", b"354")  # which is what a cut does, too
SIZES = st.lists(st.sampled_from([1, 2, 7, 40, 1000]), min_size=1, max_size=4)


@dataclass(frozen=True)
class Plan:
    """What a server does, and to whom."""

    keywords: tuple[str, ...]
    window: int
    recipients: list[int]
    answers: dict[tuple[str, str], bytes]
    server: dict[str, Any]
    gulps: list[int]
    segments: list[int]
    cut: Cut | None
    returning: bool
    ordered: bool

    def peer(self) -> Peer:
        return Peer(
            Store(),
            self.keywords,
            answers=self.answers,
            gulps=cycle(self.gulps),
            segments=cycle(self.segments),
            cut=self.cut,
            **self.server,
        )

    def parcels(self) -> list[Parcel]:
        return [
            Parcel(f"m{number}", [f"r{index}" for index in range(count)])
            for number, count in enumerate(self.recipients)
        ]

    def refused(self, place: str, name: str) -> bytes | None:
        return self.answers.get((place, name))


@st.composite
def plans(draw: st.DrawFn, *, cuts: bool) -> Plan:
    recipients = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    answers: dict[tuple[str, str], bytes] = {}
    for number, count in enumerate(recipients):
        name = f"m{number}"
        where = [
            ("mail", name),
            ("data", name),
            ("end", name),
            *(("rcpt", f"r{i}.{name}") for i in range(count)),
        ]
        for place in where:
            choices = [reply for reply in REFUSALS[place[0]] if cuts or not reply.startswith(ENDS_ALL)]
            if draw(st.integers(0, 3)) == 0:
                answers[place] = draw(st.sampled_from(choices))
    cut = None
    if cuts and draw(st.integers(0, 3)) == 0:
        answers["rset", ""] = b"421 4.3.2"
    if cuts:
        how = draw(st.sampled_from(["close", "reset", "junk", "silence"]))
        after = draw(st.integers(0, 160 * len(recipients)))
        cut = Cut(how, received=after) if draw(st.booleans()) else Cut(how, sent=after)
    return Plan(
        keywords=draw(st.sampled_from([PIPELINED, CHUNKED, ONE_BY_ONE, (*ONE_BY_ONE, "CHUNKING")])),
        window=draw(st.integers(1, 5)),
        recipients=recipients,
        answers=answers,
        server={
            "at_most": draw(st.sampled_from([100, 100, 1, 2])),
            "eager": draw(st.booleans()),
            "refused_chunk_ends": draw(st.booleans()),
        },
        gulps=draw(SIZES),
        segments=draw(SIZES),
        cut=cut,
        returning=draw(st.booleans()),
        ordered=draw(st.booleans()),
    )


def through(plan: Plan) -> Run:
    """What became of a plan; of every reply, that it was told to the mail it is for."""
    done = run(
        lambda: carry(
            plan.peer(), plan.parcels(), plan.window, returning=plan.returning, ordered=plan.ordered
        ),
        lambda: Peer(Store()),
    )
    done.check()
    for parcel in done.parcels:
        for fate in parcel.fates:
            own = [refusal.reply for refusal in fate.refused]
            own += [fate.reply] if fate.reply else []
            if (
                fate.error
                and fate.error.reply
                and not (fate.error.uncertain or fate.error.type == "serverRefused")
            ):
                own.append(fate.error.reply)
            for reply in own:
                if "junk" in reply.text:
                    continue
                assert re.findall(r"\bm\d\b", reply.text) == [parcel.name], (parcel.name, reply)
            for refusal in fate.refused:
                assert local(refusal.address) in parcel.recipients
            accepted = sorted(local(address) for address in fate.accepted)
            if parcel.status == "sent":
                assert accepted == sorted(
                    name for copy in done.store.copies(parcel.name) for name in copy.recipients
                )
    return done


ANY_PLAN = settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])


@ANY_PLAN
@given(plans(cuts=True))
def test_whatever_the_server_refuses_and_wherever_it_goes_away_each_mail_is_told_the_truth(
    plan: Plan,
) -> None:
    through(plan)


@ANY_PLAN
@given(plans(cuts=False))
def test_whatever_the_server_refuses_each_mail_is_told_what_was_said_to_it_and_the_others_go_on(
    plan: Plan,
) -> None:
    done = through(plan)
    assert not done.waiting
    for parcel in done.parcels:
        (fate,) = parcel.fates
        name = parcel.name
        kind = fate.error.type if fate.error else None
        good = [one for one in parcel.recipients if not plan.refused("rcpt", one)]
        if sender := plan.refused("mail", name):
            assert kind == ("messageTooLarge" if sender.startswith(b"552") else "senderRefused")
        elif not good:
            assert kind == "recipientsRefused"
        elif (plan.refused("data", name) and "CHUNKING" not in plan.keywords) or plan.refused("end", name):
            assert kind == "messageRefused"
        else:
            assert kind is None
            assert sorted(fate.accepted) == sorted(f"{one}@x.test" for one in good)
            assert all(done.store.got(one) == 1 for one in good)
        if kind in (None, "recipientsRefused"):
            bad = {f"{one}@x.test": plan.refused("rcpt", one) for one in parcel.recipients if one not in good}
            assert {refusal.address: f"{refusal.reply.code}".encode() for refusal in fate.refused} == {
                address: reply[:3] for address, reply in bad.items() if reply
            }
