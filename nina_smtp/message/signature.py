"""Signed mail: LimaCharlie's header, and one that also holds against replay (contract, section 6).

What is signed is the text of the body part before transfer encoding, with LF line ends: that is what a mail
reader hands to a program, whatever the relays did to the encoding.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from nina_smtp.errors import InvalidSignature
from nina_smtp.message.body import canonical

SIMPLE = "Lc-Signature"
TIMED = "X-Nina-Signature"
WINDOW = 300  # seconds a timed signature is good for


def signature_headers(secret_key: str, text: str, message_id: str, now: int) -> list[tuple[str, str]]:
    """Both headers for ``text``. Raises InvalidSignature for an empty key, which would sign for anybody."""
    if not secret_key:
        raise InvalidSignature("The key of a signature is empty.", parameter="secretKey")
    body = canonical_text(text)
    return [
        (SIMPLE, _hmac(secret_key, body)),
        (TIMED, f"v1,t={now},{_hmac(secret_key, _timed(now, message_id, body))}"),
    ]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a signed mail proves: both signatures are ``valid``, ``expired``, ``wrong`` or ``missing``."""

    lc_signature: str
    nina_signature: str
    signed_at: int | None = None
    signed_part: str | None = None
    """Which body the signatures are over: ``html`` or ``text``."""
    not_signed: tuple[str, ...] = ()
    """What else is in the mail, which anybody may have changed on the way."""
    added: tuple[str, ...] = ()
    """Bodies that no mail of ours has: a reader might show one in the place of the signed one."""

    @property
    def genuine(self) -> bool:
        """Whether a signature is there, none that is there is wrong, and no body stands beside the signed."""
        verdicts = {self.lc_signature, self.nina_signature}
        return "valid" in verdicts and not verdicts & {"wrong", "expired"} and not self.added


def verify(
    secret_key: str, text: str, message_id: str, headers: dict[str, str], *, now: int | None = None
) -> Verdict:
    """Checks both headers (``headers`` by lower-case name) in constant time, and the time too if given."""
    if not secret_key:
        raise InvalidSignature("The key of a signature is empty.", parameter="key")
    body = canonical_text(text)
    simple = headers.get(SIMPLE.lower())
    plain = "missing" if simple is None else _judge(simple, _hmac(secret_key, body))
    timed = headers.get(TIMED.lower())
    if timed is None:
        return Verdict(plain, "missing")
    version, _, rest = timed.partition(",t=")
    stamp, _, digest = rest.partition(",")
    if version != "v1" or not stamp.isdecimal() or len(stamp) > 12 or not stamp.isascii():
        return Verdict(plain, "wrong")
    signed_at = int(stamp)
    judged = _judge(digest, _hmac(secret_key, _timed(signed_at, message_id, body)))
    if judged == "valid" and now is not None and abs(now - signed_at) > WINDOW:
        judged = "expired"
    return Verdict(plain, judged, signed_at)


def is_signed(secret_key: str, content: bytes, signature: str) -> bool:
    """Whether ``signature`` is that of exactly these octets: LimaCharlie's ``lc-signature`` of a webhook.

    In constant time. Raises InvalidSignature for an empty key.
    """
    if not secret_key:
        raise InvalidSignature("The key of a signature is empty.", parameter="key")
    return _judge(signature.strip(), _hmac(secret_key, content)) == "valid"


def canonical_text(text: str) -> bytes:
    """``text`` in UTF-8 with LF line ends: what both sides sign. Raises ParameterError for a surrogate."""
    return canonical(text).replace(b"\r\n", b"\n")


def _timed(stamp: int, message_id: str, body: bytes) -> bytes:
    return f"v1:{stamp}:{message_id}:".encode(errors="replace") + body


def _hmac(secret_key: str, content: bytes) -> str:
    return hmac.new(secret_key.encode(errors="surrogatepass"), content, hashlib.sha256).hexdigest()


def _judge(given: str, right: str) -> str:
    return "valid" if hmac.compare_digest(given.encode(errors="replace"), right.encode()) else "wrong"
