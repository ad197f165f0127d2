"""The SQLite engine: its files, its one writer, its readers, and what happens when things go wrong."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from swift.engines import Database, IntegrityError, OperationalError
from swift.engines.sqlite import SQLiteEngine
from swift.models import F, Model, fields


class Counter(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(unique=True)
    value: int = fields.IntegerField(default=0)


SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.from_url(f"sqlite:///{tmp_path}/deep/er/test.db") as database:
        await database.create_tables([Counter])
        yield database


def engine(db: Database) -> SQLiteEngine:
    assert isinstance(db.engine, SQLiteEngine)
    return db.engine


async def test_the_file_is_set_up_for_many_readers_and_one_writer(db: Database) -> None:
    async def pragma(name: str, *, writer: bool) -> Any:
        if writer:
            return (await db.fetch(f"PRAGMA {name}"))[0][0]
        return (await engine(db).fetch(f"PRAGMA {name}", ()))[0][0]

    assert await pragma("journal_mode", writer=True) == "wal"
    assert await pragma("foreign_keys", writer=True) == 1
    assert await pragma("foreign_keys", writer=False) == 1
    assert await pragma("synchronous", writer=True) == 1
    assert await pragma("query_only", writer=False) == 1
    assert await pragma("query_only", writer=True) == 0


async def test_readers_cannot_write(db: Database) -> None:
    with pytest.raises(OperationalError, match="readonly"):
        await engine(db).fetch("DELETE FROM counter RETURNING id", ())


async def test_ids_do_not_come_back(db: Database) -> None:
    sql = (await db.fetch("SELECT sql FROM sqlite_master WHERE name = 'counter'"))[0][0]
    assert "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT" in sql


async def test_tables_are_created_once_and_dropped(db: Database) -> None:
    await db.create_tables([Counter])
    await db.drop_tables([Counter])
    await db.drop_tables([Counter])
    assert await db.fetch("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'counter'") == []


async def test_reading_goes_on_while_a_transaction_is_open(db: Database) -> None:
    async def count() -> int:
        return await Counter.objects.count()

    await Counter.objects.create(name="a")
    outside = asyncio.Queue[int]()
    go_on = asyncio.Event()

    async def watch() -> None:
        await go_on.wait()
        await outside.put(await count())

    watcher = asyncio.create_task(watch())
    async with db.transaction():
        await Counter.objects.create(name="b")
        assert await count() == 2
        go_on.set()
        assert await asyncio.wait_for(outside.get(), 2) == 1
    assert await count() == 2
    await watcher


async def test_writers_are_served_in_the_order_they_came(db: Database) -> None:
    order: list[int] = []

    async def write(number: int) -> None:
        if number % 2:
            async with db.transaction():
                await Counter.objects.create(name=str(number))
        else:
            await Counter.objects.create(name=str(number))
        order.append(number)

    await asyncio.gather(*(write(number) for number in range(40)))
    assert [int(one.name) for one in await Counter.objects.order_by("id")] == list(range(40))


async def test_single_changes_share_a_commit(db: Database) -> None:
    commits = 0

    def count() -> int:
        nonlocal commits
        commits += 1
        return 0

    trace: list[str] = []
    writer = engine(db).writer.connection
    await writer.run(lambda raw: raw.set_trace_callback(trace.append))
    await asyncio.gather(*(Counter.objects.create(name=str(number)) for number in range(30)))
    await writer.run(lambda raw: raw.set_trace_callback(None))
    assert sum(line.startswith("INSERT") for line in trace) == 30
    assert trace.count("COMMIT") == 1


async def test_one_that_fails_does_not_harm_those_it_is_committed_with(db: Database) -> None:
    await Counter.objects.create(name="taken")
    names = ["a", "taken", "b", "taken", "c"]
    results = await asyncio.gather(
        *(Counter.objects.create(name=name) for name in names), return_exceptions=True
    )
    assert [isinstance(result, IntegrityError) for result in results] == [False, True, False, True, False]
    assert await Counter.objects.count() == 4


async def test_a_group_that_loses_its_transaction_runs_again_one_by_one(db: Database) -> None:
    await db.execute(
        "CREATE TRIGGER harsh BEFORE INSERT ON counter WHEN new.name = 'bad' "
        "BEGIN SELECT RAISE(ROLLBACK, 'harsh'); END"
    )
    names = ["a", "b", "bad", "c", "d"]
    results = await asyncio.gather(
        *(Counter.objects.create(name=name) for name in names), return_exceptions=True
    )
    assert [type(result).__name__ for result in results] == [
        "Counter",
        "Counter",
        "IntegrityError",
        "Counter",
        "Counter",
    ]
    assert sorted(await Counter.objects.values_list("name", flat=True)) == ["a", "b", "c", "d"]


async def test_a_constraint_checked_at_the_end_fails_only_its_own(db: Database) -> None:
    await db.execute("CREATE TABLE child (c INTEGER REFERENCES counter(id) DEFERRABLE INITIALLY DEFERRED)")
    await Counter.objects.create(name="a")
    results = await asyncio.gather(
        *(db.execute("INSERT INTO child VALUES (?)", (key,)) for key in (1, 99, 1)), return_exceptions=True
    )
    assert results[0] == results[2] == 1
    assert isinstance(results[1], IntegrityError)
    assert await db.fetch("SELECT c FROM child") == [(1,), (1,)]


async def test_a_cancelled_query_is_interrupted(db: Database) -> None:
    tasks = [asyncio.create_task(engine(db).fetch(SLOW, ())) for _ in range(engine(db).reader_count)]
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    started = time.monotonic()
    assert await asyncio.wait_for(Counter.objects.count(), 5) == 0
    assert time.monotonic() - started < 2


async def test_a_slow_query_does_not_hold_up_others(db: Database) -> None:
    slow = asyncio.create_task(engine(db).fetch(SLOW, ()))
    await asyncio.sleep(0.05)
    for _ in range(20):
        assert await asyncio.wait_for(Counter.objects.count(), 2) == 0
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)


async def test_a_change_cancelled_in_line_is_not_made(db: Database) -> None:
    async with db.transaction():
        context = asyncio.create_task(asyncio.sleep(0))
        await context
    release = asyncio.Event()

    async def hold() -> None:
        async with db.transaction():
            await Counter.objects.create(name="held")
            await release.wait()

    holder = asyncio.create_task(hold())
    await asyncio.sleep(0.02)
    waiting = asyncio.create_task(Counter.objects.create(name="never"))
    queued = asyncio.create_task(db.execute("DELETE FROM counter"))
    await asyncio.sleep(0.02)
    waiting.cancel()
    queued.cancel()
    release.set()
    await holder
    await asyncio.gather(waiting, queued, return_exceptions=True)
    await Counter.objects.create(name="after")
    assert await Counter.objects.order_by("id").values_list("name", flat=True) == ["held", "after"]


async def test_closing_refuses_those_in_line(tmp_path: Path) -> None:
    db = Database.from_url(f"sqlite:///{tmp_path}/x.db")
    await db.connect()
    await db.create_tables([Counter])
    tasks = [asyncio.create_task(Counter.objects.using(db).create(name=str(number))) for number in range(100)]
    tasks += [asyncio.create_task(Counter.objects.using(db).count()) for _ in range(100)]  # type: ignore[misc]
    await asyncio.sleep(0)
    await db.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, (Counter, int, OperationalError)) for result in results)
    with sqlite3.connect(tmp_path / "x.db") as raw:
        kept = raw.execute("SELECT count(*) FROM counter").fetchone()[0]
    raw.close()
    assert kept == sum(isinstance(result, Counter) for result in results)


async def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(OperationalError, match="unable to open"):
        await Database.from_url(f"sqlite:///{tmp_path}/folder.db").connect()
    (tmp_path / "noise.db").write_bytes(b"not a database, but long enough to look like one" * 40)
    with pytest.raises(OperationalError, match="not a database"):
        await Database.from_url(f"sqlite:///{tmp_path}/noise.db").connect()


async def test_an_open_stream_keeps_its_moment_and_blocks_nobody(db: Database) -> None:
    await Counter.objects.bulk_create([{"name": str(number)} for number in range(100)])
    seen = 0
    async for part in Counter.objects.order_by("id").stream(size=10):
        seen += len(part)
        await Counter.objects.create(name=f"new{seen}")
        await Counter.objects.filter(name=part[0].name).delete()
    assert seen == 100
    assert await Counter.objects.count() == 100


async def test_streams_give_their_connections_back(db: Database) -> None:
    await Counter.objects.bulk_create([{"name": str(number)} for number in range(20)])

    async def read() -> int:
        return len([one async for one in Counter.objects.all()])

    assert await asyncio.gather(*(read() for _ in range(80))) == [20] * 80
    assert len(engine(db).idle_streams) <= 32


def hammer(path: str, mine: str) -> None:
    async def run() -> None:
        async with Database.from_url(f"sqlite:///{path}") as db:
            await db.create_tables([Counter])

            async def one(number: int) -> None:
                await Counter.objects.create(name=f"{mine}{number}")
                await Counter.objects.get_or_create(name="shared")
                await Counter.objects.filter(name="shared").update(value=F("value") + 1)
                async with db.transaction():
                    shared = await Counter.objects.get(name="shared")
                    shared.value += 1
                    await shared.save()

            await asyncio.gather(*(one(number) for number in range(50)))

    asyncio.run(run())


def test_processes_share_a_file(tmp_path: Path) -> None:
    path = str(tmp_path / "shared.db")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=hammer, args=(path, mine)) for mine in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT count(*) FROM counter").fetchone() == (151,)
    assert raw.execute("SELECT value FROM counter WHERE name = 'shared'").fetchone() == (300,)
    raw.close()


def test_a_program_that_forgets_to_close_ends(tmp_path: Path) -> None:
    code = (
        "import asyncio\nfrom swift.engines import Database\n"
        f"db = Database.from_url('sqlite:///{tmp_path}/x.db')\n"
        "async def main():\n    await db.connect()\n    await db.execute('CREATE TABLE t (a)')\n"
        "asyncio.run(main())\nprint('end')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout == "end\n"


async def test_two_hundred_clients_lose_nothing(db: Database) -> None:
    await Counter.objects.create(name="total")

    async def client(number: int) -> None:
        for step in range(10):
            await Counter.objects.create(name=f"{number}-{step}")
            await Counter.objects.filter(name="total").update(value=F("value") + 1)
            assert (await Counter.objects.get(name=f"{number}-{step}")).name == f"{number}-{step}"
            if step == 5:
                async with db.transaction():
                    total = await Counter.objects.get(name="total")
                    total.value += 1
                    await total.save()

    await asyncio.gather(*(client(number) for number in range(200)))
    assert await Counter.objects.count() == 2001
    assert (await Counter.objects.get(name="total")).value == 2200
