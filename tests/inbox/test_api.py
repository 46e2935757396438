"""The API: what it answers, to whom, and what every answer carries."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from inbox.conftest import Running

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16
OWN = {"X-Nina-Inbox": "1"}


def multipart(*parts: bytes) -> bytes:
    body = b"".join(b"--zz\r\n" + part + b"\r\n" for part in parts)
    return b"Subject: x\r\nContent-Type: multipart/mixed; boundary=zz\r\n\r\n" + body + b"--zz--\r\n"


def plain_request(inbox: Running, *lines: str) -> bytes:
    """An answer to a request written by hand, with headers no client would send."""
    with socket.create_connection(("127.0.0.1", inbox.inbox.http_port), 20) as client:
        client.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        with client.makefile("rb") as answer:
            return answer.read()


def test_the_list_is_newest_first_in_pages_with_a_count(inbox: Running) -> None:
    ids = [inbox.send(b"Subject: number %d\r\n\r\nx" % number) for number in range(5)]
    first = inbox.get("/api/messages?limit=2").json()
    assert [message["id"] for message in first["messages"]] == ids[:2:-1]
    assert (first["count"], first["total"], first["keep"]) == (5, 5, 500)
    assert first["smtp"] == {"host": "127.0.0.1", "port": inbox.inbox.smtp_port}
    rest = inbox.get(f"/api/messages?before={first['messages'][-1]['id']}").json()
    assert [message["id"] for message in rest["messages"]] == ids[2::-1]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 3),
        ("GRÜSSE", 1),
        ("blind@corp.test", 1),
        ("phishing grüsse", 1),
        ("phishing forecast", 0),
        ("report.pdf", 1),
    ],
)
def test_a_search_finds_every_word_anywhere(inbox: Running, query: str, found: int) -> None:
    inbox.send("Subject: Grüsse\r\n\r\nabout phishing".encode())
    inbox.send(b"Subject: weather\r\n\r\nforecast", "blind@corp.test")
    inbox.send(multipart(b'Content-Disposition: attachment; filename="report.pdf"\r\n\r\n%PDF'))
    assert inbox.http.get("/api/messages", params={"query": query}).json()["count"] == found


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=-1", "query=" + "x" * 501])
def test_a_bad_parameter_is_an_error_in_words(inbox: Running, query: str) -> None:
    answer = inbox.get(f"/api/messages?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"].keys() == {"type", "message", "hint"}


def test_a_message_has_its_parts_and_its_source(inbox: Running) -> None:
    raw = multipart(
        b"Content-Type: text/html\r\n\r\n<p>hi</p><img src='http://x.test/p.gif'>",
        b'Content-Type: text/csv\r\nContent-Disposition: attachment; filename="a.csv"\r\n\r\na,b',
    )
    message = inbox.message(inbox.send(raw))
    assert (message["subject"], message["text"], message["remoteImages"]) == ("x", None, 1)
    assert message["attachments"] == [
        {
            "index": 0,
            "filename": "a.csv",
            "contentType": "text/csv",
            "size": 3,
            "contentId": None,
            "disposition": "attachment",
            "kind": "CSV text",
            "mismatch": False,
            "embedded": False,
        }
    ]
    source = inbox.get(f"/api/messages/{message['id']}/raw")
    assert source.content == raw
    assert source.headers["content-type"] == "message/rfc822"
    assert source.headers["content-disposition"].startswith('attachment; filename="x.eml"')


def test_a_hostile_file_name_stays_one_header(inbox: Running) -> None:
    # a"\r\nSet-Cookie: x=1.html, in the only encoding that can carry it
    raw = multipart(
        b"Content-Type: text/html\r\nContent-Disposition: attachment; "
        b"filename*=utf-8''a%22%0D%0ASet-Cookie%3A%20x%3D1.html\r\n\r\n<script>alert(1)</script>"
    )
    message_id = inbox.send(raw)
    assert inbox.message(message_id)["attachments"][0]["filename"] == 'a"\r\nSet-Cookie: x=1.html'
    answer = inbox.get(f"/api/messages/{message_id}/attachments/0")
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"a___Set-Cookie_ x=1.html\"; filename*=UTF-8''a%22__Set-Cookie%3A%20x%3D1.html"
    )
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        (b"../../etc/passwd", "_.._etc_passwd"),
        (b"C:\\x.exe", "C:_x.exe"),
        (b"", "part-1.bin"),
        (b"...", "file"),
        ("invoice\u202efdp.exe".encode(), "invoice_fdp.exe"),
    ],
)
def test_a_file_name_is_never_a_path(inbox: Running, name: bytes, saved: str) -> None:
    quoted = name.replace(b"\\", b"\\\\")
    raw = multipart(
        b'Content-Type: image/png\r\nContent-Disposition: attachment; filename="%s"\r\n\r\nx' % quoted
    )
    answer = inbox.get(f"/api/messages/{inbox.send(raw)}/attachments/0")
    name_sent = answer.headers["content-disposition"].rpartition("''")[2]
    assert httpx.URL(f"http://x/{name_sent}").path == f"/{saved}"


@pytest.mark.parametrize(
    ("kind", "content", "shown_as"),
    [
        (b"image/png", PNG, "image/png"),
        (b"text/html", PNG, "image/png"),
        (b"image/svg+xml", b"<svg onload=alert(1)>", "application/octet-stream"),
        (b"image/png", b"<script>alert(1)</script>", "application/octet-stream"),
    ],
)
def test_only_a_plain_picture_is_shown_in_place(
    inbox: Running, kind: bytes, content: bytes, shown_as: str
) -> None:
    part = b"Content-Type: %s; name=a\r\nContent-ID: <logo@x>\r\n\r\n%s" % (kind, content)
    raw = multipart(b"Content-Type: text/html\r\n\r\n<img src='cid:logo@x'><img src=cid:other>", part)
    message_id = inbox.send(raw)
    address = f"/api/messages/{message_id}/attachments/0"
    assert (
        f"<img src='{address}?inline=1'><img src=data:,>"
        in inbox.get(f"/api/messages/{message_id}/html").text
    )
    assert inbox.get(f"{address}?inline=1").headers["content-type"] == shown_as
    assert inbox.get(address).headers["content-type"] == "application/octet-stream"


def test_html_is_framed_under_a_policy_of_its_own(inbox: Running) -> None:
    html = b'<!DOCTYPE html><script>alert(1)</script><img src="//track.test/&quot;><b>x">'
    message_id = inbox.send(b"Content-Type: text/html\r\n\r\n" + html)
    answer = inbox.get(f"/api/messages/{message_id}/html")
    assert answer.text.startswith("<!DOCTYPE html><base")
    policy = answer.headers["content-security-policy"]
    for rule in (
        "default-src 'none'",
        "img-src 'self' data:",
        "sandbox allow-popups",
        "frame-ancestors 'self'",
    ):
        assert rule in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy


def test_deleting_takes_one_or_all(inbox: Running) -> None:
    first, second, third = (inbox.send(b"Subject: %d\r\n\r\nx" % number) for number in range(3))
    assert inbox.http.delete(f"/api/messages/{second}", headers=OWN).json() == {"deleted": 1}
    assert inbox.http.delete(f"/api/messages/{second}", headers=OWN).status_code == 404
    assert [m["id"] for m in inbox.get("/api/messages").json()["messages"]] == [third, first]
    assert inbox.http.delete("/api/messages", headers=OWN).json() == {"deleted": 2}
    assert inbox.get("/api/messages").json()["size"] == 0


def test_events_tell_of_every_change(inbox: Running) -> None:
    with inbox.http.stream("GET", "/api/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        counts = counts_of(answer)
        assert next(counts) == 0
        inbox.send(b"Subject: x\r\n\r\ny")
        assert next(counts) == 1
        inbox.http.delete("/api/messages", headers=OWN)
        assert next(counts) == 0


def counts_of(answer: httpx.Response) -> Iterator[int]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line[6:])["count"]


def test_an_inbox_stops_while_a_page_listens(start: Any) -> None:
    before = time.monotonic()
    with start() as running:
        client = httpx.Client(trust_env=False)
        request = client.build_request("GET", f"{running.inbox.url}api/events")
        answer = client.send(request, stream=True)
    answer.close()
    client.close()
    assert time.monotonic() - before < 4


EVERYWHERE = (
    "/",
    "/inbox.js",
    "/inbox.css",
    "/icon.svg",
    "/api/messages",
    "/api/messages/none",
    "/api/messages/none/attachments/99999999999999999999",
    "/healthz",
    "/no/such/page",
    "/../server.py",
    "/%2e%2e/server.py",
)


@pytest.mark.parametrize("path", EVERYWHERE)
def test_every_answer_is_guarded(inbox: Running, path: str) -> None:
    headers = inbox.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_a_bug_is_answered_without_its_details(inbox: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise ValueError("/secret/path")

    monkeypatch.setattr(inbox.inbox.messages, "find", broken)
    answer = inbox.get("/api/messages")
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "internal")
    assert "secret" not in answer.text
    assert "default-src" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_it_answers_to_its_own_names(inbox: Running, host: str) -> None:
    assert inbox.get("/healthz", host=f"{host}:{inbox.inbox.http_port}").json()["status"] == "ok"


@pytest.mark.parametrize(
    "host",
    [
        "evil.test:{}",
        "127.0.0.1.nip.io:{}",
        "localhost:{}@evil",
        "localhost.:{}",
        "0.0.0.0:{}",
        "127.0.0.1",
        "",
    ],
)
def test_it_answers_to_no_other_name(inbox: Running, host: str) -> None:
    inbox.send(b"Subject: CANARY\r\n\r\nx")
    answer = inbox.get("/api/messages", host=host.format(inbox.inbox.http_port))
    assert answer.status_code == 421
    assert "CANARY" not in answer.text


@pytest.mark.parametrize(
    "lines",
    [
        ("GET /api/messages HTTP/1.1",),
        ("GET /api/messages HTTP/1.0",),
        ("GET /api/messages HTTP/1.1", "Host: 127.0.0.1:{}", "Host: evil.test"),
        ("GET /api/messages HTTP/1.1", "Host: evil.test", "X-Forwarded-Host: 127.0.0.1:{}"),
        ("GET http://127.0.0.1:{}/api/messages HTTP/1.1", "Host: evil.test"),
    ],
)
def test_a_strange_request_learns_nothing(inbox: Running, lines: tuple[str, ...]) -> None:
    inbox.send(b"Subject: CANARY\r\n\r\nx")
    answer = plain_request(inbox, *(line.format(inbox.inbox.http_port) for line in lines))
    assert answer.split(b" ")[1] in {b"400", b"421"}
    assert b"CANARY" not in answer


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Nina-Inbox": "0"},
        OWN | {"Origin": "http://evil.test"},
        OWN | {"Origin": "null"},
        OWN | {"Origin": "http://localhost:{}"},
        OWN | {"Origin": "https://127.0.0.1:{}"},
        OWN | {"Sec-Fetch-Site": "cross-site"},
        OWN | {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_site_cannot_delete(inbox: Running, headers: dict[str, str]) -> None:
    inbox.send(b"Subject: x\r\n\r\ny")
    sent = {name: value.format(inbox.inbox.http_port) for name, value in headers.items()}
    answer = inbox.http.delete("/api/messages", headers=sent)
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "forbidden")
    assert len(inbox.inbox.messages) == 1


def test_the_page_itself_may_delete(inbox: Running) -> None:
    origin = {"Origin": inbox.inbox.url.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert inbox.http.delete("/api/messages", headers=OWN | origin).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.test", "null"])
def test_another_site_cannot_listen_or_read(inbox: Running, origin: str) -> None:
    for path in ("/api/events", "/api/messages"):
        assert inbox.get(path, origin=origin).status_code == 403


def test_methods_without_a_meaning_are_refused(inbox: Running) -> None:
    for method in ("POST", "PUT", "PATCH"):
        answer = inbox.http.request(method, "/api/messages", headers=OWN, json={"_method": "DELETE"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (405, "methodNotAllowed")
