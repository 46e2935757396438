"""The disguises in which a secret leaks: base64 at any alignment, percent, hex and escapes."""

import base64
import json
import re
from urllib.parse import quote, quote_plus


def _base64_inside(secret: bytes) -> set[bytes]:
    """The base64 text that shows `secret` whatever stands before and after it.

    Of the three alignments the characters that also depend on a neighbour are cut off; so
    `\\0user\\0secret` of AUTH PLAIN, the two lines of LOGIN and XOAUTH2 are all found.
    """
    found = set()
    for before in range(3):
        coded = base64.b64encode(bytes(before) + secret).rstrip(b"=")
        whole = coded[(before * 8 + 5) // 6 : (before + len(secret)) * 8 // 6]
        if len(whole) >= 4:
            found |= {whole, whole.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def forms(secret: str | bytes, user: str | bytes | None = None) -> set[bytes]:
    """Every text in which `secret` must not appear; `user` adds the exact login forms."""
    raw = secret.encode() if isinstance(secret, str) else secret
    assert raw, "an empty secret is found everywhere"
    percent = {quote(raw, safe="").encode(), quote(raw).encode(), quote_plus(raw).encode()}
    percent |= {re.sub(rb"%..", lambda code: code[0].lower(), text) for text in percent}
    found = {raw, base64.b64encode(raw), *percent}
    found |= {raw.hex().encode(), raw.hex().upper().encode(), repr(raw)[2:-1].encode()}
    found |= _base64_inside(raw)
    text = raw.decode("utf-8", "replace")
    found |= {json.dumps(text)[1:-1].encode(), ascii(text)[1:-1].encode()}
    if user is not None:
        name = user.encode() if isinstance(user, str) else user
        found |= {base64.b64encode(b"\0" + name + b"\0" + raw), b"\0" + name + b"\0" + raw}
        found |= {base64.b64encode(name + b"\0" + name + b"\0" + raw)}
    return found
