"""The mail for people: the facts first, then the whole element.

Made for a phone as much as for a desktop, with nothing but tables and inline styles, which is what mail
readers have in common: no images, no scripts, nothing fetched. Its tables read well as plain text, too
(:mod:`nina_smtp.message.plaintext`).
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import urlsplit

from .streams import Facts, Severity, facts
from .tables import INK, LINE, SANS, SOFT, TABLE, WRAP, readable_time, tables, visible

_GROUND = "#eef1f5"
_COLOURS: Mapping[Severity | None, str] = {  # white on each has a contrast of at least 5 to 1
    Severity.CRITICAL: "#9b1633",
    Severity.HIGH: "#b8380f",
    Severity.MEDIUM: "#85610a",
    Severity.LOW: "#1d5fa6",
    Severity.INFO: "#4a5565",
    None: "#36506e",
}


def html(element: Any, stream: str) -> str:
    """A page about one element, for a person. Never raises, and takes a moment, whatever the element is.

    Its limits are those of :mod:`~nina_smtp.dialects.limacharlie.tables`; the rest of the page is a few
    kilobytes.
    """
    known = facts(element, stream)
    colour = _COLOURS[known.severity]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<meta name="color-scheme" content="light">\n'
        f"<title>{escape(known.name)}</title>\n</head>\n"
        f'<body style="margin:0;padding:0;background:{_GROUND};color:{INK}">\n'
        f'<table role="presentation" width="100%" cellpadding="0" cellspacing="0" bgcolor="{_GROUND}">'
        '<tr><td align="center" style="padding:20px 8px">\n'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:680px;'
        f"background:#ffffff;border:1px solid #d5dbe4;border-top:5px solid {colour};border-radius:8px;"
        'text-align:left;border-collapse:separate">\n'
        f'<tr><td style="padding:20px 18px 24px;font-family:{SANS}">\n'
        f"{_head(known, colour)}{_key_facts(known)}{_button(known.link, colour)}"
        f"{tables(element)}"
        "</td></tr>\n</table>\n</td></tr></table>\n</body>\n</html>\n"
    )


def _head(known: Facts, colour: str) -> str:
    badge = ""
    if known.severity:
        badge = (
            f'<span style="background:{colour};color:#ffffff;border-radius:10px;padding:3px 10px;'
            f'font-size:12px;font-weight:600;margin-right:6px">{known.severity.value.capitalize()}</span> '
        )
    return (
        f'<div style="font-size:13px;line-height:1.6;color:{SOFT}">{badge}LimaCharlie {known.title}</div>\n'
        f'<h1 style="margin:8px 0 18px;font-size:22px;line-height:1.3;font-weight:600;{WRAP}">'
        f"{escape(known.name, quote=False)}</h1>\n"
    )


def _key_facts(known: Facts) -> str:
    severity = known.severity.value.capitalize() if known.severity else ""
    priority = f"priority {known.priority}" if known.priority else ""
    rows = (
        ("Severity", ", ".join(part for part in (severity, priority) if part)),
        ("Host", known.where),
        ("User", known.user),
        ("Time", readable_time(known.when)),
        ("What", known.what),
        ("Source rule", known.rule),
        *known.more,
        ("Link", "" if _safe_link(known.link) else known.link),
    )
    cells = "".join(
        f'<tr valign="top"><th width="34%" style="padding:7px 10px 7px 0;font:400 14px/20px {SANS};'
        f'color:{SOFT};text-align:left;border-top:1px solid {LINE}">{label}</th>'
        f'<td style="padding:7px 0;font:14px/20px {SANS};{WRAP};border-top:1px solid {LINE}">'
        f"{visible(value)}</td></tr>\n"
        for label, value in rows
        if value
    )
    return f"<table {TABLE}>\n{cells}</table>\n" if cells else ""


def _button(link: str, colour: str) -> str:
    """Says where it leads: the text of a link is what a person believes."""
    host = _safe_link(link)
    if not host:
        return ""
    return (
        f'<p style="margin:20px 0 0"><a href="{escape(link)}" style="display:inline-block;'
        f"background:{colour};color:#ffffff;text-decoration:none;font-size:15px;font-weight:600;"
        "padding:11px 20px;"
        f'border-radius:6px;{WRAP}">Open {escape(host)}</a></p>\n'
    )


def _safe_link(link: str) -> str:
    """The host of a link that may be a button, else nothing: https, and no characters that mislead."""
    if not (link.lower().startswith("https://") and link.isascii() and link.isprintable()):
        return ""
    if any(character in link for character in " \"'<>\\`{}…"):
        return ""
    try:
        parts = urlsplit(link)
        return "" if "@" in parts.netloc else (parts.hostname or "")[:80]
    except ValueError:
        return ""
