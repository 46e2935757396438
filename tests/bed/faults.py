"""The faults by name: what a faulty server does instead of the right thing, one short function each.

Names begin with the phase: greeting, EHLO, TLS, AUTH, MAIL, RCPT, DATA, x after the final dot, QUIT.
A function stands in for the method of `Dialogue` that its decorator names.
"""

from collections.abc import Callable
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from bed.faulty import FaultyDialogue as Talk
    from bed.recording import Exchange, Message


class Fault(NamedTuple):
    meaning: str
    hooks: dict[str, Callable[..., Any]]


FAULTS: dict[str, Fault] = {"ok": Fault("control: a correct server", {})}


def fault(name: str, hook: str, meaning: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        FAULTS.setdefault(name, Fault(meaning, {})).hooks[hook] = function
        return function

    return register


def says(name: str, hook: str, octets: bytes, meaning: str, *, close: bool = False) -> None:
    """A fault that answers `octets` and, with `close`, hangs up."""

    def hooked(talk: "Talk", *_: Any) -> None:
        talk.send(octets)
        talk.closing = talk.closing or close

    fault(name, hook, meaning)(hooked)


def does(name: str, hook: str, method: str, meaning: str) -> None:
    """A fault that is one of the ways to misbehave of `FaultyDialogue`."""
    fault(name, hook, meaning)(lambda talk, *_: getattr(talk, method)())


def after_dot(name: str, octets: bytes, then: str | None, meaning: str, *, taken: bool = True) -> None:
    """A fault after the final dot: the mail is taken or not, `octets` are said, then a way to misbehave."""

    def dot(talk: "Talk", message: "Message") -> None:
        message.taken = taken
        if octets:
            talk.send(octets)
        if then is not None:
            getattr(talk, then)()

    fault(name, "dot", meaning)(dot)


# -- greeting ----------------------------------------------------------------------------------------

does("g_none", "greet", "silence", "accepts, never greets")
says("g_554", "greet", b"554 5.3.2 Not today\r\n", "554 greeting")
says("g_421", "greet", b"421 4.3.2 Too busy\r\n", "421 greeting, then close", close=True)
says("g_250", "greet", b"250 mail.test\r\n", "greeting with code 250")
says("g_354", "greet", b"354 mail.test\r\n", "greeting with code 354")
says("g_lf", "greet", b"220 mail.test ESMTP\n", "greeting ended by a bare LF")
says("g_utf8", "greet", b"220 mail.test \xff\xfe\x80 ESMTP\r\n", "text in the greeting that is not UTF-8")
does("g_close", "greet", "hang_up", "closes at once")
does("g_rst", "greet", "reset", "resets at once")


@fault("g_endless_lines", "greet", "endless 220- lines")
def g_endless_lines(talk: "Talk") -> None:
    talk.flood(b"220-mail.test and another line\r\n" * 1000)


@fault("g_endless_line", "greet", "one line that never ends")
def g_endless_line(talk: "Talk") -> None:
    talk.send(b"220 ")
    talk.flood(b"x" * 32768)


@fault("g_drip", "greet", "one octet now and then, for ever (slow loris)")
def g_drip(talk: "Talk") -> None:
    talk.drip(b"220-" + b"x" * 100_000)


@fault("g_tls", "greet", "an implicit-TLS server on the STARTTLS port")
def g_tls(talk: "Talk") -> None:
    talk.start_tls(talk.server.server_context())
    talk.send(b"220 mail.test ESMTP inside TLS\r\n")


# -- EHLO --------------------------------------------------------------------------------------------

says("e_502", "on_ehlo", b"502 5.5.1 No EHLO\r\n", "EHLO refused, HELO ok: no STARTTLS, no AUTH offered")
does("e_close", "on_ehlo", "hang_up", "closes at EHLO")
says(
    "e_code_change",
    "on_ehlo",
    b"250-mail.test\r\n250-STARTTLS\r\n550 No\r\n",
    "250- lines, then 550 as the last",
)
says("e_354", "on_ehlo", b"354 Go ahead\r\n", "EHLO answered 354")

fault("e_endless", "on_ehlo", "endless 250- lines")(lambda talk, _: talk.flood(b"250-X-MORE\r\n" * 1000))


@fault("e_nohyphen", "on_ehlo", "250 lines without hyphen: several final lines, so replies slip")
def e_nohyphen(talk: "Talk", argument: bytes) -> None:
    talk.send("".join(f"250 {text}\r\n" for text in ["mail.test", *talk.keywords()]).encode())


@fault("e_extra", "on_ehlo", "one more 250 after the EHLO reply, which nobody asked for")
def e_extra(talk: "Talk", argument: bytes) -> None:
    with talk.at_once():
        talk.correct("on_ehlo")(argument)
        talk.send(b"250 2.0.0 And another thing\r\n")


@fault("e_lower", "keywords", "keywords in lower case")
def e_lower(talk: "Talk") -> list[str]:
    words = [keyword.partition(" ") for keyword in talk.correct("keywords")()]
    return [name.lower() + space + rest for name, space, rest in words]


@fault("e_size_small", "keywords", "SIZE 10")
def e_size_small(talk: "Talk") -> list[str]:
    return [*_without(talk, "SIZE"), "SIZE 10"]


@fault("e_size_junk", "keywords", "SIZE -1 and SIZE 99999999999999999999")
def e_size_junk(talk: "Talk") -> list[str]:
    return [*_without(talk, "SIZE"), "SIZE -1", "SIZE 99999999999999999999"]


# -- STARTTLS and certificates -----------------------------------------------------------------------


@fault("t_strip", "keywords", "STARTTLS not offered, AUTH offered in clear: stripping")
def t_strip(talk: "Talk") -> list[str]:
    return [*_without(talk, "STARTTLS", "AUTH"), "AUTH PLAIN LOGIN"]


says("t_strip_helo", "on_ehlo", b"500 5.5.2 What?\r\n", "EHLO 500, so that only HELO is left")
for _name in ("e_502", "t_strip", "t_strip_helo"):  # who strips STARTTLS does not understand it either
    says(_name, "on_starttls", b"502 5.5.1 No such command\r\n", FAULTS[_name].meaning)
says("t_454", "on_starttls", b"454 4.7.0 TLS not available\r\n", "STARTTLS 454")
says("t_502", "on_starttls", b"502 5.5.1 No such command\r\n", "STARTTLS 502")
says("t_close", "on_starttls", b"220 2.0.0 Go ahead\r\n", "220, then close", close=True)


@fault("t_250", "on_starttls", "STARTTLS answered 250, then TLS")
def t_250(talk: "Talk", argument: bytes) -> None:
    talk.send(b"250 2.0.0 Go ahead\r\n")
    talk.start_tls(talk.server.server_context())


def _injects(name: str, octets: bytes, meaning: str) -> None:
    @fault(name, "on_starttls", meaning)
    def on_starttls(talk: "Talk", argument: bytes) -> None:
        talk.send(b"220 2.0.0 Go ahead\r\n" + octets)
        talk.start_tls(talk.server.server_context())


FORGED = b"250-mail.test\r\n250 AUTH LOGIN\r\n"
REST = b"235 2.7.0 Ok\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 Go\r\n250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n"
_injects("t_inject_frag", b"250-inj", "220 and a fragment in clear, without line end")
_injects("t_inject_reply", FORGED, "220 and a whole forged EHLO reply in clear, offering only AUTH LOGIN")
_injects("t_inject_many", FORGED + REST, "220 and forged replies for the whole session in clear")


@fault("t_hang", "on_starttls", "220, then silence")
def t_hang(talk: "Talk", argument: bytes) -> None:
    talk.send(b"220 2.0.0 Go ahead\r\n")
    talk.silence()


@fault("t_garbage", "on_starttls", "220, then clear text in answer to the TLS greeting")
def t_garbage(talk: "Talk", argument: bytes) -> None:
    talk.send(b"220 2.0.0 Go ahead\r\n")
    if talk.receive():
        talk.send(b"250 this is not TLS\r\n" * 20)
    talk.closing = True


for _kind in ("selfsigned", "wrongname", "expired", "cnonly"):
    FAULTS[f"t_{_kind}"] = Fault(f"certificate {_kind}", {})  # FaultyServer picks the certificate
FAULTS["t_tls11"] = Fault("TLS 1.0 and 1.1 only", {})  # and here the TLS context


@fault("t_noauth_after", "keywords", "no AUTH after TLS")
def t_noauth_after(talk: "Talk") -> list[str]:
    return _without(talk, "AUTH")


# -- AUTH --------------------------------------------------------------------------------------------

says("a_535", "judge", b"535 5.7.8 Bad login\r\n", "AUTH 535")
says("a_454", "judge", b"454 4.7.0 Temporary authentication failure\r\n", "AUTH 454, temporary")
says("a_close", "judge", b"235 2.7.0 Welcome\r\n", "235, then close", close=True)


@fault("a_old", "keywords", "only AUTH=LOGIN, the old form")
def a_old(talk: "Talk") -> list[str]:
    found = talk.correct("keywords")()
    return ["AUTH=LOGIN" if keyword.startswith("AUTH") else keyword for keyword in found]


@fault("a_echo", "judge", "535 that echoes the credentials back")
def a_echo(talk: "Talk", exchange: "Exchange") -> None:
    for line in exchange.lines[:-1]:
        talk.send(b"535-5.7.8 bad: " + line.strip() + b"\r\n")
    talk.send(b"535 5.7.8 bad: " + exchange.lines[-1].strip() + b"\r\n")


@fault("a_334", "on_auth", "endless 334 challenges")
def a_334(talk: "Talk", argument: bytes) -> None:
    for _ in range(100_000):
        talk.send(b"334 VXNlcm5hbWU6\r\n")
        line = talk.read_line()
        if line is None or line.strip() == b"*":
            break
        talk.challenged += 1
    talk.send(b"501 5.7.0 Cancelled\r\n")


@fault("a_plain334", "judge", "AUTH PLAIN with the answer in it gets 334: asked again, then 535")
def a_plain334(talk: "Talk", exchange: "Exchange") -> None:
    talk.send(b"334 \r\n")
    if line := talk.read_line():
        exchange.lines.append(line)
        talk.send(b"501 5.7.0 Cancelled\r\n" if line.strip() == b"*" else b"535 5.7.8 Bad login\r\n")


# -- MAIL, RCPT, DATA --------------------------------------------------------------------------------

fault("m_451", "on_mail", "MAIL 451")(lambda talk, argument: talk.mail(argument, b"451 4.3.0 Try later\r\n"))
fault("m_550", "on_mail", "MAIL 550")(
    lambda talk, argument: talk.mail(argument, b"550 5.7.1 Not from you\r\n")
)
does("m_hang", "on_mail", "silence", "silence at MAIL")
MIXED = (b"250 2.1.5 Ok", b"550 5.1.1 No such user", b"451 4.7.1 Try later", b"452 4.2.2 Mailbox full")


def _rcpt(name: str, replies: tuple[bytes, ...], meaning: str) -> None:
    @fault(name, "on_rcpt", meaning)
    def on_rcpt(talk: "Talk", argument: bytes) -> None:
        talk.rcpt_replies = talk.rcpt_replies or cycle(replies)
        reply = next(talk.rcpt_replies)
        talk.rcpt(argument, reply + b"\r\n")
        talk.closing = reply.startswith(b"421")


_rcpt("r_all550", (b"550 5.1.1 No such user",), "every RCPT 550")
_rcpt("r_mixed", MIXED, "RCPT 250, 550, 451, 452 and again")
_rcpt("r_421", (b"250 2.1.5 Ok", b"421 4.3.2 Shutting down"), "421 and close at the second RCPT")
_rcpt("r_252", (b"252 2.1.5 Cannot verify",), "RCPT 252")
says("d_554", "on_data", b"554 5.6.0 No\r\n", "DATA 554")
says("d_250", "on_data", b"250 2.0.0 Ok\r\n", "DATA answered 250")


@fault("d_354_250", "on_data", "354 and 250 in one segment, before any content")
def d_354_250(talk: "Talk", argument: bytes) -> None:
    talk.send(b"354 Go ahead\r\n250 2.0.0 Ok: queued as EARLY\r\n")
    talk.take_data()


after_dot("d_354_250", b"", None, "", taken=False)


@fault("d_stop", "on_data", "354, then stops reading: the window closes")
def d_stop(talk: "Talk", argument: bytes) -> None:
    talk.send(b"354 Go ahead\r\n")
    talk.hold()


# -- after the final dot, and QUIT -------------------------------------------------------------------

OK = b"250 2.0.0 Ok: queued as TAKEN\r\n"
after_dot("x_close", b"", "hang_up", "closes after the final dot, no reply (mail was taken)")
after_dot("x_rst", b"", "reset", "resets after the final dot (mail was taken)")
after_dot("x_hang", b"", "silence", "silence after the final dot (mail was taken)")
after_dot("x_451", b"451 4.3.0 Try later\r\n", None, "451 after the final dot", taken=False)
after_dot("x_554", b"554 5.6.0 Refused\r\n", None, "554 after the final dot", taken=False)
after_dot("x_part", b"250", "hang_up", '"250" with no line end, then close (mail was taken)')
after_dot("x_junk", b"\x00\xff?? junk\r\n", None, "junk after the final dot (mail was taken)")
after_dot("x_endless", b"", "flood_250", "endless 250- after the final dot (mail was taken)")
after_dot("x_354", b"354 Go ahead\r\n", None, "354 after the final dot (mail was taken)")
after_dot("ok_close", OK, "hang_up", "250 and at once close: sent")
does("q_hang", "on_quit", "silence", "250, then silence at QUIT")
does("q_close", "on_quit", "hang_up", "250, then close at QUIT")


def _without(talk: "Talk", *names: str) -> list[str]:
    found = talk.correct("keywords")()
    return [keyword for keyword in found if keyword.upper().split(" ")[0] not in names]
