"""Programs: what a shape of query is compiled into, once per Database.

Each function here is given to `Database.program` with a key, and makes the program of that key: the compiled
statement and what to do with its rows. A hit of the cache runs none of this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from swift.engines import statements as st
from swift.engines.database import Database
from swift.models.building import Builder, Shared
from swift.models.errors import FieldError
from swift.models.lookups import resolve
from swift.models.relations import chain
from swift.models.rows import Decoder, object_decoder, value_decoder
from swift.models.shape import PLAIN, Extras, Key

if TYPE_CHECKING:
    from swift.engines.schema import Column, Kind
    from swift.models.field import Field
    from swift.models.options import Options


class Program(msgspec.Struct, frozen=True, eq=False):
    """A compiled statement: the command, the function from values to its parameters, and from rows to
    results.
    """

    command: Any
    bind: Callable[[Sequence[Any]], Sequence[Any]]
    decode: Decoder
    # Whether the command answers JSON itself, or its results are still to be encoded.
    is_json: bool = False


def rows_as_they_are(rows: list[Any]) -> list[Any]:
    return rows


def program(
    db: Database, statement: st.Statement, decode: Decoder = rows_as_they_are, shared: Shared | None = None
) -> Program:
    compiled = db.engine.compile(statement)
    bind = compiled.bind
    if shared is not None and shared.context:
        bind = with_context(bind, tuple(reversed(shared.context)))
    return Program(compiled.command, bind, decode, isinstance(statement, st.AsJSON))


def with_context(bind: st.Bind, getters: tuple[Callable[[], Any], ...]) -> st.Bind:
    """Values are followed by what the context of the execution says, such as whose rows are visible."""
    return lambda values: bind((*values, *[get() for get in getters]))


def select_program(db: Database, key: Key) -> Program:
    model, where, order, limited, offset, extras = key
    builder = Builder(model._meta)
    select = builder.select(where, order, limited, offset, extras)
    return program(db, select, decoder(db, model._meta, builder, extras or PLAIN), builder.shared)


def decoder(db: Database, options: Options, builder: Builder, extras: Extras) -> Decoder:
    if extras.rows == "objects":
        chains = [chain(options, name) for name in extras.related]
        kinds = [(name, expression.kind) for name, expression in builder.annotations.items()]
        if extras.via is not None:
            kinds.append(("_near", extras.via.near_key().kind))
        return object_decoder(db.engine, options, chains, kinds, extras.only)
    columns = []
    for name in extras.names:
        expression = builder.named(name)
        field = None if name in builder.annotations else plain_field(options, name)
        columns.append((name, field, expression.kind, st_may_be_null(expression)))
    return value_decoder(db.engine, extras.rows, columns)


def plain_field(options: Options, name: str) -> Field | None:
    path = resolve(options, name)
    return None if path.parts or path.json is not None else path.field


def st_may_be_null(expression: st.Expression) -> bool:
    return not (
        isinstance(expression, st.ColumnRef) and expression.source == 0 and not expression.column.nullable
    )


def json_program(db: Database, key: Key) -> Program:
    """JSON made by the database where its objects are plain; else the objects, to be encoded."""
    model, where, order, limited, offset, extras = key
    plain = extras is None or (
        extras.rows in ("objects", "dicts") and not (extras.distinct or extras.grouped)
    )
    config = model.__struct_config__
    if extras is not None and extras.only:
        plain = False
    if not plain or config.omit_defaults or config.tag is not None or config.array_like:
        return select_program(db, key)
    options: Options = model._meta
    builder = Builder(options)
    if extras is None or extras.rows == "objects":
        # What the encoder shows of an object: its fields, not what a query added to it.
        select = builder.select(where, order, limited, offset, extras, tuple(builder.fields(())))
    else:
        select = builder.select(where, order, limited, offset, extras)
    if select.group or any(may_show_exponent(output.of) for output in select.outputs):
        return select_program(db, key)
    return program(db, st.AsJSON(select), shared=builder.shared)


# Python writes a Decimal whose first digit stands behind more zeros as 1E-7 (General Decimal Arithmetic,
# "to-scientific-string"), and databases as 0.0000001.
MOST_PLAIN_PLACES = 6


def may_show_exponent(expression: st.Expression) -> bool:
    """Whether Python may write a decimal otherwise than the database does."""
    if expression.kind != "decimal":
        return False
    places = expression.column.places if isinstance(expression, st.ColumnRef) else None
    return places is None or places > MOST_PLAIN_PLACES


def count_program(db: Database, key: Key) -> Program:
    model, where, _, limited, offset, extras = key
    builder = Builder(model._meta)
    distinct = extras is not None and (extras.distinct or extras.grouped)
    outputs = None if distinct else (st.Output("one", st.Constant(1)),)
    if extras is not None and not distinct and any("__" in name for name in extras.names):
        # A name may lead through a relation to many, which repeats rows.
        outputs = None
    select = builder.select(where, (), limited, offset, extras, outputs)
    return program(db, st.Count(select), shared=builder.shared)


def exists_program(db: Database, key: Key) -> Program:
    model, where, order, limited, offset, extras = key
    builder = Builder(model._meta)
    outputs = (st.Output("one", st.Constant(1)),)
    select = builder.select(where, () if not limited else order, limited, offset, extras, outputs)
    if not limited:
        select = msgspec.structs.replace(select, limit=st.Constant(1))
    return program(db, select, shared=builder.shared)


def delete_program(db: Database, key: Key) -> Program:
    model, where, order, limited, offset, extras = key
    options: Options = model._meta
    builder = Builder(options)
    condition, rows = affected(builder, where, order, limited, offset, extras)
    return program(db, st.Delete(options.table, condition, rows), shared=builder.shared)


def update_program(db: Database, key: Key) -> Program:
    model, where, order, limited, offset, extras, changes = key
    options: Options = model._meta
    builder = Builder(options)
    assigned = []
    for name, shape in changes:
        column = options.columns[name]
        value = builder.param(column.kind, column) if shape is None else builder.expression(shape)
        if shape is not None and not holds(column.kind, value.kind):
            raise FieldError(f"{column.label} is `{column.kind}` and cannot be set to a `{value.kind}`.")
        if builder.joins:
            raise FieldError(
                f"{options.name}.{name} cannot be set from another table's field; fetch it first."
            )
        assigned.append((column, value))
    condition, rows = affected(builder, where, order, limited, offset, extras)
    statement = st.Update(options.table, tuple(assigned), condition, rows)
    return program(db, statement, shared=builder.shared)


# What a column takes from an expression without losing any of it, besides its own kind.
WIDER: dict[Kind, tuple[Kind, ...]] = {
    "integer": ("bigint",),
    "bigint": ("integer",),
    "float": ("integer", "bigint", "decimal"),
    "decimal": ("integer", "bigint"),
    "string": ("text",),
    "text": ("string",),
}


def holds(column: Kind, value: Kind | None) -> bool:
    return value is None or column == value or value in WIDER.get(column, ())


def rewrite_program(db: Database, key: tuple[Any, ...]) -> Program:
    """(model, names): set these fields in the row with a key; it returns the key where there is one."""
    model, names = key
    options: Options = model._meta
    builder = Builder(options)
    changes = tuple(
        (options.columns[name], builder.param(options.columns[name].kind, options.columns[name]))
        for name in names
    )
    column = options.columns[options.pk.name]
    where = the_row(builder, column)
    statement = st.Update(options.table, changes, where, returning=(column,))
    return program(db, statement, shared=builder.shared)


def resave_program(db: Database, key: tuple[Any, ...]) -> Program:
    """(model, names): set these fields in the row with a key; it returns the row as it is then."""
    model, names = key
    options: Options = model._meta
    builder = Builder(options)
    changes = tuple(
        (options.columns[name], builder.param(options.columns[name].kind, options.columns[name]))
        for name in names
    )
    column = options.columns[options.pk.name]
    where = the_row(builder, column)
    returning = tuple(options.columns.values())
    statement = st.Update(options.table, changes, where, returning=returning)
    return program(db, statement, object_decoder(db.engine, options), builder.shared)


def the_row(builder: Builder, column: Column) -> st.Condition:
    """The row with a key, if it is visible to this tenant."""
    found: st.Condition = st.Compare("exact", st.ColumnRef(0, column), (builder.param(column.kind, column),))
    builder.unscoped = ("deleted",)
    scope = builder.scope(builder.options, 0)
    return found if scope is None else st.And((found, scope))


def affected(
    builder: Builder, where: Any, order: Any, limited: bool, offset: bool, extras: Extras | None
) -> tuple[st.Condition | None, st.Select | None]:
    """The rows a change is about: by condition where that is enough, else by the keys a select finds."""
    options = builder.options
    key = st.Output("key", st.ColumnRef(0, options.columns[options.pk.name]))
    select = builder.select(where, order if limited else (), limited, offset, extras, (key,))
    if select.compound:
        raise FieldError("Combined queries are read, not changed: change each of them.")
    simple = not (select.joins or limited or offset or select.having or select.distinct)
    if not simple:
        return None, select
    return select.where, None


def aggregate_program(db: Database, key: Key) -> Program:
    model, where, _, limited, offset, extras, aggregates = key
    builder = Builder(model._meta, repeats=True)
    if limited or offset or (extras is not None and (extras.distinct or extras.grouped)):
        raise FieldError(
            "aggregate() is taken over a whole query: not over a slice, distinct or grouped rows."
        )
    outputs = tuple(st.Output(name, builder.expression(shape)) for name, shape in aggregates)
    select = builder.select(where, (), False, False, extras, outputs)
    columns = [(output.name, None, output.of.kind, True) for output in outputs]
    return program(db, select, value_decoder(db.engine, "dicts", columns), builder.shared)


def insert_program(db: Database, key: tuple[Any, ...]) -> Program:
    """(model, names of the fields given, fields a conflict is about, fields to update then or None)."""
    model, names, target, updated = key
    options: Options = model._meta
    columns = tuple(options.columns[name] for name in names)
    conflict = None
    shared = Shared()
    if updated is not None:
        builder = Builder(options, shared)
        builder.unscoped = ("deleted",)
        conflict = st.Conflict(
            tuple(options.columns[name] for name in target),
            tuple(options.columns[name] for name in updated),
            builder.scope(options, 0),
        )
    returning = tuple(options.columns.values())
    statement = st.Insert(options.table, columns, returning, conflict)
    return program(db, statement, object_decoder(db.engine, options), shared)
