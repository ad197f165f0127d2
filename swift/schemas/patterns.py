"""Patterns that take linear time, whatever they are matched against.

Python's `re` backtracks: where a choice (another round or not, this branch or that) turns out wrong, it
comes back and tries the other. `(a+)+b` against thirty times `a` takes minutes, and the text comes from the
client. msgspec's `Meta(pattern=...)` also *searches*, so a pattern without anchors accepts any text
that contains a match.

`AnchoredPattern` closes both holes. Its pattern must match the whole text, and it is refused, when the schema
is declared, unless the next character decides nearly every choice:

- inside a repeat, every choice must be decided by the next character, or the ways to match multiply with
  every round;
- outside of repeats, a repeat without bound may be undecided when what follows it is short (`[a-z-]*[a-z]`:
  it is given back once, from the end), and bounded choices as long as their ways stay below `MOST_WAYS`;
- a repeat of what may be empty, backreferences and unbounded lookarounds are refused.

What a part may begin with is a set of characters out of a sample: all of ASCII, the ends of the ranges and
the literals of the pattern, and a character of each kind beyond ASCII.
"""

from __future__ import annotations

import re
import re._constants as op  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterable
from typing import Any

from msgspec import Meta

MOST_WAYS = 100

# The bound of what is scanned again and again: a lookaround, or what follows an undecided repeat.
LONGEST_RESCAN = 100

Chars = frozenset[int]
Node = tuple[Any, Any]

# The end of the text, among what may follow.
_END = -1
_KINDS = "\x85\xa0µÀßéŒſάЖא٣中एⅣ　\U0001f600"
_CATEGORY = {
    op.CATEGORY_DIGIT: re.compile(r"\d"),
    op.CATEGORY_NOT_DIGIT: re.compile(r"\D"),
    op.CATEGORY_SPACE: re.compile(r"\s"),
    op.CATEGORY_NOT_SPACE: re.compile(r"\S"),
    op.CATEGORY_WORD: re.compile(r"\w"),
    op.CATEGORY_NOT_WORD: re.compile(r"\W"),
}


def AnchoredPattern(
    pattern: str,
    *,
    min_length: int | None = None,
    max_length: int | None = None,
    format: str | None = None,
    expected: str | None = None,
) -> Meta:
    """A constraint on `str`: `Annotated[str, AnchoredPattern("[A-Z]{2}-[0-9]+")]`.

    With `format` and `expected` a mismatch is reported as code `format_<format>` with the sentence
    `expected` instead of the pattern. ValueError when matching could take more than linear time.
    """
    check_linear(pattern)
    return anchored(pattern, min_length, max_length, format, expected)


def anchored(
    pattern: str,
    min_length: int | None = None,
    max_length: int | None = None,
    format: str | None = None,
    expected: str | None = None,
) -> Meta:
    """`AnchoredPattern` for a pattern that is known to be linear."""
    return Meta(
        pattern=whole(pattern),
        min_length=min_length,
        max_length=max_length,
        extra={"format": format or "pattern", "expected": expected} if expected else None,
        extra_json_schema={"format": format} if format else None,
    )


_WHOLE = ("\\A(?:", ")\\Z")


def whole(pattern: str) -> str:
    """A pattern that is searched for, and matches nothing but the whole text."""
    return pattern.join(_WHOLE)


def in_ecmascript(pattern: str) -> str:
    """A pattern as JSON Schema has it (ECMA-262), which knows neither `\\A` nor `\\Z`."""
    before, behind = _WHOLE
    if pattern.startswith(before) and pattern.endswith(behind):
        return f"^(?:{pattern[len(before) : -len(behind)]})$"
    return pattern


def check_linear(pattern: str) -> None:
    """ValueError, with the reason, unless the whole-text match of `pattern` takes linear time."""
    tree = parser.parse(pattern)
    if tree.state.flags & ~re.UNICODE:
        raise ValueError(f"Pattern {pattern!r} sets flags; write what it matches without them.")
    try:
        _Analysis(tree).sequence(tree, frozenset((_END,)), tail=0, repeated=False)
    except _NotLinear as reason:
        raise ValueError(
            f"Pattern {pattern!r} can take more than linear time: {reason}. Make the next character "
            "decide, or use a possessive repeat (`a*+`)."
        ) from None


class _NotLinear(Exception):
    pass


