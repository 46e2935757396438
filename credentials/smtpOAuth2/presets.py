"""Settings of the providers that ask for OAuth, each with the one thing to set up there."""

from __future__ import annotations

from nina_smtp.credential import Preset

_STARTTLS = {"port": 587, "encryption": "starttls"}
_MICROSOFT = "https://login.microsoftonline.com"


def _microsoft(tenant: str) -> dict[str, object]:
    return {
        "authUrl": f"{_MICROSOFT}/{tenant}/oauth2/v2.0/authorize",
        "tokenUrl": f"{_MICROSOFT}/{tenant}/oauth2/v2.0/token",
        "deviceUrl": f"{_MICROSOFT}/{tenant}/oauth2/v2.0/devicecode",
        "scopes": "https://outlook.office.com/SMTP.Send offline_access",
        "grant": "authorizationCode",
    }


PRESETS = (
    Preset(
        "gmail",
        "Gmail",
        {
            "host": "smtp.gmail.com",
            **_STARTTLS,
            "authUrl": "https://accounts.google.com/o/oauth2/v2/auth?access_type=offline&prompt=consent",
            "tokenUrl": "https://oauth2.googleapis.com/token",
            "scopes": "https://mail.google.com/",
            "grant": "authorizationCode",
        },
        "Make an OAuth client of type Desktop app in the Google Cloud console; put in its ID and secret. "
        "While the app is in testing, its tokens end after seven days.",
    ),
    Preset(
        "office365",
        "Microsoft 365",
        {"host": "smtp.office365.com", **_STARTTLS, **_microsoft("{tenant}")},
        "Register an application in Entra with the redirect URI http://localhost for mobile and desktop, and "
        "the delegated permission SMTP.Send; put your tenant's ID into the URLs, and allow SMTP AUTH for the "
        "mailbox.",
    ),
    Preset(
        "office365-service",
        "Microsoft 365, without a person",
        {
            "host": "smtp.office365.com",
            **_STARTTLS,
            "tokenUrl": f"{_MICROSOFT}/{{tenant}}/oauth2/v2.0/token",
            "scopes": "https://outlook.office365.com/.default",
            "grant": "clientCredentials",
        },
        "The application needs the permission SMTP.SendAsApp with an administrator's consent, and a service "
        "principal in Exchange with full access to the mailbox (Add-MailboxPermission).",
    ),
    Preset(
        "outlook",
        "Outlook.com",
        {"host": "smtp-mail.outlook.com", **_STARTTLS, **_microsoft("consumers")},
        "Register an application in Entra that personal accounts may use, with the redirect URI "
        "http://localhost for mobile and desktop.",
    ),
)
