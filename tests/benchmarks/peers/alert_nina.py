"""An alert, as nina_smtp has it."""

from typing import Any

from nina_smtp.message import Email


def email(alert: dict[str, Any]) -> Email:
    return Email(
        sender=alert["from"],
        to=alert["to"],
        subject=alert["subject"],
        text=alert["text"],
        html=alert["html"],
        headers=alert["headers"],
    )
