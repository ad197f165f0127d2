"""A multipart form part by part, while it arrives."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift import App, BadRequest, Problem, Request
from swift.http.forms import FormData, FormLimits, parse_form
from swift.http.multipart import stream_parts
from swift.testing import TestClient

TYPE = "multipart/form-data; boundary=frontier"
END = b"--frontier--\r\n"


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    told = "" if filename is None else f'; filename="{filename}"'
    return (
        f'--frontier\r\ncontent-disposition: form-data; name="{name}"{told}\r\n\r\n'.encode()
        + content
        + b"\r\n"
    )


async def stream(chunks: Sequence[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def read_all(chunks: Sequence[bytes], **limits: Any) -> list[tuple[str, str | None, bytes]]:
    return [
        (each.name, each.filename, await each.read(2**30))
        async for each in stream_parts(TYPE, stream(chunks), FormLimits(**limits))
    ]


async def test_a_part_is_there_before_the_next_one_was_sent() -> None:
    app = App(openapi_url=None, max_body_size=10**9)
    seen = asyncio.Event()

    @app.post("/")
    async def take(request: Request) -> list[Any]:
        found: list[Any] = []
        async for each in request.multipart():
            if each.filename is None:
                found.append([each.name, await each.text()])
            else:
                size = 0
                async for chunk in each:
                    size += len(chunk)
                    seen.set()
                found.append([each.name, each.filename, each.content_type, size])
        return found

    async def body() -> AsyncIterator[bytes]:
        yield part("title", "Ä".encode())
        yield part("doc", b"x" * 200_000, "a.txt")[:-2]
        # More is sent when some of the file was read.
        await seen.wait()
        yield b"more\r\n" + END

    async with TestClient(app) as client, asyncio.timeout(30):
        response = await client.post("/", content=body(), headers={"content-type": TYPE})
    assert response.json() == [["title", "Ä"], ["doc", "a.txt", None, 200_004]]


async def test_memory_is_that_of_one_block() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield part("doc", b"", "a.bin")[:-2]
        for _ in range(1000):
            yield bytes(16_384)
        yield b"\r\n" + END

    tracemalloc.start()
    try:
        size = 0
        async for each in stream_parts(TYPE, body()):
            async for chunk in each:
                size += len(chunk)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == 16_384_000
    assert most < 1_000_000


async def test_what_is_not_read_is_passed_over() -> None:
    body = part("a", b"1" * 100_000, "a") + part("b", b"2") + part("c", b"3", "c") + END
    names = []
    first = None
    async for each in stream_parts(TYPE, stream([body])):
        names.append(each.name)
        first = first or each
    assert names == ["a", "b", "c"]
    assert first is not None
    # Too late for the first one's content.
    assert await first.read() == b""


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        ({"max_fields": 1}, 413),
        ({"max_files": 1}, 413),
        ({"max_part_size": 2}, 413),
        ({"max_file_size": 99}, 413),
        ({"max_header_size": 30}, 413),
        ({"max_fields": 2, "max_files": 2, "max_part_size": 3, "max_file_size": 100}, None),
    ],
)
async def test_limits_hold_for_streams_and_for_forms_alike(
    limits: dict[str, int], status: int | None
) -> None:
    file = part("f", b"x" * 100, "f")
    body = part("a", b"123") + part("b", b"123") + file + file + END
    for reading in (read_all([body], **limits), parse_form(TYPE, stream([body]), FormLimits(**limits))):
        try:
            form = await reading
            if isinstance(form, FormData):
                await form.aclose()
            found = None
        except Problem as problem:
            found = problem.status
        assert found == status


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"", 400),
        (TYPE, b"", 400),
        (TYPE, part("a", b"1"), 400),
        (TYPE, b"nonsense", 400),
        (TYPE, b"--frontier\r\nx: y\r\n\r\n1\r\n" + END, 400),
    ],
)
async def test_what_is_no_form_is_a_problem(content_type: str, body: bytes, status: int) -> None:
    with pytest.raises(Problem) as raised:
        async for each in stream_parts(content_type, stream([body])):
            await each.read()
    assert raised.value.status == status


async def test_a_part_may_be_refused_for_its_length_or_its_text() -> None:
    body = part("a", b"x" * 100) + part("b", b"\xff") + END
    parts = stream_parts(TYPE, stream([body]))
    with pytest.raises(Problem, match="exceeds 99 bytes"):
        await (await anext(parts)).read(99)
    with pytest.raises(BadRequest, match="not UTF-8"):
        await (await anext(parts)).text()


@given(
    parts=st.lists(st.tuples(st.booleans(), st.binary(max_size=50)), max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
async def test_the_parts_are_those_of_the_form_however_the_body_is_cut(
    parts: list[tuple[bool, bytes]], cuts: list[int]
) -> None:
    body = b"".join(
        part(f"p{n}", data, f"f{n}" if is_file else None) for n, (is_file, data) in enumerate(parts)
    )
    body = (body or part("p", b"")) + END
    places = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    chunks = [body[start:stop] for start, stop in pairwise(places)]
    found = await read_all(chunks)
    expected = [(f"p{n}", f"f{n}" if is_file else None, data) for n, (is_file, data) in enumerate(parts)]
    assert found == (expected or [("p", None, b"")])
