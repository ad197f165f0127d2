"""The PostgreSQL driver: protocol 3.x spoken by ourselves, over asyncio and over blocking sockets.

pool = PgPool("postgresql://app@localhost/shop", max_size=8)
user = await pg.exec_async("SELECT * FROM users WHERE id = $1", 7).one()
"""

from __future__ import annotations

from swift._speedups.pgcore import Query, QueryResult
from swift._speedups.pgrows import Row

from .compat import get_pg_factory
from .conninfo import parse
from .errors import (
    PgAuthenticationError,
    PgCanceled,
    PgClosedError,
    PgConfigError,
    PgConnectionError,
    PgConnectTimeout,
    PgDataError,
    PgDeadlockError,
    PgDecodeError,
    PgEncodeError,
    PgError,
    PgIntegrityError,
    PgInterfaceError,
    PgManyRows,
    PgNoRow,
    PgNotice,
    PgPoolTimeout,
    PgProgrammingError,
    PgProtocolError,
    PgSerializationError,
    PgServerShutdown,
    PgTimeout,
    PgTLSError,
    PgUniqueError,
)
from .handle import Pg
from .listening import Gap, Listener, Notification
from .observability import QueryHooks
from .options import ConnectOptions
from .pool import PgPool
from .prepare import PreparedQuery, prepare
from .transactions import TxIsolation

__all__ = [
    "ConnectOptions",
    "Gap",
    "Listener",
    "Notification",
    "Pg",
    "PgAuthenticationError",
    "PgCanceled",
    "PgClosedError",
    "PgConfigError",
    "PgConnectTimeout",
    "PgConnectionError",
    "PgDataError",
    "PgDeadlockError",
    "PgDecodeError",
    "PgEncodeError",
    "PgError",
    "PgIntegrityError",
    "PgInterfaceError",
    "PgManyRows",
    "PgNoRow",
    "PgNotice",
    "PgPool",
    "PgPoolTimeout",
    "PgProgrammingError",
    "PgProtocolError",
    "PgSerializationError",
    "PgServerShutdown",
    "PgTLSError",
    "PgTimeout",
    "PgUniqueError",
    "PreparedQuery",
    "Query",
    "QueryHooks",
    "QueryResult",
    "Row",
    "TxIsolation",
    "get_pg_factory",
    "parse",
    "prepare",
]
