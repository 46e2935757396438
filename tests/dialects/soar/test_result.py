"""The action result, as a playbook reads it."""

from __future__ import annotations

import json

import pytest

from nina_smtp.delivery.result import Result, Status
from nina_smtp.dialects.soar.result import action_result, failed_result
from nina_smtp.errors import DeliveryUncertain, InvalidConfiguration, MessageRefused, NinaError
from nina_smtp.smtp.replies import Reply


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (Result(Status.FAILED, error=InvalidConfiguration("Wrong.", hint="Mend it.")), "Wrong. Mend it."),
        (Result(Status.FAILED, error=InvalidConfiguration("Wrong.")), "Wrong."),
        (
            Result(Status.FAILED, error=MessageRefused("No.", reply=Reply(554, ("5.7.1 Spam",)))),
            "Email send failed. Error Code: 554. Error Message: 5.7.1 Spam",
        ),
        (Result(Status.UNKNOWN, error=DeliveryUncertain("Lost.", hint="Look.")), "Lost. Look."),
        (Result(Status.DEFERRED), "Email not sent yet. It is in the ledger, and is sent again later"),
        (Result(Status.NOT_ATTEMPTED), "Email send failed"),
    ],
)
def test_what_was_not_sent_is_failed_and_says_why(result: Result, message: str) -> None:
    done = action_result({"to": "a@x.test"}, result)
    assert done["action_result"]["status"] == "failed"
    assert done["action_result"]["message"] == message
    assert done["action_result"]["parameter"] == {"to": "a@x.test"}
    assert done["summary"] == {"total_objects": 1, "total_objects_successful": 0}
    json.dumps(done)


def test_an_error_before_any_mail_has_the_same_shape() -> None:
    done = failed_result({}, NinaError("No."))
    assert set(done) == {"action_result", "summary", "delivery"}
    assert done["delivery"]["error"]["message"] == "No."


def test_what_was_sent_is_a_success() -> None:
    done = action_result({}, Result(Status.SENT), ("a", "b"))
    expected = "Email sent. The following attachments are invalid and were not sent: a, b"
    assert done["action_result"]["message"] == expected
    assert action_result({}, Result(Status.SENT))["action_result"]["message"] == "Email sent"
