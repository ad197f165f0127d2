"""Permissions: their three-valued logic, their inheritance, and what a refusal looks like."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift import App, Forbidden, NotFound, Request, Response, Router
from swift.permissions import (
    All,
    AllowAny,
    DenyAll,
    Either,
    Guard,
    IsAdmin,
    IsAuthenticated,
    IsAuthenticatedOrReadOnly,
    IsOwner,
    Not,
    Permission,
    compile_guard,
    is_authenticated,
)
from swift.testing import TestClient
from swift.viewsets import AutoRouter, ViewSet, action

ANSWERS = (None, False, True)


class User(msgspec.Struct):
    id: int
    is_admin: bool = False


class Note(msgspec.Struct):
    id: int
    owner_id: int


USERS = {"ann": User(1), "bob": User(2), "root": User(3, is_admin=True)}
NOTES = {1: Note(1, owner_id=1), 2: Note(2, owner_id=2)}


async def authenticate(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Who the `user` header says; enough for a test of who may do what."""
    name = request.header(b"user")
    request.user = None if name is None else USERS[name.decode()]
    return await call_next(request)


class NoteViewSet(ViewSet):
    """Notes in a dict, so that permissions are tested without a database."""

    async def list(self) -> list[Note]:
        return [*NOTES.values()]

    async def create(self, data: Note) -> Note:
        return data

    async def retrieve(self, id: int) -> Note:
        return await self.note(id)

    async def update(self, id: int, data: Note) -> Note:
        await self.note(id)
        return data

    async def partial_update(self, id: int, data: dict[str, Any]) -> Note:
        return await self.note(id)

    async def destroy(self, id: int) -> None:
        await self.note(id)

    @action(detail=False)
    async def recent(self) -> list[Note]:
        return []

    @action(detail=True, methods=["POST"])
    async def share(self, id: int) -> Note:
        return await self.note(id)

    async def note(self, id: int) -> Note:
        if id not in NOTES:
            raise NotFound()
        await self.check_object_permissions(NOTES[id])
        return NOTES[id]


EVERY_ACTION = (
    ("GET", "/notes"),
    ("POST", "/notes"),
    ("GET", "/notes/1"),
    ("PUT", "/notes/1"),
    ("PATCH", "/notes/1"),
    ("DELETE", "/notes/1"),
    ("GET", "/notes/recent"),
    ("POST", "/notes/1/share"),
)


def app_of(viewset: type[ViewSet], **options: Any) -> App:
    router = AutoRouter()
    router.register("/notes", viewset)
    return App(routers=[router], middleware=[authenticate], **options)


def notes(permission_classes: Any = None, **attributes: Any) -> type[ViewSet]:
    return type("Notes", (NoteViewSet,), {"permission_classes": permission_classes, **attributes})


async def status(app: App, method: str, path: str, user: str | None = None) -> int:
    headers = {} if user is None else {"user": user}
    client = TestClient(app, headers=headers)
    if method in ("PUT", "PATCH") or (method == "POST" and path.endswith("/notes")):
        return (await client.request(method, path, json={"id": 1, "owner_id": 1})).status
    return (await client.request(method, path)).status


async def granted(app: App, user: str | None) -> set[tuple[str, str]]:
    """Which of all actions a user may run."""
    return {(method, path) for method, path in EVERY_ACTION if await status(app, method, path, user) < 300}


# The logic


class Answers(Permission):
    """A permission that says what it was made with; None at a level it does not speak at."""

    def __new__(cls, request: bool | None, obj: bool | None, asynchronous: bool = False) -> Any:
        def has_permission(self: Any, request_: Any, view: Any) -> bool:
            return bool(request)

        def has_object_permission(self: Any, request_: Any, view: Any, obj_: Any) -> bool:
            return bool(obj)

        async def has_permission_later(self: Any, request_: Any, view: Any) -> bool:
            await asyncio.sleep(0)
            return bool(request)

        async def has_object_permission_later(self: Any, request_: Any, view: Any, obj_: Any) -> bool:
            await asyncio.sleep(0)
            return bool(obj)

        members: dict[str, Any] = {}
        if request is not None:
            members["has_permission"] = has_permission_later if asynchronous else has_permission
        if obj is not None:
            members["has_object_permission"] = (
                has_object_permission_later if asynchronous else has_object_permission
            )
        return object.__new__(type(f"Answers_{request}_{obj}", (Permission,), members))


