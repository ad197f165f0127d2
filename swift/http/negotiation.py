"""Proactive negotiation (RFC 9110 section 12.5): which of our offers a client likes best.

Fields are read in one pass, without regular expressions. Negotiation never makes a request fail
by accident: a malformed member is skipped, and a field with nothing left counts as absent.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .headers import parse_parameters, split_list


class MediaRange(msgspec.Struct, frozen=True):
    """One member of Accept: `text/*;q=0.5` and the like, in lower case but for parameter values."""

    type: str
    subtype: str
    parameters: tuple[tuple[str, str], ...]
    quality: float

    @property
    def specificity(self) -> tuple[int, int]:
        """`*/*` < `text/*` < `text/html` < `text/html;level=1`."""
        return (0 if self.type == "*" else 1 if self.subtype == "*" else 2), len(self.parameters)


def parse_accept(text: str) -> list[MediaRange]:
    """The well-formed members of an Accept field, in the order given."""
    ranges: list[MediaRange] = []
    for member in split_list(text):
        name, parameters = parse_parameters(member)
        kind, slash, subtype = name.partition("/")
        # Old Java clients send a single `*` for `*/*`.
        if name == "*":
            kind, slash, subtype = "*", "/", "*"
        quality = _quality(parameters.pop("q", "1"))
        if not slash or not kind or not subtype or (kind == "*" and subtype != "*") or quality is None:
            continue
        ranges.append(MediaRange(kind, subtype, tuple(parameters.items()), quality))
    return ranges


def negotiate(accept: str | bytes | None, offers: Sequence[str]) -> str | None:
    """The best of the offered media types, or None when the client takes none of them (406).

    For each offer the most specific range counts. The highest quality wins; of equals, the one
    that was named more specifically, then the earlier offer. Without the field, the first offer.
    """
    ranges = parse_accept(_text(accept))
    if not ranges:
        return offers[0] if offers else None
    best: tuple[float, tuple[int, int]] = (0.0, (0, 0))
    chosen = None
    for offer in offers:
        name, parameters = parse_parameters(offer)
        kind, _, subtype = name.partition("/")
        applying = [
            candidate
            for candidate in ranges
            if candidate.type in ("*", kind)
            and candidate.subtype in ("*", subtype)
            and all(_carries(parameters, key, value) for key, value in candidate.parameters)
        ]
        if applying:
            narrowest = max(applying, key=lambda candidate: candidate.specificity)
            score = (narrowest.quality, narrowest.specificity)
            if narrowest.quality > 0 and score > best:
                best, chosen = score, offer
    return chosen


def negotiate_encoding(accept_encoding: str | bytes | None, offers: Sequence[str]) -> str | None:
    """The best of the offered content codings, "identity", or None when even that is refused.

    Of equal qualities the earlier offer wins, and any offer wins over an identity that the field
    does not name. Without the field the answer is "identity": a client that says nothing may know
    no coding.
    """
    qualities: dict[str, float] = {}
    for member in split_list(_text(accept_encoding)):
        name, parameters = parse_parameters(member)
        quality = _quality(parameters.get("q", "1"))
        if name and quality is not None:
            qualities.setdefault("gzip" if name == "x-gzip" else name, quality)
    others = qualities.get("*")
    best, chosen = 0.0, None
    for offer in offers:
        if offer != "identity":
            quality = qualities.get(offer, others) or 0.0
            if quality > best:
                best, chosen = quality, offer
    identity = qualities.get("identity")
    if identity is not None and identity > best:
        return "identity"
    if chosen is not None:
        return chosen
    return None if identity == 0 or (identity is None and others == 0) else "identity"


def _carries(parameters: dict[str, str], key: str, value: str) -> bool:
    # Clients add a charset to types that have none, JSON above all; that shall not cost them a 406.
    if key == "charset" and key not in parameters:
        return True
    return parameters.get(key, "").lower() == value.lower()


def _text(field: str | bytes | None) -> str:
    return field.decode("latin-1") if isinstance(field, bytes) else field or ""


def _quality(text: str) -> float | None:
    """A weight of RFC 9110 section 12.4.2: 0 to 1 with at most three decimals."""
    whole, _, decimals = text.partition(".")
    if whole not in ("0", "1") or len(decimals) > 3 or not (decimals.isdigit() or not decimals):
        return None
    if not text.isascii():
        return None
    quality = float(text)
    return quality if quality <= 1 else None
