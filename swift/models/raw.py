"""SQL as it is written: `User.objects.raw(...)`, and the named statements of `sql/*.sql`.

Values go by name (`:name`) and never become part of the text. The columns of the result are taken by name, so
their order and further columns do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from swift.engines import statements as st
from swift.engines.database import Database, database
from swift.models.errors import FieldError
from swift.models.programs import Program, program
from swift.models.rows import object_decoder

if TYPE_CHECKING:
    from swift.models.options import Options

T = TypeVar("T")

# What is no parameter: quoted text and names, comments, casts.
PARAMETER = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | ::\w+ | \\: | :(?P<name>[a-zA-Z_]\w*)""",
    re.VERBOSE | re.DOTALL,
)
# "-- name: top_authors" begins a statement in a file of several.
NAMED = re.compile(r"^--\s*name:\s*(\w+)\s*$", re.MULTILINE)


def parameters(sql: str) -> tuple[str, ...]:
    """The names of the parameters of a statement, each once, in the order they come."""
    found = (match["name"] for match in PARAMETER.finditer(sql))
    return tuple(dict.fromkeys(name for name in found if name))


def escaped(sql: str) -> str:
    """The statement with the colons that begin no parameter (in quotes, in comments) marked as such."""
    return PARAMETER.sub(
        lambda match: (
            match[0] if match["name"] or match[0].startswith("::") else match[0].replace(":", "\\:")
        ),
        sql,
    )


class RawQuery(Generic[T]):
    """A statement with its values. `await` gives all rows as objects; `one()` and `first()` one of them."""

    def __init__(self, of: type[T], sql: str, values: Mapping[str, Any], db: Database | None) -> None:
        names = parameters(sql)
        if set(names) != set(values):
            raise FieldError(
                f"The statement has the parameters {', '.join(names) or 'none'}, and was given "
                f"{', '.join(values) or 'none'}."
            )
        self.of = of
        self.sql = sql.strip().rstrip(";")
        self.values = tuple(values[name] for name in names)
        self.names = names
        self.db = db

    def using(self, db: Database | None) -> RawQuery[T]:
        """The same on another database."""
        return RawQuery(self.of, self.sql, dict(zip(self.names, self.values, strict=True)), db)

    async def _rows(self) -> list[T]:
        db = database(self.db)
        found: Program = db.program(raw_program, (self.of, self.sql, self.names))
        rows = await db.executor.fetch(found.command, found.bind(self.values))
        return found.decode(rows)

    def __await__(self) -> Generator[Any, Any, list[T]]:
        return self._rows().__await__()

    async def first(self) -> T | None:
        """The first row, or None."""
        rows = await self._rows()
        return rows[0] if rows else None

    async def one(self) -> T:
        """The one row there is. Raises LookupError."""
        rows = await self._rows()
        if len(rows) != 1:
            raise LookupError(f"The statement gave {len(rows)} rows where one was asked for.")
        return rows[0]


def raw_program(db: Database, key: tuple[Any, ...]) -> Program:
    """(model, Struct or None, SQL, names of its parameters)."""
    of, sql, names = key
    options: Options | None = getattr(of, "_meta", None)
    if options is not None:
        columns = tuple(column.name for column in options.columns.values())
        return program(db, st.Raw(escaped(sql), names, columns), object_decoder(db.engine, options))
    fields = msgspec.structs.fields(of)
    statement = st.Raw(escaped(sql), names, tuple(field.encode_name for field in fields))
    return program(db, statement, struct_decoder(of))


def struct_decoder(of: type[Any]) -> Callable[[list[Any]], list[Any]]:
    names = [field.encode_name for field in msgspec.structs.fields(of)]

    many: Any = list.__class_getitem__(of)

    def decode(rows: list[Any]) -> list[Any]:
        # The database may keep dates, decimals and UUIDs as text, and bools as numbers.
        found = [dict(zip(names, row, strict=True)) for row in rows]
        return msgspec.convert(found, many, strict=False)  # type: ignore[no-any-return]

    return decode


class Statements(Mapping[str, str]):
    """The statements of a directory: `sql/reports.sql` is `statements["reports"]`; a file of several, each
    after a line `-- name: top_authors`, gives `statements["top_authors"]`.
    """

    def __init__(self, directory: str | Path) -> None:
        self.texts: dict[str, str] = {}
        path = Path(directory)
        if not path.is_dir():
            raise FileNotFoundError(f"There is no directory `{path}` of SQL statements.")
        for file in sorted(path.glob("**/*.sql")):
            text = file.read_text(encoding="utf-8")
            parts = NAMED.split(text)
            named = dict(zip(parts[1::2], parts[2::2], strict=True)) or {file.stem: text}
            for name, statement in named.items():
                if name in self.texts:
                    raise ValueError(f"{file}: there are two statements called `{name}`.")
                self.texts[name] = statement.strip()

    def __getitem__(self, name: str) -> str:
        return self.texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __len__(self) -> int:
        return len(self.texts)

    def query(self, of: type[T], statement: str, /, **values: Any) -> RawQuery[T]:
        """The rows of a statement, as objects of a model or of a Struct."""
        if statement not in self.texts:
            raise FieldError(f"There is no statement `{statement}`; there are {', '.join(self.texts)}.")
        return RawQuery(of, self.texts[statement], values, None)

    async def execute(self, statement: str, /, **values: Any) -> int:
        """Run a statement that changes rows; how many it changed."""
        if statement not in self.texts:
            raise FieldError(f"There is no statement `{statement}`; there are {', '.join(self.texts)}.")
        return await execute(self.texts[statement], **values)


async def execute(sql: str, /, **values: Any) -> int:
    """Run SQL that changes rows, its values by name; how many it changed."""
    db = database()
    names = parameters(sql)
    if set(names) != set(values):
        raise FieldError(f"The statement has the parameters {', '.join(names) or 'none'}.")
    found: Program = db.program(change_program, (sql.strip().rstrip(";"), names))
    return await db.executor.execute(found.command, found.bind(tuple(values[name] for name in names)))


def change_program(db: Database, key: tuple[Any, ...]) -> Program:
    sql, names = key
    return program(db, st.Raw(escaped(sql), names))
