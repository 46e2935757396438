"""Ours: ``nina_smtp.message.compose``."""

from alert_nina import email
from building import serve_building

from nina_smtp.message import compose

serve_building(lambda alert: compose(email(alert)).bytes)
