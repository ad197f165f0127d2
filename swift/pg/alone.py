"""A connection that belongs to no pool, for a program that pools by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from swift._speedups import pgtransport

from . import conninfo
from .errors import PgNotice
from .handle import Pg
from .links import LinkSettings, LoopLink
from .options import ConnectOptions
from .registry import TypeRegistry

if TYPE_CHECKING:
    from .pool import PgPool


class PgAlone(Pg):
    """A `Pg` that is its own connection: what releases it closes it."""

    link: LoopLink

    def __init__(self, link: LoopLink) -> None:
        # Nothing asks for the pool of a Pg that has a link.
        super().__init__(cast("PgPool", None), link)

    @property
    def registry(self) -> TypeRegistry:
        """The types this connection knows."""
        return cast("TypeRegistry", self.link.core.registry)

    def release(self) -> None:
        """Ends the session, without waiting; a second call does nothing."""
        if not self._released:
            self._released = True
            self.link.close()


async def connect(
    dsn: str | ConnectOptions = "",
    *,
    registry: TypeRegistry | None = None,
    statement_cache_size: int = 256,
    on_notice: Callable[[PgNotice], object] | None = None,
    **options: str | int | float | bool | Path | None,
) -> PgAlone:
    """Connect under the running loop. Raises PgError.

    dsn, options: as `conninfo.parse` reads them. registry: to share what is learnt of the database's types between
    connections to one database. statement_cache_size: prepared statements that are kept, 0 for poolers that keep none.
    """
    if not isinstance(dsn, ConnectOptions):
        dsn = conninfo.parse(dsn, **options)  # type: ignore[arg-type]
    settings = LinkSettings(
        dsn, registry or TypeRegistry(), statement_cache_size=statement_cache_size, on_notice=on_notice
    )
    return PgAlone(await settings.open(pgtransport.Flusher(asyncio.get_running_loop()), {}))
