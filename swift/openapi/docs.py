"""The served document and a page to read it with, neither of which needs a network.

The page's policy allows scripts, styles and connections of its own origin (and of the servers that the
document names), and nothing inline. Every reference in it is relative to where it was asked for, so it
works behind any prefix; the document itself has to name the prefix, and takes it from the scope's
`root_path`.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Unpack
from urllib.parse import urlsplit

import msgspec

from swift.http import NotFound, Request, Response
from swift.http.conditional import ETag, evaluate
from swift.openapi.generator import OpenAPIOptions, openapi

if TYPE_CHECKING:
    from swift.routing import Route

__all__ = ["Documentation"]

ASSETS = Path(__file__).parent / "assets"

MEDIA_TYPES = {
    "favicon-32x32.png": "image/png",
    "oauth2-redirect.html": "text/html; charset=utf-8",
    "oauth2-redirect.js": "text/javascript; charset=utf-8",
    "swagger-init.js": "text/javascript; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}

ORIGIN = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")

# A scope's root_path comes from the server or a mount: a handful of prefixes at most. The bound is for a
# server that is made to take it from its clients.
MAX_PREFIXES = 16

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" href="{favicon}">
<link rel="stylesheet" href="{style}">
</head>
<body>
<div id="swagger-ui" data-openapi="{openapi}"></div>
<noscript>This page needs JavaScript; the document itself is at <a href="{openapi}">{openapi}</a>.</noscript>
<script src="{bundle}"></script>
<script src="{init}"></script>
</body>
</html>
"""

Handler = Callable[[Request], Awaitable[Response]]


class Representation(NamedTuple):
    """Bytes with the tag that stands for them."""

    body: bytes
    etag: ETag

    @classmethod
    def of(cls, body: bytes) -> Representation:
        # 128 of the 256 bits: nobody gains from two documents of one tag.
        return cls(body, ETag(sha256(body).hexdigest()[:32]))

    def answer(self, request: Request, headers: Mapping[str, str]) -> Response:
        headers = {**headers, "etag": str(self.etag), "x-content-type-options": "nosniff"}
        if (status := evaluate(request, self.etag)) is not None:
            del headers["content-type"]
            return Response(status=status, headers=headers)
        return Response(self.body, headers=headers)


class Documentation:
    """The handlers of `openapi_url` and `docs_url`. The document is generated when it is first needed,
    once for each root path: `routes` is asked then."""

    def __init__(
        self,
        routes: Callable[[], Iterable[Route]],
        *,
        openapi_url: str = "/openapi.json",
        docs_url: str | None = "/docs",
        **options: Unpack[OpenAPIOptions],
    ) -> None:
        self._routes = routes
        self._options = options
        self._openapi_url = openapi_url
        self._docs_url = docs_url and docs_url.rstrip("/")
        self._documents: dict[str, Representation] = {}
        self._assets: dict[str, Representation] = {}

    def handlers(self) -> list[tuple[str, str, Handler]]:
        """Path, name and handler of each route to add, all GET and none of them in the document."""
        routes: list[tuple[str, str, Handler]] = [(self._openapi_url, "openapi", self.openapi_json)]
        if self._docs_url is not None:
            routes.append((self._docs_url or "/", "docs", self.page))
            routes.append((f"{self._docs_url}/assets/{{file}}", "docs_asset", self.asset))
        return routes

    def check(self) -> None:
        """Generate the document. ValueError, in one sentence, where the routes cannot be documented: an
        application calls it at its start, so that no request is the first to find out."""
        self._document("")

    async def openapi_json(self, request: Request) -> Response:
        root_path = request.scope.get("root_path", "").rstrip("/")
        headers = {"content-type": "application/json", "cache-control": "no-cache"}
        return self._document(root_path).answer(request, headers)

    async def page(self, request: Request) -> Response:
        headers = {
            "content-type": "text/html; charset=utf-8",
            "cache-control": "no-cache",
            "content-security-policy": self._policy(),
            "referrer-policy": "no-referrer",
        }
        return Representation.of(self._page(request.path).encode()).answer(request, headers)

    async def asset(self, request: Request) -> Response:
        name = request.path_params["file"]
        if name not in MEDIA_TYPES:
            raise NotFound()
        headers = {"content-type": MEDIA_TYPES[name], "cache-control": "no-cache"}
        if name.endswith(".html"):
            headers["content-security-policy"] = self._policy()
        return (await self._asset(name)).answer(request, headers)

    def _document(self, root_path: str) -> Representation:
        document = self._documents.get(root_path)
        if document is None:
            options = self._options
            if root_path and not options.get("servers"):
                options = {**options, "servers": [root_path]}
            document = Representation.of(msgspec.json.encode(openapi(self._routes(), **options)))
            if len(self._documents) < MAX_PREFIXES:
                self._documents[root_path] = document
        return document

    async def _asset(self, name: str) -> Representation:
        asset = self._assets.get(name)
        if asset is None:
            asset = Representation.of(await asyncio.to_thread((ASSETS / name).read_bytes))
            self._assets[name] = asset
        return asset

    def _page(self, path: str) -> str:
        """The page as seen from `path`, whose last slash is what relative references start from."""
        docs_url = self._docs_url or ""
        directory = docs_url if path.endswith("/") else posixpath.dirname(docs_url)

        def reference(url: str) -> str:
            return escape(posixpath.relpath(url, start=directory or "/"))

        return PAGE.format(
            title=escape(self._options["title"]),
            openapi=reference(self._openapi_url),
            favicon=reference(f"{docs_url}/assets/favicon-32x32.png"),
            style=reference(f"{docs_url}/assets/swagger-ui.css"),
            bundle=reference(f"{docs_url}/assets/swagger-ui-bundle.js"),
            init=reference(f"{docs_url}/assets/swagger-init.js"),
        )

    def _policy(self) -> str:
        connect = ["'self'", *origins(self._options)]
        return "; ".join(
            (
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "img-src 'self' data:",
                f"connect-src {' '.join(connect)}",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            )
        )


def origins(options: OpenAPIOptions) -> list[str]:
    """The other origins that the page has to reach to try an operation: servers and token endpoints."""
    urls = [server if isinstance(server, str) else server["url"] for server in options.get("servers", ())]
    for scheme in (options.get("security_schemes") or {}).values():
        for flow in scheme.get("flows", {}).values():
            urls.extend(flow[key] for key in ("tokenUrl", "refreshUrl") if key in flow)
    found: dict[str, None] = {}
    for url in urls:
        parts = urlsplit(url)
        # Only what is an origin as it stands: no `{variable}`, nothing that could end the directive.
        if parts.scheme in ("http", "https") and ORIGIN.fullmatch(parts.netloc):
            found[f"{parts.scheme}://{parts.netloc}"] = None
    return list(found)
