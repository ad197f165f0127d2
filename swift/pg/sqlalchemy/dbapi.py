"""The module of the DB-API (PEP 249) SQLAlchemy asks for."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from swift import pg

from .. import alone
from ..errors import PgError
from . import errors
from .compat import await_
from .connections import SwiftConnection
from .errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,
)


class SwiftDBAPI:
    """`connect` and the classes of errors."""

    apilevel = "2.0"
    threadsafety = 0
    paramstyle = "numeric_dollar"

    Warning = Warning
    Error = Error
    InterfaceError = InterfaceError
    DatabaseError = DatabaseError
    DataError = DataError
    OperationalError = OperationalError
    IntegrityError = IntegrityError
    InternalError = InternalError
    ProgrammingError = ProgrammingError
    NotSupportedError = NotSupportedError

    # PEP 249's names of types, which SQLAlchemy no longer uses.
    STRING = str
    NUMBER = float
    DATETIME = object
    BINARY = bytes
    ROWID = int

    def __init__(self) -> None:
        # What SQLAlchemy 2.1 looks for in the facade of an asynchronous driver.
        self.driver = pg
        self.dbapi_module = self.exceptions_module = sys.modules[errors.__name__]
        # How often a statement changed what others may have been prepared with. There is one of this per engine.
        self.definitions = 0

    def Binary(self, value: Any) -> Any:
        return value

    def connect(
        self,
        *args: Any,
        async_creator_fn: Callable[..., Awaitable[alone.PgAlone]] | None = None,
        **options: Any,
    ) -> SwiftConnection:
        """`swift.pg.alone.connect(...)`, or what the `async_creator` of create_async_engine makes."""
        try:
            if async_creator_fn is not None:
                options.pop("registry", None)
                connection = await_(async_creator_fn(*args, **options))
            else:
                connection = await_(alone.connect(*args, **options))
        except PgError as error:
            raise errors.translated(error) from error
        return SwiftConnection(self, connection)
