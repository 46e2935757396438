"""Metrics: what is counted, when it is, and where Prometheus fetches it."""

from __future__ import annotations

import asyncio
import builtins
import http.client
import re
from typing import Any

import pytest
from bed.faulty import FaultyServer
from bed.memory import PIPELINED, Peer, Store, run
from bed.recorder import Recorder
from prometheus_client import CollectorRegistry, generate_latest

import nina_smtp
from nina_smtp import observe
from nina_smtp.delivery.result import Result, Status
from nina_smtp.errors import NinaError, ParameterError
from nina_smtp.message import Email
from nina_smtp.observe import metrics
from nina_smtp.observe.endpoint import serving

NODE = {
    "parameters": {"to": "{{ to }}", "from": "a@x.test", "subject": "s", "body": "b"},
    "options": {"onError": "continue"},
}
CREDENTIAL = {
    "host": "localhost", "port": 25, "encryption": "none", "authMethod": "none", "ehloName": "me.test",
}  # fmt: skip


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    metrics.enable(registry)
    return registry


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


def send(*items: str, **server: Any) -> list[Result]:
    async def work() -> list[Result]:
        return await nina_smtp.send_async(NODE, CREDENTIAL, [{"to": to} for to in items])

    return run(work, lambda: Peer(Store(), PIPELINED, **server))


def test_mails_recipients_and_attempts_are_counted(registry: CollectorRegistry) -> None:
    answers = {("rcpt", "bad"): b"550 5.1.1", ("rcpt", "grey"): b"450 4.2.0"}
    results = send("ok@x.test", "ok@x.test, bad@x.test", "bad@x.test", "grey@x.test", "none", answers=answers)
    assert [result.status for result in results] == ["sent", "partial", "failed", "failed", "failed"]
    assert value(registry, "nina_mails_total", status="sent") == 1
    assert value(registry, "nina_mails_total", status="partial") == 1
    assert value(registry, "nina_mails_total", status="failed") == 3
    assert value(registry, "nina_recipients_total", verdict="accepted") == 2
    assert value(registry, "nina_recipients_total", verdict="rejected") == 3
    assert value(registry, "nina_attempts_total", phase="done", outcome="sent") == 1
    assert value(registry, "nina_attempts_total", phase="done", outcome="partial") == 1
    assert value(registry, "nina_attempts_total", phase="rcpt", outcome="permanent") == 1
    assert value(registry, "nina_attempts_total", phase="rcpt", outcome="greylisted") == 1
    assert value(registry, "nina_attempts_total", phase="none", outcome="input") == 1
    size = sum(result.size or 0 for result in results if result.accepted)
    assert value(registry, "nina_octets_total") == size
    assert value(registry, "nina_mail_seconds_count") == 5


def test_a_mail_that_may_have_been_delivered_is_counted_as_such(registry: CollectorRegistry) -> None:
    send("ok@x.test", answers={("end", "a"): b"what"})
    assert value(registry, "nina_mails_total", status="unknown") == 1
    assert value(registry, "nina_recipients_total", verdict="uncertain") == 1
    assert value(registry, "nina_attempts_total", phase="dot", outcome="unknown") == 1
    assert value(registry, "nina_octets_total") == 0


def test_connections_that_are_open_are_counted(registry: CollectorRegistry) -> None:
    seen: list[float] = []

    async def work() -> None:
        async with nina_smtp.Pool(CREDENTIAL) as pool:
            await pool.send(Email("a@x.test", "b@x.test", "s", text="t"))
            seen.append(value(registry, "nina_connections"))
        seen.append(value(registry, "nina_connections"))

    run(work, lambda: Peer(Store()))
    assert seen == [1, 0]


@pytest.mark.parametrize("fault", ["t_hang", "a_535", "x_hang", "g_rst", "x_close", "t_selfsigned"])
def test_however_a_connection_ends_it_is_counted_no_more(fault: str, registry: CollectorRegistry) -> None:
    timeouts = {"connect": 2, "greeting": 1, "command": 1, "final": 0.3, "total": 3, "quit": 0.2}
    data = {"host": "localhost", "username": "u@mail.test", "password": "p", "timeouts": timeouts}
    with FaultyServer(fault, patience=2) as server:
        nina_smtp.send(NODE, data | {"port": server.port}, {"to": "b@x.test"})
    assert value(registry, "nina_connections") == 0


