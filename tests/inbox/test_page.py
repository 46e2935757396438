"""The page in a real browser: what a hostile mail says is shown, and never done."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from inbox import chromium
from inbox.conftest import Running

PROGRAM = chromium.find()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine"),
]

SCRIPT = "<img src=x onerror=\"document.title='PWNED'\"><script>document.title='PWNED'</script>"


def picture() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", 7, 5, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 40)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.fixture
def page(tmp_path: Path) -> Iterator[chromium.Page]:
    assert PROGRAM is not None
    with chromium.Page(PROGRAM, tmp_path / "profile") as opened:
        yield opened


def hostile() -> bytes:
    html = (
        "<p id=shown>shown</p><form action='http://127.0.0.1:9/'><input name=a></form>"
        "<a id=link href='javascript:document.title=1'>x</a><img id=logo src='cid:logo@x'>"
        "<img src='http://127.0.0.1:9/track.gif'><svg onload='document.body.textContent=1'></svg>"
        "<script>document.body.textContent='PWNED'</script>"
        "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>"
    )
    return "\r\n".join(
        [
            f"Subject: {SCRIPT}",
            f'From: "{SCRIPT.replace(chr(34), "")}" <{SCRIPT}@evil.test>',
            f"X-Evil: {SCRIPT}",
            "Content-Type: multipart/mixed; boundary=zz",
            "",
            "--zz",
            "Content-Type: text/plain",
            "",
            SCRIPT,
            "--zz",
            "Content-Type: text/html",
            "",
            html,
            "--zz",
            "Content-Type: image/png",
            "Content-ID: <logo@x>",
            "Content-Transfer-Encoding: base64",
            "",
            base64.b64encode(picture()).decode(),
            "--zz",
            "Content-Disposition: attachment;",
            " filename*=utf-8''%3Cimg%20src=x%20onerror=alert(1)%3E%E2%80%AEfdp.exe",
            "",
            "MZ",
            "--zz--",
            "",
        ]
    ).encode()


def test_a_hostile_mail_is_text_everywhere_and_runs_nothing(inbox: Running, page: chromium.Page) -> None:
    inbox.send(hostile(), f"{'x' * 200}@corp.test")
    page.open(inbox.inbox.url, width=1280, height=720)
    page.until("document.querySelector('iframe.paper') && document.querySelector('.live.on')")
    assert page.evaluate("document.querySelector('.mr .sj').textContent") == SCRIPT
    assert page.evaluate("document.querySelector('.mh h2').textContent") == SCRIPT
    assert "\\u{202e}fdp.exe" in page.evaluate("document.querySelector('.attb').textContent")

    page.until_in_frame("document.readyState === 'complete'")
    assert "shown" in page.in_frame("document.body.innerText")
    assert "Remote image not loaded: 127.0.0.1:9/track.gif" in page.in_frame("document.body.innerText")
    assert page.in_frame("document.getElementById('logo').naturalWidth") == 7

    for tab in ("Text", "Headers", "Source", "Attachments", "HTML"):
        page.evaluate(f"document.getElementById('tab-{tab}').click()")
        page.until("document.querySelector('#panel').textContent")
        if tab in {"Text", "Headers"}:
            assert SCRIPT in page.evaluate("document.querySelector('#panel').textContent")
        if tab == "Source":
            page.until(
                f"document.querySelector('.source').textContent.includes({SCRIPT!r})".replace("\n", "")
            )
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
    assert page.evaluate("document.title") == "Inbox"
    assert page.evaluate("document.querySelectorAll('img, body script').length") == 0
    # Of the frame, the browser says what it refused to do there; of the page itself it has nothing to say.
    assert [problem for problem in page.problems if "sandboxed" not in problem] == []
    assert any("Blocked script execution" in problem for problem in page.problems)


def test_the_list_is_live_and_follows_the_keys(inbox: Running, page: chromium.Page) -> None:
    page.open(inbox.inbox.url)
    page.until("document.querySelector('.none.big h2').textContent === 'No mail yet'")
    for number in range(3):
        inbox.send(b"Subject: mail %d\r\n\r\nbody %d" % (number, number))
        page.until(f"document.querySelectorAll('.mr').length === {number + 1}")
        page.until("document.querySelector('.mh h2').textContent === 'mail 0'")

    page.press("ArrowUp")
    page.until("document.querySelector('.mh h2').textContent === 'mail 1'")
    page.press("/")
    assert page.evaluate("document.activeElement.id") == "query"
    page.press("2", text="2")
    page.until("document.querySelectorAll('.mr').length === 1")
    page.until("document.querySelector('.mh h2').textContent === 'mail 2'")
    page.press("Escape")
    page.until("document.querySelectorAll('.mr').length === 3")
    page.press("Delete")
    page.until("document.querySelectorAll('.mr').length === 2")
    page.until("document.querySelector('.mh h2').textContent === 'mail 1'")

    page.evaluate("document.querySelector('#danger button').click()")
    assert page.evaluate("document.querySelector('#danger').textContent") == "Delete 2 messagesKeep"
    assert len(inbox.inbox.messages) == 2
    page.evaluate("document.querySelector('#danger .fill').click()")
    page.until("document.querySelector('.none.big')")
    assert len(inbox.inbox.messages) == 0
    assert page.problems == []
