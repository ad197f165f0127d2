"""A retried request is done once: `Idempotency-Key` over the whole of an app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from swift import App, Conflict, Depends, Request, Response, StreamingResponse, UploadFile
from swift.auth import HTTPBasic
from swift.http import ServiceUnavailable
from swift.middleware import IdempotencyMiddleware, MemoryStore
from swift.permissions import IsAuthenticated
from swift.testing import TestClient

KEY = {"idempotency-key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}


class Payment(msgspec.Struct):
    amount: int


class Bank:
    """An app that counts the payments it has made."""

    def __init__(self, *, authentication: Any = None, permissions: Any = None, **options: Any) -> None:
        self.idempotency = IdempotencyMiddleware(**options)
        self.paid: list[int] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.app = App(
            openapi_url=None,
            middleware=[self.idempotency],
            authentication=authentication,
            permission_classes=permissions,
        )
        self.app.post("/payments", status=201)(self.pay)
        self.app.get("/payments")(self.show)

    async def pay(self, payment: Payment, request: Request) -> Response:
        self.paid.append(payment.amount)
        await self.go_on.wait()
        if payment.amount == 402:
            raise Conflict("No money.")
        if payment.amount == 503:
            raise ServiceUnavailable
        if payment.amount == 500:
            raise RuntimeError
        return Response(f"payment {len(self.paid)}", 201, {"location": f"/payments/{len(self.paid)}"})

    async def show(self) -> int:
        return len(self.paid)

    def client(self, **options: Any) -> TestClient:
        return TestClient(self.app, raise_server_exceptions=False, **options)


async def test_a_retry_gets_the_first_answer_and_nothing_happens_twice() -> None:
    bank = Bank()
    async with bank.client() as client:
        first = await client.post("/payments", json={"amount": 5}, headers=KEY)
        again = await client.post("/payments", json={"amount": 5}, headers=KEY)
        other = await client.post("/payments", json={"amount": 5}, headers={"idempotency-key": "other"})
    assert (first.status, first.text, first.headers["location"]) == (201, "payment 1", "/payments/1")
    assert (again.status, again.content, again.headers["location"]) == (201, first.content, "/payments/1")
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert other.text == "payment 2"
    assert bank.paid == [5, 5]


async def test_requests_at_the_same_time_are_one() -> None:
    bank = Bank()
    bank.go_on.clear()
    async with bank.client() as client, asyncio.TaskGroup() as group:
        first = group.create_task(client.post("/payments", json={"amount": 5}, headers=KEY))
        while not bank.paid:
            await asyncio.sleep(0)
        meanwhile = await client.post("/payments", json={"amount": 5}, headers=KEY)
        bank.go_on.set()
        assert (await first).status == 201
    assert (meanwhile.status, meanwhile.headers["retry-after"]) == (409, "1")
    assert bank.paid == [5]


@pytest.mark.parametrize("change", ["body", "query"])
async def test_a_key_belongs_to_one_request(change: str) -> None:
    bank = Bank()
    async with bank.client() as client:
        await client.post("/payments", json={"amount": 5}, headers=KEY)
        path = "/payments?x=1" if change == "query" else "/payments"
        amount = 6 if change == "body" else 5
        refused = await client.post(path, json={"amount": amount}, headers=KEY)
    assert (refused.status, refused.problem.status) == (422, 422)
    assert bank.paid == [5]


async def test_problems_are_kept_and_failures_free_the_key() -> None:
    bank = Bank()
    async with bank.client() as client:
        for amount, statuses, calls in ((402, [409, 409], 1), (503, [503, 503], 2), (500, [500, 500], 2)):
            bank.paid.clear()
            headers = {"idempotency-key": f"key {amount}".replace(" ", "-")}
            answers = [
                await client.post("/payments", json={"amount": amount}, headers=headers) for _ in range(2)
            ]
            assert [answer.status for answer in answers] == statuses
            assert len(bank.paid) == calls


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256, '""'])
async def test_a_key_that_is_none_is_refused(key: str) -> None:
    bank = Bank()
    async with bank.client() as client:
        headers = [("idempotency-key", key.encode("latin-1").decode("latin-1"))]
        assert (await client.post("/payments", json={"amount": 5}, headers=headers)).status == 400
    assert bank.paid == []


async def test_a_quoted_key_is_the_same_and_two_are_none() -> None:
    bank = Bank()
    async with bank.client() as client:
        await client.post("/payments", json={"amount": 5}, headers={"idempotency-key": "k"})
        await client.post("/payments", json={"amount": 5}, headers={"idempotency-key": '"k"'})
        two = [("idempotency-key", "a"), ("idempotency-key", "b")]
        assert (await client.post("/payments", json={"amount": 5}, headers=two)).status == 400
    assert bank.paid == [5]


async def test_without_a_key_everything_is_as_usual_unless_it_is_required() -> None:
    for required, status in ((False, 201), (True, 400)):
        bank = Bank(required=required)
        async with bank.client() as client:
            assert (await client.post("/payments", json={"amount": 5})).status == status
            assert (await client.get("/payments", headers=KEY)).status == 200


async def test_clients_do_not_see_each_others_answers_and_strangers_none() -> None:
    users = {"ann": {"id": 1}, "ben": {"id": 2}}
    basic = HTTPBasic(lambda name, password: users.get(name))
    bank = Bank(authentication=[basic], permissions=[IsAuthenticated])
    read = False

    async def watched() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b'{"amount": 5}'

    async with bank.client() as client:
        as_user = {name: {**KEY, "authorization": basic_of(name)} for name in (*users, "eve")}
        first = await client.post("/payments", json={"amount": 5}, headers=as_user["ann"])
        other = await client.post("/payments", json={"amount": 5}, headers=as_user["ben"])
        headers = {**as_user["eve"], "content-type": "application/json"}
        refused = await client.post("/payments", content=watched(), headers=headers)
        again = await client.post("/payments", json={"amount": 5}, headers=as_user["ann"])
    assert (first.text, other.text, again.text) == ("payment 1", "payment 2", "payment 1")
    assert refused.status == 401
    assert not read


def basic_of(name: str) -> str:
    import base64

    return "Basic " + base64.b64encode(f"{name}:x".encode()).decode()


async def test_the_store_may_be_shared_by_two_processes() -> None:
    store = MemoryStore()
    first, second = Bank(store=store), Bank(store=store)
    async with first.client() as client:
        answer = await client.post("/payments", json={"amount": 5}, headers=KEY)
    async with second.client() as client:
        again = await client.post("/payments", json={"amount": 5}, headers=KEY)
    assert again.content == answer.content
    assert second.paid == []


async def test_what_is_never_answered_may_be_tried_again_after_its_time() -> None:
    now = 0.0
    bank = Bank(store=MemoryStore(clock=lambda: now), seconds=100, serving_seconds=10)
    bank.go_on.clear()
    async with bank.client() as client:
        lost = asyncio.create_task(client.post("/payments", json={"amount": 5}, headers=KEY))
        while not bank.paid:
            await asyncio.sleep(0)
        now = 11.0
        retry = asyncio.create_task(client.post("/payments", json={"amount": 5}, headers=KEY))
        while len(bank.paid) < 2:
            await asyncio.sleep(0)
        bank.go_on.set()
        assert [(await task).status for task in (lost, retry)] == [201, 201]
        now = 200.0
        assert (await client.post("/payments", json={"amount": 5}, headers=KEY)).text == "payment 3"


async def test_a_cancelled_request_frees_its_key() -> None:
    from swift.middleware import TimeoutMiddleware

    bank = Bank()
    bank.app.middleware.insert(0, TimeoutMiddleware(0.01))
    bank.go_on.clear()
    async with bank.client() as client:
        assert (await client.post("/payments", json={"amount": 5}, headers=KEY)).status == 503
        bank.go_on.set()
        assert (await client.post("/payments", json={"amount": 5}, headers=KEY)).status == 201


async def test_an_answer_that_was_streamed_is_not_repeated() -> None:
    app = App(openapi_url=None)
    made = 0

    @app.post("/", middleware=[IdempotencyMiddleware()])
    async def report() -> Response:
        nonlocal made
        made += 1
        return StreamingResponse([b"a", b"b"])

    async with TestClient(app) as client:
        assert (await client.post("/", headers=KEY)).content == b"ab"
        assert (await client.post("/", headers=KEY)).status == 409
    assert made == 1


async def test_a_form_that_is_built_anew_is_the_same_request() -> None:
    app = App(openapi_url=None)
    stored: list[bytes] = []

    @app.post("/", middleware=[IdempotencyMiddleware()])
    async def store(doc: UploadFile) -> int:
        stored.append(await doc.read())
        return len(stored)

    def form(boundary: str, content: str) -> dict[str, Any]:
        body = (
            f'--{boundary}\r\ncontent-disposition: form-data; name="doc"; filename="a"\r\n\r\n'
            f"{content}\r\n--{boundary}--\r\n"
        )
        return {
            "content": body.encode(),
            "headers": {**KEY, "content-type": f"multipart/form-data; boundary={boundary}"},
        }

    async with TestClient(app) as client:
        assert (await client.post("/", **form("first", "text"))).json() == 1
        assert (await client.post("/", **form("second", "text"))).json() == 1
        assert (await client.post("/", **form("third", "other"))).status == 422


async def test_dependencies_run_for_the_first_request_only() -> None:
    opened = 0

    async def session() -> AsyncIterator[int]:
        nonlocal opened
        opened += 1
        yield opened

    app = App(openapi_url=None)

    @app.post("/", middleware=[IdempotencyMiddleware()])
    async def use(number: int = Depends(session)) -> int:
        return number

    async with TestClient(app) as client:
        assert [(await client.post("/", headers=KEY)).json() for _ in range(3)] == [1, 1, 1]
    assert opened == 1


async def test_a_wrong_time_is_refused() -> None:
    with pytest.raises(ValueError, match="times above 0"):
        IdempotencyMiddleware(seconds=0)
