"""Migrations as files: operations rendered by Alembic, put into a module that reads as if written by hand."""

from __future__ import annotations

import datetime as dt
import io
import re
import tokenize
from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from functools import partial
from textwrap import dedent, indent
from typing import Any
from uuid import UUID

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import render_op
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from mako.pygen import PythonPrinter
from sqlalchemy.dialects import postgresql

from swift.migrations.arranging import CreateSchemaOp, FillOp
from swift.migrations.comparing import PrimaryKeyOp
from swift.migrations.errors import MigrationError
from swift.migrations.history import MAX_NAME, History
from swift.migrations.kinds import Kind, Now
from swift.migrations.state import default_of, escaped


def lines_of(context: AutogenContext, operation: ops.MigrateOperation) -> list[str]:
    """An operation's lines: Alembic's, and of those that it does not write."""
    schema = getattr(operation, "schema", None)
    ending = f", schema={schema!r})" if schema else ")"
    if isinstance(operation, FillOp):
        expression, imports = source_of(operation.value)
        context.imports.update(imports)
        return [f"op.fill({operation.table!r}, {operation.column!r}, {expression}{ending}"]
    if isinstance(operation, PrimaryKeyOp):
        old, new = operation.old, operation.new
        ending = f", schema={new.schema!r})" if new.schema else ")"
        lines = [f"with op.batch_alter_table({new.name!r}{ending} as batch:"]
        if old.primary_key:
            lines.append(f"batch.drop_constraint({old.primary_key_name!r}, type_='primary')")
        if new.primary_key:
            lines.append(f"batch.create_primary_key({new.primary_key_name!r}, {list(new.primary_key)!r})")
        return [*lines, ""]
    if isinstance(operation, CreateSchemaOp):
        return [f"op.create_schema({operation.name!r})"]
    if isinstance(operation, ops.RenameTableOp):
        return [f"op.rename_table({operation.table_name!r}, {operation.new_table_name!r}{ending}"]
    return render_op(context, operation)


def source_of(value: Any) -> tuple[str, set[str]]:
    """A value as Python says it, and what must be imported to say it. MigrationError for what has no words."""
    match value:
        case Enum():
            return source_of(value.value)
        case None | bool() | int() | float() | str() | bytes():
            return repr(value), set()
        case Decimal():
            return repr(value), {"from decimal import Decimal"}
        case UUID():
            return repr(value), {"from uuid import UUID"}
        case dt.date() | dt.time() | dt.timedelta():
            return repr(value), {"import datetime"}
        case list() | dict():
            return repr(value), set()
        case partial():
            return source_of(value())
    if value in (list, dict):
        return repr(value()), set()
    module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", "")
    if callable(value) and name.isidentifier() and module not in ("", "__main__", "builtins"):
        return name, {
            f"from {'swift.migrations' if module.startswith('swift.migrations.') else module} import {name}"
        }
    raise MigrationError(f"{value!r} cannot be written into a migration; give a value by --value.")


def render_item(type_: str, item: Any, context: AutogenContext) -> Any:
    if type_ == "type" and isinstance(item, Kind):
        return repr(item)
    if type_ == "server_default":
        default = default_of(item)
        if isinstance(default, Now):
            context.imports.add(f"{OURS}Now")
            return repr(default)
        return "None" if default is None else f"sa.text({escaped(default)!r})"
    return False


def render(operations: ops.UpgradeOps | ops.DowngradeOps, imports: set[str]) -> str:
    """The body of a function; `imports` takes what it needs."""
    context = AutogenContext(
        MigrationContext.configure(dialect=postgresql.dialect()),  # type: ignore[no-untyped-call]
        opts={
            "sqlalchemy_module_prefix": "sa.",
            "alembic_module_prefix": "op.",
            "user_module_prefix": None,
            "render_item": render_item,
            "render_as_batch": True,
        },
        autogenerate=False,
    )
    context.imports = imports
    text = io.StringIO()
    printer = PythonPrinter(text)
    for operation in operations.ops:
        for line in lines_of(context, operation):
            printer.writeline(line)
    return tidy(text.getvalue().strip("\n") or "pass")


def tidy(code: str) -> str:
    """Alembic's code as it would be written here: `batch`, no defaults said, one indent, double quotes."""
    code = re.sub(r"\bbatch_op\b", "batch", dedent(code)).replace(", schema=None) as batch", ") as batch")
    return double_quoted(hanging(code))


def hanging(code: str) -> str:
    """The lines of a call that goes over several, one indent in from where it begins; its end where it began."""
    made: list[str] = []
    depth = base = 0
    for line in code.splitlines():
        text = line.strip()
        if depth == 0:
            base = len(line) - len(line.lstrip())
        inside = 0 if depth == 0 or text[:1] in (")", "") else 4
        made.append(" " * (base + inside) + text if text else "")
        depth += opened(text)
    # Arguments that follow the opening bracket on its line stay there, where all fits into one line.
    return joined(made)