def naive_leaf(request: bool | None, obj: bool | None, with_object: bool) -> bool | None:
    """What is known: all levels that the permission speaks at must agree, and some may not be known yet."""
    if request is False:
        return False
    if obj is None:
        return request
    return obj if with_object else None


def naive_and(a: bool | None, b: bool | None) -> bool | None:
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


def naive_or(a: bool | None, b: bool | None) -> bool | None:
    if a is True or b is True:
        return True
    return None if a is None or b is None else False


def naive_not(a: bool | None) -> bool | None:
    return None if a is None else not a


# A leaf speaks at one level at least; one that says nothing at all is refused, see below.
LEAVES = [(request, obj) for request in ANSWERS for obj in ANSWERS if (request, obj) != (None, None)]


async def passes(permission: Permission, with_object: bool) -> bool:
    """Whether a guard of this permission lets a request through, and then to an object."""
    guard = compile_guard([permission])
    assert guard is not None
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": []})
    request.user = USERS["ann"]
    try:
        if (waiting := guard(request)) is not None:
            await waiting
        if with_object:
            await guard.check_object(request, None, object())
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize("with_object", [False, True])
@pytest.mark.parametrize("leaf", LEAVES)
async def test_one_permission_before_and_with_the_object(leaf: Any, with_object: bool) -> None:
    verdict = naive_leaf(*leaf, with_object)
    expected = verdict is True if with_object else verdict is not False
    assert await passes(Answers(*leaf), with_object) is expected
    negated = naive_not(verdict)
    expected = negated is True if with_object else negated is not False
    assert await passes(~Answers(*leaf), with_object) is expected


@pytest.mark.parametrize("with_object", [False, True])
@pytest.mark.parametrize("left", LEAVES)
@pytest.mark.parametrize("right", LEAVES)
async def test_two_permissions_follow_the_truth_tables(left: Any, right: Any, with_object: bool) -> None:
    a, b = naive_leaf(*left, with_object), naive_leaf(*right, with_object)
    for permission, verdict in (
        (Answers(*left) & Answers(*right), naive_and(a, b)),
        (Answers(*left) | Answers(*right), naive_or(a, b)),
        (~(Answers(*left) & Answers(*right)), naive_not(naive_and(a, b))),
        (~Answers(*left) | ~Answers(*right), naive_not(naive_and(a, b))),
    ):
        expected = verdict is True if with_object else verdict is not False
        assert await passes(permission, with_object) is expected


TREES = st.recursive(
    st.tuples(st.just("leaf"), st.sampled_from(LEAVES), st.booleans()),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or"]), inner, inner)
    ),
    max_leaves=12,
)


def built(tree: Any) -> Permission:
    match tree:
        case ("leaf", (request, obj), asynchronous):
            leaf: Permission = Answers(request, obj, asynchronous)
            return leaf
        case ("not", inner):
            return ~built(inner)
        case ("and", left, right):
            return built(left) & built(right)
        case (_, left, right):
            return built(left) | built(right)
    raise AssertionError(tree)


def naive(tree: Any, with_object: bool) -> bool | None:
    match tree:
        case ("leaf", (request, obj), _):
            return naive_leaf(request, obj, with_object)
        case ("not", inner):
            return naive_not(naive(inner, with_object))
        case ("and", left, right):
            return naive_and(naive(left, with_object), naive(right, with_object))
        case (_, left, right):
            return naive_or(naive(left, with_object), naive(right, with_object))
    raise AssertionError(tree)


@given(TREES)
def test_any_composition_agrees_with_the_naive_model(tree: Any) -> None:
    before, with_object = naive(tree, False), naive(tree, True)
    assert asyncio.run(passes(built(tree), False)) is (before is not False)
    assert asyncio.run(passes(built(tree), True)) is (with_object is True)
    # What was decided before the object stays decided: a request that is turned away could not have got it.
    if before is False:
        assert with_object is False


