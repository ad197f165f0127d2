"""Requests that no endpoint serves: 404, 405, automatic OPTIONS and the redirect to the other slash."""

from __future__ import annotations

from urllib.parse import quote

from swift._speedups.kernel import strip_root_path
from swift._speedups.router import Tree
from swift.http import MethodNotAllowed, NotFound, Request, Response

NOT_FOUND_DETAIL = "Nothing is served at this path."


def other_slash(path: str) -> str:
    return path[:-1] if path.endswith("/") else path + "/"


def answer_miss(request: Request, tree: Tree) -> Response:
    """The answer for a path and method without an endpoint; problems leave as exceptions."""
    root_path = request.scope.get("root_path", "")
    path = strip_root_path(request.path, root_path) if root_path else request.path
    allowed = tree.allowed(path)
    if allowed:
        allow = ", ".join(allowed)
        if request.method == "OPTIONS":
            return Response(status=204, headers={"allow": allow})
        raise MethodNotAllowed(f"This path answers {allow}.", headers={"allow": allow})
    if path != "/" and redirects(tree, other_slash(path)):
        # One slash in front: `//host/` in a Location would lead to another host.
        target = quote(root_path.rstrip("/") + "/" + other_slash(path).lstrip("/"), safe="/:@!$&'()*+,;=~-._")
        query = request.query_string.decode("latin-1")
        return Response(status=308, headers={"location": target + (f"?{query}" if query else "")})
    raise NotFound(NOT_FOUND_DETAIL)


def redirects(tree: Tree, path: str) -> bool:
    """Whether a route is served at this path whose policy is to redirect the other form to it."""
    return any(
        getattr(found[0].route, "trailing_slash", None) == "redirect"
        for method in tree.allowed(path)
        if (found := tree.find(path, method)) is not None
    )
