"""App: everything composed into one ASGI callable."""

from __future__ import annotations

from .application import App

__all__ = ["App"]
