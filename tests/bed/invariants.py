"""What must hold for every message on the wire, whatever went into it.

`check_wire` takes what a Recorder heard and states in its assertion which rule broke and where:

I1  one message a transaction, no extra command;   I2  the recipients asked for, octet by octet;
I3  header names asked for or ours, never Bcc;      I4  headers that occur once do;
I5  CRLF only, no control but TAB, 998 octets a line, 7-bit unless 8BITMIME or SMTPUTF8 was agreed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from bed.parts import headers_of, part_headers
from bed.recorder import Recorder
from bed.recording import Message, Session
from bed.secret_forms import forms

GENERATED = frozenset({"date", "message-id", "mime-version", "from", "to", "subject"}) | frozenset(
    {"content-type", "content-transfer-encoding", "content-disposition"}
)
SINGLE = GENERATED | {"cc", "reply-to", "sender", "references", "in-reply-to", "content-id"}
PART_HEADERS = frozenset(
    {"content-type", "content-transfer-encoding", "content-disposition", "content-id", "content-description"}
)
VERBS = frozenset(
    {b"EHLO", b"HELO", b"STARTTLS", b"AUTH", b"MAIL", b"RCPT", b"DATA", b"BDAT", b"RSET", b"NOOP", b"QUIT"}
)
BARE = frozenset({b"STARTTLS", b"DATA", b"RSET", b"QUIT"})
PARAMETER = rb"(?: [A-Za-z0-9][A-Za-z0-9-]*(?:=[!-<>-~]+)?)"
MAIL = re.compile(rb"FROM:<[^\x00-\x20<>\x7f]*>" + PARAMETER + rb"*", re.IGNORECASE)
NEEDED_KEYWORD = {"SIZE": "SIZE", "BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "RET": "DSN", "ENVID": "DSN"}


def check_wire(
    recording: Recorder | Sequence[Session],
    expected_recipients: Iterable[str | bytes],
    *,
    sender: str | bytes | None = None,
    headers: Iterable[str] = (),
    generated: Iterable[str] = GENERATED,
    messages: int = 1,
    rcpt_parameters: bool = False,
) -> None:
    """I1 to I5 for all sessions together.

    `expected_recipients` are those of all `messages` transactions; `headers` names what was asked for
    beyond `generated`; a name in either may be absent or, if I4 allows it, repeated.
    """
    sessions = recording.sessions if isinstance(recording, Recorder) else list(recording)
    for session in sessions:
        check_commands(session)
    found = [message for session in sessions for message in session.messages]
    complete = [message for message in found if message.ended]
    assert len(complete) == messages, f"I1: {len(complete)} messages went out, {messages} expected"
    asked = Counter(
        address.encode() if isinstance(address, str) else address for address in expected_recipients
    )
    arguments = [argument for message in found for argument in message.rcpt_arguments]
    if rcpt_parameters:
        arguments = [re.sub(PARAMETER + rb"+\Z", b"", argument) for argument in arguments]
    got = Counter(arguments)
    wanted = Counter({b"TO:<" + address + b">": count for address, count in asked.items()})
    assert got == wanted, (
        f"I2: recipients {_show(got - wanted)} were not asked for, {_show(wanted - got)} missing"
    )
    allowed = {name.lower() for name in [*generated, *headers]}
    for message in complete:
        if sender is not None:
            exact = sender.encode() if isinstance(sender, str) else sender
            assert message.sender == exact, f"I1: the sender is {message.sender!r}, not {exact!r}"
        check_octets(message)
        check_headers(message.content, allowed)


def check_commands(session: Session) -> None:
    """I1 for one session: each command line is whole, known and in its place."""
    state = "idle"
    transactions = iter(session.messages)
    for command in session.commands:
        line = command.line
        assert line.endswith(b"\r\n"), f"I1: a command line does not end in CRLF: {line!r}"
        text = line[:-2]
        assert not re.search(rb"[\x00-\x1f\x7f]", text), f"I1: a control character in a command: {line!r}"
        assert len(line) <= 2048, f"I1: a command of {len(line)} octets"
        assert command.verb in VERBS, f"I1: an unknown command: {line!r}"
        assert text == text.strip(b" "), f"I1: a command with spaces around it: {line!r}"
        if command.verb in BARE:
            assert text.upper() == command.verb, f"I1: a command that takes no argument has one: {line!r}"
        if command.verb in {b"EHLO", b"HELO"}:
            assert re.fullmatch(rb"[\w.:\[\]-]+", command.argument), f"I1: not the name of a host: {line!r}"
        if command.verb == b"MAIL":
            assert state in {"idle", "refused"}, f"I1: MAIL within a transaction: {line!r}"
            assert MAIL.fullmatch(_unquoted(command.argument)), f"I1: not a MAIL command: {line!r}"
            state = "mail" if next(transactions).opened else "refused"
        elif command.verb == b"RCPT":
            assert state != "idle", f"I1: RCPT outside a transaction: {line!r}"
        elif command.verb == b"DATA":
            assert state != "idle", f"I1: DATA outside a transaction: {line!r}"
            state = "idle"
        elif command.verb == b"BDAT":
            assert state != "idle", f"I1: BDAT outside a transaction: {line!r}"
            assert re.fullmatch(rb"BDAT \d+( LAST)?\r\n", line), f"I1: not a BDAT command: {line!r}"
            state = "idle" if line.endswith(b"LAST\r\n") else state
        elif command.verb in {b"RSET", b"QUIT", b"EHLO", b"HELO"}:
            state = "idle"
    for exchange in session.exchanges:
        for line in exchange.lines[1:]:
            assert re.fullmatch(rb"([A-Za-z0-9+/]*=*|\*)\r\n", line), "I1: a login line that is not base64"
    assert not session.before_tls, f"I1: more than STARTTLS came before TLS: {session.before_tls!r}"
    assert not session.after_quit, f"I1: more came after QUIT: {session.after_quit!r}"
    for message in session.messages:
        keywords = {keyword.split(" ")[0] for keyword in message.offered}
        for name in message.mail_parameters:
            needed = NEEDED_KEYWORD.get(name, name)
            assert needed in keywords, f"I5: MAIL has {name} though {needed} was not offered"
        addresses = b"".join([message.mail_argument, *message.rcpt_arguments])
        if not addresses.isascii():
            assert "SMTPUTF8" in message.mail_parameters, (
                f"I5: an 8-bit address without SMTPUTF8: {addresses!r}"
            )


def check_octets(message: Message) -> None:
    """I5 for one message: the octets of its data and the lengths of its lines."""
    data = message.data
    assert not data or data.endswith(b"\r\n"), f"I5: the data ends without CRLF: {data[-40:]!r}"
    for pattern, what in (
        (rb"(?<!\r)\n", "a bare LF"),
        (rb"\r(?!\n)", "a bare CR"),
        (rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "a control character"),
    ):
        if bad := re.search(pattern, data):
            raise AssertionError(f"I5: {what} at octet {bad.start()}: {_around(data, bad.start())}")
    if not message.chunked and (bad := re.search(rb"(?:\A|\n)\.(?!\.)", data)):
        raise AssertionError(
            f"I5: a dot that is not stuffed at octet {bad.start()}: {_around(data, bad.start())}"
        )
    parameters = message.mail_parameters
    header, _, body = message.content.partition(b"\r\n\r\n")
    eight_bit = (parameters.get("BODY") or "").upper() == "8BITMIME"
    assert body.isascii() or eight_bit, "I5: an 8-bit body without BODY=8BITMIME"
    assert header.isascii() or "SMTPUTF8" in parameters, f"I5: 8-bit headers without SMTPUTF8: {header!r}"
    for number, line in enumerate(message.content.split(b"\r\n"), 1):
        assert len(line) <= 998, f"I5: line {number} has {len(line)} octets: {line[:60]!r}…"


def check_headers(content: bytes, allowed: set[str]) -> None:
    """I3 and I4 for the message's header and for the header of each part."""
    names = [name.lower() for name, _ in headers_of(content)]
    assert "bcc" not in names, "I3: a Bcc header went out"
    extra = set(names) - {name.lower() for name in allowed}
    assert not extra, f"I3: headers nobody asked for: {sorted(extra)}"
    _check_single(names, "the message")
    for number, pairs in enumerate(part_headers(content), 1):
        inner = [name.lower() for name, _ in pairs]
        extra = set(inner) - PART_HEADERS
        assert not extra, f"I3: part {number} has headers nobody asked for: {sorted(extra)}"
        _check_single(inner, f"part {number}")


def check_no_secret(
    texts: Iterable[str | bytes], secrets: Iterable[str | bytes], user: str | bytes | None = None
) -> None:
    """I7: none of `texts` shows one of `secrets`, be it plain, base64, percent-encoded or escaped."""
    disguises = {form: secret for secret in secrets for form in forms(secret, user)}
    for text in texts:
        octets = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        for form, secret in disguises.items():
            where = octets.find(form)
            assert where < 0, f"I7: the secret {secret!r} shows as {form!r} in {_around(octets, where)}"


def _check_single(names: list[str], where: str) -> None:
    twice = sorted(name for name, count in Counter(names).items() if count > 1 and name in SINGLE)
    assert not twice, f"I4: more than once in {where}: {twice}"


def _unquoted(argument: bytes) -> bytes:
    """The argument with a quoted local part replaced, in which spaces and angle brackets may stand."""
    return re.sub(rb'<"(?:[^"\\]|\\.)*"@', b"<quoted@", argument)


def _show(addresses: Counter[bytes]) -> str:
    return str(sorted(addresses.elements())) if addresses else "none"


def _around(octets: bytes, where: int) -> str:
    return repr(octets[max(0, where - 40) : where + 40])
