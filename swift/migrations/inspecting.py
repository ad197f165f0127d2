"""Inspecting: from the tables and views of a database to the text of their models.

What no field can hold is left out, with a comment that says so; so the module can be imported as it is.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from swift.engines import Database
from swift.migrations.connecting import connected, reading
from swift.migrations.rebuilding import foreign_key_actions
from swift.migrations.running import OWN_TABLES
from swift.models import Model, fields
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


@dataclass
class FoundColumn:
    name: str
    type: Any
    nullable: bool
    # SQLite's words for the type; "" elsewhere.
    declared: str = ""
    counted: bool = False
    comment: str | None = None
    # SQL of the database's default.
    default: str = ""


@dataclass
class FoundTable:
    """A table or view as the database describes it."""

    name: str
    schema: str | None
    columns: list[FoundColumn]
    primary_key: list[str]
    foreign_keys: list[dict[str, Any]] = field(default_factory=list)
    uniques: list[dict[str, Any]] = field(default_factory=list)
    indexes: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    view: bool = False


async def inspect(database: str | Database, schema: str | None = None, only: Sequence[str] = ()) -> str:
    """The text of a module with a model for each table and view (of `only`, if given) of the database."""

    def work(connection: sa.Connection) -> list[FoundTable]:
        with reading(connection):
            return found_tables(connection, schema, only)

    return Module(await connected(database, work)).text()


def found_tables(connection: sa.Connection, schema: str | None, only: Sequence[str]) -> list[FoundTable]:
    inspector = sa.inspect(connection)
    views = set(inspector.get_view_names(schema))
    if connection.dialect.name == "postgresql":
        views |= set(inspector.get_materialized_view_names(schema))
    names = [name for name in sorted(inspector.get_table_names(schema)) if name not in OWN_TABLES]
    found = []
    for name in [*names, *sorted(views)]:
        if only and name not in only:
            continue
        declared: dict[str, str] = {}
        counter = False
        if connection.dialect.name == "sqlite":
            quoted = name.replace("'", "''")
            rows = connection.exec_driver_sql(f"SELECT name, type FROM pragma_table_xinfo('{quoted}')")
            declared = dict(map(tuple, rows))
            counter = True
        key = inspector.get_pk_constraint(name, schema)["constrained_columns"] if name not in views else []
        columns = []
        for column in inspector.get_columns(name, schema):
            alone = key == [column["name"]]
            default = column.get("default") or ""
            counted = alone and (
                (counter and declared[column["name"]].upper() == "INTEGER")
                or "nextval(" in default
                or bool(column.get("identity"))
            )  # fmt: skip
            columns.append(
                FoundColumn(
                    column["name"], column["type"], bool(column["nullable"]), declared.get(column["name"], ""),
                    counted, column.get("comment"), "" if counted else default,
                )
            )  # fmt: skip
        table = FoundTable(name, schema, columns, key, view=name in views)
        if not table.view:
            table.foreign_keys = [dict(each) for each in inspector.get_foreign_keys(name, schema)]
            if connection.dialect.name == "sqlite":
                # SQLAlchemy does not read what stands at the column itself.
                actions = foreign_key_actions(connection, name)
                for each in table.foreign_keys:
                    action = actions[tuple(each["constrained_columns"])][1]
                    each["options"] = {"ondelete": action} if action else {}
            table.uniques = [dict(each) for each in inspector.get_unique_constraints(name, schema)]
            table.indexes = [dict(each) for each in inspector.get_indexes(name, schema)]
            table.checks = [dict(each) for each in inspector.get_check_constraints(name, schema)]
        found.append(table)
    return found


# Types


@dataclass(frozen=True)
class FieldText:
    """How a column is declared: constructor, arguments, and the type of its values."""

    constructor: str
    annotation: str
    arguments: tuple[str, ...] = ()


def of(constructor: str, annotation: str, *arguments: str) -> FieldText:
    return FieldText(constructor, annotation, arguments)


def text_of(length: int | None) -> FieldText:
    return of("StringField", "str", f"max_length={length}") if length else of("TextField", "str")


def integer_of(bits: int) -> FieldText:
    if bits == 16 and hasattr(fields, "SmallIntegerField"):
        return of("SmallIntegerField", "int")
    return of("BigIntegerField" if bits == 64 else "IntegerField", "int")


def decimal_of(digits: int, places: int) -> FieldText:
    return of("DecimalField", "Decimal", f"max_digits={digits}", f"decimal_places={places}")


SQLITE: dict[str, FieldText] = {
    "UUID": of("UUIDField", "UUID"),
    "JSON": of("JSONField", "Any"),
    "DATE": of("DateField", "dt.date"),
    "TIME": of("TimeField", "dt.time"),
    "DATETIME TEXT": of("DateTimeField", "dt.datetime"),
    "DATETIME": of("DateTimeField", "dt.datetime", "tz=False"),
    "TIMESTAMP": of("DateTimeField", "dt.datetime", "tz=False"),
    "BOOLEAN": of("BoolField", "bool"),
    "BOOL": of("BoolField", "bool"),
}


def sqlite_field(declared: str) -> FieldText | None:
    """By the words of the declaration, our own and others', and else by the affinity they give."""
    match = re.fullmatch(r"\s*([^(]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*", declared.upper())
    name, first, second = match.groups() if match else (declared.upper(), None, None)
    if name == "DECIMAL TEXT" and first:
        return decimal_of(int(first), int(second or 0))
    known = SQLITE.get(name) or SQLITE.get(name.removesuffix(" TEXT"))
    if known is not None:
        return known
    if "INT" in name:
        return integer_of(
            64 if "BIG" in name or "8" in name else 16 if "SMALL" in name or "TINY" in name else 32
        )
    if any(word in name for word in ("CHAR", "CLOB", "TEXT")):
        return text_of(int(first) if first else None)
    if "BLOB" in name:
        return of("BinaryField", "bytes")
    if any(word in name for word in ("REAL", "FLOA", "DOUB")):
        return of("FloatField", "float")
    if name in ("DECIMAL", "NUMERIC"):
        # SQLite keeps these as integers or floats, whatever the digits promise.
        return integer_of(64) if first and not int(second or 0) else of("FloatField", "float")
    return text_of(None) if not name else None