def opened(text: str) -> int:
    """How many brackets are left open."""
    bare = re.sub(r"'(?:\\\\.|[^'\\\\])*'|\"(?:\\\\.|[^\"\\\\])*\"", "", text)
    return sum(bare.count(mark) for mark in "([{") - sum(bare.count(mark) for mark in ")]}")


def joined(lines: list[str]) -> str:
    """Calls of several lines in one, where it is short enough."""
    made: list[str] = []
    waiting: list[str] = []
    depth = 0
    for line in lines:
        waiting.append(line)
        depth += opened(line)
        if depth:
            continue
        whole = waiting[0] + " ".join(["", *(each.strip() for each in waiting[1:])])
        whole = whole.replace("( ", "(").replace(" )", ")")
        if len(waiting) > 1 and len(whole) <= WIDTH and "sa.Column(" not in whole:
            made.append(whole)
        else:
            made += split(waiting)
        waiting = []
    return "\n".join([*made, *waiting])


def split(lines: list[str]) -> list[str]:
    """A long call, its first argument on a line of its own too."""
    if len(lines) < 2 or lines[0].endswith("("):
        return lines
    head, _, rest = lines[0].partition("(")
    pad = " " * (len(head) - len(head.lstrip()))
    last = lines[-1].strip()
    body = [pad + "    " + rest, *lines[1:-1]]
    if last == ")":
        body[-1] += "" if body[-1].endswith(",") else ","
    else:
        body.append(pad + "    " + last[:-1] + ",")
    return [head + "(", *body, pad + ")"]


# Of a line of code.
WIDTH = 110


def double_quoted(code: str) -> str:
    made = []
    lines = code.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(code + "\n").readline):
        if token.type == tokenize.STRING and token.string[0] == "'" and not set('"\\') & set(token.string):
            made.append((token.start, token.end))
    for (row, start), (_, end) in reversed(made):
        line = lines[row - 1]
        lines[row - 1] = line[:start] + '"' + line[start + 1 : end - 1] + '"' + line[end:]
    return "".join(lines)


MODULE = '''"""{doc}"""

from __future__ import annotations

{imports}

revision = "{revision}"
down_revision = {down}
{extra}

def upgrade(op: Operations) -> None:
{upgrade}


def downgrade(op: Operations) -> None:
{downgrade}
'''


OURS = "from swift.migrations import "


def source(
    revision: str,
    followed: Sequence[str],
    doc: str,
    upgrade: ops.UpgradeOps,
    downgrade: ops.DowngradeOps,
    *,
    replaces: Sequence[str] = (),
) -> str:
    """The text of a migration."""
    imports: set[str] = set()
    bodies = [render(upgrade, imports), render(downgrade, imports)]
    text = "\n".join(bodies)
    ours = {line.removeprefix(OURS) for line in imports if line.startswith(OURS)} | {"Operations"}
    ours |= {"Kind"} if "Kind(" in text else set()
    imports = {line for line in imports if not line.startswith(OURS)}
    standard = sorted(line for line in imports if not line.startswith("from sqlalchemy"))
    alchemy = ["import sqlalchemy as sa"] if "sa." in text else []
    alchemy += sorted(line for line in imports if line.startswith("from sqlalchemy"))
    own = [OURS + ", ".join(sorted(ours, key=lambda name: (name.islower(), name)))]
    blocks = ["\n".join(lines) for lines in (standard, alchemy, own) if lines]
    down = f'"{followed[0]}"' if len(followed) == 1 else listed(followed) if followed else "None"
    return MODULE.format(
        doc=doc.replace('"', "'").replace("\\", "/"),
        imports="\n\n".join(blocks),
        revision=revision,
        down=down,
        extra=f"replaces = {listed(replaces)}\n" if replaces else "",
        upgrade=indent(bodies[0], "    "),
        downgrade=indent(bodies[1], "    "),
    )


def listed(names: Sequence[str]) -> str:
    return "(" + "".join(f'"{name}", ' for name in names).strip(" " if len(names) == 1 else ", ") + ")"


def reversed_ops(upgrade: ops.UpgradeOps) -> ops.DowngradeOps:
    """What undoes `upgrade`. What was filled needs no undoing; what was dropped comes back without its values."""
    undone: list[ops.MigrateOperation] = []
    for each in reversed(upgrade.ops):
        if isinstance(each, ops.ModifyTableOps):
            undone += with_empty_values(reverse(each))
        elif not isinstance(each, (FillOp, CreateSchemaOp)):
            undone.append(reverse(each))
    return ops.DowngradeOps(undone)


# What a column that takes no NULL gets when it comes back and nobody knows its values any more.
EMPTY: dict[str, Any] = {
    "string": "", "text": "", "integer": 0, "bigint": 0, "float": 0.0, "decimal": Decimal(0), "bool": False,
}  # fmt: skip


