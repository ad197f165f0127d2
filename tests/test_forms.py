"""Forms: what is parsed, what is refused, and that neither depends on how the body arrives."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
import warnings
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import pairwise
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swift.http.forms import FormData, FormLimits, UploadFile, _parse_multipart, parse_form
from swift.http.problems import BadRequest, ContentTooLarge, Problem, UnsupportedMediaType

MULTIPART = "multipart/form-data; boundary=XX"
URLENCODED = "application/x-www-form-urlencoded"


async def stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def part(name: str | None, content: bytes, *, filename: str | None = None, more: str = "") -> bytes:
    head = "Content-Disposition: form-data"
    if name is not None:
        head += f'; name="{name}"'
    if filename is not None:
        head += f'; filename="{filename}"'
    return b"--XX\r\n" + f"{head}\r\n{more}\r\n".encode() + content + b"\r\n"


def multipart(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--XX--\r\n"


async def parse(
    body: bytes | Sequence[bytes],
    content_type: str | bytes | None = MULTIPART,
    limits: FormLimits | None = None,
) -> FormData:
    return await parse_form(content_type, stream([body] if isinstance(body, bytes) else body), limits)


async def summary(form: FormData) -> list[tuple[str, object]]:
    """The form as plain values; its files are read and closed."""
    async with form:
        return [
            (name, value)
            if isinstance(value, str)
            else (name, (value.filename, value.content_type, value.size, await value.read()))
            for name, value in form.multi_items()
        ]


class TestUrlencoded:
    async def test_fields(self) -> None:
        form = await parse([b"a=1&b=x+", b"y&a=%C3", b"%A9"], URLENCODED)

        assert form.multi_items() == [("a", "1"), ("b", "x y"), ("a", "é")]
        assert form["a"] == "é"
        assert form.getlist("a") == ["1", "é"]

    async def test_a_charset_parameter_changes_nothing(self) -> None:
        assert (await parse(b"a=%C3%A9", "application/x-www-form-urlencoded; charset=latin-1"))["a"] == "é"

    async def test_an_empty_body_is_an_empty_form(self) -> None:
        assert len(await parse(b"", URLENCODED)) == 0

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            (b"a=%ff", BadRequest),
            (b"&".join(b"k%d=" % i for i in range(1001)), ContentTooLarge),
            (b"a=" + b"x" * 2**20, ContentTooLarge),
            (b"x" * 2**20 + b"x=1", ContentTooLarge),
        ],
        ids=["not UTF-8", "many fields", "long value", "long name"],
    )
    async def test_refused(self, body: bytes, error: type[Problem]) -> None:
        with pytest.raises(error):
            await parse(body, URLENCODED)

    async def test_a_large_body_of_small_fields_passes(self) -> None:
        form = await parse(b"&".join(b"k%d=%s" % (i, b"x" * 5000) for i in range(900)), URLENCODED)

        assert len(form) == 900

    @given(st.lists(st.tuples(st.text(), st.text())), st.integers(1, 9))
    async def test_what_was_encoded_comes_back(self, pairs: list[tuple[str, str]], size: int) -> None:
        pairs = [pair for pair in pairs if pair != ("", "")]
        body = urlencode(pairs).encode()

        form = await parse([body[i : i + size] for i in range(0, len(body), size)], URLENCODED)

        assert form.multi_items() == pairs


@pytest.mark.parametrize(
    "content_type",
    [None, "", "application/json", "multipart/mixed; boundary=XX", "text/plain", b"\xff", "multipart"],
)
async def test_another_media_type_is_unsupported(content_type: str | bytes | None) -> None:
    with pytest.raises(UnsupportedMediaType):
        await parse(b"", content_type)


class TestMultipart:
    async def test_fields_and_files(self) -> None:
        body = multipart(
            part("title", "Bücher".encode()),
            part(
                "file", b"\x00\r\n--X\xff", filename="a.bin", more="Content-Type: image/png\r\nX-Extra: 1\r\n"
            ),
            part("title", b"second"),
            part("empty", b""),
            part("zero", b"", filename=""),
        )
        form = await parse(body)

        assert form.getlist("title") == ["Bücher", "second"]
        assert form["empty"] == ""
        upload = form["file"]
        assert isinstance(upload, UploadFile)
        assert upload.headers["x-extra"] == "1"
        assert await summary(form) == [
            ("title", "Bücher"),
            ("file", ("a.bin", "image/png", 7, b"\x00\r\n--X\xff")),
            ("title", "second"),
            ("empty", ""),
            ("zero", ("", None, 0, b"")),
        ]

    async def test_a_form_without_parts(self) -> None:
        assert len(await parse(b"--XX--\r\n")) == 0

    async def test_empty_lines_before_and_an_epilogue_after_are_passed_over(self) -> None:
        assert (await parse(b"\r\n\n" + multipart(part("a", b"1")) + b"--XX\r\nepilogue"))["a"] == "1"

    async def test_the_names_of_browsers(self) -> None:
        """Browsers percent-encode quotes and line ends, and send the rest as UTF-8 (WHATWG)."""
        form = await parse(
            multipart(part("naïve %22→", b"1"), part("f", b"", filename="C:\\\\dir\\\\é;.txt"))
        )

        assert form["naïve %22→"] == "1"
        assert form["f"].filename == "C:\\dir\\é;.txt"  # type: ignore[union-attr]
        await form.aclose()

    async def test_the_extended_filename_is_not_read(self) -> None:
        body = multipart(b"--XX\r\nContent-Disposition: form-data; name=a; filename*=UTF-8''x\r\n\r\n1\r\n")

        assert (await parse(body))["a"] == "1"

    @pytest.mark.parametrize(
        "boundary", ["X", "a" * 70, "'()+_,-./:=?", "with blank", "----WebKitFormBoundary7MA4YWxkTrZu0gW"]
    )
    async def test_boundaries(self, boundary: str) -> None:
        content_type = f'Multipart/Form-Data; Boundary="{boundary}"'
        body = multipart(part("a", b"1")).replace(b"XX", boundary.encode())

        assert (await parse(body, content_type))["a"] == "1"

    @pytest.mark.parametrize(
        "content_type",
        [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=" + "a" * 71,
            "multipart/form-data; boundary=" + "a" * 100_000,
            'multipart/form-data; boundary="a b "',
            'multipart/form-data; boundary="a\r\nb"',
            "multipart/form-data; boundary=é",
            "multipart/form-data; boundary=a@b",
        ],
    )
    async def test_a_boundary_outside_rfc_2046_is_a_bad_request(self, content_type: str) -> None:
        with pytest.raises(BadRequest, match="boundary"):
            await parse(multipart(part("a", b"1")), content_type)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"\r\n",
            b"--XX",
            b"--XX\r\n",
            b"--XX--"[:-1],
            part("a", b"1"),
            part("a", b"1") + b"--XX",
            part("a", b"1") + b"--XX-",
            part("a", b"1", filename="f"),
            part("a", b"1")[:-20],
        ],
    )
    async def test_a_body_without_its_final_boundary_is_a_bad_request(self, body: bytes) -> None:
        with pytest.raises(BadRequest, match="ends before"):
            await parse(body)

    @pytest.mark.parametrize(
        "body",
        [
            b"preamble\r\n" + multipart(part("a", b"1")),
            b"--YY\r\n\r\n1\r\n--YY--",
            multipart(b"--XX\r\n\r\n1\r\n"),
            multipart(part(None, b"1")),
            multipart(b"--XX\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n"),
            multipart(part("a", b"1", more='Content-Disposition: form-data; name="b"\r\n')),
            multipart(part("a", b"1", more="Content-Transfer-Encoding: base64\r\n")),
            multipart(part("a", b"\xff")),
            multipart(b'--XX\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n1\r\n'),
            multipart(part("a", b"1", more=": no name\r\n")),
            multipart(part("a", b"1", more="no colon\r\n")),
            multipart(part("a", b"1", more="b\0: c\r\n")),
            multipart(part("a", b"1", more="b: c\rd\r\n")),
        ],
    )
    async def test_a_malformed_body_is_a_bad_request(self, body: bytes) -> None:
        with pytest.raises(BadRequest):
            await parse(body)

    @pytest.mark.parametrize("character", ["\0", "\n", "\x01", "\x1b", "\x7f"])
    async def test_a_control_character_in_a_name_or_filename_is_a_bad_request(self, character: str) -> None:
        for body in (part(f"a{character}", b""), part("a", b"", filename=f"a{character}b")):
            with pytest.raises(BadRequest, match="control characters"):
                await parse(multipart(body))

    @pytest.mark.parametrize(
        ("parts", "error"),
        [
            ([part("a", b"")] * 3, "more than 2 fields"),
            ([part("a", b"", filename="f")] * 4, "more than 3 files"),
            ([part("a", b"x" * 101)], "A field of the form exceeds 100 bytes"),
            ([part("a" * 300, b"")], "headers of a part exceed 256 bytes"),
            ([part("a", b"", filename="f" * 300)], "headers of a part exceed 256 bytes"),
            ([part("a", b"", more="b: c\r\n" * 60)], "headers of a part exceed 256 bytes"),
            ([part("a", b"", more="b" * 300 + ": c\r\n")], "headers of a part exceed 256 bytes"),
        ],
    )
    @pytest.mark.parametrize("size", [1, 7, 2**20])
    async def test_limits(self, parts: list[bytes], error: str, size: int) -> None:
        limits = FormLimits(max_fields=2, max_files=3, max_part_size=100, max_header_size=256)
        body = multipart(*parts)

        with pytest.raises(ContentTooLarge, match=error):
            await parse([body[i : i + size] for i in range(0, len(body), size)], limits=limits)

    async def test_what_is_just_within_the_limits_passes(self) -> None:
        limits = FormLimits(max_fields=2, max_files=2, max_part_size=100, max_header_size=256)
        upload = part("f", b"x" * 1000, filename="f")

        form = await parse(multipart(part("a", b"x" * 100), upload, part("a", b""), upload), limits=limits)
        assert len(form.multi_items()) == 4
        await form.aclose()

    async def test_a_field_without_end_is_refused_while_it_arrives(self) -> None:
        async def endless() -> AsyncIterator[bytes]:
            yield part("a", b"")[:-2]
            while True:
                yield b"x" * 65536

        with pytest.raises(ContentTooLarge):
            await parse_form(MULTIPART, endless())

    async def test_headers_without_end_are_refused_while_they_arrive(self) -> None:
        async def endless() -> AsyncIterator[bytes]:
            yield b"--XX\r\n"
            while True:
                yield b"x" * 1000

        with pytest.raises(ContentTooLarge):
            await parse_form(MULTIPART, endless())

    async def test_a_large_file_goes_to_disk_and_takes_no_memory(self) -> None:
        async def body() -> AsyncIterator[bytes]:
            yield part("f", b"", filename="f")[:-2]
            for _ in range(320):
                yield b"x" * 100_000
            yield b"\r\n--XX--"

        tracemalloc.start()
        try:
            async with await parse_form(MULTIPART, body()) as form:
                _, peak = tracemalloc.get_traced_memory()
                upload = form["f"]
                assert isinstance(upload, UploadFile)
                assert (upload.size, upload.on_disk) == (32_000_000, True)
                assert await upload.seek(31_999_999) == 31_999_999
                assert await upload.read() == b"x"
        finally:
            tracemalloc.stop()
        assert peak < 4 * 2**20

    async def test_the_loop_is_not_blocked_by_disk_writes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        threads: list[object] = []
        original = UploadFile._write_to_disk

        def spy(self: UploadFile, data: bytes) -> None:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                threads.append(None)
            else:
                threads.append("on the loop")
            original(self, data)

        monkeypatch.setattr(UploadFile, "_write_to_disk", spy)
        form = await parse(multipart(part("f", b"x" * 2_000_000, filename="f")))
        await form.aclose()

        assert threads
        assert set(threads) == {None}

    @pytest.mark.parametrize("end", [b"", b"--XX\r\nbroken", part("a", b"x" * 2_000_000)])
    async def test_no_file_stays_open_after_a_failure(
        self, end: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[UploadFile] = []
        original = UploadFile.__init__

        def spy(self: UploadFile, *args: object) -> None:
            original(self, *args)  # type: ignore[arg-type]
            opened.append(self)

        monkeypatch.setattr(UploadFile, "__init__", spy)
        with pytest.raises(Problem):
            await parse(part("f", b"x" * 2_000_000, filename="f") * 2 + end)

        assert len(opened) == 2
        assert all(upload.file.closed for upload in opened)

    async def test_no_file_stays_open_when_the_request_is_cancelled(self) -> None:
        started = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield part("f", b"x" * 2_000_000, filename="f")
            started.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(parse_form(MULTIPART, body()))
        await started.wait()
        task.cancel()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(asyncio.CancelledError):
                await task
            gc.collect()

    async def test_a_missing_parser_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "python_multipart", None)

        with pytest.raises(RuntimeError, match="needs the package `python-multipart`"):
            await parse(b"")


class TestUploadFile:
    async def test_reading_writing_seeking(self) -> None:
        upload = UploadFile("a.txt")
        await upload.write(b"hello ")
        await upload.write(b"world")

        assert upload.size == 11
        assert await upload.seek(-5, 2) == 6
        assert await upload.read(3) == b"wor"
        assert await upload.read() == b"ld"
        await upload.close()
        await upload.close()

    async def test_it_moves_to_disk_past_one_mebibyte(self) -> None:
        upload = UploadFile("a")
        await upload.write(b"x" * 2**20)
        where = [upload.on_disk]
        await upload.write(b"y")
        assert [*where, upload.on_disk] == [False, True]
        await upload.seek(2**20 - 1)
        assert await upload.read() == b"xy"
        await upload.seek(0)
        await upload.write(b"z")
        assert upload.size == 2**20 + 1
        await upload.close()
        assert upload.file.closed

    async def test_the_claims_of_the_client(self) -> None:
        form = await parse(
            multipart(part("a", b"", filename="../../etc/passwd", more="Content-Type: text/html\r\n"))
        )
        upload = form["a"]

        assert isinstance(upload, UploadFile)
        assert (upload.filename, upload.content_type) == ("../../etc/passwd", "text/html")
        assert repr(upload) == "UploadFile(filename='../../etc/passwd', size=0)"
        await form.aclose()


async def outcome(
    chunks: Iterable[bytes], block_size: int, boundary: str = "XX"
) -> list[tuple[str, object]] | tuple[int, str | None]:
    limits = FormLimits(max_fields=3, max_files=2, max_part_size=60, max_header_size=120)
    try:
        return await summary(await _parse_multipart(boundary, stream(chunks), limits, block_size=block_size))
    except Problem as problem:
        return problem.status, problem.detail


fragments = st.sampled_from(
    [
        b"--XX\r\n",
        b"\r\n--XX\r\n",
        b"\r\n--XX--\r\n",
        b"\r\n--XX",
        b"--XX--",
        b"\r\n",
        b"\r",
        b"\n",
        b"-",
        b"--",
        b"\r\n--X",
        b"\r\n--XX-",
        b"\r\n--XX \r\n",
        b"XX",
        b":",
        b'Content-Disposition: form-data; name="a"',
        b'Content-Disposition: form-data; name="f"; filename="x"',
        b"X: " + b"y" * 50,
        b"z" * 40,
        b"\xff",
    ]
)
bodies = st.one_of(
    st.lists(fragments, max_size=14).map(b"".join),
    st.lists(
        st.tuples(st.lists(fragments, max_size=3).map(b"".join), st.booleans()).map(
            lambda content: part("a", content[0], filename="f" if content[1] else None)
        ),
        max_size=3,
    ).map(lambda parts: multipart(*parts)),
)


@settings(max_examples=300)
@given(bodies, st.lists(st.integers(0, 400), max_size=6), st.sampled_from([1, 16, 65536]))
async def test_any_split_of_a_body_gives_the_same_result(
    body: bytes, cuts: list[int], block_size: int
) -> None:
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    chunks = [body[start:stop] for start, stop in pairwise(edges)]

    assert await outcome(chunks, block_size) == await outcome([body], block_size)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.binary(max_size=40), st.booleans(), st.sampled_from([b"", b"\r\n", b"\r\n--X", b"\r", b"--XX"])
        ),
        max_size=2,
    ),
    st.integers(1, 80),
)
async def test_a_well_formed_body_survives_any_block_size(
    contents: list[tuple[bytes, bool, bytes]], block_size: int
) -> None:
    parts = [
        part("a", content + tail, filename="f")
        if is_file
        else part("a", (content + tail).hex().encode()[:60])
        for content, is_file, tail in contents
    ]
    expected = [
        ("a", ("f", None, len(content + tail), content + tail))
        if is_file
        else ("a", (content + tail).hex()[:60])
        for content, is_file, tail in contents
        if b"\r\n--XX" not in content + tail
    ]

    if len(expected) == len(contents):
        assert await outcome([multipart(*parts)], block_size) == expected


async def test_every_split_in_two_gives_the_same_form() -> None:
    body = multipart(
        part("a", b"1\r\n--X"), part("f", b"\r\r\n--XX\r", filename="x").replace(b"--XX\r\r", b"--XY\r\r")
    )
    whole = await outcome([body], 65536)

    assert isinstance(whole, list)
    for cut in range(len(body)):
        assert await outcome([body[:cut], body[cut:]], 65536) == whole
        assert await outcome([body[:cut], body[cut:]], 1) == whole