def test_logins_are_counted_by_how_they_ended(registry: CollectorRegistry) -> None:
    data = {"host": "127.0.0.1", "encryption": "none", "username": "u@mail.test", "password": "p"}
    with Recorder() as server:
        nina_smtp.send(NODE, data | {"port": server.port}, {"to": "b@x.test"})
    with Recorder(users={}) as server:
        nina_smtp.send(NODE, data | {"port": server.port}, {"to": "b@x.test"})
    with Recorder(keywords=["PIPELINING"]) as server:
        nina_smtp.send(NODE, data | {"port": server.port}, {"to": "b@x.test"})
    found = {name: value(registry, "nina_logins_total", result=name) for name in ("ok", "refused", "failed")}
    assert found == {"ok": 1, "refused": 1, "failed": 1}


def test_no_label_is_made_of_what_others_write(registry: CollectorRegistry) -> None:
    answers = {("rcpt", f"r{n}"): b"5%d0 5.1.%d \xff" % (n % 5, n) for n in range(20)}
    send(*(f"r{n}@x{n}.test" for n in range(20)), "ok@x.test", answers=answers)
    text = generate_latest(registry).decode()
    assert "x.test" not in text
    assert "localhost" not in text
    labels = set(re.findall(r'(\w+)="([^"]*)"', text))
    assert {name for name, _ in labels} <= {"status", "phase", "outcome", "verdict", "result", "le"}
    assert all(re.fullmatch(r"[A-Za-z]+|\+Inf|[\d.]+", text) for _, text in labels)


def test_what_alerts_look_for_is_there_before_it_happens(registry: CollectorRegistry) -> None:
    assert registry.get_sample_value("nina_mails_total", {"status": "unknown"}) == 0
    assert registry.get_sample_value("nina_logins_total", {"result": "refused"}) == 0


def test_names_follow_prometheus(registry: CollectorRegistry) -> None:
    live = metrics.enable(registry)
    for family in registry.collect():
        assert family.name.startswith("nina_")
        assert family.documentation.endswith(".")
    assert metrics.enable(registry) is live, "enabling it again is harmless"


def test_nothing_is_counted_unless_it_is_enabled() -> None:
    registry = CollectorRegistry()
    metrics.enable(registry)
    metrics.disable()
    send("ok@x.test")
    observe.mail_ended(Result(Status.SENT))
    assert value(registry, "nina_mails_total", status="sent") == 0


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any, **others: Any) -> Any:
        if name.startswith("prometheus_client"):
            raise ImportError(name)
        return real(name, *more, **others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ParameterError) as caught:
        metrics.enable()
    assert caught.value.hint == 'pip install "nina-smtp[metrics]"'
    assert send("ok@x.test")[0].status == "sent"


# -- the endpoint ------------------------------------------------------------------------------------


def fetch(url: str, path: str = "/metrics", **headers: str) -> tuple[int, str]:
    host, port = url.split("/")[2].split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.fixture
def url() -> Any:
    metrics.State.live = metrics.Metrics(CollectorRegistry())
    told: list[str] = []
    real = metrics.enable
    metrics.enable = lambda registry=None: metrics.State.live  # type: ignore[assignment,return-value]
    try:
        with serving(0, told.append):
            yield told[0]
    finally:
        metrics.enable = real


def test_prometheus_fetches_them_from_this_machine_alone(url: str) -> None:
    assert url.startswith("http://127.0.0.1:")
    send("ok@x.test")
    status, text = fetch(url)
    assert status == 200
    assert 'nina_mails_total{status="sent"} 1.0' in text
    assert fetch(url, Host=f"localhost:{url.split(':')[2].split('/')[0]}")[0] == 200


@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1.nip.io:80", "evil.test:127.0.0.1", ""])
def test_a_page_whose_name_points_here_gets_nothing(url: str, host: str) -> None:
    status, text = fetch(url, Host=host)
    assert status == 421
    assert "nina_" not in text


def test_there_is_nothing_else(url: str) -> None:
    assert fetch(url, "/")[0] == 404


def test_a_port_that_is_taken_is_an_error_that_says_so(url: str) -> None:
    taken = int(url.split(":")[2].split("/")[0])
    for port in (taken, 70_000, -1):
        with pytest.raises(NinaError, match=f"Port {port} cannot be had"), serving(port, print):
            raise AssertionError("there is no second one")


def test_mails_of_several_threads_are_all_counted(registry: CollectorRegistry) -> None:
    async def both() -> None:
        await asyncio.gather(*(asyncio.to_thread(send, "ok@x.test", "ok@x.test") for _ in range(4)))

    asyncio.run(both())
    assert value(registry, "nina_mails_total", status="sent") == 8
