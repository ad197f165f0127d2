"""The dialect: PostgreSQL as SQLAlchemy knows it, over the driver of this package."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.base import PGDialect, PGExecutionContext
from sqlalchemy.engine import URL
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool
from sqlalchemy.util import update_copy

from ..errors import PgConfigError
from ..registry import TypeRegistry
from .connections import SwiftConnection
from .dbapi import SwiftDBAPI
from .errors import is_lost
from .types import COLSPECS, timedelta_of

AUTOCOMMIT = "AUTOCOMMIT"
LEVELS = (AUTOCOMMIT, "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")

# The byte before a jsonb document on the wire (jsonb_send, jsonb_recv).
JSONB_VERSION = b"\x01"


def as_document(value: Any) -> Any:
    """A document as SQLAlchemy serialised it; anything else is the driver's to encode."""
    return msgspec.Raw(value.encode()) if isinstance(value, str) else value


def document_writer(prefix: bytes) -> Callable[[Any], bytes]:
    def encode(value: Any) -> bytes:
        return prefix + (value.encode() if isinstance(value, str) else msgspec.json.encode(value))

    return encode


def document_reader(prefix: bytes, deserializer: Callable[[str], Any]) -> Callable[[bytes], Any]:
    """The user's own deserializer, given the document as text."""

    def decode(value: bytes) -> Any:
        return deserializer(value[len(prefix) :].decode())

    return decode


class SwiftExecutionContext(PGExecutionContext):
    def create_server_side_cursor(self) -> Any:
        cursor: Any = self._dbapi_connection.cursor(server_side=True)
        cursor.chunk_size = self.execution_options.get("yield_per") or cursor.chunk_size
        return cursor


class SwiftDialect(PGDialect):
    """`postgresql+swift://user:password@host:5432/name`, with the options of libpq in the query string."""

    driver = "swift"
    is_async = True
    has_terminate = True
    supports_statement_cache = True
    supports_server_side_cursors = True
    supports_sane_multi_rowcount = False
    supports_native_json_serialization = False
    supports_native_json_deserialization = True
    dialect_injects_custom_json_deserializer = True
    default_paramstyle = "numeric_dollar"
    use_insertmanyvalues_wo_returning = False
    render_bind_cast = True
    execution_ctx_cls = SwiftExecutionContext
    colspecs = update_copy(PGDialect.colspecs, COLSPECS)

    @functools.cached_property
    def registry(self) -> TypeRegistry:
        """The types of the database, learnt once for all connections of an engine."""
        return self.prepared(TypeRegistry())

    def prepared(self, registry: TypeRegistry) -> TypeRegistry:
        """A registry that reads and writes what SQLAlchemy's types expect."""
        read: Callable[[str], Any] | None = self._json_deserializer
        for name, prefix in (("json", b""), ("jsonb", JSONB_VERSION)):
            if read is None:
                registry.register_type(name, encode=as_document)
            else:
                registry.register_type(
                    name,
                    encode=document_writer(prefix),
                    decode=document_reader(prefix, read),
                    format="binary",
                )
        registry.register_type("interval", decode=timedelta_of)
        if self._native_inet_types is False:
            registry.register_type("inet", decode=str)
            registry.register_type("cidr", decode=str)
        return registry

    @classmethod
    def load_provisioning(cls) -> None:
        """For SQLAlchemy's tests: what they prepare in a database is PostgreSQL's, whatever the driver."""
        importlib.import_module("sqlalchemy.dialects.postgresql.provision")

    # ---- connecting

    @classmethod
    def import_dbapi(cls) -> Any:
        return SwiftDBAPI()

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:
        # 2.1 knows it by is_async, 2.0 does not.
        return AsyncAdaptedQueuePool

    def retrieve_dbapi_version(self, dbapi: Any) -> Any:
        try:
            version = importlib.metadata.version("swift-api")
        except importlib.metadata.PackageNotFoundError:
            return None  # run from its sources
        return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())

    def create_connect_args(self, url: URL) -> tuple[Sequence[Any], dict[str, Any]]:
        options: dict[str, Any] = url.translate_connect_args(username="user", database="dbname")
        hosts, ports = self._split_multihost_from_url(url)
        query = {
            name: value if isinstance(value, str) else ",".join(value) for name, value in url.query.items()
        }
        options.update(query)
        if hosts is not None:
            options["host"] = ",".join(host or "" for host in hosts)
            options.pop("port", None)
            if ports is not None and any(ports):
                options["port"] = ",".join(str(port or 5432) for port in ports)
        # asyncpg's name of it is understood too, so that a URL needs but another driver.
        size = options.pop("statement_cache_size", options.pop("prepared_statement_cache_size", None))
        if size is not None:
            try:
                options["statement_cache_size"] = int(size)
            except ValueError:
                raise PgConfigError(
                    f"Expected a number of statements, got `{size}` - at statement_cache_size."
                ) from None
        options["registry"] = self.registry
        return (), options

    def on_connect(self) -> Callable[[Any], Any] | None:
        inherited = super().on_connect()

        def connected(connection: SwiftConnection) -> None:
            registry = connection._connection.registry
            if registry is not self.registry:
                self.prepared(registry)  # the user's async_creator made it
            if inherited is not None:
                inherited(connection)

        return connected

    def get_driver_connection(self, connection: Any) -> Any:
        return connection._connection

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        if is_lost(e):
            return True
        return connection is not None and bool(connection.closed)

    def do_ping(self, dbapi_connection: Any) -> bool:
        dbapi_connection.ping()
        return True

    def do_terminate(self, dbapi_connection: Any) -> None:
        dbapi_connection.terminate()

    # ---- transactions

    def get_isolation_level_values(self, dbapi_conn: Any) -> Sequence[Any]:
        return LEVELS

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        dbapi_connection.isolation_level = level

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        return bool(dbapi_conn.autocommit)

    def set_readonly(self, connection: Any, value: bool) -> None:
        connection.readonly = value

    def get_readonly(self, connection: Any) -> bool:
        return bool(connection.readonly)

    def set_deferrable(self, connection: Any, value: bool) -> None:
        connection.deferrable = value

    def get_deferrable(self, connection: Any) -> bool:
        return bool(connection.deferrable)

    def do_prepare_twophase(self, connection: Any, xid: Any) -> None:
        connection.connection.dbapi_connection.prepare_transaction(xid)

    def do_commit_twophase(
        self, connection: Any, xid: Any, is_prepared: bool = True, recover: bool = False
    ) -> None:
        if is_prepared:
            connection.connection.dbapi_connection.end_prepared("COMMIT PREPARED", xid)
        else:
            connection.connection.commit()

    def do_rollback_twophase(
        self, connection: Any, xid: Any, is_prepared: bool = True, recover: bool = False
    ) -> None:
        if is_prepared:
            connection.connection.dbapi_connection.end_prepared("ROLLBACK PREPARED", xid)
        else:
            connection.connection.rollback()

    def do_recover_twophase(self, connection: Any) -> list[Any]:
        # Those of other databases can be ended only there.
        query = text("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
        return list(connection.scalars(query))
