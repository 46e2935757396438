"""What a recording server keeps: sessions, their commands and messages, every octet as it came."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Command:
    """One line of a session outside message data, its line end included."""

    line: bytes
    tls: bool

    @property
    def verb(self) -> bytes:
        return self.line.strip().split(b" ", 1)[0].split(b":", 1)[0].upper()

    @property
    def argument(self) -> bytes:
        """What follows the verb and one space, without the line end."""
        return self.line.rstrip(b"\r\n")[len(self.verb) + 1 :]


@dataclass
class Exchange:
    """One AUTH command: its mechanism and every line the client sent for it, the command included."""

    mechanism: bytes
    lines: list[bytes]
    tls: bool
    user: str | None = None
    password: str | None = None
    accepted: bool = False


@dataclass
class Message:
    """One mail transaction."""

    mail_argument: bytes  # all after "MAIL ", such as b"FROM:<a@x.test> SIZE=10"
    offered: frozenset[str]  # the EHLO keywords in force, upper-case, with their parameters
    tls: bool
    opened: bool = True  # MAIL got a 2xx reply
    rcpt_arguments: list[bytes] = field(default_factory=list)  # accepted or not, all after "RCPT "
    accepted: list[bytes] = field(default_factory=list)  # the same, those that got a 2xx reply
    commands: list[bytes] = field(default_factory=list)  # the raw lines from MAIL on
    data: bytes = b""  # as on the wire: dots stuffed, up to and with the CRLF before the final dot
    chunked: bool = False  # by BDAT: no dots are stuffed
    ended: bool = False  # the final dot, or the last chunk, has come
    taken: bool = False  # the server keeps the message, whatever it told the client

    @property
    def sender(self) -> bytes:
        return path_of(self.mail_argument)

    @property
    def mail_parameters(self) -> dict[str, str | None]:
        return _parameters(self.mail_argument)

    @property
    def recipients(self) -> list[bytes]:
        """The addresses of all RCPT commands, the octets between the angle brackets."""
        return [path_of(argument) for argument in self.rcpt_arguments]

    @property
    def content(self) -> bytes:
        """The message itself: `data` with the stuffed dots taken out."""
        if self.chunked:
            return self.data
        return (b"\r\n" + self.data).replace(b"\r\n.", b"\r\n")[2:]


@dataclass
class Session:
    """One connection."""

    implicit_tls: bool
    octets: bytearray = field(default_factory=bytearray)  # all that came, decrypted where TLS was on
    clear: bytearray = field(default_factory=bytearray)  # the part of it that came outside TLS
    sent: bytearray = field(default_factory=bytearray)  # all that was answered
    commands: list[Command] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    ehlo_names: list[bytes] = field(default_factory=list)
    before_tls: bytes = b""  # what the client had sent beyond STARTTLS before TLS began
    after_quit: bytes = b""  # what it had sent beyond QUIT
    tls_version: str | None = None
    server_name: str | None = None  # SNI
    over: bool = False


def path_of(argument: bytes) -> bytes:
    """The octets between the first `<` and the last `>` before any parameters, quotes respected."""
    start = argument.find(b"<")
    quoted = escaped = False
    for index in range(start + 1, len(argument)):
        octet = argument[index : index + 1]
        if escaped:
            escaped = False
        elif quoted and octet == b"\\":
            escaped = True
        elif octet == b'"':
            quoted = not quoted
        elif octet == b">" and not quoted:
            return argument[start + 1 : index]
    return argument


def _parameters(argument: bytes) -> dict[str, str | None]:
    _, _, rest = argument.partition(b"<" + path_of(argument) + b">")
    pairs = [word.decode("latin-1").partition("=") for word in rest.split()]
    return {key.upper(): value if equals else None for key, equals, value in pairs}
