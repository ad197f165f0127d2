"""From `module:attribute` to an application, or to one sentence that says why not."""

from __future__ import annotations

import inspect
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from types import ModuleType

    from swift.app import App

ASGIApp = Callable[..., Any]


def target_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """The argument and option by which every command finds its application."""
    function = click.option(
        "--factory", is_flag=True, help="TARGET is a function that makes the application."
    )(function)
    return click.argument("target")(function)


class TargetError(click.ClickException):
    """The application was not found or cannot be used; the exit code is 1."""


def load_target(target: str, factory: bool = False) -> ASGIApp:
    """The ASGI application at `target`; with `factory` the one that the function there returns.

    Raises TargetError. The working directory is put on the import path, as `python -m` does.
    """
    if "" not in sys.path and (working_directory := _working_directory()) not in sys.path:
        sys.path.insert(0, working_directory)
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        raise TargetError(f"`{target}` is no target; write `module:attribute`, as in `app:asgi`.")
    found = _attribute(_import(module_name), attribute, target)
    if factory:
        if not callable(found):
            raise TargetError(f"`{target}` is a {type(found).__name__}, not a function; leave --factory out.")
        try:
            found = found()
        except Exception as error:
            raise TargetError(f"The factory `{target}` failed: {described(error)}") from error
        if inspect.iscoroutine(found):
            found.close()
            raise TargetError(f"The factory `{target}` is `async`; make it a plain function.")
    elif _is_factory(found):
        raise TargetError(
            f"`{target}` is a function without parameters; if it makes the application, add --factory."
        )
    if not callable(found):
        raise TargetError(f"`{target}` is a {type(found).__name__}, not an ASGI application.")
    return cast(ASGIApp, found)


def load_app(target: str, factory: bool = False) -> App:
    """The App at `target`, also from inside wrappers that keep what they wrap as `app`."""
    from swift.app import App

    found: Any = load_target(target, factory)
    for _ in range(20):
        if isinstance(found, App):
            return found
        found = getattr(found, "app", None)
    raise TargetError(f"`{target}` is not a Swift application; only an App knows its routes.")


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise TargetError("The working directory does not exist any more; change to another one.") from None


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing == name or name.startswith(missing + "."):
            hint = f"; write `{name[:-3]}`" if name.endswith(".py") else ""
            raise TargetError(
                f"There is no module `{missing}` in {_working_directory()} or on the import path{hint}."
            ) from None
        raise TargetError(f"Module `{name}` cannot be imported: {described(error)}") from error
    except Exception as error:
        raise TargetError(f"Module `{name}` cannot be imported: {described(error)}") from error
    except SystemExit as error:
        raise TargetError(
            f"Module `{name}` called sys.exit({error.code!r}) while it was imported."
        ) from error


def _attribute(module: ModuleType, path: str, target: str) -> Any:
    found: Any = module
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            names = (
                [each for each in vars(found) if not each.startswith("_")]
                if hasattr(found, "__dict__")
                else []
            )
            nearest = get_close_matches(name, names, n=1)
            where = (
                f"Module `{module.__name__}`"
                if found is module
                else f"`{type(found).__name__}` in `{target}`"
            )
            hint = f"; did you mean `{nearest[0]}`?" if nearest else "."
            raise TargetError(f"{where} has no attribute `{name}`{hint}") from None
    return found


def _is_factory(found: Any) -> bool:
    if not inspect.isfunction(found) or inspect.iscoroutinefunction(found):
        return False
    return not any(
        parameter.default is parameter.empty for parameter in inspect.signature(found).parameters.values()
    )


def described(error: BaseException) -> str:
    """The error in one sentence, with the last place in the application's own code on the way to it."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})."
    text = str(error).strip().removesuffix(".")
    if "\n" in text:
        # A list of mistakes, each a sentence that says itself where it is.
        return text
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((*_LIBRARIES, "<"))]
    place = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}{text and ': '}{text}{place}."


# Where code lies that is not the application's: the standard library, installed packages, this one.
_LIBRARIES = (
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
)
