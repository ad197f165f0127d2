"""Bodies beyond JSON: one registration for reading, answering and the document; types and forms of one's own."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
import pytest

from swift import App, Form, Request, Response, Router, UploadFile
from swift.http import FormLimits
from swift.http.codecs import Codec, MessagePack
from swift.routing import SignatureError
from swift.schemas import TypeHooks
from swift.testing import ClientResponse, TestClient

MSGPACK = "application/vnd.msgpack"


class Item(msgspec.Struct):
    name: str
    price: Annotated[int, msgspec.Meta(ge=0)] = 0


def read_xml(body: bytes) -> Any:
    try:
        return {child.tag: child.text or "" for child in ElementTree.fromstring(body)}
    except ElementTree.ParseError:
        raise ValueError("no XML") from None


def write_xml(data: Any) -> bytes:
    root = ElementTree.Element("item")
    for name, value in data.items():
        ElementTree.SubElement(root, name).text = str(value)
    return ElementTree.tostring(root)


XML = Codec("application/xml", decode=read_xml, encode=write_xml, textual=True)


def shop(**options: Any) -> App:
    app = App(codecs=[MessagePack(), XML], **options)

    @app.post("/items", status=201)
    async def create(item: Item, loud: bool = False) -> Item:
        return item

    @app.get("/dynamic/{kind}")
    async def dynamic(kind: str) -> Any:
        return {"dict": {"name": "tea"}, "text": "text", "none": None, "response": Response("own")}[kind]

    @app.get("/items")
    async def items() -> AsyncIterator[Item]:
        yield Item("tea")

    return app


async def ask(app: App, method: str, path: str, **options: Any) -> ClientResponse:
    async with TestClient(app) as client:
        return await client.request(method, path, **options)


def typed(media_type: str, accept: str | None = None) -> dict[str, str]:
    return {"content-type": media_type} | ({} if accept is None else {"accept": accept})


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        (MSGPACK, MSGPACK),
        ("application/xml", "application/xml"),
        (f"application/json;q=0.5, {MSGPACK}", MSGPACK),
        (f"{MSGPACK}, application/json", "application/json"),
        (f"{MSGPACK};q=0, application/xml;q=0.1", "application/xml"),
        ("text/html", None),
    ],
)
async def test_accept_chooses_what_writes_the_answer(accept: str | None, media_type: str | None) -> None:
    headers = {} if accept is None else {"accept": accept}
    response = await ask(shop(), "POST", "/items", json={"name": "tea", "price": 5}, headers=headers)
    if media_type is None:
        assert (response.status, response.problem.status) == (406, 406)
        assert MSGPACK in (response.problem.detail or "")
        return
    assert (response.status, response.media_type, response.headers["vary"]) == (201, media_type, "Accept")
    read = {
        "application/json": msgspec.json.decode,
        MSGPACK: msgspec.msgpack.decode,
        "application/xml": lambda body: {**read_xml(body), "price": int(read_xml(body)["price"])},
    }[media_type]
    assert read(response.content) == {"name": "tea", "price": 5}


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (MSGPACK, msgspec.msgpack.encode({"name": "tea", "price": 5})),
        ("application/xml", b"<item><name>tea</name><price>5</price></item>"),
        ("application/xml; charset=utf-8", b"<item><name>tea</name><price>5</price></item>"),
    ],
)
async def test_content_type_chooses_what_reads_the_body(media_type: str, body: bytes) -> None:
    response = await ask(shop(), "POST", "/items", content=body, headers=typed(media_type))
    assert (response.status, response.json()) == (201, {"name": "tea", "price": 5})


@pytest.mark.parametrize(
    ("media_type", "body", "status", "codes"),
    [
        (MSGPACK, b"\xc1", 400, {"/body": "malformed"}),
        (MSGPACK, b"\x91" * 100_000, 400, {"/body": "malformed"}),
        (MSGPACK, msgspec.msgpack.encode({"name": 5, "price": -1}), 422,
         {"/body/name": "type", "/body/price": "too_small"}),
        (MSGPACK, msgspec.msgpack.encode({"name": "tea", "price": "5"}), 422, {"/body/price": "type"}),
        ("application/xml", b"<item>", 400, {"/body": "malformed"}),
        ("application/xml", b"<item><price>-5</price></item>", 422,
         {"/body/name": "missing", "/body/price": "too_small"}),
    ],
)  # fmt: skip
async def test_errors_are_told_as_for_json(
    media_type: str, body: bytes, status: int, codes: dict[str, str]
) -> None:
    response = await ask(shop(), "POST", "/items?loud=x", content=body, headers=typed(media_type))
    assert (response.status, response.media_type) == (status, "application/problem+json")
    assert response.problem.codes == {"/query/loud": "type", **codes}


async def test_other_media_types_are_415_and_a_body_has_its_limit() -> None:
    response = await ask(shop(), "POST", "/items", content=b"a: 1", headers=typed("application/yaml"))
    assert response.status == 415
    assert response.headers["accept"] == f"application/json, {MSGPACK}, application/xml"
    app = shop(max_body_size=5)
    response = await ask(app, "POST", "/items", content=b"\x80" * 6, headers=typed(MSGPACK))
    assert response.status == 413


async def test_what_is_no_data_is_answered_as_ever() -> None:
    app = shop()
    async with TestClient(app, headers={"accept": MSGPACK}) as client:
        assert msgspec.msgpack.decode((await client.get("/dynamic/dict")).content) == {"name": "tea"}
        text = await client.get("/dynamic/text")
        assert (text.text, text.media_type) == ("text", "text/plain")
        assert (await client.get("/dynamic/none")).status == 204
        assert (await client.get("/dynamic/response")).text == "own"
        assert (await client.get("/items", headers={"accept": "*/*"})).media_type == "application/jsonl"


async def test_codecs_are_those_of_the_innermost_router() -> None:
    plain = Router("/plain", codecs=[])
    xml = Router("/xml", codecs=[XML], routers=[])
    app = App(codecs=[MessagePack()], routers=[plain, xml], openapi_url=None)

    async def show() -> Item:
        return Item("tea")

    for router in (app, plain, xml):
        router.get("/a")(show)
    app.get("/b", codecs=[XML])(show)
    async with TestClient(app) as client:
        for path, served in (
            ("/a", MSGPACK),
            ("/plain/a", None),
            ("/xml/a", "application/xml"),
            ("/b", "application/xml"),
        ):
            for media_type in (MSGPACK, "application/xml"):
                response = await client.get(path, headers={"accept": media_type})
                assert response.status == (200 if media_type == served else 406), (path, media_type)


async def test_the_document_tells_of_all_media_types() -> None:
    operation = shop().openapi()["paths"]["/items"]["post"]
    reference = {"schema": {"$ref": "#/components/schemas/Item"}}
    expected = dict.fromkeys(("application/json", MSGPACK, "application/xml"), reference)
    assert operation["requestBody"]["content"] == expected
    assert operation["responses"]["201"]["content"] == expected


async def test_a_codec_may_read_only_or_write_only() -> None:
    app = App(codecs=[Codec("text/x-in", decode=lambda body: {"name": body.decode()}),
                      Codec("text/x-out", encode=lambda data: data["name"].encode())])  # fmt: skip

    @app.post("/")
    async def create(item: Item) -> Item:
        return item

    async with TestClient(app) as client:
        headers = typed("text/x-in", "text/x-out")
        assert (await client.post("/", content=b"tea", headers=headers)).content == b"tea"
        assert (await client.post("/", content=b"tea", headers=typed("text/x-out"))).status == 415
        assert (await client.post("/", json={"name": "a"}, headers={"accept": "text/x-in"})).status == 406


@pytest.mark.parametrize("media_type", ["xml", "application/*", "application/json", "a/b; c=d", "a/b\r\nc"])
def test_a_wrong_media_type_is_refused(media_type: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Codec(media_type)


# Types that msgspec does not know.


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents

    @classmethod
    def parse(cls, value: Any) -> Money:
        if not isinstance(value, str) or not value.replace(".", "", 1).isdigit():
            raise ValueError("Expected an amount such as 5.00")
        return cls(int(value.replace(".", "")))


HOOKS = TypeHooks().add(
    Money,
    decode=Money.parse,
    encode=lambda money: f"{money.cents / 100:.2f}",
    schema={"type": "string", "format": "money"},
)


class Offer(msgspec.Struct):
    price: Money


class Fields(msgspec.Struct):
    least: Money


def market(where: str) -> App:
    router = Router("/market", type_hooks=HOOKS if where == "router" else None)
    app = App(routers=[router], codecs=[MessagePack()], type_hooks=HOOKS if where == "app" else None)
    options: dict[str, Any] = {"type_hooks": HOOKS} if where == "route" else {}

    @router.post("/offers", **options)
    async def offer(offer: Offer, discount: Money) -> Offer:
        return Offer(Money(offer.price.cents - discount.cents))

    @router.post("/form", **options)
    async def form(price: Annotated[Money, Form()]) -> Offer:
        return Offer(price)

    @router.post("/raw", **options)
    async def raw(request: Request) -> Offer:
        return await request.json(Offer)

    return app


@pytest.mark.parametrize("where", ["app", "router", "route"])
async def test_type_hooks_are_those_of_the_app_a_router_or_a_route(where: str) -> None:
    app = market(where)
    async with TestClient(app) as client:
        made = await client.post("/market/offers?discount=0.50", json={"price": "5.00"})
        assert made.json() == {"price": "4.50"}
        packed = await client.post(
            "/market/offers?discount=0.50",
            content=msgspec.msgpack.encode({"price": "5.00"}),
            headers=typed(MSGPACK, MSGPACK),
        )
        assert msgspec.msgpack.decode(packed.content) == {"price": "4.50"}
        wrong = await client.post("/market/offers?discount=x", json={"price": 5})
        assert wrong.problem.codes.keys() == {"/query/discount", "/body/price"}
        assert {error.detail for error in wrong.problem.errors} == {"Expected an amount such as 5.00"}
        assert (await client.post("/market/form", data={"price": "1.00"})).json() == {"price": "1.00"}
        assert (await client.post("/market/raw", json={"price": "2.00"})).json() == {"price": "2.00"}
    document = app.openapi()
    assert document["components"]["schemas"]["Offer"]["properties"]["price"] == {
        "type": "string",
        "format": "money",
    }


async def use_offer(offer: Offer) -> None: ...
async def give_offer() -> Offer: ...  # type: ignore[empty-body]
async def give_money() -> list[Money]: ...  # type: ignore[empty-body]
async def take_money(money: Money) -> None: ...


@pytest.mark.parametrize("handler", [use_offer, give_offer, give_money, take_money])
@pytest.mark.parametrize("hooks", [None, TypeHooks()], ids=["without", "others"])
def test_a_type_that_nobody_knows_fails_at_start(handler: Any, hooks: TypeHooks | None) -> None:
    app = App(type_hooks=hooks)
    app.post("/")(handler)
    with pytest.raises(SignatureError, match="Money"):
        app.compile()


def test_what_can_be_encoded_is_let_through() -> None:
    from collections.abc import Iterable, Mapping, Sequence

    class Texts(list[str]): ...

    app = App()
    for number, returned in enumerate(
        (Iterable[int], Sequence[Item], Mapping[str, int], object, Texts, Item | Response, Item | None)
    ):

        async def handler() -> Any: ...

        app.get(f"/{number}", annotations={"return": returned})(handler)
    app.compile()


# What a form may hold.


@pytest.mark.parametrize("where", ["app", "router", "route"])
async def test_form_limits_are_those_of_the_app_a_router_or_a_route(where: str) -> None:
    limits = FormLimits(max_fields=1, max_file_size=10)
    router = Router("/r", form_limits=limits if where == "router" else None)
    app = App(routers=[router], form_limits=limits if where == "app" else FormLimits(max_fields=9))
    options: dict[str, Any] = {"form_limits": limits} if where == "route" else {}

    @router.post("/typed", **options)
    async def by_signature(doc: UploadFile) -> int:
        return doc.size

    @router.post("/form", **options)
    async def by_hand(request: Request) -> int:
        return len(await request.form())

    @router.post("/parts", **options)
    async def by_part(request: Request) -> int:
        return len([part.name async for part in request.multipart()])

    async with TestClient(app) as client:
        for path in ("/r/typed", "/r/form", "/r/parts"):
            small = await client.post(path, files=[("doc", ("a", b"x" * 10))])
            assert small.status == 200, path
            assert (await client.post(path, files=[("doc", ("a", b"x" * 11))])).status == 413, path
        fields = {"a": "1", "b": "2"}
        assert (await client.post("/r/form", data=fields)).status == 413
