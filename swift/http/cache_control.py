"""Cache-Control (RFC 9111 section 5.2, RFC 5861, RFC 8246), written and read."""

from __future__ import annotations

import msgspec

from .headers import parse_parameters, split_list

# Delta-seconds beyond this may be taken for it (RFC 9111 section 1.2.2).
_LONGEST = 2**31 - 1

_SECONDS = ("max_age", "s_maxage", "stale_while_revalidate", "stale_if_error")


class CacheControl(msgspec.Struct, frozen=True, kw_only=True):
    """What caches may do with a response; times are in seconds.

    `str()` is the field: `CacheControl(public=True, max_age=60)` is `public, max-age=60`. What contradicts
    itself, such as `public` with `no_store`, is a ValueError.
    """

    public: bool = False
    private: bool = False
    no_store: bool = False
    no_cache: bool = False
    no_transform: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    immutable: bool = False
    max_age: int | None = None
    s_maxage: int | None = None
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None

    def __post_init__(self) -> None:
        for name in _SECONDS:
            seconds = getattr(self, name)
            if seconds is not None and seconds < 0:
                raise ValueError(f"The {_directive(name)} of Cache-Control is {seconds} s; give 0 or more.")
        if self.public and (self.private or self.no_store):
            raise ValueError("Cache-Control cannot be public and private or no-store; keep one of them.")
        if self.private and self.s_maxage is not None:
            raise ValueError(
                "Cache-Control has s-maxage for shared caches, and is private; keep one of them."
            )
        if self.no_store and any(getattr(self, name) is not None for name in _SECONDS):
            raise ValueError("Cache-Control has a time for what is not to be stored; leave out one of them.")

    def __str__(self) -> str:
        directives = []
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is True:
                directives.append(_directive(name))
            elif value is not False and value is not None:
                directives.append(f"{_directive(name)}={value}")
        return ", ".join(directives)

    @classmethod
    def parse(cls, text: str) -> CacheControl:
        """The directives of a field that are known; of contradictions the stricter one.

        A time that is no number counts as 0, that is as stale (RFC 9111 section 4.2.1). `no-cache` and `private`
        with field names are read as without: that is stricter, and allowed.
        """
        found: dict[str, bool | int] = {}
        for member in split_list(text):
            name, _, argument = member.partition("=")
            field = name.strip(" \t").lower().replace("-", "_")
            if field not in cls.__struct_fields__:
                continue
            if field not in _SECONDS:
                found[field] = True
                continue
            digits = parse_parameters(f";a={argument}")[1].get("a", "")
            seconds = _seconds(digits)
            found[field] = min(seconds, int(found.get(field, _LONGEST)))
        if "private" in found:
            found.pop("s_maxage", None)
            found.pop("public", None)
        if "no_store" in found:
            found = {name: value for name, value in found.items() if name not in (*_SECONDS, "public")}
        return cls(**found)  # type: ignore[arg-type]


def _directive(name: str) -> str:
    return name.replace("_", "-")


def _seconds(digits: str) -> int:
    if not (digits.isascii() and digits.isdigit()):
        return 0
    return min(int(digits), _LONGEST) if len(digits) < 12 else _LONGEST
