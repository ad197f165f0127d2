"""The answers to requests that never reach their handler: wrong media types, sizes and methods."""

from __future__ import annotations

from typing import Any

from swift.http import ContentTooLarge, NotAcceptable, Problem, UnsupportedMediaType
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
        names = {name: value for name, value in headers if name in (b"content-length", b"transfer-encoding")}
        if not names or names.get(b"content-length") == b"0":
            return None
        detail = f"The request has a body but no Content-Type; send {' or '.join(accepted)}."
    else:
        media_type, parameters = parse_parameters(announced.decode("latin-1"))
        charset = parameters.get("charset", "utf-8").lower()
        json = (
            "application/json" in accepted
            and media_type.startswith("application/")
            and media_type.endswith("+json")
        )
        if (media_type in accepted or json) and charset in ("utf-8", "utf8", "us-ascii"):
            return None
        detail = f"This resource reads {' or '.join(accepted)}" + (
            " in UTF-8." if charset not in ("utf-8", "utf8", "us-ascii") else "."
        )
    return UnsupportedMediaType(detail, headers={"accept": ", ".join(accepted)})


def too_large(plan: Any) -> ContentTooLarge:
    return too_large_problem(plan.max_body_size)
