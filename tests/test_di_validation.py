"""A graph is checked at start; all that is wrong is told in sentences, at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from swift.di import (
    CaptiveDependency,
    CircularDependency,
    Container,
    GraphError,
    InvalidGraph,
    MissingService,
    Scope,
)

if TYPE_CHECKING:
    from decimal import Decimal


class A:
    def __init__(self, b: B) -> None: ...


class B:
    def __init__(self, c: C) -> None: ...


class C:
    def __init__(self, a: A) -> None: ...


class Leaf:
    pass


class Holder:
    def __init__(self, leaf: Leaf) -> None: ...


class Outer:
    def __init__(self, holder: Holder) -> None: ...


class Hidden:
    def __init__(self, amount: Decimal) -> None: ...


class Bare:
    def __init__(self, thing) -> None: ...  # type: ignore[no-untyped-def]


def test_a_sound_graph_is_silent() -> None:
    Container().add_singleton(Leaf).add_scoped(Holder).add_transient(Outer).validate()


def test_a_missing_service_is_named_with_who_needs_it_and_what_to_do() -> None:
    with pytest.raises(MissingService) as caught:
        Container().add_scoped(Holder).validate()
    assert str(caught.value) == (
        "Holder needs `leaf`: Leaf is not registered; register it with container.add_scoped(Leaf, ...), or give "
        "the parameter a default."
    )


def test_a_parameter_without_annotation_is_named() -> None:
    with pytest.raises(MissingService, match="Bare needs `thing`, which has no annotation; annotate it"):
        Container().add_scoped(Bare).validate()


def test_an_annotation_that_cannot_be_resolved_is_named() -> None:
    with pytest.raises(GraphError, match=r"Hidden has an annotation .* 'Decimal' is not defined; define or"):
        Container().add_scoped(Hidden).validate()


def test_a_cycle_is_told_with_its_path() -> None:
    with pytest.raises(
        CircularDependency, match=r"(A -> B -> C -> A|B -> C -> A -> B|C -> A -> B -> C) is a"
    ):
        Container().add_scoped(A).add_scoped(B).add_scoped(C).validate()


def test_a_service_that_needs_itself_is_a_cycle() -> None:
    def make(leaf: Leaf) -> Leaf:
        return leaf

    with pytest.raises(CircularDependency, match="Leaf -> Leaf is a cycle"):
        Container().add_singleton(Leaf, make).validate()


def test_a_singleton_that_would_keep_a_scoped_service_is_told_with_the_path() -> None:
    with pytest.raises(CaptiveDependency) as caught:
        Container().add_scoped(Leaf).add_transient(Holder).add_singleton(Outer).validate()
    assert str(caught.value) == (
        "Outer -> Holder -> Leaf: the singleton Outer would keep one Leaf for ever, which belongs to one scope; "
        "make Outer scoped, or let it open a scope for each use."
    )


def test_a_singleton_that_would_keep_a_scope_is_captive_too() -> None:
    class Greedy:
        def __init__(self, scope: Scope) -> None: ...

    with pytest.raises(CaptiveDependency, match="would keep one Scope for ever"):
        Container().add_singleton(Greedy).validate()


def test_everything_is_told_at_once() -> None:
    services = Container().add_scoped(A).add_scoped(B).add_scoped(C)
    services.add_singleton(Outer).add_scoped(Holder).add_scoped(Bare)
    with pytest.raises(InvalidGraph) as caught:
        services.validate()
    kinds = sorted(type(problem).__name__ for problem in caught.value.problems)
    assert kinds == ["CaptiveDependency", "CircularDependency", "MissingService", "MissingService"]
    assert str(caught.value).count("\n- ") == 3


def test_using_an_unsound_graph_without_validation_says_the_same() -> None:
    services = Container().add_scoped(A).add_scoped(B).add_scoped(C).add_scoped(Holder).add_singleton(Bare)
    for service, error in ((A, CircularDependency), (Holder, MissingService), (Leaf, MissingService)):
        for _ in range(2):
            with pytest.raises(error), services.scope() as scope:
                scope.get_sync(service)


def test_what_is_sound_works_beside_what_is_not() -> None:
    services = Container().add_singleton(Leaf).add_scoped(A)
    with pytest.raises(GraphError):
        services.validate()
    assert isinstance(services.get_sync(Leaf), Leaf)


def layers(depth: int, width: int) -> tuple[Container, list[type]]:
    """Layers in which each class needs all of the layer below: `width ** depth` paths."""
    services = Container()
    below: list[type] = []
    for level in range(depth):
        layer: list[type] = []
        for index in range(width):
            parameters = "".join(f", p{number}: P{number}" for number in range(len(below)))
            namespace: dict[str, Any] = {f"P{number}": cls for number, cls in enumerate(below)}
            name = f"S{level}_{index}"
            exec(f"class {name}:\n    def __init__(self{parameters}): pass", namespace)
            layer.append(namespace[name])
            services.add_scoped(namespace[name])
        below = layer
    return services, below


def test_a_dense_graph_is_checked_in_linear_time() -> None:
    services, top = layers(depth=16, width=16)
    begin = time.perf_counter()
    services.validate()
    # 3,840 edges; 16 ** 16 paths.
    assert time.perf_counter() - begin < 2
    with services.scope() as scope:
        assert isinstance(scope.get_sync(top[0]), top[0])


def test_a_dense_graph_full_of_cycles_is_checked_in_linear_time() -> None:
    services = Container()
    classes: list[type] = [type(f"K{index}", (), {}) for index in range(60)]
    for index, cls in enumerate(classes):

        def make(**needs: Any) -> Any: ...

        make.__signature__ = __import__("inspect").Signature(  # type: ignore[attr-defined]
            [
                __import__("inspect").Parameter(f"p{other}", 3, annotation=classes[other])
                for other in range(60)
                if other != index
            ]
        )
        services.add_scoped(cls, make)
    begin = time.perf_counter()
    with pytest.raises(GraphError):
        services.validate()
    assert time.perf_counter() - begin < 2


def test_a_deep_graph_is_checked_without_recursion() -> None:
    services, _ = layers(depth=2000, width=1)
    services.validate()
