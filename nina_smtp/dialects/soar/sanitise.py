"""HTML without what runs, and without styles that load anything or hide text.

This is what ``should_sanitize_template`` promises. Images stay, also those that a mail reader loads from
``https:``: mails have logos, and whoever has the server learns that the mail was opened. Text in the colour
of what is behind it stays too: no style alone tells that.

The work is done by nh3 (Rust's ammonia), which parses as a browser does. What it gives back is sent as it
is: nothing unescapes it again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

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

_IMPORTANT = re.compile(r"(?<!\s)\s*!\s*important\Z")
_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_COLOUR = re.compile(r"#\w+|\([^)]*\)")
_TOKEN = re.compile(
    r"-?[a-z_][\w-]*|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?P<unit>%|-?[a-z_][\w-]*)?", re.ASCII
)
"""A word, or a number with its unit, as CSS takes them apart: ``0-9px`` is two numbers."""

_SHOWN = frozenset(
    """
    block inline inline-block inline-table list-item table table-caption table-cell table-footer-group
    table-header-group table-row table-row-group
    """.split()  # noqa: SIM905
)
_OPAQUE = re.compile(
    r"#(?:[0-9a-f]{3}|[0-9a-f]{6})|(?!transparent)[a-z]+|(?:rgb|hsl)a?\((?:[^,/]+,){2}[^,/]+\)"
    r"|(?:rgb|hsl)a?\([^,/]+\)"
)
"""A colour without a word on how much of it is seen."""

_EM, _WIDTH = 16, 600
_UNITS = {
    "": 1, "px": 1, "pt": 4 / 3, "pc": 16, "in": 96, "cm": 37.8, "mm": 3.78, "q": 0.945, "em": _EM,
    "rem": _EM, "ex": _EM / 2, "ch": _EM / 2, "vw": 6, "vh": 6, "vmin": 6, "vmax": 6,
}  # fmt: skip
_LENGTHS = {
    "border-radius": (0, math.inf),
    "border": (0, 50),
    "font": (6, math.inf),
    "height": (1, math.inf),
    "letter-spacing": (-2, 50),
    "line-height": (0, 300),
    "margin": (0, 500),
    "max": (1, math.inf),
    "padding": (0, 500),
    "text-indent": (0, 300),
    "vertical-align": (-50, 50),
    "width": (1, math.inf),
    "word-spacing": (-2, 100),
}
"""Beyond these text is too small to be seen, in a box of no size, or moved to where nobody looks."""


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
    kept = [one.strip() for one in value.split(";") if _is_kept(*one.partition(":")[::2])]
    return ";".join(kept) or None


def _is_kept(name: str, value: str) -> bool:
    """Whether a declaration is one that is known to load nothing and to hide nothing."""
    name, value = name.strip().lower(), value.strip().lower()
    if name not in PROPERTIES or not _VALUE.fullmatch(value):
        return False
    value = _STRING.sub(" ", _IMPORTANT.sub("", value))
    if "'" in value or '"' in value:
        return False
    if name == "display":
        return value in _SHOWN
    if name == "color":
        return bool(_OPAQUE.fullmatch(value))
    least, most = _bounds(name)
    return all(least <= size <= most for size in _sizes(name, value))


def _bounds(name: str) -> tuple[float, float]:
    """What the lengths of a property may be, in pixels: those of its name, or of what that begins with."""
    return _LENGTHS.get(name) or _LENGTHS.get(name.partition("-")[0]) or (-math.inf, math.inf)


def _sizes(name: str, value: str) -> Iterator[float]:
    """The lengths in a value, in pixels of a usual mail; one in a unit that is not known is none at all."""
    for found in _TOKEN.finditer(_COLOUR.sub(" ", value)):
        if found["number"]:
            percent = _EM / 100 if name in ("font", "font-size") else _WIDTH / 100
            factor = percent if found["unit"] == "%" else _UNITS.get(found["unit"] or "", math.nan)
            yield float(found["number"]) * factor
