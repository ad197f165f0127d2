"""Routes and routers, the parameters of handlers, and the call plans compiled of them."""

from __future__ import annotations

from .annotations import SignatureError
from .endpoint import Endpoint
from .params import Body, Cookie, File, Form, Header, Path, Query
from .plan import BodySpec, Parameter
from .router import Router
from .routes import Route, RouteConflict

__all__ = [
    "Body",
    "BodySpec",
    "Cookie",
    "Endpoint",
    "File",
    "Form",
    "Header",
    "Parameter",
    "Path",
    "Query",
    "Route",
    "RouteConflict",
    "Router",
    "SignatureError",
]
