"""Errors that a client is told of, in the one shape of RFC 9457 (application/problem+json).

    Problem
    ├── BadRequest 400                 ├── ContentTooLarge 413
    ├── Unauthorized 401               ├── UnsupportedMediaType 415
    ├── Forbidden 403                  ├── RangeNotSatisfiable 416
    ├── NotFound 404                   ├── UnprocessableContent 422
    ├── MethodNotAllowed 405           ├── TooManyRequests 429
    ├── NotAcceptable 406              ├── InternalServerError 500
    ├── Conflict 409                   └── ServiceUnavailable 503
    └── PreconditionFailed 412
    ClientDisconnect

A problem never repeats what the client sent: `pointer` says where, `detail` says what was expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from swift._speedups.http import encode_header

if TYPE_CHECKING:
    from .responses import ProblemResponse

MEDIA_TYPE = "application/problem+json"

# Names of RFC 9110 that http.HTTPStatus knows by older ones before Python 3.13.
_TITLES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}

_STANDARD_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "errors"})

_encoder = msgspec.json.Encoder()


class ErrorDetail(msgspec.Struct, frozen=True):
    """One fault of a request.

    `pointer` leads to it (`/query/limit`, `/header/x-token`, `/body/items/0/qty`), `code` is
    stable and for programs, `detail` is a sentence for people.
    """

    pointer: str
    code: str
    detail: str


class Problem(Exception):
    """An answer with an error status, raised from anywhere under the error boundary.

    `extensions` are further members of the document; they cannot replace the standard ones.
    `headers` travel with the answer: WWW-Authenticate with 401, Allow with 405, Retry-After with 503.
    """

    status: int = 500

    def __init__(
        self,
        detail: str | None = None,
        *,
        status: int | None = None,
        type: str = "about:blank",
        title: str | None = None,
        instance: str | None = None,
        errors: Sequence[ErrorDetail] = (),
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        if status is not None:
            self.status = status
        if not 400 <= self.status <= 599:
            raise ValueError(
                f"A problem has a status from 400 to 599, got {self.status}; return a Response instead."
            )
        if extensions and not _STANDARD_MEMBERS.isdisjoint(extensions):
            taken = ", ".join(sorted(_STANDARD_MEMBERS.intersection(extensions)))
            raise ValueError(
                f"The extension members {taken} belong to RFC 9457; pass them as arguments of their own."
            )
        super().__init__(detail)
        self.detail = detail
        self.type = type
        self.title = title_of(self.status) if title is None else title
        self.instance = instance
        self.errors = tuple(errors)
        self.extensions = dict(extensions or {})
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        self.raw_headers = [encode_header(name, value) for name, value in pairs]

    def document(self) -> dict[str, Any]:
        """The members of the problem document (RFC 9457 section 3.1); absent ones are left out."""
        members: dict[str, Any] = {"type": self.type, "title": self.title, "status": self.status}
        if self.detail is not None:
            members["detail"] = self.detail
        if self.instance is not None:
            members["instance"] = self.instance
        if self.errors:
            members["errors"] = self.errors
        members.update(self.extensions)
        return members

    def encode(self) -> bytes:
        """The document as JSON."""
        return _encoder.encode(self.document())

    def to_response(self) -> ProblemResponse:
        """The answer, with the problem's headers."""
        from .responses import ProblemResponse

        return ProblemResponse(self)

    def __str__(self) -> str:
        return f"{self.status} {self.title}" + (f": {self.detail}" if self.detail else "")


def title_of(status: int) -> str:
    """The reason phrase of RFC 9110 for a status, or the name of its class for an unregistered one."""
    if status in _TITLES:
        return _TITLES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Client Error" if status < 500 else "Server Error"


class BadRequest(Problem):
    """The request is malformed, so that what it means cannot be told (RFC 9110 section 15.5.1)."""

    status = 400


class Unauthorized(Problem):
    """Credentials are missing or wrong. It leaves with a challenge in WWW-Authenticate (section 15.5.2)."""

    status = 401


class Forbidden(Problem):
    """Who asks is known, and may not (section 15.5.4)."""

    status = 403


class NotFound(Problem):
    """There is nothing here, or nothing that this client may know of (section 15.5.5)."""

    status = 404


class MethodNotAllowed(Problem):
    """The resource exists, and does not have this method; Allow says which it has (section 15.5.6)."""

    status = 405


class NotAcceptable(Problem):
    """The client accepts none of what the resource can be sent as (section 15.5.7)."""

    status = 406


class Conflict(Problem):
    """The request contradicts the present state of the resource (section 15.5.10)."""

    status = 409


class PreconditionFailed(Problem):
    """A condition of the request, such as If-Match, does not hold (section 15.5.13)."""

    status = 412


class ContentTooLarge(Problem):
    """The body is larger than it may be; on HTTP/1.1 the connection ends with it (section 15.5.14)."""

    status = 413


class UnsupportedMediaType(Problem):
    """The body has a media type that is not read here (section 15.5.16)."""

    status = 415


class RangeNotSatisfiable(Problem):
    """None of the ranges that were asked for lies within the resource (section 15.5.17)."""

    status = 416


class UnprocessableContent(Problem):
    """The body is well-formed, and what it says is not allowed (section 15.5.21)."""

    status = 422


class TooManyRequests(Problem):
    """The client has asked too often; Retry-After says when it may again (RFC 6585 section 4)."""

    status = 429


class InternalServerError(Problem):
    """The server failed. Nothing of why is told (section 15.6.1)."""

    status = 500


class ServiceUnavailable(Problem):
    """The server cannot serve this at the moment; Retry-After says when it may (section 15.6.4)."""

    status = 503


class ClientDisconnect(Exception):
    """The client went away before its request was read or answered; nobody is left to be told."""
