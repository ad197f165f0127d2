# app.py
"""A library: everybody reads, members add books, and a book is changed by who added it."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from swift import App, Model, Schema, Unauthorized, fields
from swift.auth import BearerJWT, hash_password, password_verifier
from swift.permissions import AllowAny, IsAdmin, IsAuthenticated, IsOwner
from swift.serializers import Serializer
from swift.viewsets import AutoRouter, CreateOnlyViewSet, ModelViewSet, action


class Member(Model):
    id: int = fields.IDField()
    name: str = fields.StringField(min_length=1, max_length=50, unique=True)
    password: str = fields.StringField(min_length=8, max_length=200)
    is_admin: bool = fields.BoolField(default=False)


class Book(Model):
    id: int = fields.IDField()
    title: str = fields.StringField(min_length=1, max_length=200)
    author: str = fields.StringField(max_length=100)
    pages: int = fields.IntegerField(ge=1, le=100_000)
    in_print: bool = fields.BoolField(default=True)
    owner_id: int = fields.ForeignKey(Member)


class MemberSerializer(Serializer):
    model = Member
    read_only = ("is_admin",)
    write_only = ("password",)


class BookSerializer(Serializer):
    model = Book
    read_only = ("owner_id",)


class MemberViewSet(CreateOnlyViewSet):
    """Become a member."""

    model = Member
    serializer_class = MemberSerializer
    permission_classes = (AllowAny,)

    async def before_create(self, values: dict[str, Any]) -> None:
        values["password"] = await hash_password(values["password"])


class BookViewSet(ModelViewSet):
    """The books of the library."""

    model = Book
    serializer_class = BookSerializer
    permission_classes = (IsAuthenticated() & (IsOwner() | IsAdmin()),)
    permission_classes_by_action = {"list": (AllowAny,), "retrieve": (AllowAny,)}
    filter_fields = {"author": ["exact", "icontains"], "pages": ["gte", "lte"], "in_print": ["exact"]}
    search_fields = ("title", "author")
    ordering_fields = ("title", "pages")

    async def before_create(self, values: dict[str, Any]) -> None:
        values["owner_id"] = self.request.user.id

    @action(detail=True, methods=["POST"])
    async def withdraw(self) -> Book:
        """Take a book out of print: who may change it may do this."""
        book: Book = await self.get_object()
        book.in_print = False
        return await book.save(only=["in_print"])


class LogIn(Schema):
    name: str
    password: str


class Token(Schema):
    access_token: str
    token_type: str = "bearer"


async def member_named(name: str) -> Member | None:
    return await Member.objects.filter(name=name).first()


async def member_of(claims: dict[str, Any]) -> Member | None:
    return await Member.objects.filter(id=int(claims["sub"])).first()


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    await app.db.create_tables([Member, Book])
    yield


# Without a key of its own, each process signs with another, and tokens end with it.
bearer = BearerJWT(os.environ.get("SECRET_KEY") or secrets.token_hex(), load_user=member_of)
check_password = password_verifier(member_named, hash_of=lambda member: member.password)
router = AutoRouter(prefix="/api")
router.register("/members", MemberViewSet)
router.register("/books", BookViewSet)
asgi = App(
    title="Library",
    routers=[router],
    authentication=[bearer],
    database=os.environ.get("DATABASE_URL", "sqlite:///library.db"),
    lifespan=lifespan,
)


@asgi.post("/api/token", permission_classes=[AllowAny])
async def log_in(data: LogIn) -> Token:
    """Log in, for an hour."""
    member = await check_password(data.name, data.password)
    if member is None:
        raise Unauthorized("The name or the password is wrong.")
    return Token(access_token=bearer.issue_token(member.id, expires_in=3600))