def test_operators_take_classes_and_instances() -> None:
    assert isinstance(IsAuthenticated & IsAdmin, All)
    assert isinstance(IsAuthenticated() & IsAdmin, All)
    assert isinstance(IsAuthenticated & IsAdmin(), All)
    assert isinstance(IsAuthenticated | IsAdmin, Either)
    assert isinstance(IsAuthenticated() | IsAdmin, Either)
    assert isinstance(IsAuthenticated | IsOwner("author_id"), Either)
    assert isinstance(~IsAdmin, Not)
    assert isinstance(~IsAdmin(), Not)


def test_a_permission_class_is_still_good_for_annotations() -> None:
    assert Permission | None == Permission | None
    assert (IsAdmin | None).__args__ == (IsAdmin, type(None))
    assert (None | IsAdmin).__args__ == (type(None), IsAdmin)


def test_only_permissions_that_wait_are_awaited() -> None:
    class Asks(Permission):
        async def has_permission(self, request: Request, view: Any) -> bool:
            return True

    class AsksAboutObjects(Permission):
        async def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
            return True

    def is_synchronous(*permissions: Any) -> bool:
        guard = compile_guard(permissions)
        assert isinstance(guard, Guard)
        return guard.synchronous

    assert is_synchronous(IsAuthenticated, IsOwner() | IsAdmin())
    assert is_synchronous(AsksAboutObjects)
    assert not is_synchronous(Asks)
    assert not is_synchronous(IsAuthenticated, IsAdmin() | ~Asks())


async def test_a_plain_function_that_gives_something_to_await_fails_closed() -> None:
    class Careless(Permission):
        def has_permission(self, request: Request, view: Any) -> Any:
            return self.ask()

        async def ask(self) -> bool:
            return False

    guard = compile_guard([Careless])
    assert guard is not None
    with pytest.raises(
        TypeError, match="Careless gave something to await; make its has_permission `async def`"
    ):
        guard(Request({"type": "http", "method": "GET", "path": "/", "headers": []}))


@pytest.mark.parametrize("answer", [None, 0, "", []])
async def test_an_answer_that_is_not_true_is_no(answer: Any) -> None:
    class Odd(Permission):
        def has_permission(self, request: Request, view: Any) -> Any:
            return answer

    assert not await passes(Odd(), False)


# The README's composition, and what it must not let through


async def test_a_stranger_lists_but_does_not_reach_anothers_object() -> None:
    app = app_of(notes([IsAuthenticated() & (IsOwner() | IsAdmin())]))
    collection = {("GET", "/notes"), ("POST", "/notes"), ("GET", "/notes/recent")}
    assert await granted(app, None) == set()
    assert await granted(app, "bob") == collection
    assert await granted(app, "ann") == set(EVERY_ACTION)
    assert await granted(app, "root") == set(EVERY_ACTION)


async def test_the_same_composition_of_classes_in_a_list() -> None:
    app = app_of(notes([IsAuthenticated, IsOwner | IsAdmin]))
    assert await status(app, "GET", "/notes/2", "ann") == 403
    assert await status(app, "GET", "/notes/1", "ann") == 200
    assert await status(app, "DELETE", "/notes/1", "bob") == 403


async def test_a_negated_owner_reaches_all_but_its_own() -> None:
    app = app_of(notes([IsAuthenticated & ~IsOwner()]))
    assert await status(app, "GET", "/notes", "ann") == 200
    assert await status(app, "GET", "/notes/1", "ann") == 403
    assert await status(app, "GET", "/notes/2", "ann") == 200


async def test_a_negation_of_both_levels_waits_for_the_object() -> None:
    class IsColleagueOfOwner(Permission):
        def has_permission(self, request: Request, view: Any) -> bool:
            return is_authenticated(request)

        def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
            return bool(obj.owner_id == 2)

    app = app_of(notes([~IsColleagueOfOwner()]))
    assert await status(app, "GET", "/notes/1", "ann") == 200
    assert await status(app, "GET", "/notes/2", "ann") == 403


# Inheritance: action, then by action, then ViewSet, then router, then app


