"""A directory served as files, for `app.mount`.

Only what a URL names plainly is looked for. A path is refused, with the same 404 as a missing
file, when any of its segments could mean something else to some file system or some proxy:
`.` and `..`, empty segments, backslashes, colons (drive letters, NTFS streams), control characters,
trailing dots and blanks (Windows drops them), and slashes that came percent-encoded. What is then
found must lie in the directory after symbolic links are followed.
"""

from __future__ import annotations

import os
from io import FileIO
from urllib.parse import quote

from swift._speedups.kernel import strip_root_path

from ._sending import Receive
from .files import MISSING, FileResponse, Scope, Send
from .headers import combined
from .negotiation import parse_accept
from .problems import MethodNotAllowed, NotFound, Problem
from .responses import RedirectResponse, Response


class StaticFiles:
    """The ASGI application. With `html=True` a directory is answered by its index.html.

    `fallback` is a file of the directory for a front end that routes by itself: it answers the pages that are not
    there. A page is what a browser navigates to: the client accepts text/html and the last segment of the path
    has no dot. So a missing script or image stays a 404, and so does what a program asks for.

    Files and directories whose name starts with a dot are not served unless `allow_dotfiles`.
    The directory, and the fallback in it, must exist: a wrong one is a ValueError at start.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        html: bool = False,
        *,
        fallback: str | None = None,
        allow_dotfiles: bool = False,
    ) -> None:
        self.directory = os.path.realpath(directory)
        if not os.path.isdir(self.directory):
            raise ValueError(
                f"Static directory {os.fspath(directory)!r} does not exist; create it or correct the path."
            )
        self.html = html
        self.allow_dotfiles = allow_dotfiles
        self.fallback = fallback
        if fallback is not None and not os.path.isfile(os.path.join(self.directory, fallback)):
            raise ValueError(
                f"The fallback {fallback!r} is no file of the static directory {os.fspath(directory)!r}; "
                "build the front end, or correct the name."
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"StaticFiles serves HTTP only, not {scope['type']!r}; mount it elsewhere.")
        try:
            await self._respond(scope)(scope, receive, send)
        except Problem as problem:
            response = self.page_instead(problem, scope) or problem.to_response()
            await response(scope, receive, send)
        except _IsDirectory:
            # No empty segment got here, so the target cannot start with `//` and leave this host.
            root_path = scope.get("root_path", "")
            path = root_path.rstrip("/") + strip_root_path(scope["path"], root_path).rstrip("/") + "/"
            query = scope.get("query_string", b"").decode("latin-1")
            target = quote(path, safe="/!$&'()*+,;=:@~") + ("?" + query if query else "")
            await RedirectResponse(target, status=308)(scope, receive, send)

    def _respond(self, scope: Scope) -> FileResponse:
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(headers={"allow": "GET, HEAD"})
        # An encoded slash is a slash in `path` already; only the raw path tells. The rest is in `path`.
        if b"%2f" in (scope.get("raw_path") or b"").lower():
            raise NotFound
        path = strip_root_path(scope["path"], scope.get("root_path", ""))
        if self.html and path in ("", "/") and not scope["path"].endswith("/"):
            raise _IsDirectory
        return _StaticFile(self, self.segments(path))

    def page_instead(self, problem: Problem, scope: Scope) -> Response | None:
        """The fallback for a page that is not there."""
        if self.fallback is None or problem.status != 404 or not names_page(scope):
            return None
        page = _StaticFile(self, self.fallback.split("/"), is_fallback=True)
        # It names the scripts of its release, so it is asked about again each time.
        page.headers["cache-control"] = "no-cache"
        page.headers.vary("Accept")
        return page

    def segments(self, path: str) -> list[str]:
        """The names on the way from the directory to the file. Raises NotFound for a path that is refused."""
        names = path.removeprefix("/").split("/")
        if names[-1] == "":
            if not self.html:
                raise NotFound
            names[-1] = "index.html"
        for name in names:
            if (
                not name
                or name in (".", "..")
                or (name[0] == "." and not self.allow_dotfiles)
                or name[-1] in ". "
                or any(c in "\\:" or c < " " or c == "\x7f" for c in name)
            ):
                raise NotFound
        return names


def names_page(scope: Scope) -> bool:
    """Whether a browser navigates there: it says that it wants HTML, and the path names no file of another kind."""
    accept = combined(scope["headers"], b"accept") or ""
    wanted = [item for item in parse_accept(accept) if (item.type, item.subtype) == ("text", "html")]
    return any(item.quality > 0 for item in wanted) and "." not in scope["path"].rpartition("/")[2]


class _IsDirectory(Exception):
    """The path names a directory with an index and lacks its final slash, which relative links need."""


class _StaticFile(FileResponse):
    """A file that must still lie in the directory when it is opened."""

    __slots__ = ("is_fallback", "site")

    def __init__(self, site: StaticFiles, names: list[str], *, is_fallback: bool = False) -> None:
        self.site = site
        self.is_fallback = is_fallback
        super().__init__(os.path.join(site.directory, *names), content_disposition="inline")

    def open(self) -> FileIO:
        try:
            # strict: otherwise a loop of links would be followed half-way and called found.
            path = os.path.realpath(self.path, strict=True)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno not in MISSING:
                raise
            raise NotFound from None
        root = self.site.directory
        if path != root and not path.startswith(root.rstrip(os.sep) + os.sep):
            raise NotFound
        if self.site.html and os.path.isdir(path) and os.path.isfile(os.path.join(path, "index.html")):
            raise _IsDirectory
        self.path = path
        return super().open()

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        page = None if self.is_fallback else self.site.page_instead(problem, scope)
        if page is None:
            await super()._refuse(problem, scope, receive, send)
        else:
            await page(scope, receive, send)
