"""What a type checker knows of models: `await User.objects.get(id=1)` is a User, not Any."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MODELS = """
from __future__ import annotations

from enum import Enum
from typing import ClassVar, reveal_type

from swift.models import Count, F, Many, Manager, Model, Prefetch, Q, QuerySet, fields


class Colour(Enum):
    RED = "red"


class Author(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(max_length=5)


class PostQuery(QuerySet["Post"]):
    def published(self) -> PostQuery:
        return self.filter(draft=False)


class Post(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(max_length=5, unique=True)
    nick: str | None = fields.StringField(null=True)
    colour: Colour = fields.EnumField(Colour, default=Colour.RED)
    tags: list[str] = fields.ArrayField(str, default_factory=list)
    author_id: int = fields.ForeignKey(Author)
    author: Author = fields.Related()
    others: Many[Author] = fields.ManyToManyField(Author)
    small = fields.SmallIntegerField(default=0)
    price = fields.MoneyField(null=True)
    slug = fields.SlugField()
    bare = fields.IntegerField()
    bare_null = fields.BoolField(null=True)

    objects: ClassVar[Manager[PostQuery]] = Manager(PostQuery)


async def probe() -> None:
"""

EXPECTED = [
    ("await Author.objects.get(id=1)", "probe.Author"),
    ('await Author.objects.filter(Q(name="x") | Q(id=1)).order_by("-id")[:5]', "list[probe.Author]"),
    ("await Author.objects.first()", "probe.Author | None"),
    ("await Author.objects.all()[0]", "probe.Author"),
    ('await Author.objects.create(name="x")', "probe.Author"),
    ('await Author.objects.get_or_create(name="x")', "tuple[probe.Author, bool]"),
    ('await Author.objects.values("id")', "list[dict[str, Any]]"),
    ('await Author.objects.values_list("id")', "list[tuple[Any, ...]]"),
    ('await Author.objects.values_list("id", flat=True)', "list[Any]"),
    ("await Author.objects.counted()", "tuple[int, list[probe.Author]]"),
    ("await Author.objects.fetch_json()", "bytes"),
    ("[one async for one in Author.objects.all()]", "list[probe.Author]"),
    ('await Author(name="x").save()', "probe.Author"),
    ("Post.objects.published()", "probe.PostQuery"),
    ("(await Post.objects.published().get(id=1)).bare", "int"),
    ("(await Post.objects.get(id=1)).bare_null", "bool | None"),
    ("(await Post.objects.get(id=1)).author.name", "str"),
    ('await Post.objects.update(bare=F("bare") + 1)', "int"),
    ("(await Post.objects.get(id=1)).small", "int"),
    ("(await Post.objects.get(id=1)).price", "decimal.Decimal | None"),
    ("(await Post.objects.get(id=1)).slug", "str"),
    ("await (await Post.objects.get(id=1)).others", "list[probe.Author]"),
    ("[one for one in (await Post.objects.get(id=1)).others]", "list[probe.Author]"),
    ('await Post.objects.prefetch_related("others").published()', "list[probe.Post]"),
    ("await Post.objects.filter(id=1).union(Post.objects.filter(id=2))", "list[probe.Post]"),
    ("await Author.objects.in_bulk([1])", "dict[Any, probe.Author]"),
    ('await Author.objects.latest("id")', "probe.Author"),
    ('await Author.objects.raw("SELECT * FROM author")', "list[probe.Author]"),
    ('await Author.objects.bulk_create([{"name": "x"}], on_conflict="update")', "list[probe.Author]"),
]
WRONG = [
    ('Author(nam="x")', "Unexpected keyword argument"),
    ("Author(name=5)", "incompatible type"),
    ("(await Author.objects.get(id=1)).nope", "has no attribute"),
    ("x: int | None = fields.StringField(null=True)", "Incompatible types in assignment"),
]


def test_mypy_knows_what_queries_give(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    lines = [f"    reveal_type({expression})" for expression, _ in EXPECTED]
    lines += [f"    {statement}" for statement, _ in WRONG]
    (tmp_path / "probe.py").write_text(MODELS + "\n".join(lines) + "\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache")]
    done = subprocess.run(
        [*command, "--config-file", "", str(tmp_path / "probe.py")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    notes = [line for line in done.stdout.splitlines() if "Revealed type" in line]
    assert [note.split('"')[1] for note in notes] == [expected for _, expected in EXPECTED], done.stdout
    errors = [line for line in done.stdout.splitlines() if "probe.py" in line and ": error:" in line]
    assert len(errors) == len(WRONG), done.stdout
    assert all(text in error for error, (_, text) in zip(errors, WRONG, strict=True)), done.stdout
