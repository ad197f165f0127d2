from collections.abc import Awaitable, Iterable, Mapping
from typing import TypeVar, overload

from swift._speedups.futures import Future

_T = TypeVar("_T")
_K = TypeVar("_K")

@overload
def when_all(futures: Mapping[_K, Awaitable[_T]]) -> Future[dict[_K, _T]]: ...  # type: ignore[overload-overlap]
@overload
def when_all(futures: Iterable[Awaitable[_T]]) -> Future[list[_T]]: ...
@overload
def when_any(futures: Mapping[_K, Awaitable[_T]]) -> Future[tuple[_K, _T]]: ...  # type: ignore[overload-overlap]
@overload
def when_any(futures: Iterable[Awaitable[_T]]) -> Future[tuple[int, _T]]: ...
def when_some(futures: Iterable[Awaitable[_T]], count: int) -> Future[list[_T]]: ...
