"""QuerySets: descriptions that cost little to build and are compiled once per shape."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from swift.engines import Database, InvalidValue, NoDatabase
from swift.models import Count, F, FieldError, Manager, Model, Q, QuerySet, fields
from swift.models.lookups import value_type


class Tag(Model):
    id: int = fields.IDField()
    name: str = fields.StringField()


class PostQuery(QuerySet["Post"]):
    def published(self) -> PostQuery:
        return self.filter(draft=False)


class Post(Model):
    id: int = fields.IDField()
    title: str = fields.StringField()
    views: int = fields.IntegerField(default=0)
    draft: bool = fields.BoolField(default=False)
    tag_id: int | None = fields.ForeignKey(Tag, null=True)

    objects: ClassVar[Manager[PostQuery]] = Manager(PostQuery)


@pytest.fixture
async def db() -> AsyncIterator[Database]:
    async with Database.from_url("sqlite://") as database:
        await database.create_tables([Tag, Post])
        await Post.objects.bulk_create(
            [{"title": f"p{n}", "views": n, "draft": n % 2 == 1} for n in range(10)]
        )
        yield database


class TestShapes:
    async def test_one_shape_is_compiled_once(self, db: Database) -> None:
        await Post.objects.filter(views__gt=3, title="x").order_by("-views")[2:5]
        _, misses, _ = db.compiled
        for number in range(20):
            query = Post.objects.filter(views__gt=number, title=f"{number}").order_by("-views")
            await query[number : number + 2 + number]
        assert db.compiled[1] == misses + 1  # a slice from 0 has no offset
        await Post.objects.filter(views__gte=3, title="x").order_by("-views")[2:5]
        assert db.compiled[1] == misses + 2

    async def test_lists_of_any_length_are_one_shape(self, db: Database) -> None:
        assert await Post.objects.filter(id__in=[]).count() == 0
        _, misses, _ = db.compiled
        for length in (1, 2, 7, 2000):
            assert await Post.objects.filter(id__in=range(length)).count() == min(length - 1, 10)
        assert db.compiled[1] == misses

    async def test_what_has_no_value_is_a_shape_of_its_own(self, db: Database) -> None:
        assert await Post.objects.filter(tag=1).count() == 0
        assert await Post.objects.filter(tag=None).count() == 10
        assert await Post.objects.filter(tag=2).count() == 0

    async def test_expressions_keep_their_values_out_of_the_shape(self, db: Database) -> None:
        await Post.objects.update(views=F("views") + 1)
        _, misses, _ = db.compiled
        for number in range(5):
            await Post.objects.update(views=F("views") + number)
        assert db.compiled[1] == misses
        await Post.objects.update(views=F("views") - 1)
        assert db.compiled[1] == misses + 1

    async def test_q_and_aggregates_too(self, db: Database) -> None:
        async def run(number: int) -> None:
            await Post.objects.filter(Q(views=number) | ~Q(title__icontains=str(number)), draft=True)
            await Post.objects.aggregate(n=Count(filter=Q(views__gt=number)))

        await run(0)
        _, misses, _ = db.compiled
        for number in range(1, 5):
            await run(number)
        assert db.compiled[1] == misses

    async def test_the_cache_is_bounded_and_belongs_to_the_database(self) -> None:
        async with Database.from_url("sqlite://", programs=4) as db:
            await db.create_tables([Tag, Post])
            for number in range(1, 12):
                await Post.objects.filter(*(Q(views=0) for _ in range(number)))
            assert db.compiled == (0, 11, 4)
        async with Database.from_url("sqlite://") as other:
            assert other.compiled == (0, 0, 0)

    async def test_a_hit_runs_no_sqlalchemy(self, db: Database) -> None:
        async def run(number: int) -> None:
            query = Post.objects.filter(views__gte=number, title__startswith="p").exclude(id__in=[number])
            await query.order_by("-id")[:5]
            await query[:3].fetch_json()
            await query.count()
            await Post.objects.get(id=number)
            await Post.objects.create(title="x")

        await run(1)
        called: list[str] = []

        def trace(frame: Any, event: str, argument: Any) -> None:
            if event == "call" and "sqlalchemy" in frame.f_code.co_filename:
                called.append(frame.f_code.co_name)

        sys.setprofile(trace)
        try:
            await run(2)
        finally:
            sys.setprofile(None)
        assert called == []

    async def test_models_of_the_same_name_do_not_share_programs(self, db: Database) -> None:
        def make(table: str) -> Any:
            class Thing(Model):
                id: int = fields.IDField()

                class Meta:
                    db_table = table

            return Thing

        one, other = make("one"), make("other")
        await db.create_tables([one, other])
        await one.objects.create()
        assert (await one.objects.count(), await other.objects.count()) == (1, 0)


class TestNativeExpressions:
    async def test_columns_are_sqlalchemy_columns(self, db: Database) -> None:
        async def titles(*conditions: Any) -> list[str]:
            return [post.title for post in await Post.objects.filter(*conditions).order_by("id")]

        assert await titles(Post.c.views >= 8) == ["p8", "p9"]
        assert await titles((Post.c.views == 3) | Post.c.title.in_(["p1", "p2", "nope"])) == [
            "p1",
            "p2",
            "p3",
        ]
        assert await titles(~Post.c.title.in_([f"p{n}" for n in range(9)])) == ["p9"]
        assert await titles(Post.c.views.between(2, 3), Q(draft=True)) == ["p3"]
        assert await titles(Post.c.title.like("p_"), Post.c.views + Post.c.id > 18) == ["p9"]
        assert await Post.objects.exclude(Post.c.views > 0).count() == 1

    async def test_columns_go_by_the_names_of_fields(self, db: Database) -> None:
        class Renamed(Model):
            id: int = fields.IDField()
            first: str = fields.StringField(db_column="fn")

        await db.create_tables([Renamed])
        await Renamed.objects.create(first="x")
        assert await Renamed.objects.filter(Renamed.c.first == "x").count() == 1
        assert Renamed.c is Renamed.c
        assert Renamed.c["first"] is Renamed.c.first
        with pytest.raises(AttributeError, match="There is no column `fn`; there are id, first"):
            Renamed.c.fn  # noqa: B018

    async def test_they_are_compiled_once_per_shape(self, db: Database) -> None:
        async def run(number: int) -> list[Post]:
            return await Post.objects.filter(
                (Post.c.views >= number) & Post.c.id.in_(range(number, 99)), title=f"p{number}"
            )

        await run(0)
        _, misses, _ = db.compiled
        assert [post.views for number in range(1, 6) for post in await run(number)] == [1, 2, 3, 4, 5]
        assert db.compiled[1] == misses


class TestBinding:
    async def test_without_a_database_the_error_says_what_to_do(self) -> None:
        with pytest.raises(NoDatabase, match=r"App\(database=...\).*with db.bind\(\):.*\.using\(db\)"):
            await Post.objects.get(id=1)
        with pytest.raises(NoDatabase):
            await Post(title="x").save()

    async def test_using_names_another(self, db: Database) -> None:
        other = Database.from_url("memory://")
        await other.connect()
        await other.create_tables([Tag, Post])
        assert await Post.objects.using(other).count() == 0
        await Post.objects.using(other).create(title="there")
        post = await Post(title="too").save(using=other)
        assert await post.delete(using=other)
        assert [post.title for post in await Post.objects.using(other)] == ["there"]
        assert await Post.objects.count() == 10
        with other.bind():
            assert await Post.objects.count() == 1
        async with db.transaction():
            await Post.objects.using(other).filter(title="there").delete()
        assert await Post.objects.using(other).count() == 0
        await other.close()

    async def test_tasks_inherit_the_binding(self, db: Database) -> None:
        assert await asyncio.create_task(Post.objects.count()) == 10


class TestManagers:
    async def test_a_query_class_of_ones_own(self, db: Database) -> None:
        assert await Post.objects.published().count() == 5
        posts = await Post.objects.filter(views__gt=3).published().order_by("-views")[:1]
        assert [post.title for post in posts] == ["p8"]

    def test_objects_is_the_same_query_each_time(self) -> None:
        assert Post.objects is Post.objects
        assert type(Post.objects) is PostQuery
        assert type(Tag.objects) is QuerySet


class TestDescriptions:
    def test_a_query_has_no_truth_value(self) -> None:
        with pytest.raises(TypeError, match=r"await query\.exists"):
            bool(Post.objects.filter(views=1))

    def test_queries_are_hashable_and_tell_what_they_are(self) -> None:
        assert repr(Tag.objects.filter(name="secret")) == "<QuerySet of Tag>"
        assert len({Tag.objects, Tag.objects.filter(name="x")}) == 2

    @pytest.mark.parametrize(
        ("make", "sentence"),
        [
            (lambda: Post.objects.order_by("nope"), "Post has no field `nope`"),
            (lambda: Post.objects.order_by("-views__gt"), "a field is wanted, not a comparison"),
            (lambda: Post.objects.values("nope"), "Post has no field `nope`"),
            (lambda: Post.objects.values_list(flat=True), "exactly one field"),
            (lambda: Post.objects.annotate(views=Count()), "Post has a `views` already"),
            (lambda: Post.objects.annotate(n=5), "takes an expression; a plain value is Value(...)"),
            (lambda: Post.objects.filter(5), "A condition is `name=value`, Q(...)"),
            (lambda: Post.objects.filter(tag=Tag(name="x")), "an unsaved Tag: it has no key yet"),
            (lambda: Post.objects.search("x"), "needs the names of the fields"),
            (lambda: Post.objects.filter(tag__in=Tag.objects.values("id", "name")), "a query of one column"),
        ],
    )
    def test_mistakes_are_found_while_describing(self, make: Any, sentence: str) -> None:
        with pytest.raises(FieldError) as caught:
            make()
        assert sentence in str(caught.value)

    async def test_mistakes_in_expressions_are_found_when_compiling(self, db: Database) -> None:
        with pytest.raises(FieldError, match="`nope`"):
            await Post.objects.filter(views=F("nope"))
        with pytest.raises(FieldError, match="combines numbers"):
            await Post.objects.update(views=F("views") + F("title"))

    def test_names_kept_resolved_are_bounded(self) -> None:
        class Doc(Model):
            id: int = fields.IDField()
            data: Any = fields.JSONField()

        for number in range(5000):
            Doc.objects.filter(**{f"data__k{number}": 1})
        assert len(Doc._meta.resolved) <= 2048

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("views__gte", int),
            ("views__in", list[int]),
            ("views__range", tuple[int, int]),
            ("title__icontains", str),
            ("tag__isnull", bool),
            ("tag", int),
            ("tag__name", str),
            ("draft", bool),
        ],
    )
    def test_the_type_a_lookup_compares_with(self, name: str, expected: Any) -> None:
        assert value_type(Post._meta, name) == expected

    async def test_json_of_renamed_and_hidden_fields(self, db: Database) -> None:
        class Odd(Model, rename="camel", omit_defaults=True):
            id: int = fields.IDField()
            first_name: str = fields.StringField(db_column="fn", default="")

        class Camel(Model, rename="camel"):
            id: int = fields.IDField()
            first_name: str = fields.StringField(db_column="fn%")

            class Meta:
                db_table = "order"

        await db.create_tables([Odd, Camel])
        await Odd.objects.bulk_create([{"first_name": ""}, {"first_name": "x"}])
        assert await Odd.objects.order_by("id").fetch_json() == b'[{"id":1},{"id":2,"firstName":"x"}]'
        await Camel.objects.create(first_name="x")
        assert await Camel.objects.fetch_json() == b'[{"id":1,"firstName":"x"}]'
        assert await Camel.objects.fetch_json() == msgspec.json.encode(await Camel.objects)


class LivePosts(Manager[PostQuery]):
    """The posts that are no drafts."""

    def start(self, model: type[Any]) -> PostQuery:
        return super().start(model).filter(draft=False)


class Article(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(max_length=5)
    draft: bool = fields.BoolField(default=False)

    objects: ClassVar[Manager[Any]] = LivePosts(PostQuery)


class TestPages:
    async def test_a_count_beside_a_page_is_of_the_query_with_its_own_limits(self, db: Database) -> None:
        top = Post.objects.order_by("-views")[:5]
        total, posts = await top.counted(3, 10)
        assert (total, [post.views for post in posts]) == (5, [6, 5])
        assert await top.counted_json(9) == (5, b"[]")


class TestManagersOfSomeRows:
    async def test_a_manager_of_some_rows_is_asked_every_time(self, db: Database) -> None:
        await db.create_tables([Article])
        await Article.objects.bulk_create([Article(title="live"), Article(title="draft", draft=True)])
        for _ in range(2):
            assert [article.title for article in await Article.objects] == ["live"]
            assert await Article.objects.count() == 1
            assert not await Article.objects.filter(title="draft").exists()


class TestWriting:
    @pytest.mark.parametrize("url", ["sqlite://", "memory://"])
    async def test_saving_some_fields_is_one_statement(self, url: str) -> None:
        async with Database.from_url(url) as database:
            await database.create_tables([Tag, Post])
            post = await Post.objects.create(title="a")
            engine: Any = database.engine
            trips: list[str] = []
            for name in ("fetch", "execute"):
                run = getattr(engine, name)

                async def counted(*args: Any, run: Any = run, **options: Any) -> Any:
                    trips.append(run.__name__)
                    return await run(*args, **options)

                setattr(engine, name, counted)
            post.title = "b"
            await post.save(only=["title"])
            assert trips == ["fetch"]
            await post.save()
            assert trips == ["fetch", "fetch"]

    async def test_a_value_that_does_not_fit_tells_its_field(self, db: Database) -> None:
        await db.create_tables([Article])
        with pytest.raises(InvalidValue) as raised:
            await Article.objects.create(title="too long")
        assert raised.value.field == "title"
        with pytest.raises(InvalidValue) as raised:
            await Post.objects.filter(title="a\0")
        assert raised.value.field == "title"


class TestMemory:
    async def test_a_row_is_found_by_its_key_without_looking_at_the_others(self) -> None:
        async with Database.from_url("memory://") as database:
            await database.create_tables([Tag, Post])
            await Post.objects.bulk_create([{"title": f"p{n}"} for n in range(5)])
            store = next(iter(store for store in database.engine.tables.stores.values() if store.rows))  # type: ignore[attr-defined]
            kept = store.rows
            looked_at: list[Any] = []

            class Watched(dict[Any, Any]):
                def values(self) -> Any:
                    looked_at.append("all")
                    return super().values()

            store.rows = Watched(kept)
            assert (await Post.objects.get(id=3)).title == "p2"
            assert await Post.objects.filter(pk=3, title="p1").exists() is False
            assert await Post.objects.filter(id=9).first() is None
            assert looked_at == []
            assert await Post.objects.filter(title="p1").count() == 1
            assert looked_at == ["all"]


class TestStreaming:
    async def test_a_long_stream_keeps_one_part_in_memory(self, tmp_path: Path) -> None:
        async with Database.from_url(f"sqlite:///{tmp_path}/long.db") as db:
            await db.create_tables([Tag, Post])
            tag = await Tag.objects.create(name="x")
            for start in range(0, 20_000, 5_000):
                await Post.objects.bulk_create(
                    {"title": f"{number:>200}", "tag_id": tag.id} for number in range(start, start + 5_000)
                )
            tracemalloc.start()
            try:
                seen = 0
                async for part in Post.objects.order_by("id").prefetch_related("tag").stream(size=100):
                    seen += len(part)
                    assert part[0].tag.name == "x"  # type: ignore[attr-defined]
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert seen == 20_000
            # All rows at once would be 20 000 x 0.5 KB and more.
            assert peak < 1_500_000
