"""Whose mail is next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from nina_smtp.errors import ConnectFailed, ParameterError
from nina_smtp.smtp.capabilities import Capabilities
from nina_smtp.smtp.mail import Delivery, Mail, Shipment
from nina_smtp.smtp.turns import Source, Turns


class Parcel(Shipment):
    def __init__(self, name: str, *, fault: Exception | None = None) -> None:
        self.name = name
        self.fault = fault
        self.fates: list[Delivery] = []

    def prime(self) -> None:
        if self.fault:
            raise self.fault

    def prepare(self, capabilities: Capabilities) -> Mail:
        raise NotImplementedError

    def settled(self, delivery: Delivery) -> None:
        self.fates.append(delivery)


def source(parcels: Iterable[Parcel], *, ordered: bool = False) -> Source:
    waiting = deque(parcels)
    return Source(lambda: waiting.popleft() if waiting else None, backlog=waiting.__len__, ordered=ordered)


def parcels(name: str, count: int) -> list[Parcel]:
    return [Parcel(f"{name}{number}") for number in range(count)]


def taken(turns: Turns, lane: object, count: int) -> list[str]:
    names = []
    for _ in range(count):
        shipment = turns.take(lane)
        assert isinstance(shipment, Parcel | None)
        if shipment:
            names.append(shipment.name)
    return names


# -- what goes wrong ---------------------------------------------------------------------------------


def test_when_nothing_can_be_opened_everything_that_waits_is_told_so() -> None:
    mails = parcels("a", 3)
    error = ConnectFailed("no")
    source(mails).fail(error)
    assert [[fate.error for fate in mail.fates] for mail in mails] == [[error]] * 3
    assert [mail.fates[0].attempts for mail in mails] == [1, 0, 0]


def test_a_mail_that_cannot_be_built_is_told_that_and_not_that_the_server_is_gone() -> None:
    mails = parcels("a", 3)
    mails[0].fault = ParameterError("bad")
    error = ConnectFailed("no")
    source(mails).fail(error)
    assert [mail.fates[0].error for mail in mails] == [mails[0].fault, error, error]
    assert [mail.fates[0].attempts for mail in mails] == [0, 1, 0]


def test_a_mail_that_was_withdrawn_while_it_waited_again_is_not_handed_out() -> None:
    turns, mails = Turns(), parcels("a", 2)
    one = source(mails)
    turns.add(one)
    back = turns.take("lane")
    assert back is mails[0]
    one.landed()
    one.put_back(back)
    back.withdrawn = True
    assert taken(turns, "lane", 3) == ["a1"]
    (fate,) = mails[0].fates
    assert fate.error
    assert fate.error.type == "interrupted"


# -- turns -------------------------------------------------------------------------------------------


def test_one_mail_is_next_though_a_thousand_came_before() -> None:
    turns = Turns()
    turns.add(source(parcels("a", 1000)))
    taken(turns, "lane", 100)
    turns.add(source(parcels("b", 1)))
    assert "b0" in taken(turns, "lane", 2)
    assert len(taken(turns, "lane", 2000)) == 1000 - 101


def test_all_callers_take_turns() -> None:
    turns = Turns()
    for name in "abc":
        turns.add(source(parcels(name, 3)))
    assert taken(turns, "lane", 9) == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]
    assert turns.take("lane") is None
    assert not turns


def test_what_came_back_is_next_and_in_order() -> None:
    turns, mails = Turns(), parcels("a", 5)
    one = source(mails, ordered=True)
    turns.add(one)
    for shipment in [turns.take("lane"), turns.take("lane")]:
        assert shipment
        one.landed()
        one.put_back(shipment)
    assert taken(turns, "other", 9) == ["a0", "a1", "a2", "a3", "a4"]


def test_what_came_back_twice_keeps_its_place() -> None:
    turns, mails = Turns(), parcels("a", 3)
    one = source(mails, ordered=True)
    turns.add(one)
    for count in (2, 1):  # both come back, and then the first alone once more
        for shipment in [turns.take("lane") for _ in range(count)]:
            assert shipment
            one.landed()
            one.put_back(shipment)
    assert turns.first() is mails[0]
    assert taken(turns, "other", 9) == ["a0", "a1", "a2"]


def test_the_first_is_looked_at_and_stays_in_its_place() -> None:
    turns, mails = Turns(), parcels("a", 3)
    mails[0].fault = ParameterError("bad")
    turns.add(source(mails))
    assert turns.first() is turns.first() is mails[1]
    assert len(mails[0].fates) == 1
    assert taken(turns, "lane", 9) == ["a1", "a2"]


def test_where_nobody_has_any_there_is_no_first() -> None:
    turns, mails = Turns(), parcels("a", 1)
    mails[0].fault = ParameterError("bad")
    turns.add(source(mails))
    assert turns.first() is None
    assert not turns


def test_the_backlog_of_a_thousand_callers_is_not_counted_to_its_end() -> None:
    turns = Turns()
    for _ in range(3):
        turns.add(source(parcels("a", 10)))
    assert turns.backlog(5) == 10
    assert turns.backlog(100) == 30


# -- order -------------------------------------------------------------------------------------------


def test_an_ordered_caller_is_on_one_connection_at_a_time() -> None:
    turns = Turns()
    one = source(parcels("a", 3), ordered=True)
    turns.add(one)
    assert taken(turns, "left", 1) == ["a0"]
    assert taken(turns, "right", 1) == []
    assert turns.backlog(9) == 0  # another connection would be of no use to it
    assert taken(turns, "left", 1) == ["a1"]
    one.landed()
    assert taken(turns, "right", 1) == []
    one.landed()
    assert turns.backlog(9) == 1
    assert taken(turns, "right", 1) == ["a2"]


def test_an_ordered_caller_keeps_nobody_else_waiting() -> None:
    turns = Turns()
    turns.add(source(parcels("a", 3), ordered=True))
    turns.add(source(parcels("b", 3)))
    assert taken(turns, "left", 1) == ["a0"]
    assert taken(turns, "right", 9) == ["b0", "b1", "b2"]
    assert taken(turns, "left", 9) == ["a1", "a2"]


@given(
    st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=4),
    st.lists(st.tuples(st.sampled_from(["take", "land", "return"]), st.integers(0, 2)), max_size=80),
)
def test_whatever_happens_each_mail_is_handed_out_once_and_in_order(
    callers: list[tuple[int, bool]], steps: list[tuple[str, int]]
) -> None:
    turns = Turns()
    ordered = {}
    for number, (count, in_order) in enumerate(callers):
        name = "abcd"[number]
        ordered[name] = in_order
        turns.add(source(parcels(name, count), ordered=in_order))
    flight: dict[int, list[Parcel]] = {0: [], 1: [], 2: []}
    landed: list[str] = []

    def land(lane: int) -> None:
        if flight[lane]:
            parcel = flight[lane].pop(0)
            assert parcel.source
            parcel.source.landed()
            landed.append(parcel.name)

    def step(what: str, lane: int) -> None:
        if what == "take":
            shipment = turns.take(lane)
            if shipment:
                assert isinstance(shipment, Parcel)
                flight[lane].append(shipment)
        elif what == "land":
            land(lane)
        else:  # the connection breaks: all of it comes back
            broken, flight[lane] = flight[lane], []
            for parcel in broken:
                assert parcel.source
                parcel.source.landed()
                parcel.source.put_back(parcel)
                turns.add(parcel.source)
        for name in ordered:
            lanes = [lane for lane in flight if any(parcel.name[0] == name for parcel in flight[lane])]
            assert len(lanes) <= 1 or not ordered[name]

    for what, lane in steps:
        step(what, lane)
    for lane in (0, 1, 2):
        while flight[lane]:
            land(lane)
    while turns:
        step("take", 0)
        land(0)
    assert sorted(landed) == sorted(
        f"{'abcd'[n]}{i}" for n, (count, _) in enumerate(callers) for i in range(count)
    )
    for name, in_order in ordered.items():
        mine = [one for one in landed if one[0] == name]
        assert mine == sorted(mine) or not in_order
