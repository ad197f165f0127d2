"""What a test asks for, made into an ASGI scope and a body."""

from __future__ import annotations

import mimetypes
import uuid
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import IO, Any, TypeAlias, TypedDict
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

import msgspec

from ._types import RawHeaders, Scope

# Values are str, int, float, bool, None, or a sequence of them. They are typed as Any since a union inside a
# Mapping inside a union keeps mypy from accepting a dict display of mixed values.
Pairs: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]
FileContent: TypeAlias = bytes | str | IO[bytes]
# content; (filename, content); (filename, content, content type)
FileSpec: TypeAlias = FileContent | tuple[str, FileContent] | tuple[str, FileContent, str]
Files: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]]  # of FileSpec
Body: TypeAlias = bytes | Iterable[bytes] | AsyncIterable[bytes]
HeaderItems: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class ConnectOptions(TypedDict, total=False):
    """`params` go to the query string, `cookies` to this request only."""

    params: Pairs | str
    headers: HeaderItems
    cookies: Mapping[str, str]
    extensions: Mapping[str, Mapping[str, Any]]


class RequestOptions(ConnectOptions, total=False):
    """Of `content`, `data` with or without `files`, and `json` one may be given."""

    content: str | Body
    data: Pairs
    files: Files
    json: Any
    follow_redirects: bool


class URL(msgspec.Struct, frozen=True):
    """A URL in its parts, as the client resolves it."""

    scheme: str
    host: str
    port: int | None
    raw_path: str
    query: str

    @classmethod
    def parse(cls, url: str, base: URL | None = None, params: Pairs | str | None = None) -> URL:
        """An absolute URL, or a path appended to the base's path as it stands: `//a/../b` is not tidied."""
        if base is not None and (not url or url[0] in "/?#"):
            path, _, query = url.partition("#")[0].partition("?")
            scheme, host, port = base.scheme, base.host, base.port
            path = base.raw_path.rstrip("/") + path
        else:
            parts = urlsplit(url)
            if not parts.scheme or not parts.hostname:
                raise ValueError(f"Expected a path that starts with a slash or an absolute URL, got {url!r}.")
            scheme, host, port = parts.scheme, parts.hostname, parts.port
            path, query = parts.path, parts.query
        if params is not None:
            extra = params if isinstance(params, str) else urlencode(_flatten(params))
            query = f"{query}&{extra}" if query and extra else query or extra
        return cls(scheme, host, port, _ascii(path or "/"), _ascii(query))

    def join(self, location: str) -> URL:
        return URL.parse(urljoin(str(self), location))

    @property
    def path(self) -> str:
        return unquote(self.raw_path)

    @property
    def netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_default = self.port is None or self.port == DEFAULT_PORTS.get(self.scheme)
        return host if is_default else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str]:
        return self.scheme, self.netloc

    @property
    def server(self) -> tuple[str, int]:
        return self.host, self.port or DEFAULT_PORTS.get(self.scheme, 80)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.raw_path}" + (f"?{self.query}" if self.query else "")


class ClientRequest(msgspec.Struct, kw_only=True):
    """One request, ready to be sent; a redirect makes another of it."""

    method: str
    url: URL
    headers: RawHeaders
    body: Body
    extensions: dict[str, Any]


def encode_headers(*sources: HeaderItems) -> RawHeaders:
    """The headers of all sources, lower-cased; a later source replaces the fields an earlier one named."""
    merged: RawHeaders = []
    for source in sources:
        items = source.items() if isinstance(source, Mapping) else source
        block = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in items]
        named = {name for name, _ in block}
        merged = [item for item in merged if item[0] not in named] + block
    return merged


