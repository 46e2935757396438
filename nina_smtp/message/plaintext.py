"""The plain-text alternative of an HTML body."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_PARAGRAPHS = frozenset(
    ("blockquote", "dl", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul")
)
_BLOCKS = _PARAGRAPHS.union(
    ("address", "article", "aside", "center", "dd", "div", "dt", "fieldset", "figcaption", "footer", "form"),
    ("header", "hr", "li", "main", "nav", "section", "tr"),
)
_HIDDEN = frozenset(("head", "script", "style", "template", "title"))
_DECLARATION = re.compile(r"<[!?][^>]*>")
_SPACE = re.compile(r"[ \t\r\n\f]+")
_NO_CHARACTER = re.compile(r"&#(?=[0-9]{8})")  # beyond Unicode; Python refuses to read numbers of 4301 digits


def text_from_html(html: str) -> str:
    """What a person would read: blocks on lines of their own, lists with dashes, links with their address.

    Linear in the size of the HTML, and never fails: what cannot be parsed is text.
    """
    reader = _Reader()
    reader.feed(_only_tags(html))
    reader.close()
    return reader.text()


def _only_tags(html: str) -> str:
    """``html`` without comments and declarations, and with no tag left open at the end.

    Those are what makes the stdlib's parser search the rest of the text again and again, or give up. What
    looks like one only after another was taken out is text.
    """
    kept: list[str] = []
    position = 0
    while (start := html.find("<!--", position)) >= 0:
        kept.append(html[position:start])
        end = html.find("-->", start + 2)
        position = len(html) if end < 0 else end + 3
    kept.append(html[position:])
    html = "".join(kept)
    end = html.rfind(">") + 1
    html = _DECLARATION.sub("", html[:end]) + html[end:].replace("<", "&lt;")
    html = html.replace("<!", "&lt;!").replace("<?", "&lt;?")
    end = html.rfind(">") + 1
    html = html[:end] + html[end:].replace("<", "&lt;")
    return _NO_CHARACTER.sub("&amp;#", html) if "&#" in html else html


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._out: list[str] = []
        self._breaks = 2  # line ends the output already ends with; at the start no blank line is wanted
        self._hidden = (
            ""  # the element that hides what is inside it, and how deep we are in elements of its name
        )
        self._depth = 0
        self._preformatted = 0
        self._lists: list[int | None] = []
        self._link: tuple[str, int] | None = None  # the address, and where its text begins

    def text(self) -> str:
        lines = "".join(self._out).split("\n")
        return "\n".join(line.rstrip() for line in lines).strip("\n") + "\n"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body" and self._hidden in ("head", "title"):
            self._hidden = ""  # nobody has to close the head
        if self._hidden:
            self._depth += tag == self._hidden
        elif tag in _HIDDEN:
            self._hidden, self._depth = tag, 1
        elif tag == "br":
            self._break(self._breaks + 1)
        elif tag == "a":
            self._end_link()  # links do not nest
            self._link = dict(attrs).get("href") or "", len(self._out)
        elif tag == "img":
            self.handle_data(dict(attrs).get("alt") or "")
        elif tag in ("td", "th"):
            self._gap()
        elif tag in _BLOCKS:
            self._block(tag)

    def _block(self, tag: str) -> None:
        self._break(2 if tag in _PARAGRAPHS and not (self._lists and tag in ("ul", "ol")) else 1)
        if tag == "hr":
            self._write("-" * 20)
            self._break(1)
        elif tag == "pre":
            self._preformatted += 1
        elif tag in ("ul", "ol"):
            self._lists.append(1 if tag == "ol" else None)
        elif tag == "li":
            number = self._lists[-1] if self._lists else None
            if number is not None:
                self._lists[-1] = number + 1
            self._write(
                "  " * min(max(len(self._lists) - 1, 0), 8) + (f"{number}. " if number is not None else "- ")
            )
            self._breaks = -1  # the text of the item starts on this line

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            self._depth -= tag == self._hidden
            if not self._depth:
                self._hidden = ""
        elif tag == "a":
            self._end_link()
        elif tag in _BLOCKS:
            if tag == "pre":
                self._preformatted = max(self._preformatted - 1, 0)
            elif tag in ("ul", "ol") and self._lists:
                self._lists.pop()
            self._break(2 if tag in _PARAGRAPHS and not self._lists else 1)

    def _end_link(self) -> None:
        if self._link is None:
            return
        address, start = self._link
        self._link = None
        shown = "".join(self._out[start:]).strip()
        known = address.startswith(("http://", "https://", "mailto:"))
        if known and address.removeprefix("mailto:") != shown:
            self._write(f" <{address}>" if shown else f"<{address}>")

    def handle_data(self, data: str) -> None:
        if self._hidden or not data:
            return
        if self._preformatted:
            self._write(data)
            self._breaks = len(data) - len(data.rstrip("\n"))
            return
        text = _SPACE.sub(" ", data)
        if self._breaks != 0 or (self._out and self._out[-1].endswith((" ", "\t"))):
            text = text.lstrip(" ")
        if text:
            self._write(text)

    def _write(self, text: str) -> None:
        self._out.append(text)
        self._breaks = 0

    def _gap(self) -> None:
        if self._breaks == 0:
            self._write("\t")

    def _break(self, lines: int) -> None:
        if not self._out:
            return
        missing = lines - max(self._breaks, 0)
        if missing > 0:
            self._out.append("\n" * missing)
            self._breaks = lines
