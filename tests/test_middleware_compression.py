"""Compression: every coding, whole and streamed, and all that must be left alone."""

from __future__ import annotations

import asyncio
import gzip
import random
import sys
import threading
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from middleware_support import answering, make_request, vary

from swift.http import HTMLResponse, JSONResponse, Response, StreamingResponse
from swift.middleware import CompressionMiddleware
from swift.middleware.codings import Coding, installed_codings

TEXT = b"a quick brown fox jumps over the lazy dog. " * 100
LEVELS = {"gzip": 5, "br": 4, "zstd": 3}


def decode(coding: str, data: bytes) -> bytes:
    """By another implementation than the one that encoded, where there is one."""
    if coding == "gzip":
        return gzip.decompress(data)
    if coding == "br":
        return pytest.importorskip("brotli").decompress(data)
    return pytest.importorskip("zstandard").ZstdDecompressor().decompressobj().decompress(data)


def partial_decoder(coding: str):
    """A function that gives what can be read so far."""
    if coding == "gzip":
        return zlib.decompressobj(31).decompress
    if coding == "br":
        return pytest.importorskip("brotli").Decompressor().process
    return pytest.importorskip("zstandard").ZstdDecompressor().decompressobj().decompress


@pytest.fixture(params=["gzip", "br", "zstd"])
def coding(request) -> str:
    if request.param not in installed_codings(None, LEVELS):
        pytest.skip(f"no package for {request.param} is installed")
    return request.param


def text(body: bytes | str = TEXT, **headers: str) -> Response:
    return Response(
        body,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        media_type="text/plain",
    )


async def get(middleware, make, accept: str | None = "gzip", method: str = "GET"):
    headers = {} if accept is None else {"Accept-Encoding": accept}
    return await middleware(make_request(method, headers=headers), answering(make))


def is_untouched(response) -> bool:
    return "content-encoding" not in response.headers and response.body == TEXT


# Whole bodies


async def test_a_body_is_sent_in_the_coding_the_client_accepts(coding):
    response = await get(CompressionMiddleware(), text, coding)

    assert response.headers["content-encoding"] == coding
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert vary(response) == {"accept-encoding"}
    assert len(response.body) < len(TEXT) / 5
    assert decode(coding, response.body) == TEXT


async def test_status_cookies_and_other_headers_are_kept():
    def make():
        response = JSONResponse(["x" * 1000], status=201, headers={"Location": "/1"})
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    response = await get(CompressionMiddleware(), make)

    assert response.status == 201
    assert response.headers["location"] == "/1"
    assert len(response.headers.getlist("set-cookie")) == 2


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0.0, *", None),
        ("gzip;q=0.001", "gzip"),
        ("gzip;q=0.5, identity", None),
        ("gzip, identity", "gzip"),
        ("gzip, identity;q=0", "gzip"),
        ("gzip;q=0.5, identity;q=0.4", "gzip"),
        ("*;q=0", None),
        ("deflate", None),
        ("compress, deflate, gzip;q=0.1", "gzip"),
        ("gzip;q=banana", None),
        ("gzip;q=2", None),
        (",,gzip,,", "gzip"),
        ("gzip ; q=1", "gzip"),
        ("gz\xefp", None),
        ("gzip;" * 10_000, "gzip"),
    ],
)
async def test_qualities_are_honoured(accept, chosen):
    middleware = CompressionMiddleware(encodings=["gzip"])
    response = await get(middleware, text, accept)

    assert response.headers.get("content-encoding") == chosen
    assert vary(response) == {"accept-encoding"}, "also where the client got it as it is"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("gzip, br, zstd", "zstd"),
        ("gzip, br", "br"),
        ("*", "zstd"),
        ("gzip;q=1.0, br;q=0.9, zstd;q=0.8", "gzip"),
        ("*, zstd;q=0", "br"),
        ("br;q=0.5, *;q=0.1", "br"),
    ],
)
async def test_among_equals_our_order_decides(accept, chosen):
    if len(installed_codings(None, LEVELS)) < 3:
        pytest.skip("needs brotli and zstandard")
    assert (await get(CompressionMiddleware(), text, accept)).headers["content-encoding"] == chosen