@pytest.mark.parametrize(("method", "path"), EVERY_ACTION)
async def test_every_action_has_the_viewsets_permissions(method: str, path: str) -> None:
    assert await status(app_of(notes([DenyAll])), method, path, "root") == 403


async def test_permissions_by_action_hold_for_each_action_of_its_own() -> None:
    names = ("list", "create", "retrieve", "update", "partial_update", "destroy", "recent", "share")
    for name, place in zip(names, EVERY_ACTION, strict=True):
        app = app_of(notes([AllowAny], permission_classes_by_action={name: [DenyAll]}))
        assert await granted(app, "root") == set(EVERY_ACTION) - {place}


async def test_an_actions_own_permissions_stand_before_those_by_action() -> None:
    class Marked(NoteViewSet):
        permission_classes = (DenyAll,)
        permission_classes_by_action = {"open": [DenyAll]}  # noqa: RUF012

        @action(detail=False, permission_classes=[AllowAny])
        async def open(self) -> str:
            return "yes"

    assert await status(app_of(Marked), "GET", "/notes/open") == 200
    assert await status(app_of(Marked), "GET", "/notes/recent", "ann") == 403


async def test_a_renamed_action_is_found_by_its_methods_name() -> None:
    class Renamed(NoteViewSet):
        permission_classes_by_action = {"set_password": [DenyAll]}  # noqa: RUF012

        @action(detail=False, methods=["POST"], name="password", path="password")
        async def set_password(self) -> None: ...

    assert await status(app_of(Renamed), "POST", "/notes/password", "ann") == 403


async def test_an_overridden_action_keeps_its_permissions() -> None:
    class Base(NoteViewSet):
        @action(detail=False, permission_classes=[DenyAll])
        async def secret(self) -> str:
            return "base"

    class Derived(Base):
        async def secret(self) -> str:
            return "derived"

    assert await status(app_of(Derived), "GET", "/notes/secret", "root") == 403


async def test_none_takes_the_permissions_of_the_router_and_then_the_app() -> None:
    inner = AutoRouter(permission_classes=[DenyAll])
    inner.register("/closed", notes())
    plain = AutoRouter()
    plain.register("/members", notes())
    plain.register("/open", notes([]))
    app = App(routers=[inner, plain], middleware=[authenticate], permission_classes=[IsAuthenticated])
    assert await status(app, "GET", "/closed", "root") == 403
    assert await status(app, "GET", "/members") == 401
    assert await status(app, "GET", "/members", "ann") == 200
    assert await status(app, "GET", "/open") == 200


async def test_the_innermost_router_counts() -> None:
    outer = Router(prefix="/outer", permission_classes=[DenyAll])
    inner = AutoRouter(prefix="/inner", permission_classes=[AllowAny])
    inner.register("/notes", notes())
    outer.include(inner)
    app = App(routers=[outer])
    assert await status(app, "GET", "/outer/inner/notes") == 200


async def test_object_permissions_of_the_router_hold_for_its_viewsets() -> None:
    router = AutoRouter(permission_classes=[IsOwner])
    router.register("/notes", notes())
    app = App(routers=[router], middleware=[authenticate])
    assert await status(app, "GET", "/notes/1", "bob") == 403
    assert await status(app, "GET", "/notes/1", "ann") == 200


async def test_functions_have_permissions_too() -> None:
    app = App(middleware=[authenticate])

    @app.get("/members", permission_classes=[IsAuthenticated])
    async def members() -> str:
        return "hello"

    assert await status(app, "GET", "/members") == 401
    assert await status(app, "GET", "/members", "ann") == 200


# Before the body


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("with_middleware", [False, True])
async def test_a_stranger_is_turned_away_before_a_byte_of_the_body_is_read(
    waits: bool, with_middleware: bool
) -> None:
    class Members(Permission):
        if waits:

            async def has_permission(self, request: Request, view: Any) -> bool:
                return is_authenticated(request)
        else:

            def has_permission(self, request: Request, view: Any) -> bool:
                return is_authenticated(request)

    router = AutoRouter()
    router.register("/notes", notes([Members]))
    app = App(routers=[router], middleware=[authenticate] if with_middleware else [])
    await app.start()
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("The body was read.")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000000")]
    for method, path in (("POST", "/notes"), ("PUT", "/notes/1"), ("PATCH", "/notes/1")):
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
        sent.clear()
        await app(scope, receive, send)
        assert sent[0]["status"] == 401
    await app.stop()


