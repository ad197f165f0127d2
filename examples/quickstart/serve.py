"""Puts a member and some books in where there are none, and serves the app: what `make run` does."""

from __future__ import annotations

import asyncio
import os

from app import Book, Member, asgi

from swift.auth import hash_password
from swift.cli import main

BOOKS = (
    ("A Wizard of Earthsea", "Ursula K. Le Guin", 205),
    ("Dune", "Frank Herbert", 412),
    ("Kindred", "Octavia E. Butler", 264),
    ("Solaris", "Stanisław Lem", 204),
    ("The Left Hand of Darkness", "Ursula K. Le Guin", 304),
)


async def seed() -> None:
    async with asgi.db:
        await asgi.db.create_tables([Member, Book])
        if not await Member.objects.exists():
            librarian = await Member.objects.create(
                name="librarian", password=await hash_password("open sesame"), is_admin=True
            )
            await Book.objects.bulk_create(
                [
                    Book(title=title, author=author, pages=pages, owner_id=librarian.id)
                    for title, author, pages in BOOKS
                ]
            )


if __name__ == "__main__":
    host, port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "8000")
    asyncio.run(seed())
    print(f"Books      http://{host}:{port}/api/books")
    print(f"Docs       http://{host}:{port}/docs")
    print("Log in     librarian, open sesame", flush=True)
    main(["run", "app:asgi", "--host", host, "--port", port])
