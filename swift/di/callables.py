"""What kind of thing provides a value, and which parameters it takes."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, Literal, get_origin, get_type_hints

import msgspec

from .errors import RegistrationError
from .generics import Bindings, bindings_of, substitute

Kind = Literal["function", "coroutine", "generator", "async_generator", "class"]

EMPTY = inspect.Parameter.empty

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def kind_of(provider: Callable[..., Any]) -> Kind:
    function = _function_of(provider)
    if isinstance(get_origin(function) or function, type):
        return "class"
    if inspect.isasyncgenfunction(function):
        return "async_generator"
    if inspect.isgeneratorfunction(function):
        return "generator"
    return "coroutine" if inspect.iscoroutinefunction(function) else "function"


def name_of(thing: Any) -> str:
    """How a type or provider is called in a sentence: `Repository[User]`, `open_session`."""
    if isinstance(thing, functools.partial):
        return name_of(thing.func)
    if get_origin(thing) is not None:
        arguments = ", ".join(name_of(argument) for argument in getattr(thing, "__args__", ()))
        return f"{name_of(get_origin(thing))}[{arguments}]"
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    return str(name or repr(thing)).rpartition("<locals>.")[2]


def parameters_of(
    provider: Callable[..., Any], bindings: Bindings | None = None
) -> list[tuple[inspect.Parameter, Any]]:
    """The parameters of a provider with their resolved annotations, without `*args` and `**kwargs`.

    The TypeVars of a generic class are those of its type arguments, wherever among its bases the constructor
    stands; `bindings` are those of a function.
    """
    target = get_origin(provider) or provider
    try:
        signature = inspect.signature(target)
    except NameError as error:
        raise _unresolved(provider, error) from None
    except ValueError:
        # A class written in C that does not tell; it is called without arguments.
        return []
    hints = hints_of(target)
    found = []
    for name, parameter in signature.parameters.items():
        if parameter.kind in _VARIADIC:
            continue
        hint = hints.get(name, parameter.annotation)
        if isinstance(target, type):
            hint = substitute(hint, bindings_of(provider, constructor_owner(target, name)))
        found.append((parameter, substitute(hint, bindings or {})))
    return found


def constructor_owner(cls: type, parameter: str) -> type:
    """The class whose annotation is that of a parameter of the constructor."""
    if _fields_are_parameters(cls):
        return next((base for base in cls.__mro__ if parameter in vars(base).get("__annotations__", {})), cls)
    return _constructor(cls)[0]


def _constructor(cls: type) -> tuple[type, Any]:
    for method in ("__init__", "__new__"):
        for base in cls.__mro__:
            if base is not object and method in vars(base):
                function = vars(base)[method]
                return base, getattr(function, "__func__", function)
    return cls, cls


def hints_of(provider: Any) -> dict[str, Any]:
    """The resolved annotations of what `provider` is called with."""
    function = _function_of(provider)
    if not isinstance(function, type):
        function = inspect.unwrap(function)
    elif not _fields_are_parameters(function):
        function = _constructor(function)[1]
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise _unresolved(provider, error) from None
    except TypeError:
        # A callable without annotations of its own, such as a method of a class written in C.
        return {}


def _unresolved(provider: Any, error: NameError) -> RegistrationError:
    return RegistrationError(
        f"{name_of(provider)} has an annotation that cannot be resolved: {error}; define or import it at module "
        "level, outside of `if TYPE_CHECKING`."
    )


def _fields_are_parameters(cls: type) -> bool:
    """Whether the constructor was made from the annotations of a class and its bases."""
    if not (
        dataclasses.is_dataclass(cls)
        or issubclass(cls, msgspec.Struct)
        or hasattr(cls, "__attrs_attrs__")
        or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
    ):
        return False
    # Made code has a file name like `<string>`.
    code = getattr(vars(cls).get("__init__"), "__code__", None)
    return code is None or code.co_filename.startswith("<")


def _function_of(provider: Any) -> Any:
    while isinstance(provider, functools.partial):
        provider = provider.func
    if isinstance(get_origin(provider) or provider, type) or inspect.isroutine(provider):
        return provider
    return type(provider).__call__ if callable(provider) else provider