async def test_the_order_of_encodings_is_ours_to_choose():
    pytest.importorskip("brotli")
    middleware = CompressionMiddleware(encodings=["gzip", "br"])

    assert (await get(middleware, text, "br, gzip")).headers["content-encoding"] == "gzip"


async def test_lines_of_accept_encoding_count_together():
    request = make_request(headers=[("Accept-Encoding", "gzip;q=0"), ("Accept-Encoding", "identity;q=0.1")])
    response = await CompressionMiddleware(encodings=["gzip"])(request, answering(text))

    assert is_untouched(response)


# What is left alone


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: text(content_encoding="br"), id="encoded already"),
        pytest.param(lambda: text(content_encoding="identity"), id="said to be identity"),
        pytest.param(lambda: text(cache_control="public, No-Transform"), id="no-transform"),
        pytest.param(lambda: text(content_range="bytes 0-9/100"), id="content range"),
        pytest.param(lambda: text(content_digest="sha-256=:x:"), id="digest of the content"),
        pytest.param(lambda: Response(TEXT, media_type="image/png"), id="image"),
        pytest.param(lambda: Response(TEXT, media_type="application/zip"), id="archive"),
        pytest.param(lambda: Response(TEXT, media_type="text/event-stream"), id="event stream"),
        pytest.param(lambda: Response(TEXT), id="no media type"),
        pytest.param(lambda: Response(TEXT, 206, media_type="text/plain"), id="206"),
        pytest.param(lambda: Response(TEXT, 416, media_type="text/plain"), id="416"),
    ],
)
async def test_some_responses_are_left_as_they_are(make):
    response = await get(CompressionMiddleware(), make)

    assert response.raw_headers == make().raw_headers
    assert response.body == TEXT


@pytest.mark.parametrize("status", [204, 205])
async def test_responses_without_a_body_are_left_as_they_are(status):
    response = await get(CompressionMiddleware(minimum_size=0), lambda: Response(status=status))

    assert response.raw_headers == []
    assert response.body == b""


async def test_a_304_varies_like_the_200_it_stands_for():
    response = await get(CompressionMiddleware(), lambda: Response(status=304, headers={"ETag": '"a"'}))

    assert response.headers["etag"] == '"a"'
    assert vary(response) == {"accept-encoding"}
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize(("size", "compressed"), [(499, False), (500, True)])
async def test_small_bodies_are_not_worth_it(size, compressed):
    response = await get(CompressionMiddleware(), lambda: text(b"a" * size))

    assert ("content-encoding" in response.headers) is compressed
    assert vary(response) == ({"accept-encoding"} if compressed else set())


async def test_a_body_that_does_not_shrink_is_sent_as_it_is():
    noise = random.Random(1).randbytes(600)
    response = await get(CompressionMiddleware(), lambda: text(noise, etag='"a"'))

    assert "content-encoding" not in response.headers
    assert response.body == noise
    assert response.headers["etag"] == '"a"'


async def test_responses_that_set_a_cookie_can_be_excluded():
    middleware = CompressionMiddleware(exclude_set_cookie=True)

    assert is_untouched(await get(middleware, lambda: text(set_cookie="sid=1")))
    assert not is_untouched(await get(middleware, text))


async def test_any_rule_can_exclude_a_response():
    middleware = CompressionMiddleware(exclude=lambda request, response: request.path == "/secret")
    for path, untouched in [("/secret", True), ("/", False)]:
        request = make_request(path=path, headers={"Accept-Encoding": "gzip"})
        assert is_untouched(await middleware(request, answering(text))) is untouched


@pytest.mark.parametrize(
    ("media_type", "compressed"),
    [
        ("application/json", True),
        ("application/problem+json", True),
        ("application/vnd.api+json; ext=x", True),
        ("image/svg+xml", True),
        ("TEXT/CSV", True),
        ("application/jsonl", True),
        ("application/octet-stream", False),
        ("video/mp4", False),
        ("text/event-stream; charset=utf-8", False),
        ("nonsense", False),
    ],
)
async def test_the_media_type_decides(media_type, compressed):
    response = await get(
        CompressionMiddleware(), lambda: Response(TEXT, headers={"Content-Type": media_type})
    )

    assert ("content-encoding" in response.headers) is compressed


