"""The stable code of each sentence that msgspec says.

msgspec reports an error as text: ``Expected `int`, got `str` - at `$.items[0].qty` ``. The sentence is for
people; programs need a code that does not change when a sentence does. The table below is pinned by
a test against the installed msgspec.

Two sentences repeat what the client sent (``Invalid enum value 'x'``, ``Object contains unknown field
`x` ``); what is sent is never said back, so `describe` cuts it off.
"""

from __future__ import annotations

import re

import msgspec

from .report import Path

# The first rule that matches the beginning of a sentence gives its code.
RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"Object missing required field `", "missing"),
        (r"Object contains unknown field `", "unknown_field"),
        (r"Expected `\w+` of length >= ", "too_short"),
        (r"Expected `\w+` of length <= ", "too_long"),
        (r"Expected `array` of at least length ", "too_short"),
        (r"Expected `array` of at most length ", "too_long"),
        (r"Expected `array` of length ", "length"),
        (r"Expected `\w+` (?:>=|>) ", "too_small"),
        (r"Expected `\w+` (?:<=|<) ", "too_large"),
        (r"Expected `\w+` that's a multiple of ", "multiple_of"),
        (r"Expected `str` matching regex ", "pattern"),
        (r"Expected `\w+` with (?:a|no) timezone component", "timezone"),
        (r"Expected `", "type"),
        (r"Invalid enum value ", "enum"),
        (r"Invalid value ", "invalid_tag"),
        (r"Invalid RFC3339 encoded datetime", "format_datetime"),
        (r"Invalid RFC3339 encoded date", "format_date"),
        (r"Invalid RFC3339 encoded time", "format_time"),
        (r"Invalid ISO8601 duration", "format_duration"),
        (r"Only units 'D', 'H', 'M', and 'S' are supported", "format_duration"),
        (r"Invalid UUID", "format_uuid"),
        (r"Invalid decimal string", "format_decimal"),
        (r"Invalid base64 encoded string", "format_base64"),
        (r"Invalid epoch timestamp", "format_datetime"),
        (r"(?:Integer value|Number|Timestamp|Duration) (?:is )?out of range", "out_of_range"),
    )
)

# A sentence of none of the rules was written by the application: `__post_init__` or a decoding hook.
INVALID = "invalid"

_CUT = {
    "enum": "Invalid enum value",
    "invalid_tag": "Invalid tag",
    "unknown_field": "Object contains unknown field",
}


def describe(sentence: str) -> tuple[str, str]:
    """The code of a sentence of msgspec (without its path), and the sentence without input."""
    for pattern, code in RULES:
        if pattern.match(sentence):
            return code, _CUT.get(code, sentence.rstrip())
    return INVALID, sentence


def reason(error: Exception) -> tuple[str, str]:
    """Code and sentence of what was raised about one value.

    The sentence of a ValueError was written for the client. That of a TypeError was not: it is the text
    of a fault inside the application's code.
    """
    if isinstance(error, msgspec.ValidationError):
        if not isinstance(error.__cause__, Exception):
            return describe(split_path(str(error))[0])
        error = error.__cause__
    sentence = "" if isinstance(error, TypeError) else str(error)
    return INVALID, sentence or "Invalid value"


def first_fault(error: msgspec.ValidationError) -> tuple[Path, str, str]:
    """Where, code and sentence of the one fault that msgspec reports."""
    path: Path = None
    for key in path_to_keys(split_path(str(error))[1]):
        path = (path, key)
    return (path, *reason(error))


def split_path(message: str) -> tuple[str, str]:
    """The sentence and the path (`$.items[0].qty`, "" at the root) of a message of msgspec."""
    sentence, separator, path = message.rpartition(" - at `")
    if not separator:
        return message, ""
    return sentence, path.removesuffix("`")


_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


def path_to_keys(path: str) -> list[str | int]:
    """The keys of a path of msgspec, up to the first that it does not name (`[...]`).

    A path of a key, ``key` in `$.prices``, leads to the object that holds the key.
    """
    keys: list[str | int] = []
    position = path.rfind("$") + 1
    while match := _STEP.match(path, position):
        name, index = match.groups()
        keys.append(int(index) if name is None else name)
        position = match.end()
    return keys