def postgresql_field(type_: Any) -> FieldText | None:
    match type_:
        case postgresql.ENUM():
            return None
        case sa.Boolean():
            return of("BoolField", "bool")
        case sa.SmallInteger():
            return integer_of(16)
        case sa.BigInteger():
            return integer_of(64)
        case sa.Integer():
            return integer_of(32)
        case sa.Float():
            return of("FloatField", "float")
        case sa.Numeric():
            # A NUMERIC without digits holds any; these are what SQL's other databases give at most.
            return decimal_of(type_.precision or 38, (type_.scale or 0) if type_.precision else 10)
        case sa.DateTime():
            return of("DateTimeField", "dt.datetime", *([] if type_.timezone else ["tz=False"]))
        case sa.Date():
            return of("DateField", "dt.date")
        case sa.Time():
            return of("TimeField", "dt.time") if not type_.timezone else None
        case sa.Uuid():
            return of("UUIDField", "UUID")
        case sa.JSON():
            return of("JSONField", "Any")
        case sa.LargeBinary():
            return of("BinaryField", "bytes")
        case postgresql.CITEXT():
            return text_of(None)
        case sa.String():
            return text_of(type_.length)
    return None


NUMBER = re.compile(r"\(?'?(-?\d+(?:\.\d+)?)'?\)?(?:::[\w ]+(?:\([\d, ]+\))?)?")
TEXT = re.compile(r"'((?:[^']|'')*)'(?:::[\w \"]+(?:\(\d+\))?)?")


def default_source(kind: FieldText, sql: str) -> str | None:
    """The database's default as Python says it; None where there are no words for it."""
    number, text = NUMBER.fullmatch(sql), TEXT.fullmatch(sql)
    match kind.annotation:
        case "int" if number and "." not in number[1]:
            return number[1]
        case "float" if number:
            return repr(float(number[1]))
        case "Decimal" if number:
            return f'Decimal("{number[1]}")'
        case "bool" if sql.lower() in ("true", "false", "1", "0"):
            return str(sql.lower() in ("true", "1"))
        case "str" if text:
            return quoted(text[1].replace("''", "'"))
        case "dt.datetime" if re.search(r"\bnow\(\)|CURRENT_TIMESTAMP|'now'", sql, re.IGNORECASE):
            return "Now()"
    return None


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


def quoted(text: str) -> str:
    """A text as Python source, between double quotes where that needs no escapes."""
    shown = repr(text)
    return f'"{shown[1:-1]}"' if shown[0] == "'" and '"' not in text else shown
