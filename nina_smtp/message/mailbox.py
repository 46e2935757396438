"""Mailboxes from text (RFC 5322 3.4), strictly: text that two readers could read differently is refused.

The rules, in the order they are applied:

1. A text is at most 64 KiB, a list at most 1000 mailboxes; every scan below is linear.
2. A list is separated by commas. A named group ``Name: a@x, b@y;`` stands for its members, of which it may
   have none; groups do not nest.
3. A mailbox is ``local@domain``, or a display name before ``<local@domain>``. An unquoted name may not hold
   ``@ , ; : < > " [ ] \\``. A comment may follow a complete mailbox, and nothing may follow a comment: text
   is never joined across one. Source routes are refused.
4. The local part is a dot-atom or a quoted string without ``< >``; UTF-8 in it needs SMTPUTF8 on the way.
5. The domain is normalised once, by IDNA 2008 and UTS 46 non-transitional, to lower-case A-labels, and that
   one value is used everywhere. Address literals, single labels and names that cannot receive mail
   (``.invalid``, ``.onion``, ``.arpa``, ``localhost``) are refused; private ones (``.local``, ``.test``) are
   not.

Plain ASCII addresses take a fast path of one regular expression with the same rules; the rest is judged by
email-validator.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from nina_smtp.errors import InvalidAddress

MAX_TEXT = 64 * 1024
MAX_MAILBOXES = 1000
SHORT = 400  # characters; the mailboxes of shorter texts are remembered
MAX_LOCAL_PART = 64  # octets, RFC 5321 4.5.3.1.1
MAX_ADDRESS = 254  # octets, RFC 5321 4.5.3.1.3 less the angle brackets

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_LABEL = r"(?!..--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOT_ATOM = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_PLAIN = re.compile(
    rf"({_ATEXT}{{1,64}}(?:\.{_ATEXT}{{1,63}})*)@((?:{_LABEL}\.){{1,20}}(?!\d+\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)"
)
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_UNDELIVERABLE = frozenset({"invalid", "onion", "arpa", "localhost"})
_TOKEN = re.compile(
    r"""(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<comment>\((?:[^()\\]|\\.)*\))|(?P<angle><(?:[^<>"]|"(?:[^"\\]|\\.)*")*>)"""
    r"""|(?P<mark>[,;:])|(?P<text>[^",;:()<]+)""",
    re.DOTALL,
)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_NAME_SPECIALS = frozenset('@,;:<>"[]\\')


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox: ``local_part`` as it goes on the wire (quoted if need be), ``domain`` in A-labels."""

    local_part: str
    domain: str
    display_name: str = ""

    @property
    def address(self) -> str:
        """``local@domain``, as in an envelope."""
        return f"{self.local_part}@{self.domain}"

    def __str__(self) -> str:
        return f"{self.display_name} <{self.address}>" if self.display_name else self.address


def parse_mailbox(text: str) -> Mailbox:
    """The one mailbox in ``text``. Raises InvalidAddress."""
    mailboxes = parse_list(text)
    if len(mailboxes) != 1:
        raise InvalidAddress(
            f"One mailbox is expected, not {len(mailboxes)}.",
            hint="A display name with a comma must be quoted." if mailboxes else "Give one address.",
        )
    return mailboxes[0]


def parse_list(text: str) -> tuple[Mailbox, ...]:
    """The mailboxes of a comma-separated list, in order. Raises InvalidAddress, for an empty text too.

    None for a group without members (``undisclosed-recipients:;``).
    """
    return _parse_short(text) if len(text) <= SHORT else _parse(text)


@lru_cache(maxsize=4096)
def _parse_short(text: str) -> tuple[Mailbox, ...]:
    plain = _PLAIN.fullmatch(text)
    return (_plain_mailbox(text, plain[1], plain[2]),) if plain else _parse(text)


def _parse(text: str) -> tuple[Mailbox, ...]:
    if len(text) > MAX_TEXT:
        raise InvalidAddress(f"A list of addresses is at most {MAX_TEXT} characters, not {len(text)}.")
    if _CONTROL.search(text):
        raise _refused(
            text, "a list of addresses holds a control character", "Remove line breaks and the like."
        )
    if not text.strip():
        raise InvalidAddress("An address is empty.", hint="Fill in the address.")
    mailboxes = tuple(_read_element(element) for element in _elements(text))
    if len(mailboxes) > MAX_MAILBOXES:
        raise InvalidAddress(
            f"At most {MAX_MAILBOXES} mailboxes, not {len(mailboxes)}.", hint="Send to a distribution list."
        )
    return mailboxes


_Token = tuple[str, str]


def _elements(text: str) -> list[list[_Token]]:
    """Splits at the commas that separate mailboxes, and takes groups apart."""
    elements: list[list[_Token]] = []
    element: list[_Token] = []
    in_group = after_group = False
    for kind, value in _tokens(text):
        blank = kind == "text" and not value.strip()
        if kind != "mark":
            if after_group and not blank:
                raise _refused(text, "text follows a group", "Separate it with a comma.")
            if not blank or element:
                element.append((kind, value))
            continue
        if value == ":":
            if in_group or after_group or not _is_group_name(element):
                raise _refused(
                    text, "a colon is only allowed after the name of a group", "Quote a name that has one."
                )
            in_group, element = True, []
        elif value == ";":
            if not in_group:
                raise _refused(
                    text, "a semicolon does not separate mailboxes", "Separate mailboxes with commas."
                )
            if element:
                elements.append(element)
            in_group, after_group, element = False, True, []
        elif after_group:
            after_group = False
        else:
            elements.append(element)
            element = []
            if len(elements) > MAX_MAILBOXES:
                raise InvalidAddress(
                    f"At most {MAX_MAILBOXES} mailboxes.", hint="Send to a distribution list."
                )
    if in_group:
        raise _refused(
            text, "a group does not end", "End it with a semicolon, or leave the group's name out."
        )
    if element or (not after_group and text.rstrip().endswith(",")):
        elements.append(element)
    return elements


def _is_group_name(element: list[_Token]) -> bool:
    return bool(element) and all(
        kind == "quoted" or (kind == "text" and not _NAME_SPECIALS.intersection(value))
        for kind, value in element
    )


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if not token or not token.lastgroup:  # at once, without another try: that keeps the scan linear
            marks = {'"': "a quote", "(": "a comment", "<": "an angle bracket"}
            unclosed = marks.get(text[position], "a bracket")
            raise _refused(text, f"{unclosed} does not close", "Close it, or quote the display name.")
        tokens.append((token.lastgroup, token.group()))
        position = token.end()
    return tokens


def _read_element(tokens: list[_Token]) -> Mailbox:
    whole = "".join(value for _, value in tokens).strip()
    if not whole:
        raise InvalidAddress("An address is empty.", hint="Remove the extra comma, or fill in the address.")
    tokens = [token for token in tokens if token[1].strip()]
    comment = ""
    if len(tokens) > 1 and tokens[-1][0] == "comment":
        comment = _unquoted(tokens.pop()[1])
    kind, value = tokens[-1]
    if kind == "angle":
        return _with_domain(value[1:-1], whole, _display_name(tokens[:-1], whole))
    if any(k == "comment" for k, _ in tokens):
        raise _refused(whole, "text follows a comment", "Leave the comment out.")
    if any(k == "angle" for k, _ in tokens):
        raise _refused(whole, "text follows the address in angle brackets", "Separate mailboxes with commas.")
    return _with_domain("".join(v for _, v in tokens).strip(), whole, _checked_name(comment.strip(), whole))


def _display_name(tokens: list[_Token], whole: str) -> str:
    name = ""
    for kind, value in tokens:
        if kind == "quoted":
            name += _unquoted(value)
        elif kind == "angle":
            raise _refused(whole, "two addresses in angle brackets", "Separate mailboxes with commas.")
        elif kind == "text" and (bad := _NAME_SPECIALS.intersection(value)):
            raise _refused(
                whole, f"an unquoted display name holds {min(bad)}", "Put the name in double quotes."
            )
        else:
            name += value
    return _checked_name(name.strip(), whole)


def _checked_name(name: str, whole: str) -> str:
    if name.isascii() and name.isprintable():
        return name
    name = name.replace("\t", " ")
    for character in name:
        if unicodedata.category(character) == "Cc":
            raise _refused(whole, "a display name holds a control character", "Remove it.")
    return name


def _with_domain(addr_spec: str, whole: str, display_name: str) -> Mailbox:
    if plain := _PLAIN.fullmatch(addr_spec):
        return _plain_mailbox(addr_spec, plain[1], plain[2], display_name)
    if not addr_spec:
        raise _refused(whole, "the address in the angle brackets is empty", "Fill it in.")
    if len(addr_spec) > 4 * MAX_ADDRESS:
        raise _refused(whole, "it is too long", "254 octets at most.")
    if addr_spec.startswith("@"):
        raise _refused(whole, "source routes are not used any more (RFC 5321 F.2)", "Leave the route out.")
    for character in addr_spec:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            raise _refused(
                whole, "an address holds a control or an invisible character", "Type the address again."
            )
    local_part, at, domain = addr_spec.rpartition("@")
    if not at:
        raise _refused(whole, "an address has an @", "Write it as local-part@domain.")
    if domain.startswith("["):
        raise _refused(whole, "address literals are not accepted", "Use the name of the domain.")
    return _judged(local_part, domain, whole, display_name)


def _judged(local_part: str, domain: str, whole: str, display_name: str) -> Mailbox:
    """The slow path: quoted or UTF-8 local parts, internationalised domains, and everything that is wrong."""
    from email_validator import EmailNotValidError, validate_email  # 27 ms to import: only when needed

    quoted = local_part.startswith('"')
    if quoted and re.search(r"[<>]", local_part):
        raise _refused(whole, "a quoted local part holds an angle bracket", "No mailbox needs one.")
    domain = normalised_domain(domain, whole)
    try:  # the local part alone: our domains may be private ones, which email-validator refuses
        verdict = validate_email(
            f"{local_part}@example.com",
            check_deliverability=False,
            allow_quoted_local=True,
            allow_smtputf8=True,
            strict=True,
        )
    except EmailNotValidError as error:
        reason = str(error).rstrip(".").replace("An email address", "it").replace("The email address", "it")
        raise _refused(whole, reason, None) from None
    mailbox = Mailbox(_local_part(local_part, str(verdict.local_part), quoted), domain, display_name)
    if len(mailbox.local_part.encode()) > MAX_LOCAL_PART or len(mailbox.address.encode()) > MAX_ADDRESS:
        raise _refused(whole, "the address is too long", "64 octets before the @, 254 in all.")
    return mailbox


def normalised_domain(domain: str, whole: str) -> str:
    """``domain`` in lower-case A-labels (IDNA 2008 after UTS 46, non-transitional). Raises InvalidAddress.

    The stdlib's codec would do IDNA 2003, where ``faß.test`` is ``fass.test``: another domain.
    """
    import idna

    if not domain:
        raise _refused(whole, "nothing follows the @", "Write it as local-part@domain.")
    if domain.endswith("."):
        raise _refused(whole, "the domain ends with a dot", "Leave the last dot out.")
    try:
        plain = domain.isascii() and "xn--" not in domain.lower()
        name = domain if plain else idna.encode(domain, uts46=True).decode()
    except idna.IDNAError as error:
        raise _refused(whole, f"the domain is not a valid internationalised name ({error})", None) from None
    name = name.lower()
    if len(name) > 253 or not _DOMAIN.fullmatch(name):
        raise _refused(
            whole,
            "the domain is not a name",
            "Labels of letters, digits and hyphens, at most 63 each, joined by dots.",
        )
    if "." not in name:
        raise _refused(whole, "the domain is a single label", "Use a full domain name.")
    last_label = name.rpartition(".")[2]
    if last_label.isdigit():
        raise _refused(whole, "the domain ends in a number", "Use the name of the domain.")
    _check_deliverable(last_label, whole)
    return name


def _local_part(given: str, normalised: str, quoted: bool) -> str:
    if not quoted:
        return normalised
    content = _unquoted(given)
    return content if _DOT_ATOM.fullmatch(content) else given


def _plain_mailbox(address: str, local_part: str, domain: str, display_name: str = "") -> Mailbox:
    domain = domain.lower()
    label = domain.rpartition(".")[2]
    _check_deliverable(label, address)
    if len(local_part) > MAX_LOCAL_PART or len(address) > MAX_ADDRESS or len(label) > 63:
        raise _refused(
            address, "the address is too long", "64 octets before the @, 63 in a label, 254 in all."
        )
    return Mailbox(local_part, domain, display_name)


def _check_deliverable(last_label: str, whole: str) -> None:
    if last_label in _UNDELIVERABLE:
        raise _refused(whole, f"no mail can be delivered to .{last_label}", "Use the real domain.")


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def _refused(text: str, reason: str, hint: str | None) -> InvalidAddress:
    shown = text if len(text) <= 80 else f"{text[:77]}…"
    reason = reason.encode("ascii", "backslashreplace").decode()  # libraries quote what they refuse
    return InvalidAddress(f"{shown!a} is not a mailbox: {reason}.", hint=hint)
