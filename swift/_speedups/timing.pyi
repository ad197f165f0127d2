from collections.abc import Awaitable
from typing import TypeVar

from swift._speedups.futures import Future

_T = TypeVar("_T")

def sleep(seconds: float, value: _T = ...) -> Future[_T]: ...
def with_timeout(awaitable: Awaitable[_T], seconds: float) -> Future[_T]: ...
