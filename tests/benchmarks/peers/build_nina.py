"""Ours: ``nina_smtp.message.compose``."""

from typing import Any

from building import serve_building

from nina_smtp.message import Email, compose


def build(alert: dict[str, Any]) -> bytes:
    return compose(
        Email(
            sender=alert["from"],
            to=alert["to"],
            subject=alert["subject"],
            text=alert["text"],
            html=alert["html"],
            headers=alert["headers"],
        )
    ).bytes


serve_building(build)
