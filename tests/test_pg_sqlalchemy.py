"""The dialect beyond what SQLAlchemy's own tests ask: the driver's types, errors, streams, lost connections, Alembic."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import ipaddress
import tomllib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata, produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql as types
from sqlalchemy.dialects import registry
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import swift.pg.sqlalchemy as dialect
from swift.pg import PgDataError
from swift.pg.alone import PgAlone, connect
from swift.pg.sqlalchemy.compat import BitString
from swift.pg.types import Interval

ROOT = Path(__file__).parent.parent


def url(dsn: str) -> str:
    return dsn.replace("postgresql:", "postgresql+swift:")


@pytest.fixture
async def engine(pg_database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(url(pg_database))
    yield engine
    await engine.dispose()


def test_sqlalchemy_finds_it_by_the_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ((name, target),) = project["entry-points"]["sqlalchemy.dialects"].items()
    assert registry.load(name) is dialect.SwiftDialect
    assert target == f"{dialect.__name__}:SwiftDialect"


# Values


class Mood(enum.Enum):
    happy = "happy"
    sad = "sad"


NOW = datetime.datetime(2026, 11, 20, 23, 0, 0, 123456)
VALUES: list[tuple[Any, Any]] = [
    (sa.SmallInteger(), -5),
    (sa.BigInteger(), 2**62),
    (sa.Numeric(30, 10), decimal.Decimal("12345678901234567890.0123456789")),
    (sa.Double(), 1.1),
    (sa.Text(), "naïve ☃ \\ '"),
    (sa.LargeBinary(), b"\x00\xff"),
    (sa.Boolean(), True),
    (sa.Date(), NOW.date()),
    (sa.Time(), NOW.time()),
    (sa.DateTime(), NOW),
    (sa.DateTime(timezone=True), NOW.replace(tzinfo=datetime.UTC)),
    (sa.Interval(), datetime.timedelta(days=-3, microseconds=1)),
    (sa.Uuid(), uuid.UUID(int=7)),
    (sa.Uuid(as_uuid=False), str(uuid.UUID(int=7))),
    (sa.Enum(Mood, name="mood"), Mood.sad),
    (types.JSON(), {"a": [1, None, "é"]}),
    (types.JSONB(), [1.5, {"b": False}]),
    (types.ARRAY(sa.Text()), ["a", None, 'b"']),
    (types.ARRAY(sa.Integer(), dimensions=2), [[1, 2], [3, 4]]),
    (types.ARRAY(types.JSONB()), [{"a": 1}, [2]]),
    (types.ARRAY(sa.Enum(Mood, name="mood")), [Mood.sad, Mood.happy]),
    (types.INT4RANGE(), types.Range(1, 5)),
    (types.INT8RANGE(), types.Range(empty=True)),
    (types.TSRANGE(), types.Range(NOW, None, bounds="[)")),
    (types.NUMMULTIRANGE(), types.MultiRange([types.Range(decimal.Decimal(1), decimal.Decimal(2))])),
    (types.INET(), ipaddress.ip_address("10.0.0.1")),
    (types.CIDR(), ipaddress.ip_network("10.0.0.0/8")),
    (types.MACADDR(), "08:00:2b:01:02:03"),
    (types.BIT(4), BitString("0101")),
    (types.TSVECTOR(), "'cat':1 'fat':2"),
    (types.OID(), 4_000_000_000),
    (types.MONEY(), decimal.Decimal("1.50")),
]


async def test_values_come_back_as_they_went(engine: AsyncEngine) -> None:
    columns = [sa.Column(f"c{i}", kind) for i, (kind, _) in enumerate(VALUES)]
    table = sa.Table("kinds", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), *columns)
    async with engine.begin() as connection:
        await connection.run_sync(table.metadata.create_all)
        row = {f"c{i}": value for i, (_, value) in enumerate(VALUES)}
        await connection.execute(table.insert(), [row, dict.fromkeys(row)])
        full, empty = (await connection.execute(table.select().order_by(table.c.id))).all()
    assert list(full)[1:] == [value for _, value in VALUES]
    assert list(empty)[1:] == [None] * len(VALUES)


async def test_hstore_is_a_dict(pg_cluster: Any, engine: AsyncEngine) -> None:
    if not (pg_cluster.server.contrib / "hstore.control").exists():
        pytest.skip("this server comes without the extension hstore")
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE EXTENSION hstore")
        value = {"a": "1", "b": None}
        assert await connection.scalar(sa.select(sa.literal(value, types.HSTORE))) == value
        assert await connection.scalar(sa.text("SELECT 'x=>y'::hstore")) == {"x": "y"}


async def test_intervals_with_months_are_days_as_other_drivers_count_them(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        found = await connection.scalar(sa.text("SELECT interval '1 year 2 mons 3 days'"))
        assert found == datetime.timedelta(days=365 + 60 + 3)
        back = await connection.scalar(sa.text("SELECT interval '-1 mons'"))
        assert back == datetime.timedelta(days=-30)
        # The driver's own value may be sent.
        sent = sa.literal(Interval(months=1), types.INTERVAL)
        assert await connection.scalar(sa.select(sa.cast(sent, sa.Text))) == "1 mon"


async def test_a_json_deserializer_of_ones_own_gets_the_text(pg_database: str) -> None:
    engine = create_async_engine(url(pg_database), json_deserializer=lambda text: ("read", text))
    async with engine.connect() as connection:
        assert await connection.scalar(sa.text("SELECT '{\"a\": 1.10}'::json")) == ("read", '{"a": 1.10}')
        assert await connection.scalar(sa.select(sa.literal({"b": 1}, types.JSONB))) == ("read", '{"b": 1}')
    await engine.dispose()


async def test_addresses_are_text_where_that_is_wanted(pg_database: str) -> None:
    engine = create_async_engine(url(pg_database), native_inet_types=False)
    async with engine.connect() as connection:
        assert await connection.scalar(sa.text("SELECT inet '10.0.0.1'")) == "10.0.0.1"
    await engine.dispose()


# Statements and rows


async def test_many_rows_go_in_and_their_keys_come_back_in_order(engine: AsyncEngine) -> None:
    table = sa.Table(
        "t", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer)
    )
    async with engine.begin() as connection:
        await connection.run_sync(table.metadata.create_all)
        rows = [{"n": n} for n in range(2500)]
        insert = table.insert().returning(table.c.id, table.c.n, sort_by_parameter_order=True)
        found = (await connection.execute(insert, rows)).all()
        assert [n for _, n in found] == list(range(2500))
        # Without RETURNING they are pipelined.
        await connection.execute(
            sa.text("UPDATE t SET n = :n WHERE id = :id"), [{"n": 0, "id": i} for i, _ in found]
        )
        assert await connection.scalar(sa.select(sa.func.sum(table.c.n))) == 0
        done = await connection.execute(table.delete().where(table.c.id < 11))
        assert done.rowcount == 10


async def test_a_stream_holds_no_more_than_it_is_asked_for(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.exec_driver_sql("CREATE TEMPORARY SEQUENCE made")
        slowly = sa.text("SELECT nextval('made') FROM generate_series(1, 100000)").execution_options(
            yield_per=100
        )
        async with connection.stream(slowly) as rows:
            assert [row[0] for row in await rows.fetchmany(30)] == list(range(1, 31))
            # Other statements go between the rows.
            assert await connection.scalar(sa.text("SELECT last_value FROM made")) <= 200
            assert (await rows.fetchone())[0] == 31
        assert await connection.scalar(sa.text("SELECT last_value FROM made")) < 1000


async def test_a_stream_needs_a_transaction(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(exc.InterfaceError, match="lives in a transaction"):
            await connection.stream(sa.text("SELECT 1"))


async def test_the_driver_is_at_hand_for_what_sqlalchemy_has_no_words_for(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE copied (n int, name text)")
        raw: Any = (await connection.get_raw_connection()).driver_connection
        assert isinstance(raw, PgAlone)
        await raw.copy_records_async("copied", [(1, "a"), (2, "b")])
        assert await connection.scalar(sa.text("SELECT count(*) FROM copied")) == 2


# Definitions that change


async def test_statements_are_prepared_anew_when_their_columns_change(engine: AsyncEngine) -> None:
    everything = sa.text("SELECT * FROM changing")
    async with engine.connect() as one, engine.connect() as other:
        await one.exec_driver_sql("CREATE TABLE changing (a int)")
        await one.commit()
        for connection in (one, other):
            assert (await connection.execute(everything)).keys() == ["a"]
            await connection.commit()
        await one.exec_driver_sql("ALTER TABLE changing ADD b text")
        assert (await one.execute(everything)).keys() == ["a", "b"]
        await one.rollback()
        # What never came to be is not read.
        assert (await one.execute(everything)).keys() == ["a"]
        await one.exec_driver_sql("ALTER TABLE changing ADD c text")
        await one.commit()
        assert (await other.execute(everything)).keys() == ["a", "c"]


async def test_what_others_changed_costs_one_transaction(pg_cluster: Any, engine: AsyncEngine) -> None:
    everything = sa.text("SELECT * FROM changing")
    async with engine.connect() as connection:
        await connection.exec_driver_sql("CREATE TABLE changing (a int)")
        await connection.execute(everything)
        await connection.commit()
        pg_cluster.sql("ALTER TABLE changing ADD b int", database=engine.url.database)
        with pytest.raises(exc.NotSupportedError, match="cached plan"):
            await connection.execute(everything)
        await connection.rollback()
        assert (await connection.execute(everything)).keys() == ["a", "b"]


# Transactions and errors


@pytest.mark.parametrize(
    ("statement", "kind", "code"),
    [
        ("SELECT 1/0", exc.DataError, "22012"),
        ("SELECT nothing", exc.ProgrammingError, "42703"),
        ("SELECT * FROM nowhere", exc.ProgrammingError, "42P01"),
        ("INSERT INTO pg_temp.one VALUES (1)", exc.IntegrityError, "23505"),
        ("DO $$ BEGIN RAISE EXCEPTION 'no'; END $$", exc.DatabaseError, "P0001"),
        ("SELECT pg_sleep(10)", exc.OperationalError, "57014"),
        ("CREATE TABLE pg_temp.t (a int) TABLESPACE nowhere", exc.ProgrammingError, "42704"),
    ],
)
async def test_errors_are_those_of_the_db_api(
    engine: AsyncEngine, statement: str, kind: type[exc.DBAPIError], code: str
) -> None:
    async with engine.connect() as connection:
        await connection.exec_driver_sql("SET statement_timeout = 200")
        await connection.exec_driver_sql("CREATE TEMPORARY TABLE one AS SELECT 1 AS id")
        await connection.exec_driver_sql("CREATE UNIQUE INDEX ON one (id)")
        with pytest.raises(exc.DBAPIError) as failed:
            await connection.exec_driver_sql(statement)
        assert type(failed.value) is kind
        assert failed.value.orig.sqlstate == code  # type: ignore[union-attr]
        assert not failed.value.connection_invalidated


async def test_the_drivers_error_is_kept(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(exc.DataError) as failed:
            await connection.scalar(sa.text("SELECT 1/0"))
        assert isinstance(failed.value.orig.__cause__, PgDataError)  # type: ignore[union-attr]


async def test_a_commit_of_a_failed_transaction_is_no_success(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(exc.DataError):
            await connection.execute(sa.text("SELECT 1/0"))
        with pytest.raises(exc.OperationalError, match="rolled it back"):
            await connection.commit()
        await connection.rollback()
        assert await connection.scalar(sa.text("SELECT 1")) == 1


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
async def test_isolation_levels(engine: AsyncEngine, level: Any) -> None:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level=level, postgresql_readonly=True)
        assert await connection.scalar(sa.text("SHOW transaction_isolation")) == level.lower()
        assert await connection.scalar(sa.text("SHOW transaction_read_only")) == "on"
    async with engine.connect() as connection:
        assert await connection.scalar(sa.text("SHOW transaction_isolation")) == "read committed"
        assert await connection.scalar(sa.text("SHOW transaction_read_only")) == "off"


async def test_a_transaction_in_two_phases_is_found_again(pg_new_cluster: Any) -> None:
    cluster = pg_new_cluster(settings={"max_prepared_transactions": "2"})
    engine = create_async_engine(url(cluster.dsn()))

    def prepared(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE two (n int)")
        connection.commit()
        transaction = connection.begin_twophase("it's \\ odd")
        connection.exec_driver_sql("INSERT INTO two VALUES (1)")
        transaction.prepare()
        connection.invalidate()

    def recovered(connection: sa.Connection) -> None:
        assert connection.recover_twophase() == ["it's \\ odd"]
        connection.commit_prepared("it's \\ odd", recover=True)
        assert connection.exec_driver_sql("SELECT n FROM two").scalars().all() == [1]

    async with engine.connect() as connection:
        await connection.run_sync(prepared)
    async with engine.connect() as connection:
        await connection.run_sync(recovered)
    await engine.dispose()


# The life of connections


async def test_a_killed_connection_is_replaced(pg_cluster: Any, pg_database: str) -> None:
    engine = create_async_engine(url(pg_database), pool_size=1)
    async with engine.connect() as connection:
        pid = await connection.scalar(sa.text("SELECT pg_backend_pid()"))
        pg_cluster.sql(f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(exc.OperationalError) as failed:
            while True:
                await connection.execute(sa.text("SELECT pg_sleep(0.01)"))
        assert failed.value.connection_invalidated
    async with engine.connect() as connection:
        assert await connection.scalar(sa.text("SELECT pg_backend_pid()")) != pid
    await engine.dispose()


async def test_a_ping_before_use_notices_it_sooner(pg_cluster: Any, pg_database: str) -> None:
    engine = create_async_engine(url(pg_database), pool_size=1, pool_pre_ping=True)
    async with engine.connect() as connection:
        pid = await connection.scalar(sa.text("SELECT pg_backend_pid()"))
    pg_cluster.sql(f"SELECT pg_terminate_backend({pid}, 2000)")
    async with engine.connect() as connection:
        assert await connection.scalar(sa.text("SELECT pg_backend_pid()")) != pid
    await engine.dispose()


async def test_what_is_cancelled_is_cancelled_on_the_server(pg_cluster: Any, engine: AsyncEngine) -> None:
    async def sleep() -> None:
        async with engine.connect() as connection:
            await connection.execute(sa.text("SELECT pg_sleep(30) AS cancelled_here"))

    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%%cancelled' || '_here'"
    )
    task = asyncio.create_task(sleep())
    async with asyncio.timeout(10):
        while not pg_cluster.sql(running)[0][0]:
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while pg_cluster.sql(running)[0][0]:
            await asyncio.sleep(0.02)
    async with engine.connect() as connection:
        assert await connection.scalar(sa.text("SELECT 1")) == 1


async def test_nobody_there_is_told_as_operational_error() -> None:
    engine = create_async_engine("postgresql+swift://nobody@127.0.0.1:1/nothing?sslmode=disable")
    with pytest.raises(exc.OperationalError):
        await engine.connect()


async def test_options_of_libpq_and_of_the_driver_stand_in_the_url(pg_database: str) -> None:
    engine = create_async_engine(url(pg_database) + "?application_name=books&statement_cache_size=0&jit=off")
    async with engine.connect() as connection:
        assert await connection.scalar(sa.text("SHOW application_name")) == "books"
        assert await connection.scalar(sa.text("SELECT count(*) FROM pg_prepared_statements")) == 0
    await engine.dispose()


def test_several_hosts_may_be_named() -> None:
    made = sa.make_url("postgresql+swift://app@/shop?host=a:1&host=b:2")
    _, options = dialect.SwiftDialect().create_connect_args(made)
    del options["registry"]
    assert options == {"user": "app", "dbname": "shop", "host": "a,b", "port": "1,2"}


async def test_a_creator_of_ones_own(pg_database: str) -> None:
    engine = create_async_engine("postgresql+swift://", async_creator=lambda: connect(pg_database))
    async with engine.connect() as connection:
        assert await connection.scalar(sa.select(sa.literal({"a": 1}, types.JSONB))) == {"a": 1}
    await engine.dispose()


# What is built upon it


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50), unique=True)
    mood: Mapped[Mood] = mapped_column(default=Mood.happy)
    tags: Mapped[list[str]] = mapped_column(types.ARRAY(sa.Text))


async def test_the_orm(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as session, session.begin():
        session.add_all(Author(name=f"a{n}", tags=["x", str(n)]) for n in range(3))
        with pytest.raises(exc.IntegrityError):
            async with session.begin_nested():
                session.add(Author(name="a1", tags=[]))
                await session.flush()
    async with AsyncSession(engine) as session:
        found = (await session.scalars(sa.select(Author).where(Author.tags.contains(["2"])))).one()
        assert (found.name, found.mood, found.tags) == ("a2", Mood.happy, ["x", "2"])


async def test_alembic_compares_and_upgrades(engine: AsyncEngine) -> None:
    def upgrade(connection: sa.Connection) -> None:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        script = produce_migrations(context, Base.metadata)
        assert script.upgrade_ops is not None
        operations = Operations(context)
        for change in script.upgrade_ops.ops:
            operations.invoke(change)
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []

    def widened(connection: sa.Connection) -> None:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        Operations(context).alter_column("authors", "name", type_=sa.String(20))
        (((change, *_),),) = compare_metadata(context, Base.metadata)
        assert change == "modify_type"

    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
        await connection.run_sync(widened)
