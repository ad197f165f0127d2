"""Server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift import App, Request
from swift.http.sse import EventHistory, EventSourceResponse, ServerSentEvent
from swift.testing import TestClient


def read_events(stream: str) -> list[tuple[str, str, str]]:
    """The `(event, id, data)` that a browser dispatches (the algorithm of WHATWG HTML section 9.2.6)."""
    events, event, last_id, data = [], "", "", ""
    for line in stream.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if not line:
            if data:
                events.append((event or "message", last_id, data.removesuffix("\n")))
            event = data = ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            event = value
        elif field == "data":
            data += value + "\n"
        elif field == "id" and "\0" not in value:
            last_id = value
    return events


@pytest.mark.parametrize(
    ("event", "encoded"),
    [
        (ServerSentEvent(data="hello"), "data: hello\n\n"),
        (ServerSentEvent(data=""), "data: \n\n"),
        (ServerSentEvent(data="a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (ServerSentEvent(data={"a": [1]}), 'data: {"a":[1]}\n\n'),
        (ServerSentEvent(data=0), "data: 0\n\n"),
        (ServerSentEvent(comment="ping"), ": ping\n\n"),
        (ServerSentEvent(comment="a\ndata: x"), ": a\n: data: x\n\n"),
        (
            ServerSentEvent(data="→", event="add", id="7", retry=3000),
            "event: add\nid: 7\nretry: 3000\ndata: →\n\n",
        ),
    ],
)
def test_records(event: ServerSentEvent, encoded: str) -> None:
    assert event.encode() == encoded.encode()


@pytest.mark.parametrize("field", ["event", "id"])
@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\r\n"])
def test_a_line_end_or_nul_in_a_name_is_refused(field: str, character: str) -> None:
    options: dict[str, Any] = {field: f"a{character}data: forged"}
    with pytest.raises(ValueError, match=f"The {field} of a server-sent event holds CR, LF or NUL"):
        ServerSentEvent(**options)


def test_a_negative_retry_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 ms"):
        ServerSentEvent(retry=-1)


@given(st.text(), st.text(), st.text(), st.text())
def test_a_browser_reads_exactly_one_event(data: str, event: str, id: str, comment: str) -> None:
    try:
        record = ServerSentEvent(data=data, event=event, id=id, comment=comment)
    except ValueError:
        assert any(c in event + id for c in "\r\n\0")
        return
    lines = data.replace("\r\n", "\n").replace("\r", "\n")

    assert read_events(record.encode().decode()) == [(event or "message", id, lines)]


class TestResponse:
    async def test_events_and_plain_values(self) -> None:
        async def source() -> AsyncIterator[Any]:
            yield ServerSentEvent(data="a", id="1")
            yield "b"
            yield {"c": 3}

        answer = await TestClient(EventSourceResponse(source())).get("/")

        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.text == 'id: 1\ndata: a\n\ndata: b\n\ndata: {"c":3}\n\n'

    async def test_a_plain_iterable(self) -> None:
        def source() -> Iterator[str]:
            yield "a"
            yield "b"

        assert (await TestClient(EventSourceResponse(source())).get("/")).text == "data: a\n\ndata: b\n\n"

    async def test_silence_is_filled_with_comments(self) -> None:
        """... and waiting for them does not disturb the source."""

        async def source() -> AsyncIterator[str]:
            yield "a"
            await asyncio.sleep(0.25)
            yield "b"

        chunks: list[bytes] = []
        response = EventSourceResponse(source(), keep_alive=0.1)
        async with TestClient(response).stream("GET", "/") as answer:
            async for chunk in answer:
                chunks.append(chunk)

        assert chunks == [b"data: a\n\n", b":\n\n", b":\n\n", b"data: b\n\n"]

    async def test_no_comments_when_they_are_turned_off(self) -> None:
        async def source() -> AsyncIterator[str]:
            await asyncio.sleep(0.05)
            yield "a"

        answer = await TestClient(EventSourceResponse(source(), keep_alive=None)).get("/")
        assert answer.text == "data: a\n\n"

    async def test_the_source_runs_in_one_task_and_is_closed_when_the_client_leaves(self) -> None:
        tasks: set[Any] = set()
        closed = asyncio.Event()

        async def source() -> AsyncIterator[str]:
            try:
                while True:
                    tasks.add(asyncio.current_task())
                    yield "tick"
                    await asyncio.sleep(0.001)
            finally:
                tasks.add(asyncio.current_task())
                closed.set()

        async with TestClient(EventSourceResponse(source(), keep_alive=0.1)).stream("GET", "/") as answer:
            for _ in range(5):
                await anext(answer)

        await asyncio.wait_for(closed.wait(), 1)
        assert len(tasks) == 1

    async def test_a_silent_source_is_closed_when_the_client_leaves(self) -> None:
        closed = asyncio.Event()

        async def source() -> AsyncIterator[str]:
            try:
                yield "a"
                await asyncio.Event().wait()
            finally:
                closed.set()

        async with TestClient(EventSourceResponse(source())).stream("GET", "/") as answer:
            await anext(answer)

        await asyncio.wait_for(closed.wait(), 1)

    async def test_an_error_of_the_source_breaks_the_stream(self) -> None:
        async def source() -> AsyncIterator[str]:
            yield "a"
            raise LookupError("broken")

        with pytest.raises(LookupError, match="broken"):
            await TestClient(EventSourceResponse(source())).get("/")

    async def test_head_has_no_body_and_starts_nothing(self) -> None:
        started = False

        async def source() -> AsyncIterator[str]:
            nonlocal started
            started = True
            yield "a"

        answer = await TestClient(EventSourceResponse(source())).head("/")

        assert answer.status == 200
        assert not started

    @pytest.mark.parametrize("seconds", [0, -1.0])
    def test_an_interval_that_is_none_is_refused(self, seconds: float) -> None:
        with pytest.raises(ValueError, match="positive number or None"):
            EventSourceResponse([], keep_alive=seconds)


# The history of a topic.


async def take(count: int, events: Any) -> list[ServerSentEvent]:
    found = []
    async for event in events:
        found.append(event)
        if len(found) == count:
            break
    await events.aclose()
    return found


def numbers(events: list[ServerSentEvent]) -> list[Any]:
    return [event.data if event.event != "reset" else "reset" for event in events]


async def test_a_client_that_comes_back_gets_what_it_missed_then_what_comes() -> None:
    history = EventHistory(100)
    for number in range(5):
        history.publish(number)
    stream = history.stream(history.publish(5).id)
    history.publish(6)
    assert numbers(await take(1, stream)) == [6]
    stream = history.stream(f"{history.epoch}-3")
    waiting = asyncio.ensure_future(take(5, stream))
    await asyncio.sleep(0)
    assert not waiting.done()
    history.publish("live")
    async with asyncio.timeout(30):
        assert numbers(await waiting) == [3, 4, 5, 6, "live"]


async def test_a_new_client_gets_what_comes() -> None:
    history = EventHistory()
    history.publish("before")
    waiting = asyncio.ensure_future(take(2, history.stream()))
    await asyncio.sleep(0)
    history.publish("a")
    history.publish("b")
    assert numbers(await waiting) == ["a", "b"]


async def test_who_missed_too_much_is_told_so() -> None:
    history = EventHistory(2)
    for number in range(5):
        history.publish(number)
    for known in (f"{history.epoch}-1", "other-5", f"{history.epoch}-99", f"{history.epoch}-x", "x", "-"):
        stream = history.stream(known)
        (event,) = await take(1, stream)
        assert (event.event, event.id) == ("reset", f"{history.epoch}-5")
    assert numbers(await take(2, history.stream(f"{history.epoch}-3"))) == [3, 4]


async def test_a_slow_client_holds_nobody_up() -> None:
    history = EventHistory(10)
    slow = history.stream()
    step = asyncio.ensure_future(anext(slow))
    await asyncio.sleep(0)
    for number in range(1000):
        history.publish(number)
    assert (await step).event == "reset"
    history.publish("after")
    assert numbers(await take(1, slow)) == ["after"]


async def test_a_history_that_is_closed_ends_its_streams() -> None:
    history = EventHistory()
    history.publish(1)
    waiting = asyncio.ensure_future(take(9, history.stream(f"{history.epoch}-0")))
    await asyncio.sleep(0)
    history.publish(2)
    history.close()
    assert numbers(await waiting) == [1, 2]
    with pytest.raises(RuntimeError, match="closed"):
        history.publish(3)


async def test_a_client_of_an_app_comes_back() -> None:
    history = EventHistory()
    app = App(openapi_url=None)

    @app.get("/")
    async def events(request: Request) -> EventSourceResponse:
        return history.response(request)

    for number in range(3):
        history.publish({"number": number}, event="made")
    async with TestClient(app) as client, asyncio.timeout(30):
        headers = {"last-event-id": f"{history.epoch}-2"}
        async with client.stream("GET", "/", headers=headers) as response:
            record = await anext(response)
            response.disconnect()
    assert record == f'event: made\nid: {history.epoch}-3\ndata: {{"number":2}}\n\n'.encode()


@pytest.mark.parametrize("options", [{"size": 0}, {"epoch": "a\nb"}])
def test_a_wrong_history_is_refused(options: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        EventHistory(**options)
