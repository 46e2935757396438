"""The progress of ``nina-smtp send``, on a real pseudo-terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bed.recorder import Recorder
from bed.recording import Message

from nina_smtp.cli.progress import LARGE, Tally, describe
from nina_smtp.delivery.result import Result, Status

NODE = {"parameters": {"to": "b@mail.test", "from": "a@mail.test", "subject": "{{ what }}", "body": "Hello"}}
WITH_TERMINAL = (
    "import fcntl, sys, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0); {hide};"
    "from nina_smtp.cli import main; sys.exit(main())"
)
UNFINISHED = re.compile(rb"(?:\x1b[^A-Za-z]*|[\xc0-\xff][\x80-\xbf]*)?\Z")
HIDE = {"rich": "pass", "no rich": "sys.modules['rich'] = None"}
WIDE, NARROW = 200, 50
SIZE = ("COLUMNS", "LINES")  # a terminal tells its own
BARE = {name: value for name, value in os.environ.items() if name not in SIZE}


class Screen:
    """What is on a terminal after ``octets``, as far as progress uses one; anything else is an error."""

    def __init__(self, octets: bytes, columns: int) -> None:
        self.columns = columns
        self.lines = [""]
        self.row = self.column = 0
        self.cursor = True
        for control, number, final, text in re.findall(
            r"(\x1b\[\??([\d;]*)([A-Za-z])|[\r\n])|([^\x1b\r\n]+)", octets.decode()
        ):
            if text:
                self._put(text)
            elif control == "\r":
                self.column = 0
            elif control == "\n":
                self._down()
            else:
                self._sequence(control, number, final)

    @property
    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.lines if line.strip()]

    def _put(self, text: str) -> None:
        assert text.isprintable(), ascii(text)
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + text + line[self.column + len(text) :]
        self.column += len(text)
        assert self.column <= self.columns, f"it wraps: {self.lines[self.row]!a}"

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def _sequence(self, control: str, number: str, final: str) -> None:
        if final == "m":
            pass
        elif final == "A":
            self.row -= int(number or 1)
            assert self.row >= 0
        elif control == "\x1b[2K":
            self.lines[self.row] = ""
        elif control in ("\x1b[?25l", "\x1b[?25h"):
            self.cursor = final == "h"
        else:
            raise AssertionError(f"{control!a} is not known here")


class Terminal:
    """A pseudo-terminal, and everything that was written to it."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.octets = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def screen(self) -> Screen:
        whole = self.octets[: len(self.octets) - len(UNFINISHED.search(self.octets)[0])]
        return Screen(whole, self.columns)

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if any(words in line for line in self.screen.shown):
                return
            time.sleep(0.02)
        raise AssertionError(f"{words!a} was not shown: {self.octets!a}")

    def close(self) -> None:
        os.close(self.slave)
        self._reader.join(30)
        os.close(self.master)

    def _read(self) -> None:
        try:
            while octets := os.read(self.master, 65536):
                self.octets += octets
        except OSError:
            pass  # nobody has the other end any more


class Slow(Recorder):
    """Takes ``free`` mails at once, and each of the others when ``go`` is set."""

    def __init__(self, free: int, dot_reply: bytes = b"250 2.0.0 Ok") -> None:
        super().__init__(dot_reply=dot_reply)
        self.free = free
        self.go = threading.Event()

    def reply_to_dot(self, message: Message) -> bytes:
        self.free -= 1
        if self.free < 0:
            self.go.wait(30)
        return super().reply_to_dot(message)


