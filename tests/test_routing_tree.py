"""The route tree against a naive matcher that tries every template with a regular expression."""

from __future__ import annotations

import re
import time
import uuid
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swift._speedups.router import KINDS, Tree
from swift.routing.templates import PathParameter, Template, parse_template

PATTERNS = {
    "int": r"-?[0-9]{1,18}",
    "float": r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)",
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "uuid": r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    "str": r"[^/]+",
    "path": r".+",
}
CONVERT: dict[str, Any] = {
    "int": int, "float": float, "date": date.fromisoformat, "uuid": uuid.UUID, "str": str, "path": str,
}  # fmt: skip


def build(*paths: str, method: str = "GET") -> Tree:
    tree = Tree()
    for path in paths:
        tree.add(parse_template(path).segments, method, path)
    return tree


def naive_values(template: Template, path: str) -> list[Any] | None:
    """The values of a template by regular expression; parameters read as little as possible."""
    pattern = ""
    for piece in template.pieces:
        if isinstance(piece, str):
            pattern += re.escape(piece)
        else:
            pattern += "(" + (r".+" if piece.converter == "path" else r"[^/]+?") + ")"
    match = re.fullmatch(pattern, path, re.DOTALL)
    if match is None:
        return None
    values = []
    for text, parameter in zip(match.groups(), template.parameters, strict=True):
        if not re.fullmatch(PATTERNS[parameter.converter], text, re.DOTALL):
            return None
        try:
            values.append(CONVERT[parameter.converter](text))
        except ValueError:
            return None
    return values


def precedence(template: Template, path: str) -> tuple[Any, ...]:
    """Rule 1 of the tree, as a key: the smallest wins."""
    key: list[Any] = []
    for piece, following in zip(template.pieces, [*template.pieces[1:], None], strict=True):
        if isinstance(piece, str):
            key.extend((-1, ord(character)) for character in piece)
        elif isinstance(piece, PathParameter):
            literal = len(following.partition("/")[0]) if isinstance(following, str) else 0
            key.append((KINDS[piece.converter], -literal))
    return tuple(key)


segment = st.sampled_from(
    [
        "a",
        "ab",
        "abc",
        "b",
        "me",
        "12",
        "{p}",
        "{p:int}",
        "{p:float}",
        "{p:date}",
        "v{p:int}",
        "{p}.json",
        "ö",
    ]
)
texts = st.sampled_from(
    [
        "a",
        "ab",
        "abc",
        "abcd",
        "b",
        "me",
        "12",
        "-3",
        "1.5",
        "2024-02-29",
        "2023-02-29",
        "v7",
        "x.json",
        "v1.json",
        "ö",
        "",
    ]
)


@st.composite
def templates(draw: st.DrawFn) -> str:
    parts = draw(st.lists(segment, min_size=1, max_size=4))
    named = [part.replace("{p", f"{{p{index}") for index, part in enumerate(parts)]
    tail = draw(st.sampled_from(["", "", "/", "/{rest:path}", "/{rest:path}/edit"]))
    return "/" + "/".join(named) + tail


@given(
    st.lists(templates(), min_size=1, max_size=12),
    st.lists(st.lists(texts, min_size=1, max_size=6), min_size=1, max_size=8),
)
def test_the_tree_agrees_with_a_naive_matcher(paths: list[str], asked: list[list[str]]) -> None:
    by_shape = {parse_template(path).segments: parse_template(path) for path in paths}
    tree = build(*(template.path for template in by_shape.values()))
    for parts in asked:
        path = "/" + "/".join(parts)
        fitting = {
            template.path: (precedence(template, path), values)
            for template in by_shape.values()
            if (values := naive_values(template, path)) is not None
        }
        found = tree.find(path, "GET")
        if not fitting:
            assert found is None, path
            continue
        assert found is not None, path
        template, values = found
        assert values == fitting[template][1]
        assert template == min(fitting, key=lambda each: fitting[each][0])


def test_a_static_branch_is_left_again_when_it_leads_nowhere() -> None:
    tree = build("/x/{id}/a/{key}", "/x/me/b/{key}")

    assert tree.find("/x/me/a/1", "GET") == ("/x/{id}/a/{key}", ["me", "1"])
    assert tree.find("/x/me/b/1", "GET") == ("/x/me/b/{key}", ["1"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/users/me", ("/users/me", [])),
        ("/users/7", ("/users/{id:int}", [7])),
        ("/users/7.5", ("/users/{ratio:float}", [7.5])),
        ("/users/2024-05-01", ("/users/{day:date}", [date(2024, 5, 1)])),
        (
            "/users/12345678-1234-5678-1234-567812345678",
            ("/users/{key:uuid}", [uuid.UUID("12345678123456781234567812345678")]),
        ),
        ("/users/anna", ("/users/{name}", ["anna"])),
        ("/users/anna.json", ("/users/{name}.json", ["anna"])),
        ("/users/anna/files/a", ("/users/{rest:path}", ["anna/files/a"])),
        ("/users/", None),
        ("/users", None),
        ("/Users/me", None),
    ],
)
def test_static_before_typed_before_text_before_path(
    path: str, expected: tuple[str, list[Any]] | None
) -> None:
    tree = build(
        "/users/{rest:path}", "/users/{name}", "/users/{name}.json", "/users/{day:date}", "/users/{key:uuid}",
        "/users/{ratio:float}", "/users/{id:int}", "/users/me",
    )  # fmt: skip

    assert tree.find(path, "GET") == expected


def test_a_route_of_another_method_is_passed_over() -> None:
    tree = build("/users/me")
    tree.add(parse_template("/users/{name}").segments, "DELETE", "delete")

    assert tree.find("/users/me", "DELETE") == ("delete", ["me"])
    assert tree.allowed("/users/me") == ("DELETE", "GET", "OPTIONS")


@pytest.mark.parametrize("text", ["9" * 19, "9" * 5000, "1_000", " 1", "+1", "", "1e3", "٣", "--1"])
def test_int_takes_plain_decimal_numbers_of_64_bits_only(text: str) -> None:
    assert build("/n/{n:int}").find(f"/n/{text}", "GET") is None


def test_a_path_that_is_no_utf8_matches_nothing() -> None:
    assert build("/n/{name}").find("/n/\udcff", "GET") is None


def test_a_hostile_path_costs_linear_time() -> None:
    tree = build("/{rest:path}/edit", "/{a}/{b}/{c}-{d}-{e}/x")
    path = "/a" * 200_000

    started = time.process_time()
    assert tree.find(path, "GET") is None
    assert tree.find("/a/b/" + "-" * 400_000, "GET") is None
    assert time.process_time() - started < 1.0


def test_ten_thousand_routes_build_in_under_a_second_and_match_as_fast_as_ten() -> None:
    started = time.process_time()
    many = build(*(f"/service{n}/items/{{id:int}}" for n in range(10_000)))
    many.find("/service0/items/1", "GET")
    assert time.process_time() - started < 1.0
    few = build(*(f"/service{n}/items/{{id:int}}" for n in range(10)))
    # The same number of different paths for both: what differs is the table alone.
    paths = {
        id(many): [f"/service{n}/items/1" for n in range(0, 10_000, 1000)],
        id(few): [f"/service{n}/items/1" for n in range(10)],
    }

    def per_match(tree: Tree) -> float:
        asked = paths[id(tree)] * 200
        started = time.process_time()
        for path in asked:
            tree.find(path, "GET")
        return time.process_time() - started

    ratios = sorted(per_match(many) / per_match(few) for _ in range(21))
    assert ratios[10] < 1.5
