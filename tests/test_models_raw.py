"""SQL as it is written, named statements in files, and what a database says of its plan."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from swift.engines import Database, ProgrammingError
from swift.models import FieldError, Model, Statements, execute, fields
from swift.models.raw import parameters


class Song(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(db_column="song_title")
    price: Decimal = fields.MoneyField(default=Decimal("1.00"))
    released: date | None = fields.DateField(null=True)


class Year(msgspec.Struct):
    released: date
    songs: int
    worth: Decimal


@pytest.fixture
async def db() -> AsyncIterator[Database]:
    async with Database.from_url("sqlite://") as database:
        await database.create_tables([Song])
        await Song.objects.bulk_create(
            [
                {"title": "a", "price": Decimal("1.50"), "released": date(2024, 1, 1)},
                {"title": "b", "price": Decimal("2.25"), "released": date(2024, 1, 1)},
                {"title": "12:30 :x", "released": None},
            ]
        )
        yield database


async def test_rows_of_sql_are_objects(db: Database) -> None:
    found = await Song.objects.raw(
        "SELECT * FROM song WHERE price > :least ORDER BY id;", least=Decimal("1.2")
    )
    assert found == await Song.objects.filter(price__gt=Decimal("1.2")).order_by("id")
    turned = "SELECT 1 AS more, released, price, song_title, id FROM song WHERE id = :id AND id = :id"
    assert (await Song.objects.raw(turned, id=2).one()).title == "b"
    assert await Song.objects.raw(turned, id=9).first() is None
    with pytest.raises(LookupError, match="gave 0 rows where one was asked for"):
        await Song.objects.raw(turned, id=9).one()


async def test_values_never_become_text(db: Database) -> None:
    hostile = "' OR 1=1 --"
    assert await Song.objects.raw("SELECT * FROM song WHERE song_title = :title", title=hostile) == []
    quoted = "SELECT * FROM song WHERE song_title = '12:30 :x' -- no :name\n AND id = :id /* :nor */"
    assert parameters(quoted) == ("id",)
    assert len(await Song.objects.raw(quoted, id=3)) == 1
    assert parameters("SELECT :a::int, ':b', \":c\", :a, :d") == ("a", "d")
    with pytest.raises(FieldError, match="has the parameters id, and was given no"):
        Song.objects.raw("SELECT * FROM song WHERE id = :id", no=1)
    with pytest.raises(ProgrammingError):
        await Song.objects.raw("SELECT id FROM song")  # the other columns are missing


async def test_one_text_is_compiled_once(db: Database) -> None:
    await Song.objects.raw("SELECT * FROM song WHERE id = :id", id=1)
    _, misses, _ = db.compiled
    for number in range(5):
        await Song.objects.raw("SELECT * FROM song WHERE id = :id", id=number)
    assert db.compiled[1] == misses


async def test_statements_in_files(db: Database, tmp_path: Path) -> None:
    (tmp_path / "years.sql").write_text(
        "SELECT released, count(*) AS songs, printf('%.2f', sum(price)) AS worth FROM song "
        "WHERE price >= :least GROUP BY released"
    )
    (tmp_path / "songs.sql").write_text(
        "-- name: dear\nSELECT * FROM song WHERE price > :least;\n\n-- name: rename\n"
        "UPDATE song SET song_title = :title WHERE id = :id;\n"
    )
    sql = Statements(tmp_path)
    assert set(sql) == {"years", "dear", "rename"}
    assert len(sql) == 3
    years = await sql.query(Year, "years", least=Decimal("1.5"))
    assert years == [Year(date(2024, 1, 1), 2, Decimal("3.75"))]
    assert [song.title for song in await sql.query(Song, "dear", least=2)] == ["b"]
    assert await sql.execute("rename", id=1, title="new") == 1
    assert (await Song.objects.get(id=1)).title == "new"
    with pytest.raises(FieldError, match="There is no statement `nope`; there are dear, rename, years"):
        sql.query(Song, "nope")
    (tmp_path / "more.sql").write_text("-- name: dear\nSELECT 1")
    with pytest.raises(ValueError, match="there are two statements called `dear`"):
        Statements(tmp_path)
    with pytest.raises(FileNotFoundError):
        Statements(tmp_path / "nowhere")


async def test_execute(db: Database) -> None:
    assert await execute("UPDATE song SET song_title = :title", title="x") == 3
    async with db.transaction():
        assert await execute("DELETE FROM song") == 3
    with pytest.raises(FieldError):
        await execute("DELETE FROM song WHERE id = :id")


async def test_explain(db: Database) -> None:
    assert "USING INTEGER PRIMARY KEY" in await Song.objects.filter(id=1).explain()
    async with Database.from_url("memory://") as memory:
        with pytest.raises(ProgrammingError, match="memory has no plan to explain"):
            await Song.objects.using(memory).filter(id=1).explain()
        await memory.create_tables([Song])
        with pytest.raises(ProgrammingError, match="has no SQL"):
            await Song.objects.raw("SELECT 1").using(memory)
