"""The HTML of a mail, made ready for the closed frame it is shown in.

The frame's own policy is what keeps it harmless (no scripts, no forms, no network: see :mod:`.api`). What
happens here is for the eye: pictures of the mail itself appear, and remote ones are named instead of missing.
So a tag that these patterns do not see is not a hole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from urllib.parse import unquote

# No "<" inside a tag keeps the search linear in a text full of them.
_IMAGE = re.compile(r"<img\s[^<>]*>", re.IGNORECASE)
_REMOTE = r"""\s*(?:["']\s*)?(?:https?:)?//"""
_REMOTE_SOURCE = re.compile(rf"""\ssrc\s*={_REMOTE}([^\s"'>]*)""", re.IGNORECASE)
_REMOTE_STYLE = re.compile(rf"""(?:url\(|\sbackground\s*=){_REMOTE}""", re.IGNORECASE)
_CONTENT_ID = re.compile(r"""(?<=["'=(])cid:([^\s"'()<>]{1,998})""", re.IGNORECASE)
_DOCTYPE = re.compile(r"<!doctype[^<>]*>", re.IGNORECASE)

# Links open a new tab. :where() has no weight, so every rule of the mail itself wins.
_HEAD = (
    '<base target="_blank"><style>'
    ":where(html){font:14px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',sans-serif;"
    "color:#1d2127}"
    ":where(body){margin:22px 28px}:where(img){max-width:100%}"
    "</style>"
)
_PLACEHOLDER = (
    '<span style="display:inline-block;max-width:100%;box-sizing:border-box;overflow-wrap:anywhere;'
    "border:1px dashed #acb0b6;border-radius:6px;padding:7px 11px;font:12px/1.4 system-ui,sans-serif;"
    'color:#636870;background:#fff">Remote image not loaded: {}</span>'
)


def remote_images(html: str) -> int:
    """How many pictures the HTML would fetch from elsewhere."""
    tags = sum(1 for tag in _IMAGE.findall(html) if _REMOTE_SOURCE.search(tag))
    return tags + len(_REMOTE_STYLE.findall(html))


def framed(html: str, pictures: Mapping[str, str]) -> str:
    """The page for the frame; ``pictures`` maps a content id to the address of its part."""
    html = _IMAGE.sub(_named, html)
    html = _CONTENT_ID.sub(lambda match: pictures.get(unquote(match[1]), "data:,"), html)
    doctype = _DOCTYPE.search(html, 0, 1024)
    # Behind the doctype: before it, the browser would fall back to quirks mode.
    at = doctype.end() if doctype else 0
    return html[:at] + _HEAD + html[at:]


def _named(match: re.Match[str]) -> str:
    source = _REMOTE_SOURCE.search(match[0])
    if source is None:
        return match[0]
    address = source[1] if len(source[1]) <= 60 else source[1][:59] + "…"
    # The address stands in the mail already; escaped once more, it cannot end the placeholder.
    return _PLACEHOLDER.format(escape(address.replace("&amp;", "&")))
