"""Python's own: ``EmailMessage.as_bytes``."""

from alert_stdlib import email
from building import serve_building

serve_building(lambda alert: email(alert).as_bytes())
