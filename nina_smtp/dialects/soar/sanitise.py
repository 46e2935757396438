"""HTML without anything that runs, loads or hides: what ``should_sanitize_template`` promises.

The work is done by nh3 (Rust's ammonia), which parses as a browser does. What it gives back is sent as it
is: nothing unescapes it again.
"""

from __future__ import annotations

import re

from nina_smtp.errors import InvalidConfiguration

TAGS = frozenset(
    """
    a abbr b bdi bdo blockquote br caption center cite code col colgroup dd del div dl dt em figcaption figure
    font h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strike strong sub sup table
    tbody td tfoot th thead tr tt u ul var
    """.split()  # noqa: SIM905 - a text of names reads better than a list of quotes
)
PROPERTIES = frozenset(
    """
    background-color border border-bottom border-bottom-color border-bottom-style border-bottom-width
    border-collapse border-color border-left border-left-color border-left-style border-left-width
    border-radius border-right border-right-color border-right-style border-right-width border-spacing
    border-style border-top border-top-color border-top-style border-top-width border-width color
    direction display font font-family font-size font-style font-variant font-weight height
    letter-spacing line-height list-style-type margin margin-bottom margin-left margin-right margin-top
    max-height max-width min-height min-width padding padding-bottom padding-left padding-right
    padding-top table-layout text-align text-decoration text-indent text-transform vertical-align
    white-space width word-break word-spacing word-wrap
    """.split()  # noqa: SIM905
)

_TABLE = frozenset({"align", "valign", "bgcolor", "width", "height"})
_CELL = _TABLE | {"colspan", "rowspan", "nowrap", "scope"}
_ATTRIBUTES = {
    "*": {"align", "dir", "lang", "style", "title"},
    "a": {"href"},
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
    "font": {"color", "face", "size"},
    "hr": {"size", "width"},
    "img": {"src", "alt", "width", "height", "border"},
    "li": {"value"},
    "ol": {"start", "type"},
    "table": {*_TABLE, "border", "cellpadding", "cellspacing", "role"},
    "td": set(_CELL),
    "th": set(_CELL),
    "tr": set(_TABLE),
    "ul": {"type"},
}
_LINK = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_IMAGE = re.compile(r"cid:|https://|data:image/(?:png|gif|jpeg|webp);base64,[A-Za-z0-9+/=]*\Z", re.IGNORECASE)
# No function but colours: url() loads, expression() runs. No backslash: it spells anything.
_VALUE = re.compile(r"(?:[\w #%.,'\"!+-]|(?:rgb|hsl)a?\([\d .,%/deg]*\))*", re.ASCII)


def sanitised(html: str) -> str:
    """``html`` as a fragment of what :data:`TAGS` allows. Raises InvalidConfiguration without nh3."""
    try:
        import nh3
    except ImportError:
        raise InvalidConfiguration(
            "The library that sanitises HTML is not installed.",
            hint='pip install "nina-smtp[dialects]"',
            parameter="should_sanitize_template",
        ) from None
    return nh3.clean(
        html,
        tags=set(TAGS),
        clean_content_tags={"script", "style", "title"},
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes={"http", "https", "mailto", "cid", "data"},
        url_relative="deny",
        filter_style_properties=set(PROPERTIES),
    )


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "href":
        return value if _LINK.match(value) else None
    if name == "src":
        return value if _IMAGE.match(value) else None
    if name == "style":
        return _style(value)
    return value


def _style(value: str) -> str | None:
    kept = [one.strip() for one in value.split(";") if _VALUE.fullmatch(one.partition(":")[2])]
    return ";".join(filter(None, kept)) or None
