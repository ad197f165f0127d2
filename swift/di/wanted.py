"""Which service a parameter asks for."""

from __future__ import annotations

import collections.abc
import inspect
import types
from collections.abc import Hashable
from typing import Annotated, Any, Union, get_args, get_origin

from .markers import Injection, Keyed

_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
# `names: list[str]` is a value that someone forgot to give, not all services of type str.
_VALUES = (str, bytes, int, float, bool, complex, object, dict, list, tuple, set, Any)


def service_of(parameter: inspect.Parameter, annotation: Any) -> tuple[Any, Hashable, bool]:
    """The service that a parameter asks for, its key, and whether None would do."""
    key: Hashable = None
    service: Any = None
    optional = False
    if isinstance(parameter.default, Injection):
        service, key = parameter.default.service, parameter.default.key
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation, *metadata = get_args(annotation)
            for item in metadata:
                if isinstance(item, Keyed):
                    key = item.key
                elif isinstance(item, Injection):
                    service, key = item.service or service, item.key
        elif origin in (Union, types.UnionType) and type(None) in get_args(annotation):
            members = [member for member in get_args(annotation) if member is not type(None)]
            if len(members) != 1:
                break
            annotation, optional = members[0], True
        else:
            break
    return service or annotation, key, optional


def listed(service: Any) -> Any:
    """The item of a list of services, or None."""
    arguments = get_args(service)
    if get_origin(service) in _LISTS and len(arguments) == 1 and arguments[0] not in _VALUES:
        return arguments[0]
    return None
