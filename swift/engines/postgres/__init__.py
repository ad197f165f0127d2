"""PostgreSQL: `postgresql://` on our own driver, `postgresql+asyncpg://` on asyncpg."""

from swift.engines.postgres.engine import PostgresEngine

__all__ = ["PostgresEngine"]
