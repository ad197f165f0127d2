from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, ClassVar

from swift.http.headers import Headers, MutableHeaders, QueryParams

RawHeaders = list[tuple[bytes, bytes]]

def encode_header(name: str | bytes, value: str | bytes) -> tuple[bytes, bytes]: ...

class Request:
    make_headers: Any
    make_query: Any
    make_cookies: Any
    receive: Callable[[], Awaitable[dict[str, Any]]]
    send: Callable[[dict[str, Any]], Awaitable[None]] | None
    app: Any
    user: Any
    auth: Any
    endpoint: Any
    max_body_size: int
    callbacks: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] | None
    cached_body: bytes | None
    cached_form: Any
    consumed: bool
    body_complete: bool
    completion: Any
    error: Exception | None
    exits: Any

    def __init__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]] | None = None,
        send: Callable[[dict[str, Any]], Awaitable[None]] | None = None,
    ) -> None: ...
    @property
    def scope(self) -> dict[str, Any]: ...
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def scheme(self) -> str: ...
    @property
    def query_string(self) -> bytes: ...
    @property
    def raw_headers(self) -> RawHeaders: ...
    @property
    def client(self) -> tuple[str, int] | None: ...
    def header(self, name: bytes) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def query(self) -> QueryParams: ...
    @property
    def cookies(self) -> dict[str, str]: ...
    @property
    def path_params(self) -> dict[str, Any]: ...
    @property
    def holds_something(self) -> bool: ...
    @property
    def state(self) -> dict[str, Any]: ...

class Response:
    streaming: ClassVar[bool]
    default_media_type: ClassVar[str | None]
    make_headers: Any
    status: int
    body: bytes
    raw_headers: RawHeaders

    def __init__(
        self,
        body: bytes | bytearray | memoryview | str = b"",
        status: int = 200,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        media_type: str | None = None,
    ) -> None: ...
    @staticmethod
    def prepared(
        status: int, body: bytes, raw_headers: RawHeaders, cls: type[Response] | None = None
    ) -> Response: ...
    @property
    def headers(self) -> MutableHeaders: ...
    def asgi_messages(self, head: bool = False) -> tuple[dict[str, Any], dict[str, Any]]: ...
