"""What SQLAlchemy 2.0 and 2.1 name differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exc
from sqlalchemy.dialects import postgresql
from sqlalchemy.util import concurrency

if TYPE_CHECKING:
    from sqlalchemy.dialects.postgresql import BitString
    from sqlalchemy.exc import EmulatedDBAPIException as ErrorBase
    from sqlalchemy.util.concurrency import await_, in_greenlet
else:
    in_greenlet = concurrency.in_greenlet
    await_ = concurrency.await_ if hasattr(concurrency, "await_") else concurrency.await_only
    # 2.0 has no type for bits: they are read as text.
    BitString = getattr(postgresql, "BitString", str)
    if hasattr(exc, "EmulatedDBAPIException"):
        ErrorBase = exc.EmulatedDBAPIException
    else:

        class ErrorBase(Exception):
            def __init__(self, message, orig=None):
                super().__init__(message)
                self.orig = orig

            @property
            def driver_exception(self):
                return self.orig

            def __reduce__(self):
                return type(self), (self.args[0], self.orig)


__all__ = ["BitString", "ErrorBase", "await_", "in_greenlet"]
