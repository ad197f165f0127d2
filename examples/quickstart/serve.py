"""Creates the tables, puts some users in, and serves the app: what `make run` does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from app import User, asgi

NAMES = ("Ada Lovelace", "Grace Hopper", "Barbara Liskov", "Frances Allen", "Radia Perlman")


async def seed() -> None:
    async with asgi.db:
        await asgi.db.create_tables([User])
        if not await User.objects.exists():
            await User.objects.bulk_create(
                [User(name=name, age=36 + place) for place, name in enumerate(NAMES)]
            )


def main() -> int:
    host, port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "8000")
    asyncio.run(seed())
    print(f"Users      http://{host}:{port}/api/users")
    print(f"Docs       http://{host}:{port}/docs", flush=True)
    return subprocess.call([sys.executable, "-m", "swift", "run", "app:asgi", "--host", host, "--port", port])


if __name__ == "__main__":
    sys.exit(main())
