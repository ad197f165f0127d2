"""The app's database: opened from its URL, bound for every request, its errors answered as problems.

Nothing of engines and models is imported by an app that has no database.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from swift.http import (
    Conflict,
    ErrorDetail,
    NotFound,
    Problem,
    Request,
    Response,
    ServiceUnavailable,
    UnprocessableContent,
)
from swift.routing.endpoint import ErrorHandlers

if TYPE_CHECKING:
    from swift.engines import Database

logger = logging.getLogger("swift.error")


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
    """The answers to what models raise.

    409 for conflicts, 404 for what is not there, 422 for bad values, 503 while the database cannot work.
    """
    from swift.engines import IntegrityError, InvalidValue, OperationalError
    from swift.models import DoesNotExist

    return {
        IntegrityError: refused_change,
        DoesNotExist: not_there,
        InvalidValue: bad_value,
        OperationalError: out_of_order,
    }


def refused_change(request: Request, error: Any) -> Response:
    """No value is repeated and no text of the database leaks: only which parts of the request are concerned."""
    problem: Problem
    if error.kind == "unique":
        sent = places_of(request, error.table, error.columns)
        named = " and ".join(f"`{name}`" for name in sent)
        problem = Conflict(
            f"An object with the same {named} exists." if sent else "Such an object exists.",
            errors=[
                ErrorDetail(pointer, "unique", "Another object has this value") for pointer in sent.values()
            ],
        )
    elif error.kind == "foreign_key" and request.method == "DELETE":
        problem = Conflict("Other objects refer to this one.")
    elif error.kind == "foreign_key":
        problem = Conflict("The object refers to one that does not exist, or is still referred to.")
    else:
        sent = places_of(request, error.table, error.columns)
        problem = UnprocessableContent(
            "The values break a rule of the database.",
            errors=[ErrorDetail(pointer, "invalid", "Invalid value") for pointer in sent.values()],
        )
    return problem.to_response()


def places_of(request: Request, table: str | None, columns: Collection[str]) -> dict[str, str]:
    """Under which names the request sent the values of these columns, and where: `{"email": "/body/email"}`.

    Nothing unless all of them were sent: what a client does not know it is not told.
    """
    endpoint = request.endpoint
    if endpoint is None:
        return {}
    places = {parameter.name: (parameter.alias, parameter.pointer) for parameter in endpoint.parameters}
    body = None if endpoint.body is None else endpoint.body.type
    fields, names = (getattr(body, name, ()) for name in ("__struct_fields__", "__struct_encode_fields__"))
    places.update({field: (name, f"/body/{name}") for field, name in zip(fields, names, strict=True)})
    model = getattr(getattr(endpoint.route, "receiver", None), "model", None)
    if model is not None and model._meta.table.name == table:
        known = [model._meta.field_of(column) for column in columns]
        columns = ["" if field is None else field.name for field in known]
    return dict(places[column] for column in columns) if places.keys() >= set(columns) else {}


def not_there(request: Request, error: Any) -> Response:
    return NotFound("There is no such object.").to_response()


def bad_value(request: Request, error: Any) -> Response:
    return UnprocessableContent(str(error)).to_response()


def out_of_order(request: Request, error: Any) -> Response:
    """Locked, full, closed, unreachable: it may work again soon, and whoever runs the service has to know."""
    logger.error("The database could not serve %s %r.", request.method, request.path, exc_info=error)
    return ServiceUnavailable(
        "The database cannot be used at the moment.", headers={"retry-after": "1"}
    ).to_response()
