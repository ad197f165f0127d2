"""Rules of which rows are visible at all, whoever asks and by whichever relation.

A deleted row of a SoftDelete model is met neither by its own queries nor through a relation of another; a row
of a TenantScoped model only where its tenant is the current one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple


class Rule(NamedTuple):
    """`field` is NULL, or has the value the function gives in the context of the execution."""

    name: str
    field: str
    value: Callable[[], Any] | None = None


class NoTenant(RuntimeError):
    """Rows that belong to tenants were asked for where no tenant is set."""

    def __init__(self) -> None:
        super().__init__(
            "This model's rows belong to tenants, and none is set here: wrap it in `with tenant(key):`, set "
            "it for a request in a middleware, or ask for `.all_tenants()`."
        )


_tenant: ContextVar[Any] = ContextVar("swift_tenant", default=None)


def current_tenant() -> Any:
    """The tenant of this context. Raises NoTenant."""
    found = _tenant.get()
    if found is None:
        raise NoTenant
    return found


@contextmanager
def tenant(key: Any) -> Iterator[None]:
    """In the block, and in the tasks started in it, rows of TenantScoped models are those of this tenant."""
    token = _tenant.set(key.pk if hasattr(key, "_meta") else key)
    try:
        yield
    finally:
        _tenant.reset(token)


def rules_of(meta: Any) -> tuple[Rule, ...]:
    found = []
    if meta.get("soft_delete"):
        found.append(Rule("deleted", meta["soft_delete"]))
    if meta.get("tenant_field"):
        found.append(Rule("tenant", meta["tenant_field"], current_tenant))
    return tuple(found)