class Sending:
    """``nina-smtp send`` under way."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: Terminal) -> None:
        self.process = process
        self.terminal = terminal
        self.stdout = b""

    def finish(self) -> int:
        self.stdout, _ = self.process.communicate(timeout=60)
        self.terminal.close()
        return self.process.returncode


Start = Callable[..., "Sending"]


@pytest.fixture
def start(tmp_path: Path, write) -> Iterator[Start]:
    """Starts it with a terminal for standard error, which is the terminal of its session."""
    begun: list[Sending] = []

    def run(
        server: Recorder,
        items: object,
        *arguments: str,
        node=NODE,
        rich: str = "rich",
        columns: int = WIDE,
        stdout=subprocess.PIPE,
    ) -> Sending:
        write("node.json", node)
        data = {"host": "127.0.0.1", "port": server.port, "encryption": "none", "authMethod": "none"}
        write("cred.json", {"type": "smtp", "data": data})
        write("input.json", items)
        terminal = Terminal(columns)
        command = [sys.executable, "-c", WITH_TERMINAL.format(hide=HIDE[rich])]
        options = ["send", "node.json", "--credential", "cred.json", "--input", "input.json"]
        sending = Sending(
            subprocess.Popen(
                [*command, *options, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=terminal.slave if stdout == "terminal" else stdout,
                stderr=terminal.slave,
                cwd=tmp_path,
                env=BARE | {"TERM": "xterm", "NO_COLOR": "1"},
                start_new_session=True,
            ),
            terminal,
        )
        begun.append(sending)
        return sending

    yield run
    for sending in begun:
        if sending.process.poll() is None:
            sending.process.kill()
            sending.finish()


def items(count: int) -> list[dict[str, str]]:
    return [{"what": str(number)} for number in range(count)]


@contextmanager
def held(server: Slow) -> Iterator[Slow]:
    with server:
        try:
            yield server
        finally:
            server.go.set()


@pytest.mark.parametrize("rich", ["rich", "no rich"])
@pytest.mark.parametrize(("lines", "columns"), [(False, WIDE), (True, WIDE), (False, NARROW)])
def test_the_count_is_shown_and_standard_output_is_the_json_alone(
    start: Start, rich: str, lines: bool, columns: int
):
    with held(Slow(2)) as server:
        sending = start(server, items(5), *(["--jsonl"] if lines else []), rich=rich, columns=columns)
        sending.terminal.wait_for("2/5" if rich == "rich" else "sending: 2 of 5")
        server.go.set()
        assert sending.finish() == 0
    text = sending.stdout.decode()
    results = [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)["results"]
    assert [result["status"] for result in results] == ["sent"] * 5
    assert sending.terminal.screen.shown == ["5 of 5 sent"]
    assert sending.terminal.screen.cursor


@pytest.mark.parametrize("rich", ["rich", "no rich"])
def test_an_interrupt_leaves_a_clean_terminal_and_the_results(start: Start, rich: str):
    with held(Slow(2)) as server:
        sending = start(server, items(5), rich=rich)
        sending.terminal.wait_for("2/5" if rich == "rich" else "sending: 2 of 5")
        os.write(sending.terminal.master, b"\x03")
        assert sending.finish() == 130
    results = json.loads(sending.stdout)["results"]
    assert [result["status"] for result in results] == ["sent"] * 2 + ["unknown"] + ["notAttempted"] * 2
    assert b"^C" in sending.terminal.octets
    shown = sending.terminal.screen.shown
    assert shown[0].startswith("item 2: ")
    assert shown[-1].startswith("interrupted: 2 of 5 sent, 1 unknown")
    assert sending.terminal.screen.cursor


@pytest.mark.parametrize("rich", ["rich", "no rich"])
def test_of_a_large_mail_the_octets_are_shown(start: Start, rich: str):
    node = {"parameters": NODE["parameters"] | {"attachments": "{{ files }}"}}
    large = {"what": "x", "files": [{"filename": "a.bin", "content": "QUJD" * 400_000}]}
    with held(Slow(0)) as server:
        sending = start(server, large, node=node, rich=rich)
        sending.terminal.wait_for("1.6/1.6 MB" if rich == "rich" else "sending: item 0: 1.6 of 1.6 MB")
        assert len(sending.terminal.screen.shown) == 1
        server.go.set()
        assert sending.finish() == 0
    assert json.loads(sending.stdout)["status"] == "sent"
    assert sending.terminal.screen.shown == ["1 of 1 sent"]


@pytest.mark.parametrize("rich", ["rich", "no rich"])
def test_what_a_server_says_is_escaped_and_said_once(start: Start, rich: str):
    node = NODE | {"options": {"onError": "continue"}}
    with held(Slow(2, b"550 \x1b]0;owned\x07 [bold]no[/bold]")) as server:
        sending = start(server, items(4), node=node, rich=rich)
        sending.terminal.wait_for("2 failed")
        server.go.set()
        assert sending.finish() == 1
    octets = sending.terminal.octets
    assert b"\x1b]" not in octets
    assert b"\x07" not in octets
    shown = sending.terminal.screen.shown
    assert shown[-1] == "0 of 4 sent, 4 failed"
    assert [line for line in shown if line.startswith("item 1: ")] == [shown[0].replace("item 0", "item 1")]


@pytest.mark.parametrize(
    ("arguments", "mails", "mode"),
    [(["--no-progress"], 5, "each"), (["--dry-run"], 5, "each"), ([], 1, "each"), ([], 5, "once")],
)
def test_nothing_is_shown_unless_it_is_wanted_and_worth_it(start: Start, arguments, mails: int, mode: str):
    with held(Slow(0)) as server:
        threading.Timer(1, server.go.set).start()
        sending = start(server, items(mails), *arguments, node=NODE | {"options": {"mode": mode}})
        assert sending.finish() == 0
    assert re.fullmatch(rb"(?:1 of 1|5 of 5) (?:sent|built)\r\n", sending.terminal.octets)


def test_lines_on_the_same_terminal_are_progress_enough(start: Start):
    with held(Slow(0)) as server:
        threading.Timer(1, server.go.set).start()
        sending = start(server, items(3), "--jsonl", stdout="terminal")
        assert sending.finish() == 0
    assert [json.loads(line)["item"] for line in sending.terminal.octets.splitlines()[:3]] == [0, 1, 2]
    assert sending.terminal.octets.splitlines()[3:] == [b"3 of 3 sent"]


def test_nothing_is_shown_and_rich_is_not_loaded_where_there_is_no_terminal(cli, write):
    with held(Slow(0)) as server:
        threading.Timer(1, server.go.set).start()
        write("node.json", NODE)
        write(
            "cred.json",
            {"host": "127.0.0.1", "port": server.port, "encryption": "none", "authMethod": "none"},
        )
        write("input.json", items(3))
        arguments = ("send", "node.json", "--credential", "cred.json", "--input", "input.json")
        ran = cli(*arguments, PYTHONPROFILEIMPORTTIME="1", FORCE_COLOR="1")
    assert ran.status == 0
    assert len(ran.json["results"]) == 3
    lines = ran.stderr.splitlines()
    assert [line for line in lines if not line.startswith("import time:")] == ["3 of 3 sent"]
    assert not any(re.search(r"\| +rich\b", line) for line in lines)


def test_words_do_not_take_standard_output_when_standard_error_is_closed(write, tmp_path: Path):
    write("node.json", NODE)
    write("cred.json", {"host": "127.0.0.1", "port": 25, "encryption": "none", "authMethod": "none"})
    write("input.json", items(2))
    options = "send node.json --credential cred.json --input input.json --dry-run"
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m nina_smtp {options} 2>&-"],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert len(json.loads(done.stdout)["results"]) == 2


def test_a_tally_counts_what_was_tried_and_knows_the_large_mail_under_way():
    tally = Tally(4)
    assert describe(tally) == "sending: 0 of 4"
    tally.written(0, 10, 10)
    tally.written(2, LARGE, 4 * LARGE)
    tally.written(1, 3 * LARGE, 3 * LARGE)
    assert describe(tally) == "sending: 0 of 4, item 2: 1.0 of 4.0 MB"
    tally.settled(Result(Status.SENT, 0))
    tally.settled(Result(Status.FAILED, 2))
    assert describe(tally) == "sending: 2 of 4, 1 failed, item 1: 3.0 of 3.0 MB"
    tally.settled(Result(Status.UNKNOWN, 1))
    tally.settled(Result(Status.NOT_ATTEMPTED, 3))
    assert describe(tally) == "sending: 3 of 4, 1 failed, 1 unknown"
    assert tally.large is None


def test_one_small_mail_is_not_worth_showing():
    tally = Tally(1)
    tally.written(0, LARGE, LARGE)
    assert not tally.is_worth_showing
    tally.written(0, 1, LARGE + 1)
    assert tally.is_worth_showing
    assert describe(tally) == "sending: item 0: 0.0 of 1.0 MB"
