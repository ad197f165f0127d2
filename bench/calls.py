"""Python-level calls per request: the same in every run, where microseconds depend on the neighbours.

Counted are the `call` events of `sys.setprofile`: each entry into a function or coroutine written in Python,
the subject's handler and the server's `receive` and `send` (two or three calls) among them.
Functions of C and Cython raise no such event.
"""

from __future__ import annotations

import asyncio
import sys
from types import FrameType
from typing import Any

import uvloop

from bench.asgi import ASGIApp, Request, ask, discard, lifespan
from bench.cases import CASES
from bench.measure import Sample
from bench.options import Options
from bench.report import Report
from bench.subjects import DISTRIBUTIONS, installed, versions

COUNTED = ("params", "post")
# Django runs views in a thread, where this profile does not follow.
SUBJECTS = [name for name in DISTRIBUTIONS if name != "drf"]


async def count(app: ASGIApp, request: Request) -> int:
    """The calls of one request to an application that has answered it before."""
    calls = 0

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    await ask(app, request)
    scope, receive = request.scope(), request.receive()
    sys.setprofile(profile)
    try:
        await app(scope, receive, discard)
    finally:
        sys.setprofile(None)
    return calls


async def measure(options: Options) -> Report:
    samples = {}
    subjects = installed(options.choose_subjects(SUBJECTS))
    for case in options.choose_cases(COUNTED):
        for subject in subjects:
            app = subject.apps[case]
            async with lifespan(app):
                await subject.verify(CASES[case])
                request = CASES[case].exchanges[0].request
                samples[case, subject.name] = Sample(tuple([await count(app, request) for _ in range(3)]))
    return Report.of("calls", "calls/request", samples, versions(subjects))


def run(options: Options) -> Report:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure(options))
