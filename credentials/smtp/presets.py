"""Settings of well-known providers, each with the one thing to know about it."""

from __future__ import annotations

from nina_smtp.credential import Preset

_STARTTLS = {"port": 587, "encryption": "starttls"}
_APP_PASSWORD = "Use an app password, not the account's own: it needs 2-step verification to be on."  # noqa: S105


def _preset(name: str, title: str, host: str, hint: str, **values: object) -> Preset:
    return Preset(name, title, {"host": host, **_STARTTLS, "authMethod": "login", **values}, hint)


PRESETS = (
    _preset("gmail", "Gmail", "smtp.gmail.com", _APP_PASSWORD),
    _preset(
        "office365",
        "Office 365",
        "smtp.office365.com",
        "SMTP AUTH has to be allowed for the mailbox; where passwords are switched off, use smtpOAuth2.",
    ),
    _preset("outlook", "Outlook.com", "smtp-mail.outlook.com", "Personal accounts need smtpOAuth2 by now."),
    _preset("yahoo", "Yahoo", "smtp.mail.yahoo.com", _APP_PASSWORD, port=465, encryption="tls"),
    _preset(
        "sendgrid",
        "SendGrid",
        "smtp.sendgrid.net",
        "The user name is the word apikey; the password is the key.",
        username="apikey",
    ),
    _preset("mailgun", "Mailgun", "smtp.mailgun.org", "Domains in the EU region use smtp.eu.mailgun.org."),
    _preset(
        "ses",
        "Amazon SES",
        "email-smtp.{region}.amazonaws.com",
        "Use SMTP credentials made in the SES console, not IAM access keys; put your region into the host.",
    ),
    _preset(
        "self-hosted",
        "Self-hosted",
        "",
        "Ask its operator for host, port and encryption, or run: nina-smtp doctor HOST",
    ),
    Preset(
        "inbox",
        "Local inbox",
        {"host": "127.0.0.1", "port": 2525, "encryption": "none", "authMethod": "none"},
        "Start it with: nina-smtp inbox. It catches every mail and delivers none.",
    ),
)
