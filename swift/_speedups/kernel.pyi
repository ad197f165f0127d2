from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from swift._speedups.http import Request, Response
from swift._speedups.router import Tree

SOURCES: dict[str, int]
KINDS: dict[str, int]
SUSPENDED_STAGE: int
BODY_STAGE: int
SEND_STAGE: int
GENERAL_STAGE: int
MISS_STAGE: int
FAILED_STAGE: int

def is_missing(value: object) -> bool: ...
def strip_root_path(path: str, root_path: str) -> str: ...

class Slot:
    source: int
    kind: int
    position: int
    index: int
    name: bytes
    required: bool
    many: bool
    default: Any
    default_factory: Callable[[], Any] | None
    convert: Callable[[Any], Any]
    explain: Callable[[Exception | None], Sequence[Any]]

    def __init__(
        self,
        *,
        source: str,
        kind: str,
        position: int,
        index: int = 0,
        name: bytes = b"",
        required: bool = True,
        many: bool = False,
        default: Any = None,
        default_factory: Callable[[], Any] | None = None,
        convert: Callable[..., Any] | None = None,
        explain: Callable[[Exception | None], Sequence[Any]] | None = None,
        lowest: int | None = None,
        highest: int | None = None,
        shortest: int | None = None,
        longest: int | None = None,
    ) -> None: ...

class Plan:
    name: str
    handler: Callable[..., Any]
    slots: tuple[Slot, ...]
    path_names: tuple[str, ...]
    status: int
    encoding: int
    direct: bool
    reads_body: bool
    encode: Callable[[Any], bytes]
    content_types: tuple[bytes, ...]
    max_body_size: int
    media_type: bytes | None
    checks: tuple[Callable[[Any], Any], ...] | None
    refuse: Any

    def __init__(
        self,
        *,
        name: str,
        handler: Callable[..., Any],
        slots: Sequence[Slot] = (),
        path_names: Sequence[str] = (),
        status: int = 200,
        encoding: str = "dynamic",
        calling: str = "coroutine",
        direct: bool = True,
        arguments: tuple[int, ...] | None = None,
        keywords: tuple[str, ...] | None = None,
        encode: Callable[[Any], bytes] | None = None,
        decode_body: Callable[[bytes], Any] | None = None,
        body_required: bool = True,
        default_body: Any = None,
        content_types: Sequence[bytes] = (),
        max_body_size: int = -1,
        reject: Callable[[list[Any], bytes | None], Exception] | None = None,
        refuse: Any = None,
        response_class: type[Response] | None = None,
        media_type: str | None = None,
        checks: Sequence[Callable[[Any], Any]] = (),
    ) -> None: ...
    def check(self, request: Request) -> None: ...
    def bind(
        self,
        request: Request,
        body: bytes | None = None,
        parse_cookies: Callable[[list[bytes]], Mapping[str, str]] | None = None,
        decode: Callable[[bytes], Any] | None = None,
        reject: Callable[[list[Any], bytes | None], Exception] | None = None,
    ) -> list[Any]: ...
    def invoke(self, values: list[Any]) -> Any: ...
    def response(self, result: Any) -> Any: ...

class Pending:
    plan: Any
    stage: int
    head: bool
    awaitable: Any
    yielded: Any

    @property
    def request(self) -> Any: ...
    @property
    def wants_body(self) -> bool: ...
    def give(self, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None: ...
    def with_message(self, message: dict[str, Any]) -> tuple[Any, Any]: ...
    def with_body(self, body: bytes) -> tuple[Any, Any]: ...
    def finish(self, result: Any) -> tuple[Any, Any]: ...

class Kernel:
    tree: Tree

    def __init__(
        self,
        tree: Tree,
        *,
        app: Any,
        request_class: type[Request],
        parse_cookies: Callable[[list[bytes]], Mapping[str, str]],
        hosts: dict[bytes, Tree] | None = None,
        bindings: Sequence[tuple[Any, Any]] = (),
        not_found_body: bytes | None = None,
        redirect_slashes: bool = False,
        max_body_size: int = -1,
    ) -> None: ...
    def enter(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]]
    ) -> tuple[Any, Any]: ...
    def find(self, request: Request) -> Any: ...
    def tree_for(self, request: Request) -> Tree: ...
