"""Strings with a meaning, as types: `email: Email`.

Each is a `str` with a pattern that msgspec matches while decoding, so a good value costs no Python code. The
patterns match the whole text, take linear time, and are bounded in length where their standard bounds them.
A mismatch is reported as `format_email` with a sentence, not with the pattern.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .patterns import anchored

# RFC 1035 §2.3.4: a label has at most 63 octets. The lookahead says so without a choice.
_LABEL = r"(?![A-Za-z0-9-]{64})[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
# RFC 5322 §3.2.3, without quoted strings and comments; RFC 5321 §4.5.3.1.1 bounds it to 64 octets.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = rf"(?![^@]{{65}}){_ATOM}(?:\.{_ATOM})*"

# An address of the common form, ASCII, with a dot in its domain. 254: RFC 5321 erratum 1690.
Email = Annotated[
    str, anchored(rf"{_LOCAL}@{_LABEL}(?:\.{_LABEL})+", None, 254, "email", "Expected an e-mail address")
]
# RFC 1123 §2.1. 253 is what remains of the 255 octets of RFC 1035.
Hostname = Annotated[str, anchored(_HOST, None, 253, "hostname", "Expected a host name")]
# http or https, without user information; a path, query and fragment of visible ASCII.
URL = Annotated[
    str,
    anchored(
        rf"[Hh][Tt][Tt][Pp][Ss]?://(?:{_HOST}|\[[0-9A-Fa-f:.]{{2,45}}\])(?::[0-9]{{1,5}})?(?:[/?#][!-~]*)?",
        None,
        2048,
        "uri",
        "Expected an http or https URL",
    ),
]
Slug = Annotated[
    str,
    anchored(
        r"[a-z0-9]+(?:-[a-z0-9]+)*",
        None,
        200,
        "slug",
        "Expected lower-case letters, digits and single hyphens",
    ),
]
# E.164: a plus and up to fifteen digits.
PhoneNumber = Annotated[
    str, anchored(r"\+[1-9][0-9]{6,14}", None, 16, "phone", "Expected a number like +441632960961")
]
# No control characters but tab and line ends: above all no NUL, which PostgreSQL cannot store.
Text = Annotated[
    str,
    anchored(
        r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*",
        None,
        None,
        "text",
        "Expected text without control characters",
    ),
]
NonEmptyStr = Annotated[str, Meta(min_length=1)]

PositiveInt = Annotated[int, Meta(gt=0)]
NonNegativeInt = Annotated[int, Meta(ge=0)]
# What fits a column of the database.
Int16 = Annotated[int, Meta(ge=-(2**15), le=2**15 - 1)]
Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
