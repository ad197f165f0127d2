"""Who is told of queries: hooks, a log of slow ones, OpenTelemetry spans. Never a parameter's value."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .errors import PgConfigError, PgError
from .options import ConnectOptions

if TYPE_CHECKING:
    from swift._speedups.pgcore import Query

logger = logging.getLogger("swift.pg")


class QueryHooks:
    """Subclass it. Both are called on the thread and loop of the query, and should be quick."""

    def start(self, query: Query) -> Any:
        """A query was submitted; `query.sql` is its text. What is returned comes back in `end`."""

    def end(self, query: Query, token: Any) -> None:
        """It is over: `query.failure` (None for success), `query.duration` (seconds), `query.command_tag`."""


class SlowQueryLog(QueryHooks):
    """Logs what takes longer than `milliseconds`, as a warning of the logger `swift.pg`."""

    def __init__(self, milliseconds: float) -> None:
        self._seconds = milliseconds / 1000

    def end(self, query: Query, token: Any) -> None:
        if query.duration > self._seconds:
            logger.warning("%.1f ms: %s", query.duration * 1000, query.sql)


class Spans(QueryHooks):
    """A span per query, by OpenTelemetry's semantic conventions for databases (1.30)."""

    def __init__(self, options: ConnectOptions) -> None:
        try:
            from opentelemetry import trace
        except ImportError:
            raise PgConfigError(
                "tracing=True needs OpenTelemetry's API: install `swift-api[otel]`."
            ) from None
        self._trace = trace
        self._tracer = trace.get_tracer("swift.pg")
        host = options.hosts[0]
        self._attributes: dict[str, Any] = {
            "db.system.name": "postgresql",
            "db.namespace": options.database,
            "server.address": host.name or host.hostaddr or "",
            "server.port": host.port,
        }

    def start(self, query: Query) -> Any:
        sql = query.sql or ""
        operation = sql.split(None, 1)[0].upper() if sql.strip() else ""
        return self._tracer.start_span(
            operation or "postgresql",
            kind=self._trace.SpanKind.CLIENT,
            attributes={**self._attributes, "db.query.text": sql, "db.operation.name": operation},
        )

    def end(self, query: Query, token: Any) -> None:
        error = query.failure
        if error is not None:
            if isinstance(error, PgError) and error.code:
                token.set_attribute("db.response.status_code", error.code)
            token.set_attribute("error.type", getattr(error, "code", "") or type(error).__name__)
            token.set_status(self._trace.StatusCode.ERROR)
        token.end()


class _Several(QueryHooks):
    def __init__(self, hooks: Sequence[QueryHooks]) -> None:
        self._hooks = tuple(hooks)

    def start(self, query: Query) -> Any:
        return [hook.start(query) for hook in self._hooks]

    def end(self, query: Query, token: Any) -> None:
        for hook, one in zip(self._hooks, token, strict=True):
            hook.end(query, one)


def combined(
    options: ConnectOptions, hooks: Sequence[QueryHooks], slow_query_ms: float | None, tracing: bool
) -> QueryHooks | None:
    """One hook for all that were asked for; None for none."""
    wanted = list(hooks)
    if slow_query_ms is not None:
        wanted.append(SlowQueryLog(slow_query_ms))
    if tracing:
        wanted.append(Spans(options))
    if len(wanted) < 2:
        return wanted[0] if wanted else None
    return _Several(wanted)