async def test_media_types_can_be_chosen():
    middleware = CompressionMiddleware(media_types=["application/x-log", "audio/*", "*+cbor"])
    for media_type, compressed in [
        ("application/x-log", True),
        ("audio/midi", True),
        ("application/x+cbor", True),
        ("application/json", False),
    ]:
        response = await get(
            middleware, lambda kind=media_type: Response(TEXT, headers={"Content-Type": kind})
        )
        assert ("content-encoding" in response.headers) is compressed, media_type


# Another representation


@pytest.mark.parametrize(("etag", "sent"), [('"abc"', 'W/"abc"'), ('W/"abc"', 'W/"abc"')])
async def test_the_etag_of_a_compressed_body_is_weak(etag, sent):
    assert (await get(CompressionMiddleware(), lambda: text(etag=etag))).headers["etag"] == sent


async def test_the_etag_of_an_uncompressed_body_is_not_touched():
    assert (await get(CompressionMiddleware(), lambda: text(etag='"abc"'), None)).headers["etag"] == '"abc"'


async def test_ranges_of_a_compressed_body_are_not_offered():
    response = await get(
        CompressionMiddleware(), lambda: text(accept_ranges="bytes", content_length=str(len(TEXT)))
    )

    assert "accept-ranges" not in response.headers
    assert "content-length" not in response.headers, "it is added when the response is sent"


async def test_head_has_the_headers_of_get():
    make = lambda: text(etag='"a"')  # noqa: E731
    head = await get(CompressionMiddleware(), make, method="HEAD")

    assert head.raw_headers == (await get(CompressionMiddleware(), make)).raw_headers


async def test_a_response_that_is_returned_twice_is_compressed_for_each_client_alone():
    constant = text()
    middleware = CompressionMiddleware()
    first = await get(middleware, lambda: constant, "gzip")
    second = await get(middleware, lambda: constant, None)
    third = await get(middleware, lambda: constant, "gzip")

    assert gzip.decompress(first.body) == gzip.decompress(third.body) == TEXT
    assert is_untouched(second)


# Threads


async def test_big_bodies_are_compressed_in_a_thread(monkeypatch):
    threads = []
    middleware = CompressionMiddleware(encodings=["gzip"], thread_threshold=10_000)
    plain = middleware.codings["gzip"]

    def compress(data):
        threads.append(threading.current_thread())
        return plain.compress(data)

    middleware.codings["gzip"] = Coding("gzip", compress, plain.compressor)
    await get(middleware, lambda: text(b"a" * 9_999))
    await get(middleware, lambda: text(b"a" * 10_000))

    assert threads[0] is threading.main_thread()
    assert threads[1] is not threading.main_thread()


# Streams


async def collect(response) -> list[bytes]:
    return [chunk async for chunk in response.content]


async def test_a_stream_is_compressed_chunk_by_chunk_and_each_can_be_read_at_once(coding):
    async def content():
        yield "one, "
        yield b""
        yield b"two, "
        yield b"three" * 1000

    response = await get(
        CompressionMiddleware(), lambda: StreamingResponse(content(), media_type="text/plain"), coding
    )
    chunks = await collect(response)

    assert response.headers["content-encoding"] == coding
    assert vary(response) == {"accept-encoding"}
    read = partial_decoder(coding)
    assert [read(chunk) for chunk in chunks if chunk][:2] == [b"one, ", b"two, "]
    assert decode(coding, b"".join(chunks)) == b"one, two, " + b"three" * 1000


async def test_a_plain_iterable_stays_one_so_that_it_runs_in_its_thread(coding):
    def content():
        yield "one"
        yield b"two"

    response = await get(
        CompressionMiddleware(), lambda: StreamingResponse(content(), media_type="text/plain"), coding
    )

    assert not hasattr(response.content, "__aiter__")
    assert decode(coding, b"".join(response.content)) == b"onetwo"