def with_empty_values(modify: Any) -> list[ops.MigrateOperation]:
    """NOT NULL columns that are added again, filled before they refuse NULL."""
    first: list[ops.MigrateOperation] = []
    fills: list[ops.MigrateOperation] = []
    then: list[ops.MigrateOperation] = []
    table, schema = modify.table_name, modify.schema
    for each in modify.ops:
        column = each.column if isinstance(each, ops.AddColumnOp) else None
        if column is None or column.nullable or column.server_default is not None:
            then.append(each)
            continue
        nullable = column._copy()
        nullable.nullable = True
        first.append(ops.AddColumnOp(table, nullable, schema=schema))
        kind = column.type.kind if isinstance(column.type, Kind) else ""
        if kind in EMPTY:
            fills.append(FillOp(table, column.name, EMPTY[kind], schema))
        then.append(
            ops.AlterColumnOp(
                table, column.name, schema=schema, existing_type=column.type, existing_nullable=True,
                modify_nullable=False,
            )
        )  # fmt: skip
    parts = [ops.ModifyTableOps(table, part, schema=schema) for part in (first, then)]
    return [*parts[:1], *fills, *parts[1:]] if first else [modify]


def reverse(operation: ops.MigrateOperation) -> ops.MigrateOperation:
    match operation:
        case ops.RenameTableOp():
            return ops.RenameTableOp(
                str(operation.new_table_name), operation.table_name, schema=operation.schema
            )
        case ops.ModifyTableOps():
            return ops.ModifyTableOps(
                operation.table_name,
                [reverse(each) for each in reversed(operation.ops)],
                schema=operation.schema,
            )
        case ops.AlterColumnOp() if operation.modify_name:
            return ops.AlterColumnOp(
                operation.table_name, operation.modify_name, schema=operation.schema,
                modify_name=operation.column_name, existing_type=operation.existing_type,
                existing_nullable=operation.existing_nullable,
            )  # fmt: skip
        case ops.AlterColumnOp():
            made = operation.reverse()
            made.kw.pop("postgresql_using", None)
            if operation.kw.get("postgresql_using") and isinstance(made.modify_type, Kind):
                dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
                name = dialect.identifier_preparer.quote(operation.column_name)
                made.kw["postgresql_using"] = f"{name}::{made.modify_type.compile(dialect)}"
            return made
    return operation.reverse()


# Names


def next_revision(history: History, slug: str) -> str:
    """`0004_add_book_pages`, cut to what the version table holds."""
    numbers = [int(match.group()) for name in history.migrations if (match := re.match(r"\d+", name))]
    numbers += [int(match.group()) for name in history.replaced if (match := re.match(r"\d+", name))]
    number = f"{max(numbers, default=0) + 1:04}"
    slug = re.sub(r"\W+", "_", slug.lower()).strip("_") or "change"
    return f"{number}_{slug}"[:MAX_NAME].rstrip("_")


def described(operations: ops.UpgradeOps) -> list[str]:
    """What the operations do, in words; what only belongs to a new table or column is not said apart."""
    found = list(dict.fromkeys(words for each in operations.ops for words in words_of(each)))
    new = {words.removeprefix("add ") for words in found}
    created = {each.table_name for each in operations.ops if isinstance(each, ops.CreateTableOp)}
    indexes = {
        f"add index {each.index_name}"
        for modify in operations.ops
        if isinstance(modify, ops.ModifyTableOps) and modify.table_name in created
        for each in modify.ops
        if isinstance(each, ops.CreateIndexOp)
    }
    return [
        words for words in found if words not in indexes and not (words[:7] == "change " and words[7:] in new)
    ]


def words_of(operation: ops.MigrateOperation) -> list[str]:
    match operation:
        case ops.ModifyTableOps():
            return [words for each in operation.ops for words in words_of(each)]
        case ops.CreateTableOp():
            return [f"add {operation.table_name}"]
        case ops.DropTableOp():
            return [f"drop {operation.table_name}"]
        case ops.RenameTableOp():
            return [f"rename {operation.table_name} to {operation.new_table_name}"]
        case ops.AddColumnOp():
            return [f"add {operation.table_name}.{operation.column.name}"]
        case ops.DropColumnOp():
            return [f"drop {operation.table_name}.{operation.column_name}"]
        case ops.AlterColumnOp() if operation.modify_name:
            return [f"rename {operation.table_name}.{operation.column_name} to {operation.modify_name}"]
        case ops.AlterColumnOp():
            return [f"change {operation.table_name}.{operation.column_name}"]
        case ops.CreateIndexOp():
            return [f"add index {operation.index_name}"]
        case ops.DropIndexOp():
            return [f"drop index {operation.index_name}"]
        case ops.AddConstraintOp():
            return [f"add constraint {operation.to_constraint().name}"]
        case ops.DropConstraintOp():
            return [f"drop constraint {operation.constraint_name}"]
        case PrimaryKeyOp():
            return [f"change primary key of {operation.new.name}"]
        case FillOp() | CreateSchemaOp():
            return []
    return [re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(operation).__name__.removesuffix("Op")).lower()]


def slug_of(operations: ops.UpgradeOps, history: History) -> str:
    """A name for a migration: `initial`, or the first thing it does."""
    if not history.migrations:
        return "initial"
    words = described(operations)
    return words[0] if words else "change"
