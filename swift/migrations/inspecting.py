"""Inspecting: from the tables and views of a database to the text of their models.

What no field can hold is left out, with a comment that says so; so the module can be imported as it is.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from swift.engines import Database
from swift.migrations.connecting import connected, reading
from swift.migrations.fieldtypes import FieldText, default_source, of, postgresql_field, quoted, sqlite_field
from swift.migrations.reflecting import FoundColumn, FoundTable, found_tables
from swift.models import Model
from swift.models.options import snake_case

ON_DELETE = {
    "CASCADE": "cascade",
    "RESTRICT": "restrict",
    "SET NULL": "set_null",
    "SET DEFAULT": "set_default",
}
# Names that mean something else in the body of a class that uses them as types or constructors.
TAKEN = {
    "fields",
    "dt",
    "int",
    "str",
    "float",
    "bool",
    "bytes",
    "Any",
    "Decimal",
    "UUID",
    "Enum",
    "Meta",
    "property",
}
CLASSES = {"Model", "Index", "Unique", "Check", "Enum", "Decimal", "UUID", "Any", "None", "True", "False"}


async def inspect(database: str | Database, schema: str | None = None, only: Sequence[str] = ()) -> str:
    """The text of a module with a model for each table and view (of `only`, if given) of the database."""

    def work(connection: sa.Connection) -> list[FoundTable]:
        with reading(connection):
            return found_tables(connection, schema, only)

    return Module(await connected(database, work)).text()


# Names


def class_name(table: str) -> str:
    words = re.findall(r"[^\W_]+", table)
    name = "".join(word[:1].upper() + word[1:] for word in words) or "Table"
    name = name if name[0].isalpha() else f"T{name}"
    return name if name.isidentifier() and name not in CLASSES else f"{name}Row"


def field_name(column: str) -> str:
    name = re.sub(r"_+", "_", re.sub(r"\W", "_", column)).strip("_").lower() or "column"
    # What is good as it is stays, capitals and all.
    name = column if re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", column) else name
    name = name if name[0].isalpha() else f"c_{name}"
    return f"{name}_" if is_taken(name) else name


def is_taken(name: str) -> bool:
    return (
        keyword.iskeyword(name)
        or keyword.issoftkeyword(name)
        or name in TAKEN
        or name == "pk"
        or hasattr(Model, name)
    )


def unused(name: str, used: set[str]) -> str:
    made, number = name, 2
    while made in used:
        made, number = f"{name}{'' if name[-1] == '_' else '_'}{number}", number + 1
    used.add(made)
    return made


# The module


class Module:
    """The models of some tables; each table knows the names of the others."""

    def __init__(self, tables: Sequence[FoundTable]) -> None:
        self.tables = {(table.schema, table.name): table for table in tables}
        used: set[str] = set()
        self.classes = {key: unused(class_name(table.name), used) for key, table in self.tables.items()}
        self.enums: dict[str, tuple[str, list[str]]] = {}
        for table in tables:
            for column in table.columns:
                if isinstance(column.type, postgresql.ENUM) and column.type.name not in self.enums:
                    name = unused(class_name(str(column.type.name)), used)
                    self.enums[str(column.type.name)] = (name, list(column.type.enums))
        self.left_out: list[str] = []

    def text(self) -> str:
        bodies = [self.enum(*enum) for enum in self.enums.values()]
        written: set[tuple[str | None, str]] = set()
        for key in self.ordered():
            reason = self.impossible(self.tables[key])
            if reason:
                self.left_out.append(f"# {self.tables[key].name}: {reason}")
                continue
            written.add(key)
            bodies.append(ModelText(self, self.tables[key], written).text())
        body = "\n\n\n".join(bodies)
        notes = "\n".join(self.left_out)
        parts = [
            '"""Models of an existing database."""',
            "from __future__ import annotations",
            self.imports(body),
        ]
        parts += [notes] if notes else []
        return "\n\n".join(part for part in parts if part) + "\n\n\n" + body + "\n"

    def impossible(self, table: FoundTable) -> str:
        """Why there is no model for it; "" if there is one."""
        if len(table.primary_key) > 1 and not composite_keys():
            return f"its key is of several columns ({', '.join(table.primary_key)})."
        if not table.columns:
            return "it has no columns."
        return ""

    def ordered(self) -> list[tuple[str | None, str]]:
        """The referenced before the referring, where no circle forbids."""
        made: dict[tuple[str | None, str], None] = {}
        visiting: set[tuple[str | None, str]] = set()

        def visit(key: tuple[str | None, str]) -> None:
            if key in visiting:
                return
            visiting.add(key)
            for foreign in self.tables[key].foreign_keys:
                target = (foreign["referred_schema"], foreign["referred_table"])
                if target in self.tables:
                    visit(target)
            made[key] = None

        for key in self.tables:
            visit(key)
        return list(made)

    def imports(self, body: str) -> str:
        standard = ["import datetime as dt"] if "dt." in body else []
        standard += ["from decimal import Decimal"] if ": Decimal" in body or "Decimal(" in body else []
        standard += ["from enum import Enum"] if "(str, Enum)" in body else []
        standard += ["from typing import Any"] if ": Any" in body else []
        standard += ["from uuid import UUID"] if ": UUID" in body else []
        own = ["from swift import Model, fields"]
        names = [name for name in ("Check", "Index", "Now", "Unique") if re.search(rf"\b{name}\(", body)]
        own += [f"from swift.models import {', '.join(names)}"] if names else []
        return "\n\n".join("\n".join(lines) for lines in (standard, own) if lines)

    def enum(self, name: str, values: Sequence[str]) -> str:
        used: set[str] = set()
        lines = [f"class {name}(str, Enum):"]
        for value in values:
            member = re.sub(r"\W+", "_", value).strip("_").upper() or "EMPTY"
            member = member if member[0].isalpha() else f"V_{member}"
            lines.append(f"    {unused(member, used)} = {quoted(value)}")
        return "\n".join(lines)


def composite_keys() -> bool:
    """Whether models take keys of several fields."""
    from swift.models.options import Options

    return hasattr(Options, "keys")


class ModelText:
    """One model."""

    def __init__(self, module: Module, table: FoundTable, written: set[tuple[str | None, str]]) -> None:
        self.module = module
        self.table = table
        self.written = written
        self.name = module.classes[table.schema, table.name]
        self.single_uniques = {
            each["column_names"][0]: each for each in table.uniques if len(each["column_names"]) == 1
        }
        self.single_keys = {
            each["constrained_columns"][0]: each
            for each in table.foreign_keys
            if len(each["constrained_columns"]) == 1 and self.is_key(each)
        }
        self.indexed = {
            each["column_names"][0]
            for each in table.indexes
            if each["column_names"] == [each["column_names"][0]]
            and self.is_ours(each, "ix")
            and is_plain(each)
        }
        self.comments: list[str] = []
        self.names = self.field_names()

    def field_names(self) -> dict[str, str]:
        """Of each column the name of its field."""
        used: set[str] = set()
        made: dict[str, str] = {}
        relations = {column: field_name(column) for column in self.single_keys}
        plain = {field_name(column.name) for column in self.table.columns if column.name not in relations}
        for column in self.table.columns:
            name = field_name(column.name)
            if column.name in relations:
                name = name.strip("_")
                name = name if name.endswith("_id") and name != "_id" else f"{name}_id"
                relation = name.removesuffix("_id")
                if relation in plain or hasattr(Model, relation) or relation in used or name in used:
                    name = f"{relation}_ref_id"
                used.add(name.removesuffix("_id"))
            made[column.name] = unused(name, used)
        return made

    def text(self) -> str:
        lines: list[str] = []
        keys = self.table.primary_key or self.identity()
        for column in self.table.columns:
            declared = self.field(column, keys)
            if declared is None:
                what = column.declared or str(column.type)
                lines.append(f"    # {self.names[column.name]}: no field holds {what}.")
            else:
                lines += declared
        meta = self.meta()
        if meta:
            lines += ["", "    class Meta:", *(f"        {line}" for line in meta)]
        doc = [f"    # {comment}" for comment in self.comments]
        return "\n".join([f"class {self.name}(Model):", *doc, *lines])

    def identity(self) -> list[str]:
        """What tells rows apart where there is no primary key: a unique column, `id`, or the first."""
        names = [column.name for column in self.table.columns if self.kind(column) is not None]
        for each in self.table.uniques:
            if len(each["column_names"]) == 1 and each["column_names"][0] in names:
                return list(each["column_names"])
        found = next((name for name in names if name.lower() == "id"), names[0] if names else "")
        what = "A view" if self.table.view else "A table without a primary key"
        self.comments.append(f"{what}: `{found}` is taken for the key.")
        return [found]

    def kind(self, column: FoundColumn) -> FieldText | None:
        if isinstance(column.type, postgresql.ENUM):
            name = self.module.enums[str(column.type.name)][0]
            return of("EnumField", name, name)
        return (
            sqlite_field(column.declared)
            if column.declared or not column_is_typed(column)
            else postgresql_field(column.type)
        )

    def field(self, column: FoundColumn, keys: Sequence[str]) -> list[str] | None:
        kind = self.kind(column)
        if kind is None:
            return None
        name = self.names[column.name]
        options = [f"db_column={quoted(column.name)}"] if name != column.name else []
        primary = column.name in keys
        if (
            column.counted
            and len(keys) == 1
            and kind.annotation == "int"
            and column.name not in self.single_keys
        ):
            return [f"    {name}: int = fields.IDField({', '.join(options)})"]
        null = column.nullable and not primary
        if primary:
            options.append("primary_key=True")
        if null:
            options.append("null=True")
        unique = self.single_uniques.get(column.name)
        if unique is not None and self.is_ours(unique, "uq") and not primary:
            options.append("unique=True")
        if column.default and not null and not primary and column.name not in self.single_keys:
            default = default_source(kind, column.default)
            if default is None:
                self.comments.append(f"The database gives `{name}` a value of its own: {column.default}")
            else:
                options.append(f"db_default={default}")
        optional = " | None" if null and kind.annotation != "Any" else ""
        if column.name in self.single_keys:
            return self.foreign_key(column, kind, options, optional)
        if column.name in self.indexed:
            options.append("index=True")
        arguments = ", ".join([*kind.arguments, *options])
        return [f"    {name}: {kind.annotation}{optional} = fields.{kind.constructor}({arguments})"]

    def foreign_key(
        self, column: FoundColumn, kind: FieldText, options: list[str], optional: str
    ) -> list[str]:
        key = self.single_keys[column.name]
        target = (key["referred_schema"], key["referred_table"])
        other = self.module.classes[target]
        here = (self.table.schema, self.table.name)
        to = '"self"' if target == here else other if target in self.written else quoted(other)
        action = ON_DELETE.get(key.get("options", {}).get("ondelete") or "", "no_action")
        if action != "restrict":
            options.append(f'on_delete="{action}"')
        if column.name not in self.indexed:
            options.append("index=False")
        name = self.names[column.name]
        lines = [f"    {name}: {kind.annotation}{optional} = fields.ForeignKey({', '.join([to, *options])})"]
        relation = name.removesuffix("_id")
        if not keyword.iskeyword(relation) and relation not in TAKEN:
            lines.append(f"    {relation}: {other}{optional} = fields.Related()")
        return lines

    def is_key(self, foreign: dict[str, Any]) -> bool:
        """Whether it refers to the primary key of a table that gets a model."""
        target = self.module.tables.get((foreign["referred_schema"], foreign["referred_table"]))
        return (
            target is not None
            and target.primary_key == foreign["referred_columns"]
            and not self.module.impossible(target)
        )

    def is_ours(self, constraint: dict[str, Any], prefix: str) -> bool:
        """Whether its name is the one that it would get from us."""
        usual = "_".join((prefix, self.table.name, *constraint["column_names"]))
        return constraint["name"] in (usual, None)

    def fields_of(self, columns: Sequence[str]) -> str:
        return ", ".join(quoted(self.names[column]) for column in columns)

    def meta(self) -> list[str]:
        table = self.table
        made = [] if snake_case(self.name) == table.name else [f"db_table = {quoted(table.name)}"]
        made += [f"schema = {quoted(table.schema)}"] if table.schema else []
        made += ["managed = False"] if table.view else []
        constraints = []
        for unique in table.uniques:
            columns, ours = unique["column_names"], self.is_ours(unique, "uq")
            if not (len(columns) == 1 and ours):
                name = "" if ours else f", name={quoted(unique['name'])}"
                constraints.append(f"Unique({self.fields_of(columns)}{name}),")
        for check in table.checks:
            name = (check["name"] or "").removeprefix(f"ck_{table.name}_")
            constraints.append(
                f"Check({quoted(check['sqltext'])}{f', name={quoted(name)}' if name else ''}),"
            )
        indexes = []
        for index in table.indexes:
            columns = index["column_names"]
            if index.get("duplicates_constraint") or (
                len(columns) == 1 and columns[0] in self.indexed and self.is_ours(index, "ix")
            ):
                continue
            where = (index.get("dialect_options") or {}).get("postgresql_where")
            where = where if where is not None else (index.get("dialect_options") or {}).get("sqlite_where")
            if None in columns:
                self.comments.append(
                    f"The index `{index['name']}` is over expressions; say it in a migration."
                )
                continue
            name = (
                "" if self.is_ours(index, "ix") and not index["unique"] else f", name={quoted(index['name'])}"
            )
            options = (", unique=True" if index["unique"] else "") + (
                f", where={quoted(str(where))}" if where is not None else ""
            )
            indexes.append(f"Index({self.fields_of(columns)}{name}{options}),")
        for label, items in (("constraints", constraints), ("indexes", indexes)):
            if items:
                made += [f"{label} = (", *(f"    {item}" for item in items), ")"]
        return made


def column_is_typed(column: FoundColumn) -> bool:
    """Whether the database told a type; a column of SQLite may have none."""
    return not isinstance(column.type, sa.types.NullType)


def is_plain(index: dict[str, Any]) -> bool:
    """Whether an index is over all rows, and no rule."""
    options = index.get("dialect_options") or {}
    return not index["unique"] and not any(key.endswith("_where") for key in options)
