"""Authentication: who sends a request, found out by backends and compiled to one guard per route.

A backend answers in one of three ways: an `Identity`, when the request carries credentials of its kind
and they are right; None, when it carries none, and the next backend is asked; Unauthorized, when they
are wrong, and nobody else is asked. So a request with bad credentials is never served as an
anonymous one. Whether an anonymous request may go on is for the permissions to say.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from swift._speedups.http import encode_header
from swift.di.callables import kind_of
from swift.http import Request, Unauthorized

WRONG_CREDENTIALS = "The credentials are not valid."


class Identity(msgspec.Struct, frozen=True):
    """Who sends a request: `user` becomes `request.user`, `auth` (the claims of a token, say) `request.auth`."""

    user: Any
    auth: Any = None


Answer = Identity | None | Awaitable[Identity | None]


class Authentication:
    """Base of all backends.

    `challenge` is the WWW-Authenticate value of a 401 (RFC 9110 section 11.6.1). `security_scheme` describes
    the backend in the OpenAPI document, under `name`; None keeps it out.
    """

    name: str = "credentials"
    challenge: str | None = None
    security_scheme: Mapping[str, Any] | None = None

    def authenticate(self, request: Request) -> Answer:
        """The sender of the request, or None when it has no credentials of this kind; `def` or `async def`.

        Raises Unauthorized when it has, and they are wrong.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define `authenticate`.")

    @property
    def synchronous(self) -> bool:
        """Whether `authenticate` never waits: it is a `def` that returns no awaitable."""
        return kind_of(self.authenticate) != "coroutine"


class UserLookup(Authentication):
    """A backend that asks a function of the application for the user its credentials stand for.

    The function is `def` or `async def`; a `def` runs on the event loop and must not wait. It returns the
    user, or an Identity to set `request.auth` too, or None to refuse.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise TypeError(
                f"{type(self).__name__} expected a function to find the user with, got `{function!r}`."
            )
        self._function = function
        self._waits = kind_of(function) == "coroutine"

    @property
    def synchronous(self) -> bool:
        return not self._waits and super().synchronous

    def refusal(self) -> Unauthorized:
        """The 401 for wrong credentials. It does not say what is wrong with them."""
        return Unauthorized(WRONG_CREDENTIALS)

    def ask(self, *arguments: Any, auth: Any) -> Answer:
        found = self._function(*arguments)
        return self._awaited(found, auth) if self._waits else self._identity(found, auth)

    async def _awaited(self, found: Awaitable[Any], auth: Any) -> Identity:
        return self._identity(await found, auth)

    def _identity(self, found: Any, auth: Any) -> Identity:
        if found is None:
            raise self.refusal()
        return found if isinstance(found, Identity) else Identity(found, auth)


def backends_of(authentication: Sequence[Any]) -> tuple[Authentication, ...]:
    """The backends of an `authentication` list, classes made instances; TypeError for anything else."""
    return tuple(_instance_of(item) for item in authentication)


def _instance_of(item: Any) -> Authentication:
    if isinstance(item, Authentication):
        return item
    if isinstance(item, type) and issubclass(item, Authentication):
        try:
            return item()
        except TypeError as error:
            raise TypeError(
                f"The authentication {item.__name__} needs arguments; give an instance. ({error})"
            ) from None
    raise TypeError(f"Expected an Authentication or a class of one, got `{item!r}`.")


def challenges_of(backends: Sequence[Authentication]) -> tuple[str, ...]:
    """What a 401 offers: the challenge of every backend, in their order, each once."""
    return tuple(dict.fromkeys(backend.challenge for backend in backends if backend.challenge))


def compile_authentication(
    backends: Sequence[Authentication],
) -> Callable[[Request], Awaitable[None] | None] | None:
    """The guard that sets `request.user` and `request.auth`; None when there is nobody to ask.

    It is marked `synchronous` when no backend waits, and then stays with the kernel.
    """
    if not backends:
        return None
    asked = tuple(backends)

    def guard(request: Request) -> None:
        for backend in asked:
            try:
                found = backend.authenticate(request)
                if found is not None:
                    accept(request, backend, found)
                    return
            except Unauthorized as problem:
                challenge(problem, backend, asked)
                raise

    async def waiting_guard(request: Request) -> None:
        for backend in asked:
            try:
                found = backend.authenticate(request)
                if inspect.isawaitable(found):
                    found = await found
                if found is not None:
                    accept(request, backend, found)
                    return
            except Unauthorized as problem:
                challenge(problem, backend, asked)
                raise

    if all(backend.synchronous for backend in asked):
        guard.synchronous = True  # type: ignore[attr-defined]
        # For the OpenAPI document: what this guard can answer. Refusing a known user is the permissions' part.
        guard.answers = (401,)  # type: ignore[attr-defined]
        return guard
    waiting_guard.answers = (401,)  # type: ignore[attr-defined]
    return waiting_guard


def accept(request: Request, backend: Authentication, found: Any) -> None:
    """Set the request's user; a user whose `is_active` is false is turned away, whichever backend knows them."""
    # A coroutine where an Identity or its user should be is true, as any object: it would let everybody in.
    user = found.user if isinstance(found, Identity) else found
    if user is found or user is None or inspect.isawaitable(user):
        if inspect.iscoroutine(user):
            user.close()
        raise TypeError(
            f"{type(backend).__name__} answered with `{type(user).__name__}` where it has to give an Identity "
            "with a user, or None; what waits must be an `async def`."
        )
    if not getattr(user, "is_active", True):
        raise Unauthorized(WRONG_CREDENTIALS)
    request.user = user
    request.auth = found.auth


def challenge(problem: Unauthorized, refusing: Authentication, backends: Sequence[Authentication]) -> None:
    """Put every backend's challenge on a 401; what the refusing one said itself stands in its place."""
    own = [value.decode("latin-1") for name, value in problem.raw_headers if name == b"www-authenticate"]
    offered: list[str] = []
    for backend in backends:
        if backend is refusing and own:
            offered.extend(own)
        elif backend.challenge:
            offered.append(backend.challenge)
    problem.raw_headers = [pair for pair in problem.raw_headers if pair[0] != b"www-authenticate"]
    problem.raw_headers += [encode_header("www-authenticate", value) for value in dict.fromkeys(offered)]
