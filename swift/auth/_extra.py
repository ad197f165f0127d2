"""The packages of the extra `auth`, imported by what uses them and named when they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def needed(module: str, package: str, user: str) -> Any:
    """A module of the extra; ImportError says in one sentence which extra `user` needs."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise ImportError(
            f"{user} needs the package {package}: pip install swift-api[auth]", name=module
        ) from None
