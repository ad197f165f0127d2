"""The markers, and the public names of swift.di."""

from __future__ import annotations

from typing import Any

import pytest

import swift.di
from swift.di import Dependency, Depends, Inject, Injection


def test_markers_are_small_frozen_objects() -> None:
    marker = Depends(len, scope="app", use_cache=False, run_sync="inline")
    assert marker == Dependency(len, "app", False, "inline")
    assert Inject(int, key="k") == Injection(int, "k")
    assert hash(marker) == hash(Dependency(len, "app", False, "inline"))
    with pytest.raises(AttributeError):
        marker.scope = "call"


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"scope": "session"}, ValueError, "a scope is 'app', 'request' or 'call'"),
    ({"run_sync": "process"}, ValueError, "it is 'thread', 'inline' or None"),
    ({"fn": 5}, TypeError, r"Depends\(5\): what provides a dependency is called; this cannot be"),
]


@pytest.mark.parametrize(("options", "error", "sentence"), WRONG)
def test_a_wrong_marker_is_refused_where_it_is_written(
    options: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        Depends(**options)


def test_the_public_names() -> None:
    expected = {
        "AppScope", "AsyncRequired", "CaptiveDependency", "CircularDependency", "Container", "Dependency",
        "DependencyError", "DependencyGraph", "DependencyPlan", "Depends", "Exits", "GraphError", "Inject",
        "Injection", "InvalidGraph", "Keyed", "MissingService", "RegistrationError", "Scope", "ScopeClosed",
        "ScopeRequired", "Step", "marker_of", "run",
    }  # fmt: skip
    assert set(swift.di.__all__) == expected
    assert all(hasattr(swift.di, name) for name in expected)
    assert not hasattr(swift.di, "ServiceCollection")
    assert dir(swift.di) == sorted(expected)
