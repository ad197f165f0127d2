"""`Schema`: what a body, a group of parameters or an answer is declared with."""

from __future__ import annotations

from typing import Any, TypeVar, dataclass_transform

import msgspec

_SM = TypeVar("_SM", bound="SchemaMeta")


class SchemaMeta(msgspec.StructMeta):
    """Makes `kw_only=True` the default of every subclass: msgspec does not inherit that option."""

    def __new__(
        mcls: type[_SM], name: str, bases: tuple[type, ...], namespace: dict[str, Any], /, **options: Any
    ) -> _SM:
        options.setdefault("kw_only", True)
        return super().__new__(mcls, name, bases, namespace, **options)


@dataclass_transform(kw_only_default=True, field_specifiers=(msgspec.field,))
class Schema(msgspec.Struct, metaclass=SchemaMeta, repr_omit_defaults=True):
    """A `msgspec.Struct` with the options that suit an API.

    Fields are given by name, so a subclass may add required fields after optional ones. All options of
    msgspec are class arguments (`rename="camel"`, `forbid_unknown_fields=True`, `tag="circle"`,
    `frozen=True`); a field that may be missing is `name: str | UnsetType = UNSET`, which keeps it apart
    from null. `__post_init__` may raise ValueError with a sentence for the client: it becomes an error
    of the object, code `invalid`.
    """