# What a refusal looks like


async def test_a_request_without_a_user_gets_401_with_a_challenge() -> None:
    answer = await TestClient(app_of(notes([IsAuthenticated]))).get("/notes")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "Authentication is required."


async def test_a_user_who_may_not_gets_403_without_a_challenge() -> None:
    answer = await TestClient(app_of(notes([IsAdmin])), headers={"user": "ann"}).get("/notes")
    assert answer.status == 403
    assert "www-authenticate" not in answer.headers
    assert answer.json()["detail"] == "You do not have permission to do this."


async def test_a_request_without_a_user_gets_401_for_an_object_too() -> None:
    assert await status(app_of(notes([IsOwner])), "GET", "/notes/1") == 401


async def test_the_message_of_the_permission_that_said_no_is_told() -> None:
    class HasPaid(Permission):
        message = "The last bill is open."

        def has_permission(self, request: Request, view: Any) -> bool:
            return False

    class IsRecent(Permission):
        message = "This note is too old."

        def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
            return False

    for permissions in ([IsAuthenticated, HasPaid], [IsAuthenticated() & HasPaid()], [HasPaid]):
        answer = await TestClient(app_of(notes(permissions)), headers={"user": "ann"}).get("/notes")
        assert answer.json()["detail"] == "The last bill is open."
    answer = await TestClient(app_of(notes([IsAuthenticated, IsRecent])), headers={"user": "ann"}).get(
        "/notes/1"
    )
    assert answer.json()["detail"] == "This note is too old."


async def test_a_permission_may_raise_a_problem_of_its_own() -> None:
    class Hides(Permission):
        def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
            raise NotFound("There is no such note.")

    assert await status(app_of(notes([Hides])), "GET", "/notes/1", "ann") == 404


async def test_permissions_see_the_viewset_with_its_request_and_action() -> None:
    seen: list[tuple[Any, ...]] = []

    class Looks(Permission):
        def has_permission(self, request: Request, view: Any) -> bool:
            seen.append((type(view).__name__, view.request is request, view.action, request.path_params))
            return True

        def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
            seen.append((type(view).__name__, view.request is request, view.action, obj))
            return True

    app = app_of(notes([Looks]))
    assert await status(app, "PATCH", "/notes/2") == 200
    before = ("Notes", True, "partial_update", {"id": "2"})
    assert seen == [before, before, ("Notes", True, "partial_update", NOTES[2])]


async def test_what_is_decided_by_the_request_is_asked_once() -> None:
    asked: list[str] = []

    class Expensive(Permission):
        async def has_permission(self, request: Request, view: Any) -> bool:
            asked.append(view.action)
            return True

    app = app_of(notes([Expensive() & IsOwner()]))
    assert await status(app, "GET", "/notes/1", "ann") == 200
    assert asked == ["retrieve"]


async def test_head_is_guarded_like_get_and_options_is_not() -> None:
    app = app_of(notes([IsAuthenticatedOrReadOnly]))
    assert await status(app, "HEAD", "/notes") == 200
    assert await status(app, "POST", "/notes") == 401
    closed = app_of(notes([DenyAll]))
    assert await status(closed, "HEAD", "/notes") == 401
    assert await status(closed, "OPTIONS", "/notes") == 204


# The permissions that come along


def request_of(user: Any, method: str = "GET") -> Request:
    request = Request({"type": "http", "method": method, "path": "/", "headers": []})
    request.user = user
    return request


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (None, False),
        (User(1), True),
        (SimpleNamespace(is_authenticated=False), False),
        (SimpleNamespace(is_authenticated=True, is_active=True), True),
        (SimpleNamespace(is_authenticated=True, is_active=False), False),
        # A method, as some frameworks have it: nobody calls it, so it must not count as a yes.
        (SimpleNamespace(is_authenticated=lambda: False), False),
    ],
)
def test_who_is_authenticated(user: Any, expected: bool) -> None:
    assert is_authenticated(request_of(user)) is expected
    assert IsAuthenticated().has_permission(request_of(user), None) is expected


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (None, False),
        (User(1), False),
        (User(1, is_admin=True), True),
        (SimpleNamespace(is_staff=True), True),
        (SimpleNamespace(is_superuser=True), True),
        (SimpleNamespace(is_admin="no"), False),
        (SimpleNamespace(is_admin=True, is_active=False), False),
    ],
)
def test_who_is_an_admin(user: Any, expected: bool) -> None:
    assert IsAdmin().has_permission(request_of(user), None) is expected


