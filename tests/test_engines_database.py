"""Databases: URLs, life, and the way statements find their connection."""

from __future__ import annotations

import pytest

from swift.engines import Database, OperationalError, ProgrammingError, TransactionError, current_database


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("oracle://x", "No engine serves `oracle://`"),
        ("app.db", "No engine serves"),
        ("sqlite://app.db", "names a host; a SQLite file is written `sqlite:///file.db`"),
        ("sqlite:///app.db?colour=red", "SQLite has no option `colour`"),
        ("sqlite:///app.db?synchronous=maybe", "synchronous is off, normal, full or extra"),
        ("sqlite:///app.db?readers=0", "at least one reader"),
    ],
)
def test_a_wrong_url_is_refused_with_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        Database.from_url(url)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite://", "memory://"])
async def test_life(url: str) -> None:
    db = Database.from_url(url)
    with pytest.raises(OperationalError, match=r"await db\.connect"):
        await db.create_tables([]) if db.dialect == "sqlite" else await db.execute(None)
    await db.connect()
    await db.connect()
    await db.close()
    await db.close()
    with pytest.raises(OperationalError):
        await db.execute("DELETE FROM x")
    await db.connect()
    async with db.transaction():
        assert db.in_transaction
    await db.close()


async def test_the_block_binds_and_unbinds() -> None:
    assert current_database.get() is None
    async with Database.from_url("memory://") as one:
        assert current_database.get() is one
        async with Database.from_url("memory://") as other:
            assert current_database.get() is other
        assert current_database.get() is one
    assert current_database.get() is None


async def test_plain_sql() -> None:
    async with Database.from_url("sqlite://") as db:
        await db.execute("CREATE TABLE t (a INTEGER, b TEXT)")
        assert await db.execute("INSERT INTO t VALUES (?, ?), (?, ?)", (1, "x", 2, "y")) == 2
        assert await db.fetch("SELECT a, b FROM t ORDER BY a") == [(1, "x"), (2, "y")]
        assert await db.fetch("INSERT INTO t VALUES (3, 'z') RETURNING a") == [(3,)]
        assert await db.execute_many("INSERT INTO t VALUES (?, 'm') RETURNING a", [(4,), (5,)]) == [
            [(4,)],
            [(5,)],
        ]
        assert await db.fetch_json("SELECT CAST(json_group_array(a) AS BLOB) FROM t") == b"[1,2,3,4,5]"
        assert [len(part) async for part in db.stream("SELECT a FROM t", size=2)] == [2, 2, 1]
        with pytest.raises(ProgrammingError, match="no such table"):
            await db.fetch("SELECT * FROM nope")
        with pytest.raises(ProgrammingError):
            await db.fetch("SELECT ?", ())


async def test_memory_has_no_sql() -> None:
    async with Database.from_url("memory://") as db:
        with pytest.raises(ProgrammingError, match="memory:// has no SQL"):
            await db.fetch("SELECT 1")


async def test_transactions_of_two_databases_are_apart() -> None:
    one, other = Database.from_url("sqlite://"), Database.from_url("sqlite://")
    await one.connect()
    await other.connect()
    for db in (one, other):
        await db.execute("CREATE TABLE t (a INTEGER)")
    with pytest.raises(RuntimeError):
        async with one.transaction():
            await one.execute("INSERT INTO t VALUES (1)")
            async with other.transaction():
                await one.execute("INSERT INTO t VALUES (2)")
                await other.execute("INSERT INTO t VALUES (3)")
                assert len(await one.fetch("SELECT a FROM t")) == 2
            raise RuntimeError
    assert await one.fetch("SELECT a FROM t") == []
    assert await other.fetch("SELECT a FROM t") == [(3,)]
    await one.close()
    await other.close()


async def test_a_savepoint_has_no_isolation_of_its_own() -> None:
    async with Database.from_url("sqlite://") as db, db.transaction("serializable"):
        with pytest.raises(TransactionError, match="set it on the outermost block"):
            async with db.transaction("serializable"):
                pass
