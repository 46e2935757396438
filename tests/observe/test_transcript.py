"""What was said for a mail: its own words and nobody else's, and never a secret."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from bed.certs import Certs
from bed.faulty import FaultyServer
from bed.invariants import check_no_secret
from bed.memory import CHUNKED, ONE_BY_ONE, PIPELINED, Cut, Peer, Store, run
from bed.recorder import Recorder
from bed.xoauth2 import TokenRecorder

import nina_smtp
from nina_smtp.delivery.account import Account, Limits
from nina_smtp.delivery.result import Result
from nina_smtp.errors import AuthFailed, ConnectFailed, NinaError
from nina_smtp.message import Attachment, Email
from nina_smtp.observe.transcript import MAX_LINES, MAX_RECIPIENTS, attempts
from nina_smtp.secret import Secret
from nina_smtp.smtp.auth import XOAuth2
from nina_smtp.smtp.server import Encryption, Server
from nina_smtp.smtp.session import Session

USER, PASSWORD = "alice@mail.test", "S3CRET-pässword+/="
TIMEOUTS = {"connect": 5, "greeting": 5, "command": 5, "data": 20, "final": 20, "quit": 1, "total": 60}
ACCOUNT = Account(Server("localhost", 25, Encryption.NONE, ehlo_name="me.test"))
EVERY_WAY = pytest.mark.parametrize(
    "keywords", [PIPELINED, CHUNKED, ONE_BY_ONE], ids=["pipelined", "chunked", "one by one"]
)


def said(transcript: Iterable[str]) -> list[str]:
    """Without the times, which are whatever they are."""
    plain = [re.sub(r"^ *\d+ (?=[CS*])", "", line) for line in transcript]
    return [re.sub(r"connection \d+ to (.*), begun .*", r"connection to \1", line) for line in plain]


def mail(name: str = "m", *recipients: str, **more: Any) -> Email:
    to = ", ".join(f"{one}@x.test" for one in recipients or (f"r.{name}",))
    return Email(f"{name}@x.test", to, f"Subject of {name}", **({"text": f"Text of {name}"} | more))


async def results_of(
    account: Account | Mapping[str, Any], mails: Iterable[Email], *, transcript: bool = True
) -> list[Result]:
    found: list[Result] = []
    async with nina_smtp.Pool(account) as pool:
        sending = [pool.send(one, transcript=transcript, on_result=found.append) for one in mails]
        await asyncio.gather(*sending, return_exceptions=True)
    return found


def in_memory(
    *mails: Email,
    keywords: Iterable[str] = PIPELINED,
    window: int = 1,
    peers: Callable[[], Peer] | None = None,
    transcript: bool = True,
    **server: Any,
) -> list[Result]:
    account = Account(ACCOUNT.server, limits=Limits(connections=1, pipeline_window=window))
    made = peers or (lambda: Peer(Store(), keywords, **server))
    return run(lambda: results_of(account, mails, transcript=transcript), made)


def over_the_wire(server: Recorder, certs: Certs | None = None, **data: Any) -> Result:
    credential = {
        "host": "localhost", "port": server.port, "username": USER, "password": PASSWORD,
        **({"caCertificate": certs.ca_pem.read_text()} if certs else {"encryption": "none"}),
        "timeouts": TIMEOUTS, **data,
    }  # fmt: skip
    (result,) = asyncio.run(results_of(credential, [mail()]))
    check_no_secret([*result.transcript, repr(result), str(result.as_dict())], [PASSWORD], USER)
    return result


OPENING = [
    "*  localhost is at 127.0.0.1",
    "*  connected to 127.0.0.1",
    "S: 220 mail.test",
    "C: EHLO me.test",
    "S: 250-mail.test",
    *(f"S: 250{'-' if word is not PIPELINED[-1] else ' '}{word}" for word in PIPELINED),
]


def test_it_has_how_the_connection_was_opened_and_what_was_said_for_the_mail() -> None:
    (result,) = in_memory(mail())
    assert said(result.transcript) == [
        "# attempt 1, connection to localhost port 25",
        *OPENING,
        f"C: MAIL FROM:<m@x.test> SIZE={result.size}",
        "C: RCPT TO:<r.m@x.test>",
        "C: DATA",
        "S: 250 2.1.0 m",
        "S: 250 2.1.5 m",
        "S: 354 m",
        f"C: <{result.size} octets>",
        "S: 250 2.0.0 m verdict",
    ]
    assert "transcript" not in result.as_dict()


def test_times_are_milliseconds_since_the_connection_began_and_never_run_back() -> None:
    (result,) = in_memory(mail())
    times = [int(line[:8]) for line in result.transcript if not line.startswith("#")]
    assert times == sorted(times)
    assert re.search(r"begun \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", result.transcript[0])


def test_without_being_asked_for_there_is_none() -> None:
    (result,) = in_memory(mail(), transcript=False)
    assert result.status == "sent"
    assert result.transcript == ()


def test_a_chunk_is_shown_as_a_number_of_octets_too() -> None:
    (result,) = in_memory(mail(), keywords=CHUNKED)
    lines = said(result.transcript)
    assert lines[-5:] == [
        f"C: BDAT {result.size} LAST",
        f"C: <{result.size} octets>",
        "S: 250 2.1.0 m",
        "S: 250 2.1.5 m",
        "S: 250 2.0.0 m verdict",
    ]


@EVERY_WAY
def test_no_content_and_no_subject_is_in_it(keywords: tuple[str, ...]) -> None:
    attachment = Attachment("secret.bin", "QUJD" * 100_000)
    (result,) = in_memory(mail(attachments=[attachment]), keywords=keywords)
    assert result.status == "sent"
    text = "\n".join(result.transcript)
    assert f"<{result.size:,} octets>" in text
    assert not any(word in text for word in ("Subject", "Text of", "secret.bin", "QUJD"))


# -- neighbours --------------------------------------------------------------------------------------


def names_in(transcript: Iterable[str]) -> set[str]:
    return set(re.findall(r"\bm\d+\b", "\n".join(transcript)))


@EVERY_WAY
@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("place", ["mail", "rcpt", "data", "end", None])
def test_of_the_mails_before_and_behind_it_on_the_connection_there_is_nothing(
    place: str | None, window: int, keywords: tuple[str, ...]
) -> None:
    """The server says in every reply which mail it is to."""
    answers = {(place, "r.m3" if place == "rcpt" else "m3"): b"550 5.7.1"} if place else {}
    results = in_memory(*(mail(f"m{n}") for n in range(8)), keywords=keywords, window=window, answers=answers)
    assert len(results) == 8
    for result in results:
        assert result.envelope
        name = result.envelope.sender.partition("@")[0]
        assert names_in(result.transcript) == {name}
        lines = said(result.transcript)
        assert lines[0].startswith("# attempt 1, ")
        assert lines.count("S: 220 mail.test") == 1
        assert (f"S: 250 2.0.0 {name} verdict" in lines) == (result.status == "sent")
    refused = place is not None and not (place == "data" and "CHUNKING" in keywords)
    assert [result.status for result in results].count("failed") == refused


@EVERY_WAY
@pytest.mark.parametrize("how", ["close", "reset", "junk", "bye"])
@pytest.mark.parametrize("sent", [20, 45, 90, 130])
def test_when_the_connection_breaks_it_still_has_nothing_of_the_others(
    sent: int, how: str, keywords: tuple[str, ...]
) -> None:
    mails = [mail(f"m{n}") for n in range(6)]
    peers = iter([Peer(Store(), keywords, cut=Cut(how, sent=sent))])
    results = in_memory(*mails, peers=lambda: next(peers, None) or Peer(Store(), keywords), window=2)
    assert len(results) == 6
    for result in results:
        assert result.envelope
        assert names_in(result.transcript) <= {result.envelope.sender.partition("@")[0]}
        if result.error:
            assert said(result.transcript)[-1].startswith(f"*  {result.error.type} in phase ")


def test_a_mail_that_goes_to_another_connection_has_both() -> None:
    first = Peer(Store(), answers={("mail", "m1"): b"421 4.3.2 enough"})
    peers = iter([first])
    results = in_memory(mail("m0"), mail("m1"), peers=lambda: next(peers, None) or Peer(Store()))
    (result,) = [one for one in results if one.attempts == 2]
    one, two = attempts(result.transcript)
    assert said(one)[-2:] == [
        "S: 421 4.3.2 enough m1",
        "*  nothing of it was begun here, so it goes out on another connection",
    ]
    assert said(two)[:3] == ["# attempt 2, connection to localhost port 25", *OPENING[:2]]
    assert said(two)[-1] == "S: 250 2.0.0 m1 verdict"


def test_a_second_transaction_for_those_that_were_too_many_is_in_it() -> None:
    (result,) = in_memory(mail("m", "a", "b", "c"), at_most=2)
    lines = said(result.transcript)
    assert lines.count("S: 250 2.0.0 m verdict") == 2
    assert lines.count("C: RCPT TO:<c@x.test>") == 2
    assert len(attempts(result.transcript)) == 1


def test_the_lone_dot_that_sends_nothing_is_shown_as_such() -> None:
    (result,) = in_memory(mail(), answers={("rcpt", "r.m"): b"550 5.1.1"}, eager=True)
    lines = said(result.transcript)
    assert lines[-3:] == ["C: .", "S: 250 2.0.0 m verdict", "*  recipientsRefused in phase rcpt"]
    assert not any("octets" in line for line in lines)


# -- logins ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["login", "plain"])
def test_a_login_is_masked(method: str, certs: Certs) -> None:
    with Recorder(tls="starttls", certs=certs, users={USER: PASSWORD}) as server:
        result = over_the_wire(server, certs, authMethod=method)
    lines = said(result.transcript)
    at = next(index for index, line in enumerate(lines) if line.startswith("C: AUTH"))
    asked = ["C: AUTH LOGIN", "S: 334 ***", "C: ***", "S: 334 ***", "C: ***"]
    expected = asked if method == "login" else ["C: AUTH PLAIN ***"]
    assert lines[at : at + len(expected)] == expected
    assert lines[at + len(expected)].startswith("S: 235 ")
    assert "C: STARTTLS" in lines
    assert any(re.match(r"\*  TLSv1\.[23], \S+, verified, ", line) for line in lines)


@pytest.mark.parametrize("method", ["login", "plain"])
@pytest.mark.parametrize("fault", ["a_echo", "a_535", "a_334", "a_plain334", "a_454"])
def test_a_refused_login_shows_no_secret_even_if_the_server_says_it_back(
    fault: str, method: str, certs: Certs
) -> None:
    with FaultyServer(fault, tls=certs) as server:
        result = over_the_wire(server, certs, authMethod=method)
    assert result.error
    lines = said(result.transcript)
    assert lines[0].startswith("# attempt 1, ")
    assert lines[-1].startswith("*  failed: The server ")
    assert "MAIL" not in "".join(lines)
    if fault == "a_echo":
        assert any("***" in line for line in lines if line.startswith("S: 535"))


class _Tokens:
    """One token after another."""

    renewable = True

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)
        self.session: Session | None = None
        """Whose server has to have hung up before there is another token."""

    async def token(self) -> Secret:
        return Secret(self._tokens[0])

    async def renewed(self, refused: Secret) -> Secret:
        while self.session and self.session.usable:
            await asyncio.sleep(0)
        return Secret(self._tokens[1])

    async def facts(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize("hangs_up", [True, False])
@pytest.mark.parametrize("challenges", [True, False])
def test_tokens_are_masked_the_refused_one_and_the_new_one(challenges: bool, hangs_up: bool) -> None:
    tokens = ("ya29.old+token/S3CRET", "ya29.new-token~S3CRET")

    async def opening(supply: _Tokens, port: int) -> list[str]:
        session = Session(Server("127.0.0.1", port, Encryption.NONE, XOAuth2(USER, supply)))
        supply.session = session if hangs_up else None
        await session._reach()
        await session.login()
        await session.quit()
        return session.connection.opening.lines

    with TokenRecorder(tokens[1], challenges=challenges, hangs_up=hangs_up, echoes=True) as server:
        told = asyncio.run(opening(_Tokens(*tokens), server.port))
    check_no_secret(told, tokens, USER)
    lines = said(told)
    assert lines[-1].startswith("S: 235 ")
    assert lines.count("C: AUTH XOAUTH2 ***") == 2
    assert ("S: 334 ***" in lines) == ("C: ***" in lines) == challenges
    assert sum(line.startswith("*  connected to ") for line in lines) == (2 if hangs_up else 1)


def test_what_cannot_be_connected_to_is_told() -> None:
    closed = Recorder()
    with closed:
        port = closed.port
    credential = {
        "host": "127.0.0.1", "port": port, "encryption": "none", "authMethod": "none", "timeouts": TIMEOUTS,
    }  # fmt: skip
    first, second = asyncio.run(results_of(credential, [mail("m0"), mail("m1")]))
    assert isinstance(first.error, ConnectFailed)
    assert said(first.transcript)[:3] == [
        f"# attempt 1, connection to 127.0.0.1 port {port}",
        "*  127.0.0.1 is at 127.0.0.1",
        "*  no connection to 127.0.0.1: connection refused",
    ]
    assert first.transcript == second.transcript, "both waited for the same connection"


def test_of_a_mail_that_does_not_want_it_an_error_shows_nothing(certs: Certs) -> None:
    with FaultyServer("a_535", tls=certs) as server:
        credential = {
            "host": "localhost", "port": server.port, "username": USER, "password": PASSWORD,
            "caCertificate": certs.ca_pem.read_text(), "timeouts": TIMEOUTS,
        }  # fmt: skip
        (result,) = asyncio.run(results_of(credential, [mail()], transcript=False))
    assert isinstance(result.error, AuthFailed)
    assert result.transcript == ()
    assert "transcript" not in result.error.as_dict()


# -- hostile servers ---------------------------------------------------------------------------------

HOSTILE = "\x1b[2J\x1b]0;owned\x07 \u2028 2027-01-01 INFO login ok \u202egnol\x85\u200b\x7f\x9b31m \udcff"


def test_whatever_a_server_says_is_one_plain_line() -> None:
    evil = HOSTILE.encode("utf-8", "surrogateescape")
    (result,) = in_memory(
        mail(),
        keywords=[evil.decode("utf-8", "surrogateescape").replace("\udcff", ""), *PIPELINED],
        answers={
            ("rcpt", "r.m"): b"550-5.1.1 " + evil + b"\r\n550 5.1.1 # attempt 9",
            ("mail", "m"): b"250 \r ",
        },
    )
    assert all(line.isprintable() for line in result.transcript), result.transcript
    assert len(attempts(result.transcript)) == 1
    assert any(r"\x1b[2J" in line for line in result.transcript)
    assert any(r"\u2028" in line for line in result.transcript)


def test_a_server_that_says_too_much_is_cut_short() -> None:
    much = b"\r\n".join(b"250-" + b"x" * 1500 for _ in range(40)) + b"\r\n250 x"
    (result,) = in_memory(mail(), answers={("rcpt", "r.m"): much})
    assert result.status == "sent"
    assert max(map(len, result.transcript)) < 600
    many = b"".join(b"250-x\r\n" for _ in range(3000)) + b"250 x"
    (result,) = in_memory(mail(), answers={("rcpt", "r.m"): many})
    assert "S: … 2,951 lines more" in said(result.transcript)


@EVERY_WAY
def test_many_recipients_are_counted(keywords: tuple[str, ...]) -> None:
    (result,) = in_memory(mail("m", *(f"r{n}" for n in range(1000))), keywords=keywords)
    assert len(result.accepted) == 1000
    lines = said(result.transcript)
    assert len(lines) < MAX_LINES
    assert lines.count("S: 250 2.1.5 m") == MAX_RECIPIENTS
    assert "C: … 900 recipients more" in lines
    assert "S: … 900 replies to recipients more" in lines
    assert lines[-1] == "S: 250 2.0.0 m verdict"


def test_many_transactions_are_cut_in_the_middle() -> None:
    (result,) = in_memory(mail("m", *(f"r{n}" for n in range(400))), at_most=1)
    assert len(result.accepted) == 400
    lines = said(result.transcript)
    assert len(lines) == MAX_LINES + 1
    assert lines[0].startswith("# attempt 1, ")
    assert any(re.fullmatch(r" +… [\d,]+ lines more", line) for line in lines)
    assert lines[-1] == "S: 250 2.0.0 m verdict"


# -- elsewhere ---------------------------------------------------------------------------------------


def test_a_node_gives_it_with_each_result() -> None:
    node = {"parameters": {"to": "{{ who }}@x.test", "subject": "s", "body": "b"}}
    credential = {
        "host": "localhost", "encryption": "none", "authMethod": "none", "port": 25,
        "fromAddress": "a@x.test", "ehloName": "me.test",
    }  # fmt: skip

    async def work(transcript: bool) -> list[Result]:
        items = [{"who": "m1"}, {"who": "m2"}, {"who": "not an address"}]
        return await nina_smtp.send_async(
            node | {"options": {"onError": "continue"}}, credential, items, transcript=transcript
        )

    one, two, bad = run(lambda: work(True), lambda: Peer(Store()))
    assert (names_in(one.transcript), names_in(two.transcript)) == ({"m1"}, {"m2"})
    assert said(bad.transcript)[len(OPENING) + 1 :] == ["*  invalidAddress"]
    assert not any(result.transcript for result in run(lambda: work(False), lambda: Peer(Store())))


def test_a_session_keeps_its_opening_and_nothing_of_what_is_asked_later() -> None:
    from nina_smtp.envelope import Envelope

    async def work() -> list[str]:
        session = await Session.open(ACCOUNT.server)
        await session.probe(Envelope("a@x.test", ("somebody@x.test",)))
        await session.quit()
        return session.connection.opening.lines

    assert said(run(work, lambda: Peer(Store()))) == OPENING


def test_an_error_that_stops_an_opening_says_how_far_it_came() -> None:
    async def work() -> None:
        await Session.open(ACCOUNT.server)

    with pytest.raises(NinaError) as caught:
        run(work, lambda: Peer(Store(), ["junk"], cut=None, segments=iter([4, 0, 0])))
    assert caught.value.transcript
