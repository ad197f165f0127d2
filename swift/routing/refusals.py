"""The answers to requests that never reach their handler: wrong media types, sizes and methods."""

from __future__ import annotations

from typing import Any

from swift.http import BadRequest, ContentTooLarge, NotAcceptable, Problem, UnsupportedMediaType
from swift.http.headers import combined, parse_parameters
from swift.http.negotiation import negotiate
from swift.http.request import too_large as too_large_problem


def accept(plan: Any, headers: list[tuple[bytes, bytes]]) -> Problem | None:
    """406 unless the Accept header admits what the plan answers with (RFC 9110 section 12.5.1)."""
    offer = plan.media_type.decode()
    if negotiate(combined(headers, b"accept"), [offer]) is not None:
        return None
    return NotAcceptable(f"This resource is available as {offer} only; accept it, or send no Accept header.")


def content_type(plan: Any, announced: bytes | None, headers: list[tuple[bytes, bytes]]) -> Problem | None:
    """415 unless the body, if there is one, is of a type the plan reads (RFC 9110 section 15.5.16)."""
    accepted = [media_type.decode() for media_type in plan.content_types]
    if announced is None:
        framing = {name.lower(): value for name, value in headers}
        if framing.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in framing:
            return None
        return untyped(plan)
    media_type, parameters = parse_parameters(announced.decode("latin-1"))
    charset = parameters.get("charset", "utf-8").lower()
    json = (
        "application/json" in accepted
        and media_type.startswith("application/")
        and media_type.endswith("+json")
    )
    is_utf8 = charset in ("utf-8", "utf8", "us-ascii")
    if (media_type in accepted or json) and is_utf8:
        return None
    detail = f"This resource reads {' or '.join(accepted)}" + ("." if is_utf8 else " in UTF-8.")
    return UnsupportedMediaType(detail, headers={"accept": ", ".join(accepted)})


def untyped(plan: Any) -> Problem:
    """415 for a body that does not say what it is: whoever guesses JSON takes it from other sites' forms."""
    accepted = [media_type.decode() for media_type in plan.content_types]
    return UnsupportedMediaType(
        f"The request has a body but no Content-Type; send {' or '.join(accepted)}.",
        headers={"accept": ", ".join(accepted)},
    )


def too_large(plan: Any) -> ContentTooLarge:
    return too_large_problem(plan.max_body_size)


def too_many_fields(most: int) -> BadRequest:
    """What `Request.query` answers too: no application reads so many, and each costs time."""
    return BadRequest(f"The query string has more than {most} fields.")