@pytest.mark.parametrize(
    ("permission", "obj", "expected"),
    [
        (IsOwner(), SimpleNamespace(owner_id=1), True),
        (IsOwner(), SimpleNamespace(owner_id=2), False),
        (IsOwner(), SimpleNamespace(user_id=1), True),
        (IsOwner(), SimpleNamespace(author_id=1), True),
        (IsOwner(), SimpleNamespace(owner_id=2, user_id=1), False),
        (IsOwner(), SimpleNamespace(), False),
        (IsOwner(), SimpleNamespace(owner_id=None), False),
        (IsOwner("editor_id"), SimpleNamespace(editor_id=1, owner_id=2), True),
        (IsOwner("editor_id"), SimpleNamespace(owner_id=1), False),
        (IsOwner("editor"), SimpleNamespace(editor=User(1)), True),
    ],
)
def test_who_owns_an_object(permission: IsOwner, obj: Any, expected: bool) -> None:
    assert permission.has_object_permission(request_of(User(1)), None, obj) is expected
    assert not permission.has_object_permission(request_of(None), None, obj)


def test_a_user_without_an_id_owns_nothing() -> None:
    assert not IsOwner().has_object_permission(request_of(object()), None, SimpleNamespace(owner_id=None))


def test_reading_is_for_everybody_and_writing_for_users() -> None:
    permission = IsAuthenticatedOrReadOnly()
    for method in ("GET", "HEAD", "OPTIONS", "QUERY"):
        assert permission.has_permission(request_of(None, method), None)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert not permission.has_permission(request_of(None, method), None)
        assert permission.has_permission(request_of(User(1), method), None)


def test_allow_any_costs_nothing() -> None:
    assert compile_guard([]) is None
    assert compile_guard([AllowAny]) is None
    guard = compile_guard([AllowAny, IsAdmin])
    assert guard is not None
    assert [type(permission) for permission in guard.permissions] == [IsAdmin]


# Refused at import or start, in a sentence


def test_what_is_no_permission_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"Notes\.list: Expected a Permission or a class of one, got `'admin'`"
    ):
        app_of(notes(["admin"]))
    with pytest.raises(TypeError, match="Expected a Permission or a class of one, got `3`"):
        _ = IsAdmin() & 3
    with pytest.raises(TypeError, match="Expected a Permission or a class of one, got `<class 'int'>`"):
        _ = IsAdmin & int


def test_a_permission_beside_its_list_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Notes\.list: permission_classes is a list of permissions, got"):
        app_of(notes(IsAdmin))
    with pytest.raises(TypeError, match="permission_classes is a list of permissions, got"):
        app_of(notes(IsAdmin() | IsOwner()))


def test_a_permission_that_needs_arguments_is_refused_as_a_class() -> None:
    class HasRole(Permission):
        def __init__(self, role: str) -> None:
            self.role = role

        def has_permission(self, request: Request, view: Any) -> bool:
            return True

    with pytest.raises(TypeError, match="The permission HasRole needs arguments; give an instance"):
        app_of(notes([HasRole]))
    app_of(notes([HasRole("editor")]))


def test_a_permission_that_says_nothing_is_refused() -> None:
    class Forgotten(Permission):
        def has_permissions(self, request: Request, view: Any) -> bool:
            return False

    with pytest.raises(TypeError, match="Forgotten defines neither has_permission nor has_object_permission"):
        app_of(notes([Forgotten]))


def test_permissions_of_an_action_that_is_not_served_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"permission_classes_by_action names destory, which it does not serve"
    ):
        app_of(notes(permission_classes_by_action={"destory": [DenyAll]}))
