"""Authentication in an app: where it is declared, when it runs, what a 401 carries, and a log-in from end to end."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from swift import App, Model, Request, Response, Router, Schema, Unauthorized, fields
from swift.auth import (
    APIKey,
    Authentication,
    BearerJWT,
    HTTPBasic,
    Identity,
    generate_api_key,
    hash_password,
    password_verifier,
)
from swift.permissions import AllowAny, IsAdmin, IsAuthenticated, IsOwner
from swift.testing import TestClient
from swift.viewsets import AutoRouter, ModelViewSet, ViewSet, action

SECRET = "the secret of a test, of more than 32 bytes"
KEY, DIGEST = generate_api_key()


class Named(Authentication):
    """A name in a header, believed; `wrong` is refused."""

    def __init__(self, header: str = "x-name", *, name: str = "named") -> None:
        self.header = header.encode()
        self.name = name
        self.challenge = f"Named header={header}"
        self.asked = 0

    def authenticate(self, request: Request) -> Identity | None:
        self.asked += 1
        value = request.header(self.header)
        if value is None:
            return None
        if value == b"wrong":
            raise Unauthorized("This name is not known.")
        return Identity(value.decode(), self.name)


class SlowlyNamed(Named):
    async def authenticate(self, request: Request) -> Identity | None:  # type: ignore[override]
        return Named.authenticate(self, request)


async def whoami(request: Request) -> dict[str, Any]:
    return {"user": request.user, "auth": request.auth}


def app_with(*authentication: Any, **options: Any) -> App:
    app = App(authentication=authentication or None, **options)
    app.get("/me", name="me", permission_classes=[IsAuthenticated])(whoami)
    app.get("/open", name="open")(whoami)
    return app


def basic(username: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{username}:{password}".encode()).decode()}


# ---- one backend


@pytest.mark.parametrize("backend", [Named, SlowlyNamed])
async def test_the_user_is_set_wherever_authentication_is_declared(backend: Callable[[], Named]) -> None:
    async with TestClient(app_with(backend())) as client:
        for path in ("/me", "/open"):
            response = await client.get(path, headers={"x-name": "ada"})
            assert response.json() == {"user": "ada", "auth": "named"}
        assert (await client.get("/open")).json() == {"user": None, "auth": None}
        assert (await client.get("/me")).status == 401


@pytest.mark.parametrize("backend", [Named, SlowlyNamed])
async def test_wrong_credentials_are_refused_even_where_none_are_needed(backend: Callable[[], Named]) -> None:
    async with TestClient(app_with(backend())) as client:
        for path in ("/me", "/open"):
            response = await client.get(path, headers={"x-name": "wrong"})
            assert (response.status, response.json()["detail"]) == (401, "This name is not known.")


async def test_a_user_who_may_not_is_forbidden() -> None:
    app = App(authentication=[Named])
    app.get("/admin", permission_classes=[IsAdmin])(whoami)
    async with TestClient(app) as client:
        assert (await client.get("/admin", headers={"x-name": "ada"})).status == 403
        assert (await client.get("/admin")).status == 401


@pytest.mark.parametrize("backend", [Named, SlowlyNamed])
async def test_a_deactivated_user_is_refused_with_a_live_credential(backend: type[Named]) -> None:
    class User:
        is_active = False

    class Deactivating(backend):  # type: ignore[misc,valid-type]
        def authenticate(self, request: Request) -> Any:
            return Identity(User())

    async with TestClient(app_with(Deactivating())) as client:
        assert (await client.get("/open")).status == 401


async def unawaited(request: Request) -> str:
    return "anybody"


class ForgotToWait(Authentication):
    def authenticate(self, request: Request) -> Any:
        return Identity(unawaited(request))


class ReturnsACoroutine(Authentication):
    def authenticate(self, request: Request) -> Any:
        return unawaited(request)


class ReturnsAUser(Authentication):
    def authenticate(self, request: Request) -> Any:
        return "ada"


class ReturnsNobody(Authentication):
    def authenticate(self, request: Request) -> Any:
        return Identity(None)


@pytest.mark.parametrize(
    "backend",
    [
        ForgotToWait(),
        ReturnsACoroutine(),
        ReturnsAUser(),
        ReturnsNobody(),
        APIKey(lookup=lambda digest: unawaited(digest)),  # type: ignore[arg-type]
        BearerJWT(SECRET, load_user=lambda claims: unawaited(claims)),  # type: ignore[arg-type]
    ],
    ids=lambda backend: type(backend).__name__,
)
async def test_what_is_no_identity_lets_nobody_in(backend: Authentication) -> None:
    token = BearerJWT(SECRET).issue_token(1)
    async with TestClient(app_with(backend), raise_server_exceptions=False) as client:
        response = await client.get("/open", headers={"x-api-key": KEY, "authorization": f"Bearer {token}"})
        assert response.status == 500


# ---- several backends


async def test_the_first_that_knows_the_credentials_decides() -> None:
    first, second = Named("x-first", name="first"), SlowlyNamed("x-second", name="second")
    async with TestClient(app_with(first, second)) as client:
        for headers, auth in (
            ({"x-first": "a"}, "first"),
            ({"x-second": "b"}, "second"),
            ({"x-first": "a", "x-second": "b"}, "first"),
            ({"x-first": "a", "x-second": "wrong"}, "first"),
        ):
            assert (await client.get("/me", headers=headers)).json()["auth"] == auth
        # Refused is refused: nobody else is asked.
        asked = second.asked
        assert (await client.get("/me", headers={"x-first": "wrong", "x-second": "b"})).status == 401
        assert second.asked == asked


async def test_a_401_carries_every_challenge() -> None:
    app = app_with(
        BearerJWT(SECRET, realm="shop"),
        APIKey(lookup={DIGEST: "billing"}.get),
        HTTPBasic(lambda username, password: None),
    )
    bearer, key, plain = (
        'Bearer realm="shop"',
        'ApiKey header="x-api-key"',
        'Basic realm="api", charset="UTF-8"',
    )
    invalid = f'{bearer}, error="invalid_token", error_description="The token is not valid."'
    async with TestClient(app) as client:
        for headers, expected in (
            ({}, [bearer, key, plain]),
            ({"authorization": "Digest x"}, [bearer, key, plain]),
            ({"authorization": "Bearer x"}, [invalid, key, plain]),
            ({"x-api-key": "x"}, [bearer, key, plain]),
            (basic("ada", "x"), [bearer, key, plain]),
        ):
            response = await client.get("/me", headers=headers)
            assert response.status == 401
            assert response.headers.getlist("www-authenticate") == expected


async def test_any_401_of_a_route_has_a_challenge() -> None:
    app = App()

    @app.get("/bare")
    async def bare() -> str:
        raise Unauthorized("No.")

    @app.get("/named", authentication=[Named])
    async def named() -> str:
        raise Unauthorized("No.")

    @app.get("/own", authentication=[Named])
    async def own() -> str:
        raise Unauthorized("No.", headers={"www-authenticate": "Own"})

    async with TestClient(app) as client:
        for path, challenge in (("/bare", "Bearer"), ("/named", "Named header=x-name"), ("/own", "Own")):
            response = await client.get(path)
            assert response.headers.getlist("www-authenticate") == [challenge]


async def test_an_error_handler_for_401_sees_the_challenges() -> None:
    seen = []

    async def handle(request: Request, error: Any) -> Response:
        seen.extend(error.raw_headers)
        return Response("please log in", 401)

    async with TestClient(app_with(Named(), error_handlers={401: handle})) as client:
        assert (await client.get("/me")).text == "please log in"
    assert seen == [(b"www-authenticate", b"Named header=x-name")]


@pytest.mark.parametrize("backend", [Named, SlowlyNamed])
async def test_an_error_handler_knows_the_user(backend: Callable[[], Named]) -> None:
    async def handle(request: Request, error: Any) -> Response:
        return Response(f"sorry, {request.user}", 418)

    app = App(authentication=[backend()], error_handlers={LookupError: handle})

    @app.get("/fails")
    async def fails() -> str:
        raise LookupError

    async with TestClient(app) as client:
        assert (await client.get("/fails", headers={"x-name": "ada"})).text == "sorry, ada"


# ---- when it runs


class Item(Schema):
    qty: int


async def test_limits_come_before_authentication_and_the_body_after_permissions() -> None:
    backend = Named()
    app = App(authentication=[backend], permission_classes=[IsAuthenticated], max_body_size=100)

    @app.post("/items")
    async def create(item: Item) -> Item:
        return item

    async with TestClient(app) as client:
        assert (await client.post("/items", content=b"x" * 200)).status in (413, 415)
        assert (await client.post("/items", json={"qty": 1}, headers={"accept": "text/html"})).status == 406
        assert backend.asked == 0
        assert (await client.post("/items", json={"qty": "?"})).status == 401
        known = {"x-name": "ada"}
        assert (await client.post("/items", json={"qty": "?"}, headers=known)).status == 422
        assert (await client.post("/items", json={"qty": 1}, headers=known)).json() == {"qty": 1}


async def test_what_is_no_endpoint_asks_nobody() -> None:
    backend = Named()
    async with TestClient(app_with(backend, permission_classes=[IsAuthenticated])) as client:
        wrong = {"x-name": "wrong"}
        assert (await client.get("/nowhere", headers=wrong)).status == 404
        assert (await client.post("/me", headers=wrong)).status == 405
        assert (await client.options("/me", headers=wrong)).status == 204
        assert (await client.get("/docs", headers=wrong)).status == 200
        assert (await client.get("/openapi.json", headers=wrong)).status == 200
    assert backend.asked == 0


async def test_head_is_authenticated_as_get() -> None:
    async with TestClient(app_with(Named())) as client:
        assert (await client.head("/me")).status == 401
        assert (await client.head("/me", headers={"x-name": "ada"})).status == 200


def test_no_authentication_costs_nothing_and_a_synchronous_one_stays_in_the_kernel() -> None:
    def plan(*authentication: Any) -> Any:
        return next(route.plan for route in app_with(*authentication).routes if route.path == "/open")

    assert plan().guards == ()
    assert plan().direct
    assert plan(Named(), BearerJWT(SECRET), APIKey(lookup={}.get)).direct
    assert not plan(SlowlyNamed()).direct
    assert not plan(Named(), SlowlyNamed()).direct

    class Awaited(APIKey):
        async def authenticate(self, request: Request) -> Identity | None:  # type: ignore[override]
            return None

    assert not plan(Awaited(lookup={}.get)).direct


# ---- where it is declared


async def test_the_innermost_declaration_counts() -> None:
    def named(name: str) -> Named:
        return Named(name=name)

    inner = Router("/inner", authentication=[named("inner")])
    inner.get("/plain", name="plain")(whoami)
    inner.get("/own", name="own", authentication=[named("own")])(whoami)
    inner.get("/none", name="none", authentication=[])(whoami)
    outer = Router("/outer", authentication=[named("outer")], routers=[inner])
    outer.get("/plain", name="outer_plain")(whoami)
    bare = Router("/bare")
    bare.get("/plain", name="bare_plain")(whoami)
    app = App(authentication=[named("app")], routers=[outer, bare])
    async with TestClient(app) as client:
        for path, auth in (
            ("/outer/inner/plain", "inner"),
            ("/outer/inner/own", "own"),
            ("/outer/inner/none", None),
            ("/outer/plain", "outer"),
            ("/bare/plain", "app"),
        ):
            assert (await client.get(path, headers={"x-name": "ada"})).json()["auth"] == auth
        assert (await client.get("/outer/inner/none", headers={"x-name": "wrong"})).status == 200


async def test_a_viewset_and_its_actions_declare_their_own() -> None:
    class Inherits(ViewSet):
        async def list(self) -> Any:
            return [self.request.auth]

    class Declares(Inherits):
        authentication_classes = (Named("x-name", name="viewset"),)

        @action(detail=False)
        async def inherits(self) -> Any:
            return [self.request.auth]

        @action(detail=False, authentication=[Named(name="action")])
        async def declares(self) -> Any:
            return [self.request.auth]

        @action(detail=False, authentication=())
        async def nothing(self) -> Any:
            return [self.request.auth]

    router = AutoRouter()
    router.register("/inherits", Inherits)
    router.register("/declares", Declares)
    app = App(authentication=[Named(name="app")], routers=[router])
    async with TestClient(app) as client:
        for path, auth in (
            ("/inherits", "app"),
            ("/declares", "viewset"),
            ("/declares/inherits", "viewset"),
            ("/declares/declares", "action"),
            ("/declares/nothing", None),
        ):
            assert (await client.get(path, headers={"x-name": "ada"})).json() == [auth]


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (BearerJWT, "The authentication BearerJWT needs arguments; give an instance."),
        (IsAuthenticated, "Expected an Authentication or a class of one"),
        ("bearer", "Expected an Authentication or a class of one"),
        (Authentication, None),
    ],
)
def test_what_is_no_backend_is_refused_at_start(item: Any, sentence: str | None) -> None:
    if sentence is None:
        app_with(item).compile()
        return
    with pytest.raises(TypeError, match=sentence):
        app_with(item).compile()


def test_nothing_of_the_extra_is_imported_before_it_is_used() -> None:
    program = (
        "import sys; from swift import App; from swift.auth import APIKey, BearerJWT, verify_password\n"
        "App(authentication=[APIKey(lookup={}.get)]).compile()\n"
        "loaded = {'jwt', 'cryptography', 'argon2'} & sys.modules.keys()\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# ---- a service with accounts, from end to end


class Account(Model):
    id: int = fields.IDField()
    username: str = fields.StringField(max_length=50, unique=True)
    password_hash: str = fields.StringField(max_length=200)
    is_active: bool = fields.BoolField(default=True)
    is_admin: bool = fields.BoolField(default=False)

    class Meta:
        db_table = "accounts"


class Note(Model):
    id: int = fields.IDField()
    owner_id: int = fields.IntegerField()
    text: str = fields.StringField(max_length=200)

    class Meta:
        db_table = "notes"
        ordering = ("id",)


class NoteInput(Schema):
    text: str


class NoteViewSet(ModelViewSet):
    model = Note
    input_schema = NoteInput
    permission_classes = (IsAuthenticated() & (IsOwner() | IsAdmin()),)

    async def perform_create(self, values: dict[str, Any]) -> Note:
        return await Note.objects.create(owner_id=self.request.user.id, **values)

    @action(detail=True)
    async def shout(self) -> str:
        return (await self.get_object()).text.upper()


class LogIn(Schema):
    username: str
    password: str


class Token(Schema):
    access_token: str


async def account_named(username: str) -> Account | None:
    return await Account.objects.filter(username=username).first()


async def account_of(claims: dict[str, Any]) -> Account | None:
    return await Account.objects.filter(id=int(claims["sub"])).first()


def service(database: Path) -> App:
    bearer = BearerJWT(SECRET, audience="notes", issuer="notes", load_user=account_of)
    log_in = password_verifier(account_named)

    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        await app.db.create_tables([Account, Note])
        hashed = await hash_password("secret")
        for username in ("ada", "bob", "root"):
            await Account.objects.create(username=username, password_hash=hashed, is_admin=username == "root")
        yield

    router = AutoRouter("/api")
    router.register("/notes", NoteViewSet)
    app = App(
        routers=[router],
        database=f"sqlite:///{database}",
        lifespan=lifespan,
        authentication=[bearer, HTTPBasic(log_in, realm="notes")],
    )

    @app.post("/token", authentication=(), permission_classes=[AllowAny])
    async def token(data: LogIn) -> Token:
        """Log in."""
        account = await log_in(data.username, data.password)
        if account is None or not account.is_active:
            raise Unauthorized("The user name or the password is wrong.")
        return Token(access_token=bearer.issue_token(account.id, expires_in=60))

    @app.post("/deactivate")
    async def deactivate(request: Request) -> None:
        await Account.objects.filter(id=request.user.id).update(is_active=False)

    return app


async def test_a_log_in_from_end_to_end(tmp_path: Path) -> None:
    async with TestClient(service(tmp_path / "notes.db")) as client:

        async def bearer(username: str) -> dict[str, str]:
            response = await client.post("/token", json={"username": username, "password": "secret"})
            assert response.status == 200
            return {"authorization": f"Bearer {response.json()['access_token']}"}

        for username, password in (("ada", "wrong"), ("nobody", "secret"), ("", "")):
            response = await client.post("/token", json={"username": username, "password": password})
            assert response.status == 401
            assert response.json()["detail"] == "The user name or the password is wrong."

        ada, bob, root = [await bearer(username) for username in ("ada", "bob", "root")]
        assert (await client.get("/api/notes")).status == 401
        created = await client.post("/api/notes", json={"text": "mine"}, headers=ada)
        assert created.json() == {"id": 1, "owner_id": 1, "text": "mine"}
        for method, path in (("GET", ""), ("PATCH", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/shout")):
            options: Any = {"json": {"text": "yours"}} if method in ("PATCH", "PUT") else {}
            url = f"/api/notes/1{path}"
            assert (await client.request(method, url, headers=bob, **options)).status == 403
            assert (await client.request(method, url, **options)).status == 401
        assert (await client.get("/api/notes/1/shout", headers=ada)).text == "MINE"
        assert (await client.get("/api/notes/1", headers=root)).status == 200
        assert (await client.get("/api/notes/1", headers=basic("ada", "secret"))).status == 200
        assert (await client.get("/api/notes/1", headers=basic("bob", "secret"))).status == 403
        assert (await client.get("/api/notes/1", headers=basic("ada", "wrong"))).status == 401

        assert (await client.post("/deactivate", headers=ada)).status == 204
        response = await client.get("/api/notes/1", headers=ada)
        assert response.status == 401
        assert response.headers.getlist("www-authenticate") == [
            "Bearer",
            'Basic realm="notes", charset="UTF-8"',
        ]
        assert (await client.get("/api/notes/1", headers=basic("ada", "secret"))).status == 401
