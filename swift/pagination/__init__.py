"""Pagination: how a list is cut into pages, as query parameters and as the shape of the answer."""

from __future__ import annotations

from .base import Page, Pagination, UncountedPage, completed_order, in_full_order, pagination_of
from .cursor import CursorPagination, CursorQuery
from .pages import LimitOffsetPagination, OffsetQuery, PageNumberPagination, PageQuery

__all__ = [
    "CursorPagination",
    "CursorQuery",
    "LimitOffsetPagination",
    "OffsetQuery",
    "Page",
    "PageNumberPagination",
    "PageQuery",
    "Pagination",
    "UncountedPage",
    "completed_order",
    "in_full_order",
    "pagination_of",
]
