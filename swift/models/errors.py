"""What queries raise besides the errors of the engines."""

from __future__ import annotations


class FieldError(ValueError):
    """A query names a field, relation or lookup that does not exist, or uses one as it cannot be used."""


class ModelError(TypeError):
    """A model is declared in a way that cannot work."""


class DoesNotExist(LookupError):
    """No row matches. Every model has its own: `User.DoesNotExist`."""


class MultipleObjectsReturned(LookupError):
    """Several rows match where one was asked for. Every model has its own."""
