"""The app's database: opened from its URL, bound for every request, its errors answered as problems.

Nothing of engines and models is imported by an app that has no database.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from swift.http import Conflict, NotFound, Problem, Request, Response, UnprocessableContent
from swift.routing.endpoint import ErrorHandlers

if TYPE_CHECKING:
    from swift.engines import Database


def open_database(database: str | Database | None) -> Database | None:
    """The Database of a URL; it connects when the app starts."""
    if not isinstance(database, str):
        return database
    from swift.engines import Database

    return Database.from_url(database)


def database_bindings(database: Database | None) -> tuple[tuple[ContextVar[Any], Any], ...]:
    """What the kernel sets in the context of every request."""
    if database is None:
        return ()
    from swift.engines import current_database

    return ((current_database, database),)


def data_error_handlers() -> ErrorHandlers:
    """The answers to what models raise: 409 for conflicts, 404 for what is not there, 422 for bad values."""
    from swift.engines import IntegrityError, InvalidValue
    from swift.models import DoesNotExist

    return {IntegrityError: refused_change, DoesNotExist: not_there, InvalidValue: bad_value}


def refused_change(request: Request, error: Any) -> Response:
    """No value is repeated and no text of the database leaks: only which fields are concerned."""
    fields = ", ".join(f"`{column}`" for column in error.columns)
    problem: Problem
    if error.kind == "unique":
        problem = Conflict(
            f"An object with the same {fields} exists." if fields else "Such an object exists."
        )
    elif error.kind == "foreign_key":
        problem = Conflict("The object refers to one that does not exist, or is still referred to.")
    else:
        problem = UnprocessableContent(
            f"The database refused the value of {fields}." if fields else "The database refused a value."
        )
    return problem.to_response()


def not_there(request: Request, error: Any) -> Response:
    return NotFound("There is no such object.").to_response()


def bad_value(request: Request, error: Any) -> Response:
    return UnprocessableContent(str(error)).to_response()
