"""ASGIValidator: one row for each rule it knows, and the legal neighbours it must let pass."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from swift.testing import RULES, ASGIValidator, ASGIViolation

HERE = str(pathlib.Path(__file__).resolve())
ALL_EXTENSIONS = (
    "http.response.debug",
    "http.response.early_hint",
    "http.response.pathsend",
    "http.response.push",
    "http.response.trailers",
    "http.response.zerocopysend",
    "websocket.http.response",
)


def start(status: Any = 200, headers: Any = (), **more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers, **more}


def body(data: Any = b"", **more: Any) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, **more}


def event(name: str, **keys: Any) -> dict[str, Any]:
    return {"type": name, **keys}


def header(name: bytes, value: bytes = b"x", status: int = 200) -> list[dict[str, Any]]:
    return [start(status, [(name, value)]), body()]


END = [start(), body()]
ACCEPT = event("websocket.accept")
DENIAL_START = event("websocket.http.response.start", status=401, headers=[])
DENIAL_BODY = event("websocket.http.response.body", body=b"no")


class Case(NamedTuple):
    rule: str
    says: str
    sends: Sequence[Any]
    kind: str = "http"
    receives: Sequence[Any] = ()
    scope: Mapping[str, Any] = MappingProxyType({})
    offers: Sequence[str] = ()


def http(rule: str, says: str, sends: Sequence[Any], *offers: str, **scope: Any) -> Case:
    return Case(rule, says, sends, scope=scope, offers=offers)


def lifespan(rule: str, says: str, receives: Sequence[str], sends: Sequence[Any]) -> Case:
    return Case(rule, says, sends, "lifespan", [event(f"lifespan.{name}") for name in receives])


def websocket(
    rule: str,
    says: str,
    sends: Sequence[Any],
    *offers: str,
    receives: Sequence[Any] = (event("websocket.connect"),),
    **scope: Any,
) -> Case:
    return Case(rule, says, sends, "websocket", receives, scope, offers)


VIOLATIONS = [
    # Any event
    http("event.dict", "as a `dict`, got `str`", ["http.response.start"]),
    http("event.type", "as a `str`, got None", [{"status": 200}]),
    http("event.type", "as a `str`, got b'http.response.start'", [{"type": b"http.response.start"}]),
    http("event.unknown", "`http.response.strat`", [event("http.response.strat"), *END]),
    http("event.unknown", "`websocket.close`", [event("websocket.close"), *END]),
    lifespan(
        "event.unknown", "`http.response.start`", ["startup"], [start(), event("lifespan.startup.complete")]
    ),
    websocket("event.unknown", "`http.response.start`", [start(), ACCEPT]),
    Case("scope.unknown", "a scope of type 'smtp'", [], "smtp"),
    Case("scope.unknown", "a scope of type 'smtp'", [event("smtp.ready")], "smtp", [event("smtp.hello")]),
    # Header blocks
    http("headers.pairs", "as an iterable of pairs, got `int`", [start(headers=1), body()]),
    http("headers.pairs", "as an iterable of pairs, got `dict`", [start(headers={b"a": b"b"}), body()]),
    http("headers.pairs", "header 1 as a pair", [start(headers=[(b"a", b"b"), (b"c",)]), body()]),
    http("headers.pairs", "got ('a', b'b')", [start(headers=[("a", b"b")]), body()]),
    http("headers.pairs", "got (b'a', 'b')", [start(headers=[(b"a", "b")]), body()]),
    http("headers.pairs", "got (b'content-length', 0)", [start(headers=[(b"content-length", 0)]), body()]),
    http("headers.pairs", "got b'ab'", [start(headers=[b"ab"]), body()]),
    http("headers.pseudo", "b':status'", header(b":status")),
    http("headers.lower-case", "b'X-Token'", header(b"X-Token")),
    http("headers.name", "b'x token'", header(b"x token")),
    http("headers.name", "b''", header(b"")),
    http("headers.name", "b'x\\r\\ny'", header(b"x\r\ny")),
    http("headers.value", "b'a\\r'", header(b"x", b"a\r")),
    http("headers.value", "b'a\\nset-cookie: b'", header(b"x", b"a\nset-cookie: b")),
    http("headers.value", "b'a\\x00'", header(b"x", b"a\0")),
    http("headers.padding", "b' a'", header(b"x", b" a")),
    http("headers.padding", "b'a\\t'", header(b"x", b"a\t")),
    http(
        "headers.transfer-encoding", "leave framing to the server", header(b"transfer-encoding", b"chunked")
    ),
    http("headers.hop-by-hop", "b'connection'", header(b"connection", b"close")),
    http("headers.hop-by-hop", "b'keep-alive'", header(b"keep-alive", b"timeout=5")),
    http("headers.hop-by-hop", "b'upgrade'", header(b"upgrade", b"h2c")),
    # HTTP
    http("http.start-first", "`http.response.body` was sent before", [body(), *END]),
    http(
        "http.start-first",
        "`http.response.push`",
        [event("http.response.push", path="/a")],
        "http.response.push",
    ),
    http("http.start-once", "started twice", [start(), start(), body()]),
    http("http.after-end", "is complete", [*END, body()]),
    http("http.after-end", "is complete", [*END, start()]),
    http("http.after-end", "is complete", [start(trailers=True), body(), body()], "http.response.trailers"),
    http("http.status", "got '200'", [start("200"), body()]),
    http("http.status", "got None", [event("http.response.start"), body()]),
    http("http.status", "got True", [start(True), body()]),
    http("http.status", "got 99", [start(99), body()]),
    http("http.status", "got 600", [start(600), body()]),
    http("http.trailers-flag", "as a `bool`, got 1", [start(trailers=1), body()], "http.response.trailers"),
    http("http.body", "as `bytes`, got `str`", [start(), body("text")]),
    http("http.body", "as `bytes`, got `bytearray`", [start(), body(bytearray(b"x"))]),
    http("http.body", "as `bytes`, got `NoneType`", [start(), body(None)]),
    http("http.more-body", "as a `bool`, got 0", [start(), body(more_body=0)]),
    http("http.body-forbidden", "200 response to HEAD", [start(), body(b"x")], method="HEAD"),
    http("http.body-forbidden", "204 response", [start(204), body(b"x")]),
    http("http.body-forbidden", "205 response", [start(205), body(b"x")]),
    http("http.body-forbidden", "304 response", [start(304), body(b"x")]),
    http("http.content-length.form", "[b'one']", header(b"content-length", b"one")),
    http("http.content-length.form", "[b'-1']", header(b"content-length", b"-1")),
    http(
        "http.content-length.form", "[b'0', b'0']", [start(headers=[(b"content-length", b"0")] * 2), body()]
    ),
    http("http.content-length.forbidden", "A 204 response", header(b"content-length", b"0", 204)),
    http("http.content-length.forbidden", "A 100 response", header(b"content-length", b"0", 100)),
    http(
        "http.content-length.exceeded",
        "announces 1 bytes, 2 were",
        [*header(b"content-length", b"1")[:1], body(b"xx")],
    ),
    http(
        "http.content-length.exceeded",
        "announces 1 bytes, 2 were",
        [
            *header(b"content-length", b"1")[:1],
            body(b"x", more_body=True),
            body(b"x", more_body=True),
            body(),
        ],
    ),
    http(
        "http.content-length.short",
        "announces 3 bytes, 2 were",
        [*header(b"content-length", b"3")[:1], body(b"xx")],
    ),
    http("http.not-started", "without starting a response", []),
    http("http.incomplete", "without a last body event", [start()]),
    http("http.incomplete", "without a last body event", [start(), body(b"x", more_body=True)]),
    # Extensions of HTTP
    *(
        http("extension.not-offered", f"`{name}` was sent though", [start(), event(name)])
        for name in ALL_EXTENSIONS
        if name.startswith("http.")
    ),
    http("extension.not-offered", "Trailers were announced though", [start(trailers=True), body()]),
    http(
        "trailers.not-announced",
        "did not announce them",
        [start(), body(more_body=True), event("http.response.trailers", headers=[])],
        "http.response.trailers",
    ),
    http(
        "trailers.early",
        "before the last body event",
        [start(trailers=True), event("http.response.trailers", headers=[])],
        "http.response.trailers",
    ),
    http(
        "trailers.more-trailers",
        "as a `bool`, got 'no'",
        [start(trailers=True), body(), event("http.response.trailers", more_trailers="no")],
        "http.response.trailers",
    ),
    http(
        "trailers.missing", "without sending them", [start(trailers=True), body()], "http.response.trailers"
    ),
    http(
        "headers.lower-case",
        "b'Digest'",
        [start(trailers=True), body(), event("http.response.trailers", headers=[(b"Digest", b"x")])],
        "http.response.trailers",
    ),
    http(
        "pathsend.path",
        "got 'a.txt'",
        [start(), event("http.response.pathsend", path="a.txt")],
        "http.response.pathsend",
    ),
    http(
        "pathsend.path",
        "got b'/a'",
        [start(), event("http.response.pathsend", path=b"/a")],
        "http.response.pathsend",
    ),
    http(
        "pathsend.mixed",
        "the only body event",
        [start(), body(b"x", more_body=True), event("http.response.pathsend", path=HERE)],
        "http.response.pathsend",
    ),
    http(
        "http.content-length.short",
        "announces 99999999 bytes",
        [start(headers=[(b"content-length", b"99999999")]), event("http.response.pathsend", path=HERE)],
        "http.response.pathsend",
    ),
    http(
        "zerocopysend.file",
        "got 'a.txt'",
        [start(), event("http.response.zerocopysend", file="a.txt")],
        "http.response.zerocopysend",
    ),
    http(
        "zerocopysend.range",
        "offset as an `int` from 0, got -1",
        [start(), event("http.response.zerocopysend", file=0, offset=-1)],
        "http.response.zerocopysend",
    ),
    http(
        "zerocopysend.range",
        "count as an `int` from 0, got '1'",
        [start(), event("http.response.zerocopysend", file=0, count="1")],
        "http.response.zerocopysend",
    ),
    http(
        "push.path",
        "got b'/a'",
        [start(), event("http.response.push", path=b"/a"), body()],
        "http.response.push",
    ),
    http(
        "headers.pairs",
        "got `int`",
        [start(), event("http.response.push", path="/a", headers=1), body()],
        "http.response.push",
    ),
    http(
        "early-hint.links",
        "got ['</a>']",
        [event("http.response.early_hint", links=["</a>"]), *END],
        "http.response.early_hint",
    ),
    http(
        "early-hint.links",
        "got None",
        [start(), event("http.response.early_hint", links=b"</a>"), body()],
        "http.response.early_hint",
    ),
    http(
        "early-hint.links",
        "got None",
        [start(), event("http.response.early_hint", links=7), body()],
        "http.response.early_hint",
    ),
    http(
        "debug.once",
        "must be sent once",
        [event("http.response.debug", info={})] * 2 + END,
        "http.response.debug",
    ),
    http(
        "debug.once",
        "before `http.response.start`",
        [start(), event("http.response.debug", info={}), body()],
        "http.response.debug",
    ),
    http("debug.info", "got []", [event("http.response.debug", info=[]), *END], "http.response.debug"),
    # Lifespan
    lifespan("lifespan.unasked", "before `lifespan.startup`", [], [event("lifespan.startup.complete")]),
    lifespan(
        "lifespan.unasked",
        "before `lifespan.shutdown`",
        ["startup"],
        [event("lifespan.startup.complete"), event("lifespan.shutdown.complete")],
    ),
    lifespan(
        "lifespan.once",
        "answered already with `lifespan.startup.failed`",
        ["startup"],
        [event("lifespan.startup.failed"), event("lifespan.startup.complete")],
    ),
    lifespan("lifespan.message", "got 1", ["startup"], [event("lifespan.startup.failed", message=1)]),
    lifespan(
        "lifespan.message",
        "got None",
        ["startup", "shutdown"],
        [event("lifespan.startup.complete"), event("lifespan.shutdown.failed", message=None)],
    ),
    lifespan("lifespan.unanswered", "without answering `lifespan.startup`", ["startup"], []),
    lifespan("lifespan.unanswered", "without answering `lifespan.startup`", [], []),
    lifespan(
        "lifespan.unanswered",
        "without answering `lifespan.shutdown`",
        ["startup", "shutdown"],
        [event("lifespan.startup.complete")],
    ),
    # WebSocket
    websocket("websocket.connect-first", "before `websocket.connect` came", [ACCEPT], receives=()),
    websocket("websocket.accept-first", "before `websocket.accept`", [event("websocket.send", text="a")]),
    websocket("websocket.accept-once", "accepted twice", [ACCEPT, ACCEPT]),
    websocket(
        "websocket.accept-headers",
        "spec version 2.0",
        [event("websocket.accept", headers=[(b"a", b"b")])],
        asgi={"version": "3.0", "spec_version": "2.0"},
    ),
    websocket(
        "websocket.accept-headers",
        "spec version 2.0",
        [event("websocket.accept", headers=[(b"a", b"b")])],
        asgi={"version": "3.0"},
    ),
    websocket(
        "websocket.subprotocol", "(['chat']), got 'news'", [event("websocket.accept", subprotocol="news")]
    ),
    websocket(
        "websocket.subprotocol", "(['chat']), got b'chat'", [event("websocket.accept", subprotocol=b"chat")]
    ),
    websocket(
        "websocket.subprotocol-header",
        "use the key `subprotocol`",
        [event("websocket.accept", headers=[(b"sec-websocket-protocol", b"chat")])],
    ),
    websocket("headers.lower-case", "b'X-A'", [event("websocket.accept", headers=[(b"X-A", b"b")])]),
    websocket("websocket.content", "bytes `NoneType` and text `NoneType`", [ACCEPT, event("websocket.send")]),
    websocket(
        "websocket.content",
        "bytes `bytes` and text `str`",
        [ACCEPT, event("websocket.send", bytes=b"", text="")],
    ),
    websocket("websocket.content", "text `dict`", [ACCEPT, event("websocket.send", text={})]),
    websocket("websocket.close-code", "got 1005", [ACCEPT, event("websocket.close", code=1005)]),
    websocket("websocket.close-code", "got 4", [ACCEPT, event("websocket.close", code=4)]),
    websocket("websocket.close-code", "got '1000'", [ACCEPT, event("websocket.close", code="1000")]),
    websocket(
        "websocket.close-reason", "of at most 123 bytes", [ACCEPT, event("websocket.close", reason="é" * 62)]
    ),
    websocket(
        "websocket.close-reason", "got [{", [ACCEPT, event("websocket.close", reason=[{"loc": "query"}])]
    ),
    websocket("websocket.after-close", "is closed", [event("websocket.close"), event("websocket.close")]),
    websocket(
        "websocket.after-close",
        "is closed",
        [DENIAL_START, DENIAL_BODY, DENIAL_BODY],
        "websocket.http.response",
    ),
    websocket("extension.not-offered", "`websocket.http.response.start`", [DENIAL_START, DENIAL_BODY]),
    websocket(
        "websocket.denial-mixed",
        "after `websocket.accept`",
        [ACCEPT, DENIAL_START],
        "websocket.http.response",
    ),
    websocket("websocket.denial-mixed", "only its body", [DENIAL_START, ACCEPT], "websocket.http.response"),
    websocket(
        "http.status",
        "got '401'",
        [event("websocket.http.response.start", status="401"), DENIAL_BODY],
        "websocket.http.response",
    ),
    websocket("http.incomplete", "without a last body event", [DENIAL_START], "websocket.http.response"),
    websocket("websocket.unanswered", "accept, close or deny it", []),
    websocket("websocket.unanswered", "accept, close or deny it", [], receives=()),
]


async def run(case: Case, *, ignore_rules: Sequence[str] = ()) -> list[Any]:
    """Runs an application that receives and sends as the case says; the events that reached the server."""
    incoming = list(case.receives)
    reached: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in case.receives:
            await receive()
        for sent in case.sends:
            await send(sent)

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(sent: Any) -> None:
        reached.append(sent)

    scope = {
        "type": case.kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": "GET",
        "path": "/users",
        "headers": [],
        "subprotocols": ["chat"],
        "extensions": {name: {} for name in case.offers},
        **case.scope,
    }
    await ASGIValidator(app, ignore_rules=ignore_rules)(scope, receive, send)
    return reached


@pytest.mark.parametrize("case", VIOLATIONS, ids=lambda case: f"{case.rule}: {case.says}")
async def test_violation(case: Case) -> None:
    with pytest.raises(ASGIViolation) as raised:
        await run(case)

    assert raised.value.rule == case.rule
    assert case.says in raised.value.what


def test_every_rule_has_its_violation() -> None:
    elsewhere = {"event.after-return"}  # test_an_event_after_the_return_is_a_violation

    assert {case.rule for case in VIOLATIONS} | elsewhere == set(RULES)


LEGAL = {
    "the shortest response": http(
        "", "", [event("http.response.start", status=200), event("http.response.body")]
    ),
    "a status of the enum": http("", "", [start(HTTPStatus.CREATED), body(b"x")]),
    "headers as an iterator of lists": http("", "", [start(headers=iter([[b"a", b"b"]])), body()]),
    "additional keys": http("", "", [start(reason="fine"), body(flush=True)]),
    "chunks": http("", "", [start(), body(b"a", more_body=True), body(more_body=True), body(b"b")]),
    "the length of a GET in a HEAD": http(
        "", "", [start(headers=[(b"content-length", b"5")]), body()], method="HEAD"
    ),
    "the length of a GET in a 304": http("", "", header(b"content-length", b"5", 304)),
    "upgrade required": http("", "", header(b"upgrade", b"h2c", 426)),
    "an empty value and a Latin-1 one": http(
        "", "", [start(headers=[(b"a", b""), (b"b", b"caf\xe9 \t x")]), body()]
    ),
    "trailers": http(
        "",
        "",
        [
            start(headers=[(b"trailer", b"digest")], trailers=True),
            body(b"x"),
            event("http.response.trailers", headers=[(b"digest", b"x")], more_trailers=True),
            event("http.response.trailers"),
        ],
        *ALL_EXTENSIONS,
    ),
    "a file by path": http("", "", [start(), event("http.response.pathsend", path=HERE)], *ALL_EXTENSIONS),
    "an early hint before the start": http(
        "", "", [event("http.response.early_hint", links=(b"</a>",)), *END], *ALL_EXTENSIONS
    ),
    "an early hint after the start": http(
        "", "", [start(), event("http.response.early_hint", links=iter([b"</a>"])), body()], *ALL_EXTENSIONS
    ),
    "a push": http(
        "", "", [start(), event("http.response.push", path="/a", headers=[]), body()], *ALL_EXTENSIONS
    ),
    "debug information": http("", "", [event("http.response.debug", info={"a": 1}), *END], *ALL_EXTENSIONS),
    "nothing after a disconnect": Case("", "", [], receives=[event("http.disconnect")]),
    "half a response after a disconnect": Case("", "", [start()], receives=[event("http.disconnect")]),
    "anything after a disconnect": Case("", "", [body(), "junk"], receives=[event("http.disconnect")]),
    "a receive after the disconnect": Case("", "", [], receives=[event("http.disconnect")] * 2),
    "a request that is not read": http("", "", END),
    "a lifespan": lifespan("", "", ["startup"], [event("lifespan.startup.complete")]),
    "a failed startup": lifespan(
        "", "", ["startup"], [event("lifespan.startup.failed", message="no database")]
    ),
    "a shutdown": Case(
        "",
        "",
        [event("lifespan.startup.complete"), event("lifespan.shutdown.failed")],
        "lifespan",
        [event("lifespan.startup"), event("lifespan.shutdown")],
    ),
    "a WebSocket": websocket(
        "",
        "",
        [
            event("websocket.accept", subprotocol="chat", headers=[(b"a", b"b")]),
            event("websocket.send", text="", bytes=None),
            event("websocket.send", bytes=b""),
            event("websocket.close", code=4001, reason="x" * 123),
        ],
    ),
    "an open WebSocket left to the server": websocket("", "", [ACCEPT]),
    "a close that does not wait for the connect": websocket("", "", [event("websocket.close")], receives=()),
    "a denial": websocket("", "", [DENIAL_START, DENIAL_BODY], *ALL_EXTENSIONS),
    "a WebSocket whose client left": websocket(
        "", "", [], receives=[event("websocket.connect"), event("websocket.disconnect", code=1001)]
    ),
}


@pytest.mark.parametrize("name", LEGAL)
async def test_legal(name: str) -> None:
    reached = await run(LEGAL[name])

    assert len(reached) == len(LEGAL[name].sends)


async def test_headers_reach_the_server_as_a_list_though_an_iterator_was_sent() -> None:
    reached = await run(http("", "", [start(headers=iter([[b"a", b"b"]])), body()]))

    assert reached[0]["headers"] == [(b"a", b"b")]


async def test_the_event_of_the_application_is_not_changed() -> None:
    headers = [[b"a", b"b"]]
    mine = start(headers=headers)

    reached = await run(http("", "", [mine, body()]))

    assert mine == {"type": "http.response.start", "status": 200, "headers": [[b"a", b"b"]]}
    assert mine["headers"] is headers
    assert reached[0] is not mine


async def test_zero_copy_counts_against_the_content_length() -> None:
    with open(HERE, "rb") as file:
        part = event("http.response.zerocopysend", file=file, offset=3, count=10)
        await run(http("", "", [start(headers=[(b"content-length", b"10")]), part], *ALL_EXTENSIONS))
        with pytest.raises(ASGIViolation, match=r"announces 9 bytes, 10 were sent"):
            await run(http("", "", [start(headers=[(b"content-length", b"9")]), part], *ALL_EXTENSIONS))


async def test_zero_copy_without_a_range_is_the_rest_of_the_file() -> None:
    with open(HERE, "rb") as file:
        file.seek(-7, 2)
        rest = event("http.response.zerocopysend", file=file)
        await run(http("", "", [start(headers=[(b"content-length", b"7")]), rest], *ALL_EXTENSIONS))


@pytest.mark.skipif(sys.platform == "win32", reason="drive letters")
async def test_the_message_says_what_where_and_which_section() -> None:
    with pytest.raises(ASGIViolation) as raised:
        await run(http("", "", [start(), start()]))

    assert str(raised.value) == (
        "The response was started twice - at GET /users, sent event 2 `http.response.start`; "
        "see ASGI HTTP, Response Start (rule `http.start-once`)."
    )
    assert raised.value.where == "GET /users, sent event 2 `http.response.start`"
    assert raised.value.section == "ASGI HTTP, Response Start"


async def test_a_violation_that_the_application_swallows_is_raised_at_its_return() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send(start("200"))
        except Exception:
            await send(start(500))
            await send(body(b"sorry"))

    reached: list[Any] = []

    async def send(sent: Any) -> None:
        reached.append(sent)

    with pytest.raises(ASGIViolation, match="got '200'"):
        await ASGIValidator(app)({"type": "http"}, None, send)
    assert [sent["type"] for sent in reached] == ["http.response.start", "http.response.body"]


async def test_a_violation_wins_over_the_exception_it_led_to() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send(body())
        except AssertionError:
            raise RuntimeError("could not answer") from None

    async def send(sent: Any) -> None: ...

    with pytest.raises(ASGIViolation) as raised:
        await ASGIValidator(app)({"type": "http"}, None, send)
    assert isinstance(raised.value.__cause__, RuntimeError)


async def test_an_event_after_the_return_is_a_violation() -> None:
    kept: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kept.append(send)
        await send(start())
        await send(body())

    async def send(sent: Any) -> None: ...

    await ASGIValidator(app)({"type": "http"}, None, send)
    with pytest.raises(ASGIViolation) as raised:
        await kept[0](body())
    assert raised.value.rule == "event.after-return"


async def test_an_application_whose_send_raised_oserror_need_not_finish() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        try:
            await send(body(b"x", more_body=True))
        except OSError:
            return

    async def send(sent: Any) -> None:
        if sent["type"] == "http.response.body":
            raise ConnectionResetError

    await ASGIValidator(app)({"type": "http"}, None, send)


async def test_an_exception_of_the_application_passes_through() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await ASGIValidator(app)({"type": "smtp"}, None, None)


async def test_rules_can_be_ignored_by_name() -> None:
    case = http("", "", header(b"connection", b"close"))

    reached = await run(case, ignore_rules=["headers.hop-by-hop"])

    assert reached[0]["headers"] == [(b"connection", b"close")]


async def test_an_unknown_event_is_passed_on_where_its_rule_is_ignored() -> None:
    reached = await run(http("", "", [event("http.fullflush"), *END]), ignore_rules=["event.unknown"])

    assert reached[0] == {"type": "http.fullflush"}


def test_a_misspelt_rule_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Unknown ASGI rules \['http.strat'\]"):
        ASGIValidator(None, ignore_rules=["http.strat"])
