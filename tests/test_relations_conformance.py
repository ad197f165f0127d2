"""Relations, expressions and rules of visibility: every engine answers alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from swift.engines import Database, IntegrityError, InvalidValue
from swift.models import (
    Avg,
    Case,
    Concat,
    Count,
    DenseRank,
    Exists,
    F,
    FieldError,
    FirstValue,
    Index,
    Lag,
    LastValue,
    Lead,
    Many,
    Max,
    Min,
    Model,
    NoTenant,
    Now,
    Ntile,
    NullIf,
    OuterRef,
    Prefetch,
    Q,
    Rank,
    Replace,
    RowNumber,
    SoftDelete,
    Subquery,
    Sum,
    TenantScoped,
    Timestamps,
    Trim,
    Unique,
    Value,
    When,
    Window,
    fields,
    prefetch,
    tenant,
)
from tests.test_engines_conformance import postgres as postgres


class Tag(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(unique=True)
    posts: Many[Any] = fields.Related()

    class Meta:
        ordering = ("name",)


class Writer(Model):
    id: int = fields.IDField()
    name: str = fields.StringField()
    mentor_id: int | None = fields.ForeignKey("self", null=True, related_name="pupils")
    posts: Many[Post] = fields.Related()
    reviews: Many[Post] = fields.Related()
    friends: Many[Writer] = fields.ManyToManyField("self")
    profile: Profile | None = fields.Related()


class Profile(Model):
    id: int = fields.IDField()
    writer_id: int = fields.OneToOneField(Writer, on_delete="cascade", related_name="profile")
    motto: str = fields.StringField()


class Post(Model):
    id: int = fields.IDField()
    title: str = fields.StringField()
    words: int = fields.PositiveIntegerField(default=0)
    price: Decimal = fields.MoneyField(default=Decimal("0.00"))
    labels: list[str] = fields.ArrayField(str, default_factory=list)
    writer_id: int = fields.ForeignKey(Writer, on_delete="cascade", related_name="posts")
    reviewer_id: int | None = fields.ForeignKey(Writer, null=True, related_name="reviews")
    tags: Many[Tag] = fields.ManyToManyField(Tag, related_name="posts")
    writer: Writer = fields.Related()

    class Meta:
        ordering = ("title",)


class Team(Model):
    id: int = fields.IDField()
    name: str = fields.StringField()
    members: Many[Writer] = fields.ManyToManyField(Writer, through="Membership", related_name="teams")


class Membership(Model):
    id: int = fields.IDField()
    team_id: int = fields.ForeignKey(Team, on_delete="cascade")
    writer_id: int = fields.ForeignKey(Writer, on_delete="cascade")
    role: str = fields.ChoiceField(["lead", "member"], default="member")

    class Meta:
        constraints = (Unique("team_id", "writer_id"),)


class Folder(SoftDelete):
    id: int = fields.IDField()
    name: str = fields.StringField()
    files: Many[File] = fields.Related()


class File(Timestamps, SoftDelete):
    id: int = fields.IDField()
    name: str = fields.StringField()
    folder_id: int = fields.ForeignKey(Folder, related_name="files", on_delete="cascade")
    folder: Folder | None = fields.Related()
    marks: Many[Mark] = fields.ManyToManyField("Mark", related_name="files")

    class Meta:
        indexes = (Index("folder_id", "name", unique=True, where="deleted_at IS NULL"),)


class Mark(SoftDelete):
    id: int = fields.IDField()
    name: str = fields.StringField()


class Company(Model):
    id: int = fields.IDField()


class Customer(TenantScoped):
    id: int = fields.IDField()
    tenant_id: int = fields.ForeignKey(Company, on_delete="cascade")
    name: str = fields.StringField()
    orders: Many[Order] = fields.Related()


class Order(TenantScoped):
    id: int = fields.IDField()
    tenant_id: int = fields.ForeignKey(Company, on_delete="cascade")
    customer_id: int = fields.ForeignKey(Customer, related_name="orders", on_delete="cascade")
    amount: int = fields.IntegerField(default=1)


def even(value: int) -> None:
    if value % 2:
        raise ValueError("an even number is wanted")


class Sorts(Model):
    id = fields.UUIDField(primary_key=True)
    slug: str = fields.SlugField(unique=True)
    small: int = fields.SmallIntegerField(default=0)
    count: int = fields.PositiveIntegerField(default=0)
    site: str | None = fields.URLField(null=True)
    path: str | None = fields.FilePathField(null=True)
    state: str = fields.ChoiceField([("new", "New"), ("old", "Old")], default="new")
    level: int = fields.ChoiceField([1, 2, 3], default=1)
    even: int = fields.IntegerField(default=0, validators=[even])
    percent: int = fields.IntegerField(default=0, check="percent <= 100")
    score: int = fields.IntegerField(db_default=7)
    label: str = fields.StringField(db_default="it's: new")
    open: bool = fields.BoolField(db_default=True)
    rate: Decimal = fields.DecimalField(max_digits=6, decimal_places=2, db_default=Decimal("1.5"))
    born = fields.DateTimeField(db_default=Now())


class Ward(Model):
    id: int = fields.IDField()
    keeper_id: int = fields.ForeignKey(Company, on_delete="set_default", db_default=1)


class Hooked(Model):
    id: int = fields.IDField()
    name: str = fields.StringField()

    async def before_save(self, *, created: bool) -> None:
        CALLS.append(("before_save", created))
        self.name = self.name.strip()

    def after_save(self, *, created: bool) -> None:
        CALLS.append(("after_save", created))
        if self.name == "bad":
            raise RuntimeError("bad")

    async def before_delete(self) -> None:
        CALLS.append(("before_delete", self.name))

    async def after_delete(self) -> None:
        CALLS.append(("after_delete", self.name))
        if self.name == "kept":
            raise RuntimeError("kept")


CALLS: list[tuple[str, Any]] = []

MODELS = [
    Tag, Writer, Profile, Post, Team, Membership, Folder, File, Mark, Company, Customer, Order, Sorts, Hooked, Ward,
]  # fmt: skip


class Counting:
    """Counts what a database is asked."""

    def __init__(self, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        fetch = db.engine.fetch

        async def counted(*given: Any, **named: Any) -> list[Any]:
            self.count += 1
            return await fetch(*given, **named)

        monkeypatch.setattr(db.engine, "fetch", counted)


@pytest.fixture(params=["sqlite", "memory", "postgresql", "postgresql+asyncpg"])
async def db(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    url = f"{request.param}://"
    if request.param.startswith("postgresql"):
        dsn: str = request.getfixturevalue("postgres")
        url = request.param + dsn.removeprefix("postgresql")
    async with Database.from_url(url) as database:
        if database.dialect == "postgresql":
            await database.drop_tables(MODELS)
        await database.create_tables(MODELS)
        yield database


@pytest.fixture
async def blog(db: Database) -> Database:
    ann = await Writer.objects.create(name="Ann")
    bob = await Writer.objects.create(name="Bob", mentor_id=ann.id)
    await Writer.objects.create(name="Cid", mentor_id=ann.id)
    await Profile.objects.create(writer_id=ann.id, motto="Onward")
    posts = await Post.objects.bulk_create(
        [
            {"title": "A", "words": 10, "price": Decimal("1.50"), "writer_id": ann.id},
            {
                "title": "B",
                "words": 20,
                "price": Decimal("10.00"),
                "writer_id": ann.id,
                "reviewer_id": bob.id,
            },
            {"title": "C", "words": 30, "price": Decimal("2.00"), "writer_id": bob.id, "reviewer_id": ann.id},
        ]
    )
    red, blue = await Tag.objects.bulk_create([{"name": "red"}, {"name": "blue"}])
    await posts[0].tags.add(red, blue)
    await posts[1].tags.add(red)
    return db


async def names(query: Any) -> list[str]:
    return [one.name for one in await query.order_by("name")]


class TestReverse:
    @pytest.mark.parametrize(
        ("lookups", "expected"),
        [
            ({"posts__title": "A"}, ["Ann"]),
            ({"posts__words__gte": 10}, ["Ann", "Bob"]),
            ({"posts__title": "A", "posts__words": 20}, []),  # of one and the same post
            ({"posts__title__in": ["A", "C"]}, ["Ann", "Bob"]),
            ({"posts__isnull": True}, ["Cid"]),
            ({"posts__isnull": False}, ["Ann", "Bob"]),
            ({"posts": None}, ["Cid"]),
            ({"posts": 3}, ["Bob"]),
            ({"posts__in": [1, 2]}, ["Ann"]),
            ({"posts__pk": 1}, ["Ann"]),
            ({"posts__tags__name": "blue"}, ["Ann"]),
            ({"posts__tags": 1, "posts__title": "B"}, ["Ann"]),
            ({"posts__reviewer__name": "Bob"}, ["Ann"]),
            ({"posts__reviewer__posts__title": "C"}, ["Ann"]),
            ({"pupils__name": "Cid"}, ["Ann"]),
            ({"mentor__posts__title": "B"}, ["Bob", "Cid"]),
            ({"mentor__profile__motto": "Onward"}, ["Bob", "Cid"]),
            ({"profile__motto": "Onward"}, ["Ann"]),
            ({"profile__isnull": True}, ["Bob", "Cid"]),
        ],
    )
    async def test_filters(self, blog: Database, lookups: dict[str, Any], expected: list[str]) -> None:
        assert await names(Writer.objects.filter(**lookups)) == expected
        assert await Writer.objects.filter(**lookups).count() == len(expected)  # no row twice
        left_out = await names(Writer.objects.exclude(**lookups))
        assert sorted([*expected, *left_out]) == ["Ann", "Bob", "Cid"]

    async def test_conditions_of_one_filter_are_of_one_row_and_of_two_of_any(self, blog: Database) -> None:
        assert await names(Writer.objects.filter(Q(posts__title="A") & Q(posts__words=20))) == []
        assert await names(Writer.objects.filter(posts__title="A").filter(posts__words=20)) == ["Ann"]
        assert await names(Writer.objects.filter(Q(posts__title="A") | Q(posts__words=30))) == ["Ann", "Bob"]
        assert await names(Writer.objects.filter(~Q(posts__words__lt=30))) == ["Bob", "Cid"]

    async def test_f_inside_a_relation_is_of_the_row_around(self, blog: Database) -> None:
        assert await names(Writer.objects.filter(posts__reviewer=F("mentor"))) == ["Bob"]
        assert await names(Writer.objects.filter(posts__words__gt=F("posts__price") * 5)) == ["Ann", "Bob"]

    async def test_changes_through_a_relation(self, blog: Database) -> None:
        assert await Writer.objects.filter(posts__title="C").update(name="Bea") == 1
        assert await Post.objects.filter(tags__name="blue").delete() == 1
        assert await Writer.objects.filter(posts=None).delete() == 1
        assert await names(Writer.objects.all()) == ["Ann", "Bea"]

    async def test_what_is_many_is_no_value_of_one_row(self, blog: Database) -> None:
        for query in (Writer.objects.order_by("posts__title"), Writer.objects.filter(name=F("posts__title"))):
            with pytest.raises(FieldError, match="is many Post objects"):
                await query
        with pytest.raises(FieldError, match="is many objects; load it with prefetch_related"):
            Writer.objects.select_related("posts")

    async def test_values_repeat_rows(self, blog: Database) -> None:
        query = Writer.objects.order_by("name", "posts__title").values_list("name", "posts__title")
        assert await query == [("Ann", "A"), ("Ann", "B"), ("Bob", "C"), ("Cid", None)]
        assert await query.count() == 4
        assert await Tag.objects.order_by("name", "posts__title").values_list("name", "posts__title") == [
            ("blue", "A"),
            ("red", "A"),
            ("red", "B"),
        ]
        with pytest.raises(FieldError, match="would multiply each other"):
            await Writer.objects.values("posts__title", "reviews__title")

    async def test_one_to_one_is_loaded_with_its_other_side(self, blog: Database) -> None:
        found = await Writer.objects.select_related("profile").order_by("id")
        assert [one.profile.motto if one.profile else None for one in found] == ["Onward", None, None]
        assert await names(Writer.objects.order_by("profile__motto")) == ["Ann", "Bob", "Cid"]
        with pytest.raises(AttributeError, match=r'Ask for it with `.select_related\("profile"\)`'):
            _ = (await Writer.objects.get(name="Ann")).profile
        with pytest.raises(IntegrityError):
            await Profile.objects.create(writer_id=1, motto="again")


class TestAggregates:
    async def test_of_two_relations_do_not_multiply(self, blog: Database) -> None:
        query = Writer.objects.annotate(
            posts_n=Count("posts"),
            pupils_n=Count("pupils"),
            tags_n=Count("posts__tags"),
            kinds=Count("posts__tags", distinct=True),
            words=Sum("posts__words"),
            dear=Max("posts__price"),
            long=Count("posts", filter=Q(posts__words__gt=10)),
            own=Count("posts", filter=Q(posts__title="A", name="Ann")),
        ).order_by("name")
        found = await query.values_list(
            "name", "posts_n", "pupils_n", "tags_n", "kinds", "words", "dear", "long", "own"
        )
        assert found == [
            ("Ann", 2, 2, 3, 2, 30, Decimal("10.00"), 1, 1),
            ("Bob", 1, 0, 0, 0, 30, Decimal("2.00"), 1, 0),
            ("Cid", 0, 0, 0, 0, None, None, 0, 0),
        ]
        assert await names(query.filter(posts_n=2)) == ["Ann"]
        assert [one.name for one in await query.order_by("-posts_n", "name")[:2]] == ["Ann", "Bob"]
        assert await query.filter(words__gte=30).count() == 2

    async def test_in_groups(self, blog: Database) -> None:
        query = Writer.objects.values("mentor__name").annotate(n=Count("posts"), words=Sum("posts__words"))
        assert await query.order_by("mentor__name") == [
            {"mentor__name": "Ann", "n": 1, "words": 30},
            {"mentor__name": None, "n": 2, "words": 30},
        ]
        assert await Tag.objects.values("name").annotate(mean=Avg("posts__words")).order_by("name") == [
            {"name": "blue", "mean": 10.0},
            {"name": "red", "mean": 15.0},
        ]
        with pytest.raises(FieldError, match="would multiply each other"):
            await Writer.objects.values("name").annotate(a=Count("posts"), b=Count("reviews"))

    async def test_over_all(self, blog: Database) -> None:
        assert await Writer.objects.aggregate(n=Count("posts"), least=Min("posts__words")) == {
            "n": 3,
            "least": 10,
        }
        assert await Writer.objects.filter(posts__title="A").aggregate(n=Count("posts")) == {"n": 2}


class TestPrefetch:
    async def test_one_query_per_relation(self, blog: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = Counting(blog, monkeypatch)
        found = await Writer.objects.prefetch_related("posts__tags", "mentor", "profile").order_by("id")
        assert asked.count == 5
        shown = [
            (one.name, [(post.title, [tag.name for tag in post.tags]) for post in one.posts]) for one in found
        ]
        assert shown == [
            ("Ann", [("A", ["blue", "red"]), ("B", ["red"])]),
            ("Bob", [("C", [])]),
            ("Cid", []),
        ]
        assert [one.mentor and one.mentor.name for one in found] == [None, "Ann", "Ann"]  # type: ignore[attr-defined]
        assert [one.profile and one.profile.motto for one in found] == ["Onward", None, None]
        assert found[0].posts[0].writer is found[0]
        assert await found[0].posts == found[0].posts.loaded
        assert await found[0].posts.count() == len(found[0].posts) == 2
        assert asked.count == 5

    async def test_a_query_of_what_is_prefetched(
        self, blog: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Counting(blog, monkeypatch)
        long = Prefetch("posts", Post.objects.filter(words__gt=10).order_by("-title"), to_attr="long")
        tags = Prefetch("posts__tags", Tag.objects.exclude(name="blue"))
        found = await Writer.objects.prefetch_related("posts", long, tags).order_by("id")
        assert asked.count == 4
        assert [[post.title for post in one.long] for one in found] == [["B"], ["C"], []]  # type: ignore[attr-defined]
        assert [[post.title for post in one.posts] for one in found] == [["A", "B"], ["C"], []]
        assert [[tag.name for tag in post.tags] for post in found[0].posts] == [["red"], ["red"]]
        with pytest.raises(FieldError, match="a slice would be one of all related objects"):
            Prefetch("posts", Post.objects.all()[:3])
        with pytest.raises(FieldError, match="wants a query of Post"):
            Writer.objects.prefetch_related(Prefetch("posts", Tag.objects.all()))
        with pytest.raises(FieldError, match="Writer has no relation `name` to load"):
            Writer.objects.prefetch_related("name")

    async def test_beside_select_related(self, blog: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = Counting(blog, monkeypatch)
        found = await Post.objects.select_related("writer").prefetch_related("writer__posts")
        assert asked.count == 2
        assert [[post.title for post in one.writer.posts] for one in found] == [["A", "B"], ["A", "B"], ["C"]]

    async def test_of_objects_that_are_there(self, blog: Database) -> None:
        found = await Writer.objects.order_by("id")
        await prefetch(found, "posts__tags", "friends")
        assert [tag.name for tag in found[0].posts[0].tags] == ["blue", "red"]
        assert list(found[0].friends) == []
        await prefetch([], "posts")

    async def test_in_streams_pages_and_get(self, blog: Database) -> None:
        query = Writer.objects.prefetch_related("posts").order_by("id")
        assert [len(one.posts) async for one in query] == [2, 1, 0]
        _, page = await query.counted(0, 2)
        assert [len(one.posts) for one in page] == [2, 1]
        assert len((await query.get(name="Ann")).posts) == 2

    async def test_what_is_not_loaded_says_so(self, blog: Database) -> None:
        ann = await Writer.objects.get(name="Ann")
        with pytest.raises(AttributeError, match=r'Ask for it with `.prefetch_related\("posts"\)`'):
            list(ann.posts)
        assert [post.title for post in await ann.posts] == ["A", "B"]
        assert [post.title async for post in ann.posts] == ["A", "B"]
        assert msgspec.json.encode(ann) == b'{"id":1,"name":"Ann","mentor_id":null}'
        with pytest.raises(AttributeError, match="is changed by `await posts"):
            ann.posts = []  # type: ignore[assignment]


class TestOneObject:
    async def test_setting_the_object_sets_its_key(self, blog: Database) -> None:
        post = await Post.objects.select_related("writer", "reviewer").get(title="A")
        bob = await Writer.objects.get(name="Bob")
        post.writer = bob
        post.reviewer = bob  # type: ignore[attr-defined]
        assert (post.writer_id, post.writer.name) == (bob.id, "Bob")
        await post.save()
        assert (await Post.objects.get(title="A")).writer_id == bob.id
        post.reviewer = None  # type: ignore[attr-defined]
        assert post.reviewer_id is None
        with pytest.raises(FieldError, match="save it first"):
            post.writer = Writer(name="new")

    async def test_a_changed_key_makes_it_not_loaded(self, blog: Database) -> None:
        post = await Post.objects.select_related("writer").get(title="A")
        post.writer_id = 2
        with pytest.raises(AttributeError, match=r"Post.writer is not loaded"):
            _ = post.writer
        post.writer_id = 1
        assert post.writer.name == "Ann"
        await post.refresh()
        with pytest.raises(AttributeError, match=r"Post.writer is not loaded"):
            _ = post.writer

    async def test_a_loaded_object_keeps_what_is_not_there(self, blog: Database) -> None:
        post = await Post.objects.select_related("reviewer").get(title="A")
        assert post.reviewer is None  # type: ignore[attr-defined]
        found = await Writer.objects.prefetch_related("mentor").get(name="Ann")
        assert found.mentor is None  # type: ignore[attr-defined]


class TestMany:
    async def test_changes(self, blog: Database) -> None:
        post, red = await Post.objects.get(title="C"), await Tag.objects.get(name="red")
        await post.tags.add(red)
        await post.tags.add(red, red.id)
        assert await names(post.tags.all()) == ["red"]
        green = await post.tags.create(name="green")
        assert await post.tags.filter(name="green").exists()
        assert await post.tags.remove(red) == 1
        assert await names(post.tags.all()) == ["green"]
        await post.tags.set([red, await Tag.objects.get(name="blue")])
        assert await names(post.tags.all()) == ["blue", "red"]
        assert await names(green.posts.all()) == [] if await green.posts.exists() else True
        assert await post.tags.clear() == 2
        assert await post.tags.count() == 0
        assert await Tag.objects.count() == 3

    async def test_both_directions_and_to_itself(self, blog: Database) -> None:
        red = await Tag.objects.get(name="red")
        assert [post.title for post in await red.posts] == ["A", "B"]
        ann, bob = await Writer.objects.get(name="Ann"), await Writer.objects.get(name="Bob")
        await ann.friends.add(bob)
        assert await names(ann.friends.all()) == ["Bob"]
        assert await names(bob.friends.all()) == []
        assert await names(Writer.objects.filter(friends__name="Bob")) == ["Ann"]

    async def test_a_declared_model_between(self, blog: Database) -> None:
        team = await Team.objects.create(name="red")
        ann = await Writer.objects.get(name="Ann")
        await team.members.add(ann, through={"role": "lead"})
        assert (await Membership.objects.get()).role == "lead"
        assert await names(Team.objects.filter(members__name="Ann")) == ["red"]
        assert await names(Writer.objects.filter(teams__name="red")) == ["Ann"]
        found = await Team.objects.prefetch_related("members").get()
        assert [one.name for one in found.members] == ["Ann"]

    async def test_the_far_side_of_a_foreign_key(self, blog: Database) -> None:
        ann, bob = await Writer.objects.get(name="Ann"), await Writer.objects.get(name="Bob")
        made = await bob.posts.create(title="D")
        assert made.writer_id == bob.id
        await ann.posts.add(made)
        assert (await Post.objects.get(title="D")).writer_id == ann.id
        with pytest.raises(FieldError, match="is never NULL"):
            await ann.posts.remove(made)
        await ann.reviews.add(made)
        assert await ann.reviews.remove(made) == 1
        assert (await made.refresh()).reviewer_id is None

    async def test_rows_between_go_with_their_ends(self, blog: Database) -> None:
        await Post.objects.filter(title="A").delete()
        assert [post.title for post in await (await Tag.objects.get(name="red")).posts] == ["B"]
        with pytest.raises(FieldError, match="save the Post first"):
            Post(title="new", writer_id=1).tags.all()


class TestExpressions:
    async def test_exists(self, blog: Database) -> None:
        tagged = Exists(Tag.objects.filter(posts=OuterRef("pk"), name="blue"))
        assert [post.title for post in await Post.objects.filter(tagged)] == ["A"]
        assert [post.title for post in await Post.objects.filter(~tagged)] == ["B", "C"]
        assert [post.title for post in await Post.objects.filter(tagged | Q(words=30))] == ["A", "C"]
        found = await Post.objects.annotate(blue=tagged).values_list("title", "blue")
        assert found == [("A", True), ("B", False), ("C", False)]
        same = Post.objects.filter(writer=OuterRef("writer"), words__gt=OuterRef("words"))
        assert [post.title for post in await Post.objects.filter(Exists(same))] == ["A"]
        with pytest.raises(FieldError, match="stands in a query that is no subquery"):
            await Post.objects.filter(writer=OuterRef("pk"))

    async def test_subquery(self, blog: Database) -> None:
        last = Post.objects.filter(writer=OuterRef("pk")).order_by("-words").values_list("title")
        query = Writer.objects.annotate(last=Subquery(last)).order_by("name")
        assert await query.values_list("name", "last") == [("Ann", "B"), ("Bob", "C"), ("Cid", None)]
        assert await names(query.filter(last="B")) == ["Ann"]
        most = Post.objects.order_by("-words").values_list("words")[:1]
        assert [post.title for post in await Post.objects.filter(words=Subquery(most))] == ["C"]
        total = Post.objects.filter(writer=OuterRef("writer")).values("writer").annotate(n=Count())
        found = await Post.objects.annotate(of=Subquery(total.values_list("n"))).values_list("title", "of")
        assert found == [("A", 2), ("B", 2), ("C", 1)]

    async def test_case(self, blog: Database) -> None:
        size = Case(
            When(words__lt=15, then=Value("short")),
            When(Q(words__lt=25) & Q(reviewer__name="Bob"), then=Value("middle")),
            default=Value("long"),
        )
        query = Post.objects.annotate(size=size)
        assert await query.values_list("size", flat=True) == ["short", "middle", "long"]
        assert [post.title for post in await query.filter(size="long")] == ["C"]
        assert (
            await Post.objects.filter(tags__name="red").update(
                words=Case(When(title="A", then=F("words") + 1), default=Value(0))
            )
            == 2
        )
        assert await Post.objects.values_list("words", flat=True) == [11, 0, 30]
        counted = await Post.objects.aggregate(n=Sum(Case(When(tags=None, then=Value(1)), default=Value(0))))
        assert counted == {"n": 1}

    async def test_windows(self, blog: Database) -> None:
        def over(of: Any, **given: Any) -> Window:
            return Window(of, **given)

        query = Post.objects.annotate(
            number=over(RowNumber(), order_by="-words"),
            place=over(Rank(), partition_by="writer", order_by=["-price"]),
            dense=over(DenseRank(), order_by="writer__name"),
            half=over(Ntile(2), order_by="title"),
            before=over(Lag("title"), order_by="title"),
            behind=over(Lead("words", 2), order_by="title"),
            first=over(FirstValue("title"), partition_by="writer", order_by="-title"),
            last=over(LastValue("title"), order_by="title"),
            running=over(Sum("price"), order_by="title"),
            total=over(Sum("words"), partition_by="writer"),
            n=over(Count()),
        )
        names = ("title", "number", "place", "dense", "half", "before", "behind", "first", "last", "running")
        assert await query.values_list(*names, "total", "n") == [
            ("A", 3, 2, 1, 1, None, 30, "B", "A", Decimal("1.50"), 30, 3),
            ("B", 2, 1, 1, 1, "A", None, "B", "B", Decimal("11.50"), 30, 3),
            ("C", 1, 1, 2, 2, "B", None, "C", "C", Decimal("13.50"), 30, 3),
        ]
        with pytest.raises(FieldError, match="compares a window function"):
            await query.filter(number=1)

    async def test_functions_of_text(self, blog: Database) -> None:
        await Writer.objects.filter(name="Ann").update(name="  Ann ")
        query = Writer.objects.annotate(
            trimmed=Trim("name"),
            other=Replace("name", "n", "m"),
            both=Concat("name", Value("/"), "mentor__name"),
            none=NullIf("name", "Cid"),
        ).order_by("id")
        assert await query.values_list("trimmed", "other", "both", "none") == [
            ("Ann", "  Amm ", "  Ann /", "  Ann "),
            ("Bob", "Bob", "Bob/  Ann ", "Bob"),
            ("Cid", "Cid", "Cid/  Ann ", None),
        ]

    async def test_items_of_arrays(self, blog: Database) -> None:
        await Post.objects.filter(title="A").update(labels=["x", "y"])
        await Post.objects.filter(title="B").update(labels=["y"])

        async def found(**lookups: Any) -> list[str]:
            return [post.title for post in await Post.objects.filter(**lookups)]

        assert await found(labels__has_item="x") == ["A"]
        assert await found(labels__contains_all=["y", "x"]) == ["A"]
        assert await found(labels__contains_all=["y"]) == ["A", "B"]
        assert await found(labels__contains_all=[]) == ["A", "B", "C"]
        assert await found(labels__overlap=["x", "z"]) == ["A"]
        assert await found(labels__0="y") == ["B"]


class TestCombined:
    async def test_union_intersection_difference(self, blog: Database) -> None:
        one, two = Post.objects.filter(words__lte=20), Post.objects.filter(words__gte=20)

        async def shown(query: Any) -> str:
            return "".join(post.title for post in await query)

        assert await shown(one.union(two)) == "ABC"
        assert await shown(one.union(two, all=True).order_by("-title")) == "CBBA"
        assert await shown(one.intersection(two)) == "B"
        assert await shown(one.difference(two)) == "A"
        assert await one.union(two).count() == 3
        assert await shown(one.union(two).filter(writer__name="Ann").order_by("-words")[:1]) == "B"
        assert await shown(Post.objects.all()[:1].union(Post.objects.reverse()[:1])) == "AC"
        assert await one.union(two).values_list("title", flat=True) == ["A", "B", "C"]
        assert (await one.union(two).prefetch_related("tags"))[0].tags[0].name == "blue"
        assert await one.union(two).fetch_json() == msgspec.json.encode(await one.union(two))
        with pytest.raises(FieldError, match="are read, not changed"):
            await one.union(two).delete()
        with pytest.raises(FieldError, match="combines queries of Post objects"):
            one.union(Tag.objects.all())  # type: ignore[arg-type]


class TestPartOfAnObject:
    async def test_only_and_defer(self, blog: Database) -> None:
        post = await Post.objects.only("title").get(title="A")
        assert (post.id, post.title, post.words) == (1, "A", msgspec.UNSET)
        assert msgspec.json.encode(post) == b'{"id":1,"title":"A"}'
        assert await Post.objects.only("title").filter(title="A").fetch_json() == b'[{"id":1,"title":"A"}]'
        post.title = "New"
        await post.save()
        whole = await Post.objects.get(pk=1)
        assert (whole.title, whole.words, whole.writer_id) == ("New", 10, 1)
        assert (await Post.objects.defer("words", "labels").get(pk=1)).words is msgspec.UNSET
        with pytest.raises(FieldError, match="Post has no field `nope`"):
            Post.objects.only("nope")

    async def test_in_bulk_earliest_latest(self, blog: Database) -> None:
        assert {key: one.title for key, one in (await Post.objects.in_bulk([1, 3, 9])).items()} == {
            1: "A",
            3: "C",
        }
        assert set(await Tag.objects.in_bulk(field="name")) == {"red", "blue"}
        assert (await Post.objects.earliest("words")).title == "A"
        assert (await Post.objects.latest("words")).title == "C"
        with pytest.raises(Post.DoesNotExist):
            await Post.objects.none().latest("words")
        with pytest.raises(FieldError, match="is not unique"):
            await Post.objects.in_bulk(field="title")


class TestUpserts:
    async def test_bulk_create_updates_what_clashes(self, blog: Database) -> None:
        made = await Tag.objects.bulk_create(
            [{"name": "red"}, {"name": "green"}], on_conflict="update", conflict=["name"], update=["name"]
        )
        assert [one.name for one in made] == ["red", "green"]
        assert made[0].id == 1
        assert await Tag.objects.count() == 3
        await Post.objects.bulk_create(
            [Post(id=1, title="A2", words=1, writer_id=1)], on_conflict="update", update=["title"]
        )
        post = await Post.objects.get(pk=1)
        assert (post.title, post.words) == ("A2", 10)
        left = await Tag.objects.bulk_create([{"name": "red"}, {"name": "grey"}], on_conflict="ignore")
        assert [one.name for one in left] == ["grey"]


class TestSoftDelete:
    @pytest.fixture
    async def files(self, db: Database) -> Database:
        one, two = await Folder.objects.bulk_create([{"name": "one"}, {"name": "two"}])
        made = await File.objects.bulk_create(
            [
                {"name": "a", "folder_id": one.id},
                {"name": "b", "folder_id": one.id},
                {"name": "c", "folder_id": two.id},
            ]
        )
        mark = await Mark.objects.create(name="m")
        for file in made:
            await file.marks.add(mark)
        return db

    async def test_deleted_rows_are_nowhere(self, files: Database) -> None:
        file = await File.objects.get(name="a")
        assert await file.delete()
        assert file.is_deleted
        assert not await file.delete()
        assert await names(File.objects.all()) == ["b", "c"]
        assert await File.objects.count() == 2
        assert await File.objects.aggregate(n=Count()) == {"n": 2}
        assert msgspec.json.decode(await File.objects.order_by("id").values("name").fetch_json()) == [
            {"name": "b"},
            {"name": "c"},
        ]
        with pytest.raises(File.DoesNotExist):
            await File.objects.get(name="a")
        assert await File.objects.filter(name="a").update(name="z") == 0
        assert await names(File.objects.with_deleted()) == ["a", "b", "c"]
        assert await names(File.objects.only_deleted()) == ["a"]

    async def test_nor_found_through_relations(self, files: Database) -> None:
        await File.objects.filter(name="a").delete()
        await Folder.objects.filter(name="two").delete()
        one = await Folder.objects.prefetch_related("files").get(name="one")
        assert [file.name for file in one.files] == ["b"]
        assert await names(one.files.all()) == ["b"]
        assert await Folder.objects.filter(files__name="a").count() == 0
        counted = await Folder.objects.annotate(n=Count("files")).values_list("name", "n")
        assert counted == [("one", 1)]
        assert await names(File.objects.filter(folder__name="two")) == []
        assert await names(File.objects.filter(folder__id=2)) == []
        loaded = await File.objects.select_related("folder").order_by("name")
        assert [file.folder.name if file.folder else None for file in loaded] == ["one", None]
        mark = await Mark.objects.prefetch_related("files").get()
        assert sorted(file.name for file in mark.files) == ["b", "c"]  # type: ignore[attr-defined]
        assert await Mark.objects.annotate(n=Count("files")).values_list("n", flat=True) == [2]
        assert await Mark.objects.filter(files__name="a").count() == 0
        await mark.delete()
        assert await File.objects.filter(marks__isnull=False).count() == 0
        assert await (await File.objects.get(name="b")).marks == []

    async def test_restored_and_gone(self, files: Database) -> None:
        file = await File.objects.get(name="a")
        await file.delete()
        again = await File.objects.create(name="a", folder_id=1)  # the unique index is of what is left
        with pytest.raises(IntegrityError):
            await file.restore()
        assert await again.hard_delete()
        assert await file.restore() is file
        assert not file.is_deleted
        assert await File.objects.count() == 3
        assert await File.objects.filter(folder__name="one").delete() == 2
        assert await File.objects.restore() == 2
        with pytest.raises(FieldError, match="Tag is no SoftDelete model"):
            Tag.objects.with_deleted()

    async def test_timestamps(self, files: Database) -> None:
        file = await File.objects.get(name="a")
        made, before = file.created_at, file.updated_at
        await file.save()
        assert file.created_at == made
        assert file.updated_at > before


class TestTenants:
    @pytest.fixture
    async def shops(self, db: Database) -> Database:
        await Company.objects.bulk_create([Company(id=1), Company(id=2)])
        for key, name in ((1, "Ann"), (2, "Bob")):
            with tenant(key):
                customer = await Customer.objects.create(name=name)
                await Order.objects.bulk_create([{"customer_id": customer.id, "amount": key}])
        return db

    async def test_rows_are_those_of_the_tenant(self, shops: Database) -> None:
        with tenant(1):
            assert await names(Customer.objects.all()) == ["Ann"]
            assert await Order.objects.filter(customer__name="Bob").count() == 0
            assert await Customer.objects.filter(orders__amount=2).count() == 0
            assert await Order.objects.update(amount=9) == 1
            assert await Customer.objects.exclude(name="Ann").delete() == 0
            made = await Customer.objects.create(name="Eve")
            assert made.tenant_id == 1
        with tenant(2):
            assert await names(Customer.objects.all()) == ["Bob"]
            assert await Order.objects.values_list("amount", flat=True) == [2]
        assert await Customer.objects.all_tenants().count() == 3

    async def test_without_a_tenant_nothing_is_given(self, shops: Database) -> None:
        for query in (Customer.objects.all(), Customer.objects.filter(orders__amount=1)):
            with pytest.raises(NoTenant):
                await query
        with pytest.raises(NoTenant):
            await Customer.objects.create(name="x")

    async def test_another_tenants_rows_are_not_written(self, shops: Database) -> None:
        bob = await Customer.objects.all_tenants().get(name="Bob")
        with tenant(1):
            with pytest.raises(InvalidValue, match=r"Customer\.tenant_id is not the current tenant"):
                await bob.save()
            with pytest.raises(Customer.DoesNotExist):
                await Customer(id=bob.id, name="stolen").save()
            with pytest.raises(FieldError, match="says whose the object is"):
                await Customer.objects.update(tenant_id=2)
            assert not await bob.delete()
        with tenant(2):
            assert (await Customer.objects.get()).name == "Bob"

    async def test_one_shape_serves_all_tenants_at_once(self, shops: Database) -> None:
        async def ask(key: int) -> list[str]:
            with tenant(key):
                await asyncio.sleep(0)
                return await Customer.objects.filter(orders__amount=key).values_list("name", flat=True)

        await ask(1)
        _, misses, _ = shops.compiled
        assert await asyncio.gather(ask(1), ask(2), ask(1)) == [["Ann"], ["Bob"], ["Ann"]]
        assert shops.compiled[1] == misses


class TestSorts:
    async def test_the_database_fills_in(self, db: Database) -> None:
        made = await Sorts.objects.create(slug="a")
        assert (made.score, made.label, made.open, made.rate) == (7, "it's: new", True, Decimal("1.50"))
        assert made.born is not None
        assert made.id.version == 7
        other = await Sorts.objects.create(slug="b", score=0, open=False)
        assert (other.score, other.open) == (0, False)
        assert other.id > made.id
        both = await Sorts.objects.bulk_create([{"slug": "c"}, {"slug": "d", "score": 1}])
        assert [one.score for one in both] == [7, 1]

    @pytest.mark.parametrize(
        ("name", "value", "sentence"),
        [
            ("small", 40_000, "Sorts.small expects an integer of 16 bits, got a larger one."),
            ("count", -1, "Sorts.count expects an integer of at least 0."),
            ("count", 2**31, "Sorts.count expects an integer of 32 bits, got a larger one."),
            ("state", "lost", "Sorts.state expects one of 'new', 'old'."),
            ("level", 4, "Sorts.level expects one of 1, 2, 3."),
            ("even", 3, "Sorts.even: an even number is wanted"),
            ("slug", "a\0b", "Sorts.slug expects text without NUL characters."),
        ],
    )
    async def test_what_does_not_fit_never_reaches_the_database(
        self, db: Database, name: str, value: Any, sentence: str
    ) -> None:
        with pytest.raises(InvalidValue) as caught:
            await Sorts.objects.create(**{"slug": "a", name: value})
        assert str(caught.value) == sentence
        assert caught.value.field == name
        made = await Sorts.objects.create(slug="a")
        with pytest.raises(InvalidValue):
            await Sorts.objects.update(**{name: value})
        setattr(made, name, value)
        with pytest.raises(InvalidValue):
            await made.save()

    async def test_the_default_takes_the_place_of_what_is_deleted(self, db: Database) -> None:
        await Company.objects.bulk_create([Company(id=1), Company(id=2)])
        assert (await Ward.objects.create()).keeper_id == 1
        ward = await Ward.objects.create(keeper_id=2)
        await Company.objects.filter(id=2).delete()
        assert (await ward.refresh()).keeper_id == 1
        with pytest.raises(IntegrityError):  # the default itself is referred to
            await Company.objects.filter(id=1).delete()

    async def test_checks_of_columns(self, db: Database) -> None:
        with pytest.raises(IntegrityError) as caught:
            await Sorts.objects.create(slug="a", percent=101)
        assert caught.value.kind == "check"
        await Sorts.objects.create(slug="a", count=1)
        with pytest.raises(IntegrityError):
            await Sorts.objects.update(count=F("count") - 2)


class TestHooks:
    async def test_hooks_run_around_every_change_of_an_object(self, db: Database) -> None:
        CALLS.clear()
        await Hooked.objects.update_or_create({"name": "x"}, id=9)
        await Hooked.objects.update_or_create({"name": "y"}, id=9)
        assert CALLS == [
            ("before_save", True),
            ("after_save", True),
            ("before_save", False),
            ("after_save", False),
        ]
        await Hooked.objects.all().delete()
        CALLS.clear()
        made = await Hooked.objects.create(name=" a ")
        assert (made.name, (await Hooked.objects.get()).name) == ("a", "a")
        await made.save()
        await Hooked(name="b").save()
        await Hooked.objects.bulk_create([{"name": "c"}])
        await made.delete()
        saved = [("before_save", True), ("after_save", True)]
        assert [
            *saved,
            ("before_save", False),
            ("after_save", False),
            *saved,
            *saved,
            ("before_delete", "a"),
            ("after_delete", "a"),
        ] == CALLS

    async def test_a_hook_that_raises_undoes_the_change(self, db: Database) -> None:
        with pytest.raises(RuntimeError):
            await Hooked.objects.create(name="bad")
        with pytest.raises(RuntimeError):
            await Hooked.objects.bulk_create([{"name": "good"}, {"name": "bad"}])
        assert await Hooked.objects.count() == 0
        kept = await Hooked.objects.create(name="kept")
        with pytest.raises(RuntimeError):
            await kept.delete()
        assert await Hooked.objects.count() == 1


class TestHooksOfTransactions:
    async def test_on_commit_runs_when_it_is_kept(self, db: Database) -> None:
        done: list[str] = []

        async def later() -> None:
            done.append(f"{await Tag.objects.count()} tags")

        async with db.transaction():
            await db.on_commit(lambda: done.append("first"))
            await db.on_commit(later)
            await Tag.objects.create(name="x")
            with pytest.raises(RuntimeError):
                async with db.transaction():
                    await db.on_commit(lambda: done.append("never"))
                    raise RuntimeError
            async with db.transaction():
                await db.on_commit(lambda: done.append("inner"))
            assert done == []
        assert done == ["first", "1 tags", "inner"]
        with pytest.raises(RuntimeError):
            async with db.transaction():
                await db.on_commit(lambda: done.append("never"))
                raise RuntimeError
        await db.on_commit(lambda: done.append("now"))
        assert done[3:] == ["now"]

    async def test_a_failing_hook_leaves_the_transaction_kept(self, db: Database) -> None:
        def fail() -> None:
            raise RuntimeError("hook")

        done: list[str] = []
        with pytest.raises(RuntimeError, match="hook"):
            async with db.transaction():
                await Tag.objects.create(name="x")
                await db.on_commit(fail)
                await db.on_commit(lambda: done.append("other"))
        assert done == ["other"]
        assert await Tag.objects.count() == 1

    async def test_a_transaction_that_clashes_is_begun_anew(self, db: Database) -> None:
        from swift.engines import RetryError

        attempts = 0

        async def work() -> int:
            nonlocal attempts
            attempts += 1
            await Tag.objects.create(name=f"x{attempts}")
            if attempts < 3:
                raise RetryError("clash")
            return attempts

        assert await db.transact(work) == 3
        assert await Tag.objects.count() == 1
        attempts = -10
        with pytest.raises(RetryError):
            await db.transact(work, retries=1)
        attempts = 0
        with pytest.raises(RetryError):
            async with db.transaction():
                await db.transact(work)
        assert attempts == 1
