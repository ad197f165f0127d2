"""Endpoints that read and write more than JSON: which codec takes part is for each request to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from swift._speedups import http as kernel
from swift.http import ErrorDetail, NotAcceptable, Problem, Request, Response
from swift.http.codecs import Codec
from swift.http.headers import combined, parse_parameters
from swift.http.negotiation import negotiate

from . import refusals
from .endpoint import Endpoint, invalid_request

JSON = "application/json"

Decode = Callable[[bytes], Any]
Encode = Callable[[Any], bytes]
Reject = Callable[[list[ErrorDetail], bytes | None], Problem]

# What decoding raises for a body that is not what it should be; the errors of msgspec are ValueErrors.
_DECODE_ERRORS = (ValueError, RecursionError, TypeError)

_plain = msgspec.json.Encoder().encode


class NegotiatedRefusals:
    """The refusals of an endpoint, of which 406 knows all that it can answer."""

    def __init__(self, offers: Sequence[str]) -> None:
        self.offers = offers

    def accept(self, plan: Any, headers: list[tuple[bytes, bytes]]) -> Problem | None:
        if negotiate(combined(headers, b"accept"), self.offers) is not None:
            return None
        offered = " or ".join(self.offers)
        return NotAcceptable(
            f"This resource is available as {offered} only; accept one, or send no Accept header."
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(refusals, name)


class NegotiatedEndpoint(Endpoint):
    """An endpoint with codecs: `readers` by media type, `writers` in order of preference."""

    __slots__ = ("dynamic", "readers", "writers")

    # Whether what the handler returns decides what it is sent as: text as text, None as no content.
    dynamic: bool
    readers: dict[str, tuple[Decode, Reject]]
    writers: dict[str, Encode]

    def bind(
        self,
        request: kernel.Request,
        body: bytes | None = None,
        parse_cookies: Any = None,
        decode: Decode | None = None,
        reject: Callable[[list[Any], bytes | None], Exception] | None = None,
    ) -> list[Any]:
        if body is not None and self.readers:
            media_type, _ = parse_parameters(request.headers.get("content-type", ""))
            decode, reject = self.readers.get(media_type, (decode, reject))
        return super().bind(request, body, parse_cookies, decode, reject)

    def _answer(self, request: Request, result: Any) -> Response:
        if (
            not self.writers
            or isinstance(result, Response)
            or (self.dynamic and (result is None or isinstance(result, (str, bytes))))
        ):
            return super()._answer(request, result)
        chosen = negotiate(combined(request.raw_headers, b"accept"), [JSON, *self.writers])
        if chosen is None or chosen == JSON:
            response = super()._answer(request, result)
        else:
            response = Response(self.writers[chosen](result), self.status, media_type=chosen)
        response.headers.vary("Accept")
        return response


def readers_of(codecs: Sequence[Codec], decoder: Any, dec_hook: Any) -> dict[str, tuple[Decode, Reject]]:
    """What reads a body of each media type, into the type of the JSON decoder."""
    return {
        codec.media_type: (codec.decoder(decoder.type, dec_hook), rejection_by(codec, decoder))
        for codec in codecs
        if codec.reads
    }


def writers_of(codecs: Sequence[Codec], enc_hook: Any) -> dict[str, Encode]:
    return {codec.media_type: codec.encoder(enc_hook) for codec in codecs if codec.writes}


def rejection_by(codec: Codec, decoder: Any) -> Reject:
    """What an endpoint raises for a body in this format: the faults that the same data would have as JSON."""

    def reject(errors: list[ErrorDetail], body: bytes | None) -> Problem:
        if body is None:
            return invalid_request(errors)
        try:
            data = _plain(codec.plain(body))
        except _DECODE_ERRORS:
            fault = ErrorDetail("/body", "malformed", f"The body is not {codec.media_type}.")
            return invalid_request([*errors, fault], 400)
        status, found = decoder.explain(data, strict=not codec.textual)
        return invalid_request([*errors, *found], status)

    return reject
