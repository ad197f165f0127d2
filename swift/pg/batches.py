"""Statements that go out together, as one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from swift._speedups import pgcore

from .errors import PgError, PgFailedTransactionError
from .transactions import was_committed

if TYPE_CHECKING:
    from swift._speedups.pgcore import Connection, Query, QueryResult

    from .handle import Pg


def _submit(core: Connection, statements: Iterable[tuple[str, Sequence[Any]]], alone: bool) -> list[Query]:
    queries = [core.execute(pgcore.new_query(core.statement("BEGIN")))] if alone else []
    queries += [
        core.execute(pgcore.new_query(core.statement(sql), tuple(args))) for sql, args in list(statements)
    ]
    return queries


def _root(errors: list[PgError]) -> PgError:
    """Of several failures the one that caused the others."""
    return next((error for error in errors if not isinstance(error, PgFailedTransactionError)), errors[0])


async def run_batch(pg: Pg, statements: Iterable[tuple[str, Sequence[Any]]]) -> list[QueryResult]:
    """On a connection inside a transaction, in that one; else in one of their own."""
    statements = list(statements)
    leased = await pg.lease_async()
    try:
        core = leased.own().core
        alone = await leased.outside_transaction()
        queries = _submit(core, statements, alone)
        results, errors = [], []
        for query in queries:
            try:
                results.append(await query)
            except PgError as error:
                errors.append(error)
        if alone:
            # Nothing is committed that was not seen to succeed: an argument that cannot be encoded fails here only.
            end = leased.command("ROLLBACK" if errors else "COMMIT")
            was_committed(None if errors else await end.tag())
            if errors:
                await end
        if errors:
            raise _root(errors)
        return results[1:] if alone else results
    finally:
        leased.unlease()


def run_batch_blocking(pg: Pg, statements: Iterable[tuple[str, Sequence[Any]]]) -> list[QueryResult]:
    statements = list(statements)
    leased = pg.lease_blocking()
    try:
        link: Any = leased.own_any()
        core = link.core
        alone = leased.outside_transaction_blocking()
        results, errors = [], []
        for query in _submit(core, statements, alone):
            try:
                results.append(link.wait(query))
            except PgError as error:
                errors.append(error)
        if alone:
            tag = leased.command_blocking("ROLLBACK" if errors else "COMMIT").tag
            was_committed(None if errors else tag)
        if errors:
            raise _root(errors)
        return results[1:] if alone else results
    finally:
        leased.unlease()