async def test_big_chunks_of_a_stream_are_compressed_in_a_thread():
    async def content():
        yield b"a" * 20_000
        await asyncio.sleep(0)
        yield b"b"

    middleware = CompressionMiddleware(encodings=["gzip"], thread_threshold=10_000)
    response = await get(middleware, lambda: StreamingResponse(content(), media_type="text/plain"))

    assert gzip.decompress(b"".join(await collect(response))) == b"a" * 20_000 + b"b"


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_closing_the_response_closes_the_stream_below(kind):
    closed = []

    async def content():
        try:
            while True:
                yield b"x"
        finally:
            closed.append(kind)

    def plain_content():
        try:
            while True:
                yield b"x"
        finally:
            closed.append(kind)

    make = content if kind == "async" else plain_content
    response = await get(CompressionMiddleware(), lambda: StreamingResponse(make(), media_type="text/plain"))
    if kind == "async":
        await anext(response.content)
        await response.content.aclose()
    else:
        next(response.content)
        response.content.close()

    assert closed == [kind]


async def test_an_error_in_a_stream_is_not_hidden():
    async def content():
        yield b"x"
        raise RuntimeError("lost the source")

    response = await get(
        CompressionMiddleware(), lambda: StreamingResponse(content(), media_type="text/plain")
    )

    with pytest.raises(RuntimeError, match="lost the source"):
        await collect(response)


async def test_a_stream_that_is_known_to_be_short_is_left_as_it_is():
    async def content():
        yield b"ok"

    response = await get(
        CompressionMiddleware(),
        lambda: StreamingResponse(content(), headers={"Content-Length": "2"}, media_type="text/plain"),
    )

    assert "content-encoding" not in response.headers
    assert response.headers["content-length"] == "2"


async def test_a_stream_loses_the_length_it_had():
    async def content():
        yield TEXT

    response = await get(
        CompressionMiddleware(),
        lambda: StreamingResponse(
            content(), headers={"Content-Length": str(len(TEXT)), "ETag": '"a"'}, media_type="text/plain"
        ),
    )

    assert "content-length" not in response.headers
    assert response.headers["etag"] == 'W/"a"'


@given(st.lists(st.binary(max_size=200), max_size=20), st.sampled_from(["gzip", "br", "zstd"]))
def test_any_chunks_come_back_as_they_were(chunks, name):
    codings = installed_codings(None, LEVELS)
    if name not in codings:
        return
    compressor = codings[name].compressor()
    data = b"".join([*(compressor.feed(chunk) for chunk in chunks), compressor.finish()])

    assert decode(name, data) == b"".join(chunks)


# Packages and configuration


def test_zstandard_of_the_standard_library_and_its_backport_is_used():
    if sys.version_info < (3, 14):
        pytest.importorskip("backports.zstd")
    coding = installed_codings(["zstd"], LEVELS)["zstd"]

    assert "zstd" in type(coding.compressor()._add.__self__).__module__
    assert decode("zstd", coding.compress(TEXT)) == TEXT


def test_zstandard_of_its_package_is_used_where_there_is_no_other(monkeypatch):
    pytest.importorskip("zstandard")
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    coding = installed_codings(["zstd"], LEVELS)["zstd"]
    compressor = coding.compressor()

    assert decode("zstd", coding.compress(TEXT)) == TEXT
    assert decode("zstd", compressor.feed(TEXT) + compressor.feed(TEXT) + compressor.finish()) == TEXT * 2


def test_without_their_packages_gzip_is_what_remains(monkeypatch):
    for module in ("brotli", "brotlicffi", "compression.zstd", "backports.zstd", "zstandard"):
        monkeypatch.setitem(sys.modules, module, None)

    assert list(CompressionMiddleware().codings) == ["gzip"]
    with pytest.raises(
        ValueError, match=r"'br' needs the package brotli: pip install swift-api\[compression\]"
    ):
        CompressionMiddleware(encodings=["br"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encodings": ["deflate"]}, "'deflate' is no coding of ours; choose from zstd, br, gzip."),
        ({"gzip_level": 10}, "Level 10 is none of gzip; it has 1 to 9."),
        ({"media_types": ["json"]}, "'json' is not a media type"),
    ],
)
def test_a_mistake_is_refused_at_the_start(options, message):
    with pytest.raises(ValueError) as caught:
        CompressionMiddleware(**options)

    assert message in str(caught.value)


async def test_html_is_compressed():
    response = await get(CompressionMiddleware(), lambda: HTMLResponse("<p>" * 1000))

    assert response.headers["content-encoding"] == "gzip"
