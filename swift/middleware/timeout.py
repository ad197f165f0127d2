"""A deadline for making a response."""

from __future__ import annotations

import asyncio

from swift.http import Problem, Request, Response

from .shape import CallNext


class TimeoutMiddleware:
    """Answers `status` (503, or 504 in a gateway) when no response was made within `seconds`.

    The handler is cancelled where it awaits; a plain function in a thread runs on to its end. The time
    for sending a body is not counted. A TimeoutError of the handler's own is not ours and passes.
    """

    def __init__(self, seconds: float, status: int = 503, retry_after: int | None = None) -> None:
        if seconds <= 0:
            raise ValueError(f"`seconds` is a time above 0, got {seconds}.")
        if status not in (503, 504):
            raise ValueError(f"`status` is 503 or 504, got {status}.")
        self.seconds = seconds
        self.status = status
        self.headers = None if retry_after is None else {"retry-after": str(retry_after)}

    async def __call__(self, request: Request, call_next: CallNext) -> Response:
        try:
            async with asyncio.timeout(self.seconds) as deadline:
                return await call_next(request)
        except TimeoutError:
            if not deadline.expired():
                raise
        return Problem(
            "The server did not finish this request in time.", status=self.status, headers=self.headers
        ).to_response()
