"""OpenAPI: a document generated from the plans that validate, and a page that shows it offline."""

from __future__ import annotations

from swift.openapi.docs import Documentation
from swift.openapi.generator import OpenAPIOptions, openapi

__all__ = ["Documentation", "OpenAPIOptions", "openapi"]
