"""Puts some users in where there are none, and serves the app: what `make run` does."""

from __future__ import annotations

import asyncio
import os

from app import User, asgi

from swift.cli import main

NAMES = ("Ada Lovelace", "Grace Hopper", "Barbara Liskov", "Frances Allen", "Radia Perlman")


async def seed() -> None:
    async with asgi.db:
        await asgi.db.create_tables([User])
        if not await User.objects.exists():
            await User.objects.bulk_create(
                [User(name=name, age=36 + place) for place, name in enumerate(NAMES)]
            )


if __name__ == "__main__":
    host, port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "8000")
    asyncio.run(seed())
    print(f"Users      http://{host}:{port}/api/users")
    print(f"Docs       http://{host}:{port}/docs", flush=True)
    main(["run", "app:asgi", "--host", host, "--port", port])
