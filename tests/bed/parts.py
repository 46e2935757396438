"""A literal reader of header blocks: it shows each line for what it is on the wire and mends nothing."""

import re
from itertools import pairwise

FIELD = re.compile(rb"([!-9;-~]+):(.*)", re.DOTALL)
BOUNDARY = re.compile(r'boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.IGNORECASE)


def headers_of(content: bytes) -> list[tuple[str, str]]:
    """Names and raw, unfolded values of the header block at the start of `content`."""
    block = content.split(b"\r\n\r\n", 1)[0] if not content.startswith(b"\r\n") else b""
    pairs: list[tuple[str, str]] = []
    for line in block.split(b"\r\n") if block else []:
        if line[:1] in (b" ", b"\t"):
            assert pairs, f"I3: the header starts with a continuation line: {line!r}"
            assert line.strip(), f"I3: a header line of blanks after {pairs[-1][0]}"
            pairs[-1] = (pairs[-1][0], pairs[-1][1] + line.decode("latin-1"))
            continue
        field = FIELD.fullmatch(line)
        assert field, f"I3: not a header line: {line!r}"
        pairs.append((field[1].decode("ascii"), field[2].decode("latin-1")))
    return pairs


def part_headers(content: bytes) -> list[list[tuple[str, str]]]:
    """The headers of every part, at any depth, depth first."""
    kind = next((value for name, value in headers_of(content) if name.lower() == "content-type"), "")
    if not kind.strip().lower().startswith("multipart/"):
        return []
    named = BOUNDARY.search(kind)
    assert named, f"I3: a multipart without boundary: {kind!r}"
    boundary = re.sub(r"\\(.)", r"\1", named[1]) if named[1] is not None else named[2]
    delimiter = re.compile(rb"\r\n--" + re.escape(boundary.encode("latin-1")) + rb"(--)?[ \t]*(?=\r\n)")
    _, _, body = content.partition(b"\r\n\r\n")
    body = b"\r\n" + body + b"\r\n"
    marks = list(delimiter.finditer(body))
    assert marks, f"I3: no part between the boundaries {boundary!r}"
    closed = [mark.end() for mark in marks if mark[1]]
    assert closed == [marks[-1].end()], (
        f"I3: the boundary {boundary!r} is not closed exactly once, at the end"
    )
    found = []
    for mark, after in pairwise(marks):
        part = body[mark.end() + 2 : after.start()]
        found += [headers_of(part), *part_headers(part)]
    return found
