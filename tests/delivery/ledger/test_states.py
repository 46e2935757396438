"""What a restart makes of each state."""

from __future__ import annotations

import pytest

from nina_smtp.delivery.ledger.states import FINAL, OWNED, WAITING, OnUncertain, State, left_behind

STOP, RESEND, ASSUME = OnUncertain.STOP, OnUncertain.RESEND, OnUncertain.ASSUME_SENT


def test_every_state_is_waiting_or_owned_or_final() -> None:
    assert set(State) == WAITING | OWNED | FINAL
    assert len(WAITING) + len(OWNED) + len(FINAL) == len(State)


@pytest.mark.parametrize("policy", OnUncertain)
@pytest.mark.parametrize("state", sorted(OWNED - {State.COMMITTING}))
def test_what_was_certainly_not_delivered_is_sent_again(state: State, policy: OnUncertain) -> None:
    assert left_behind(state, policy) is State.QUEUED


@pytest.mark.parametrize(
    ("policy", "state"), [(STOP, State.UNKNOWN), (RESEND, State.QUEUED), (ASSUME, State.SENT)]
)
def test_what_may_have_been_delivered_is_the_authors_to_say(policy: OnUncertain, state: State) -> None:
    assert left_behind(State.COMMITTING, policy) is state


def test_the_names_are_those_of_the_contract() -> None:
    assert [policy.value for policy in OnUncertain] == ["stop", "resend", "assumeSent"]