class _Analysis:
    """Walks a pattern from right to left; each part knows what may follow it, and how much."""

    def __init__(self, tree: Any) -> None:
        self.state = tree.state
        self.alphabet: Chars = frozenset((*range(128), *map(ord, _KINDS), *_points(tree)))
        self.ways = 1

    def sequence(self, nodes: Iterable[Node], follow: Chars, *, tail: int, repeated: bool) -> None:
        """Refuse a sequence with too many undecided choices.

        `follow` is what may come after it, `tail` how long that may be; `repeated` means that the
        sequence is inside a repeat.
        """
        for node in reversed(list(nodes)):
            self.part(node, follow, tail, repeated)
            first, nullable = self.first((node,))
            follow = first | follow if nullable else first
            tail += int(parser.SubPattern(self.state, [node]).getwidth()[1])

    def part(self, node: Node, follow: Chars, tail: int, repeated: bool) -> None:
        code, argument = node
        match code:
            case op.MAX_REPEAT | op.MIN_REPEAT | op.POSSESSIVE_REPEAT:
                self.repeat(node, follow, tail, repeated)
            case op.BRANCH:
                union: Chars = frozenset()
                for branch in argument[1]:
                    first, nullable = self.first(branch)
                    first = first | follow if nullable else first
                    if union & first:
                        self.undecided("one branch or another", len(argument[1]), repeated)
                    union |= first
                for branch in argument[1]:
                    self.sequence(branch, follow, tail=tail, repeated=repeated)
            case op.SUBPATTERN:
                if argument[1] or argument[2]:
                    raise _NotLinear("a group sets flags")
                self.sequence(argument[3], follow, tail=tail, repeated=repeated)
            case op.ATOMIC_GROUP:
                self.sequence(argument, follow, tail=tail, repeated=repeated)
            case op.ASSERT | op.ASSERT_NOT:
                if argument[1].getwidth()[1] > LONGEST_RESCAN:
                    raise _NotLinear("a lookaround has no bound")
                self.sequence(argument[1], self.alphabet, tail=0, repeated=repeated)
            case op.GROUPREF | op.GROUPREF_EXISTS:
                raise _NotLinear("it refers back to a group")

    def repeat(self, node: Node, follow: Chars, tail: int, repeated: bool) -> None:
        code, (least, most, body) = node
        unbounded = most == op.MAXREPEAT
        again = unbounded or most > 1
        first, nullable = self.first(body)
        if again and nullable:
            raise _NotLinear("it repeats what may be empty")
        self.sequence(body, first | follow if again else follow, tail=tail, repeated=repeated or again)
        if least == most or code is op.POSSESSIVE_REPEAT or not first & follow:
            return
        what = "another round of a repeat or what follows it"
        if unbounded and tail > LONGEST_RESCAN:
            raise _NotLinear(f"the next character does not decide between {what}, which has no bound either")
        self.undecided(what, 1 if unbounded else most - least + 1, repeated)

    def undecided(self, what: str, ways: int, repeated: bool) -> None:
        if repeated:
            raise _NotLinear(f"inside a repeat the next character does not decide between {what}")
        self.ways *= ways
        if self.ways > MOST_WAYS:
            raise _NotLinear(f"there are more than {MOST_WAYS} ways to choose between {what}")

    def first(self, nodes: Iterable[Node]) -> tuple[Chars, bool]:
        """What a sequence may begin with, and whether it may be empty."""
        chars: Chars = frozenset()
        for code, argument in nodes:
            match code:
                case op.MAX_REPEAT | op.MIN_REPEAT | op.POSSESSIVE_REPEAT:
                    first, nullable = self.first(argument[2])
                    nullable = nullable or argument[0] == 0
                case op.BRANCH:
                    firsts = [self.first(branch) for branch in argument[1]]
                    first = frozenset().union(*(each for each, _ in firsts))
                    nullable = any(empty for _, empty in firsts)
                case op.SUBPATTERN:
                    first, nullable = self.first(argument[3])
                case op.ATOMIC_GROUP:
                    first, nullable = self.first(argument)
                case op.ASSERT | op.ASSERT_NOT | op.AT | op.GROUPREF | op.GROUPREF_EXISTS:
                    first, nullable = frozenset(), True
                case _:
                    first = frozenset(char for char in self.alphabet if _accepts((code, argument), char))
                    nullable = False
            chars |= first
            if not nullable:
                return chars, False
        return chars, True


def _points(nodes: Iterable[Node]) -> Iterable[int]:
    """The characters that a pattern names, and their neighbours."""
    for code, argument in nodes:
        match code:
            case op.LITERAL | op.NOT_LITERAL:
                yield argument
            case op.RANGE:
                low, high = argument
                yield from (max(low - 1, 0), low, high, min(high + 1, 0x10FFFF))
            case op.IN:
                yield from _points(argument)
            case op.MAX_REPEAT | op.MIN_REPEAT | op.POSSESSIVE_REPEAT:
                yield from _points(argument[2])
            case op.BRANCH:
                for branch in argument[1]:
                    yield from _points(branch)
            case op.SUBPATTERN:
                yield from _points(argument[3])
            case op.ATOMIC_GROUP:
                yield from _points(argument)
            case op.ASSERT | op.ASSERT_NOT:
                yield from _points(argument[1])


def _accepts(node: Node, char: int) -> bool:
    code, argument = node
    match code:
        case op.LITERAL:
            return bool(char == argument)
        case op.NOT_LITERAL:
            return bool(char != argument)
        case op.ANY:
            return char != ord("\n")
        case op.RANGE:
            return bool(argument[0] <= char <= argument[1])
        case op.CATEGORY:
            return _CATEGORY[argument].match(chr(char)) is not None
        case op.IN:
            if argument[0][0] is op.NEGATE:
                return not any(_accepts(item, char) for item in argument[1:])
            return any(_accepts(item, char) for item in argument)
    raise _NotLinear(f"{code} is not understood")