def encode_body(options: RequestOptions) -> tuple[Body, RawHeaders]:
    """The body and the headers that describe it."""
    given = [name for name in ("content", "json", "data") if name in options]
    if len(given) > 1 or ("files" in options and given not in ([], ["data"])):
        raise ValueError("Give one of content, json, and data with or without files.")
    if "json" in options:
        return _described(msgspec.json.encode(options["json"]), "application/json")
    if "files" in options:
        boundary = uuid.uuid4().hex
        body = _multipart(boundary, _flatten(options.get("data", {})), options["files"])
        return _described(body, f"multipart/form-data; boundary={boundary}")
    if "data" in options:
        return _described(urlencode(_flatten(options["data"])).encode(), "application/x-www-form-urlencoded")
    if "content" not in options:
        return b"", []
    content = options["content"]
    if isinstance(content, str):
        return _described(content.encode(), "text/plain; charset=utf-8")
    if isinstance(content, (bytes, bytearray, memoryview)):
        return _described(bytes(content), None)
    return content, [(b"transfer-encoding", b"chunked")]


def http_scope(request: ClientRequest, **connection: Any) -> Scope:
    return {
        "type": "http",
        "method": request.method,
        "scheme": request.url.scheme,
        **_location(request.url),
        "headers": list(request.headers),
        "extensions": request.extensions,
        **connection,
    }


def websocket_scope(request: ClientRequest, subprotocols: Sequence[str], **connection: Any) -> Scope:
    scheme = {"http": "ws", "https": "wss"}.get(request.url.scheme, request.url.scheme)
    return {
        "type": "websocket",
        "scheme": scheme,
        **_location(request.url),
        "headers": list(request.headers),
        "subprotocols": list(subprotocols),
        "extensions": request.extensions,
        **connection,
    }


def _location(url: URL) -> Scope:
    return {
        "path": url.path,
        "raw_path": url.raw_path.encode("ascii"),
        "query_string": url.query.encode("ascii"),
        "server": url.server,
    }


def _described(body: bytes, content_type: str | None) -> tuple[bytes, RawHeaders]:
    headers = [(b"content-length", str(len(body)).encode())]
    if content_type is not None:
        headers.append((b"content-type", content_type.encode("latin-1")))
    return body, headers


def _ascii(text: str) -> str:
    """Percent-encodes what cannot stand in a request line and leaves the rest, `%` included, as it is."""
    return quote(text, safe="!\"#$%&'()*+,/:;<=>?@[\\]^_`{|}~")


def _flatten(pairs: Pairs) -> list[tuple[str, str]]:
    """Name and text of each value; a sequence repeats the name, None is left out, a bool is as in JSON."""
    items: Iterable[tuple[str, Any]] = pairs.items() if isinstance(pairs, Mapping) else pairs
    flat: list[tuple[str, str]] = []
    for name, value in items:
        many = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
        flat += [(name, _text(each)) for each in (value if many else (value,)) if each is not None]
    return flat


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _multipart(
    boundary: str,
    fields: list[tuple[str, str]],
    files: Files,
) -> bytes:
    parts = [(f'name="{_quoted(name)}"', "", value.encode()) for name, value in fields]
    for name, spec in files.items() if isinstance(files, Mapping) else files:
        filename, content, content_type = _file(name, spec)
        disposition = f'name="{_quoted(name)}"; filename="{_quoted(filename)}"'
        parts.append((disposition, f"Content-Type: {content_type}\r\n", content))
    body = bytearray()
    for disposition, kind, content in parts:
        body += f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n".encode()
        body += content + b"\r\n"
    return bytes(body) + f"--{boundary}--\r\n".encode()


def _file(name: str, spec: FileSpec) -> tuple[str, bytes, str]:
    content_type: str | None = None
    if isinstance(spec, tuple):
        filename, content = spec[0], spec[1]
        content_type = spec[2] if len(spec) == 3 else None
    else:
        filename, content = str(getattr(spec, "name", name)).rpartition("/")[2], spec
    if isinstance(content, str):
        data = content.encode()
    else:
        data = content if isinstance(content, bytes) else content.read()
    return filename, data, content_type or mimetypes.guess_type(filename)[0] or "application/octet-stream"


def _quoted(text: str) -> str:
    """As browsers write names into a multipart body (WHATWG HTML, multipart/form-data encoding algorithm)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
