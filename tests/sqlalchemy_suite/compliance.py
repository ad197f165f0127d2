"""All of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.testing import fixtures
from sqlalchemy.testing.requirements import SuiteRequirements
from sqlalchemy.testing.suite import *  # noqa: F403
from sqlalchemy.testing.suite import ServerSideCursorsTest as Theirs

from tests.sqlalchemy_suite.requirements import EXCLUDED, OFFERED, Requirements


def closed(requirements: SuiteRequirements) -> set[str]:
    """What may not be asked, whatever the database is."""
    found = set()
    for name, member in vars(SuiteRequirements).items():
        rule = getattr(requirements, name) if isinstance(member, property) else None
        if any(getattr(predicate, "value", False) is True for predicate in getattr(rule, "skips", ())):
            found.add(name)
    return found


class ExclusionsTest(fixtures.TestBase):  # type: ignore[misc]
    def test_every_exclusion_is_explained(self) -> None:
        assert closed(Requirements()) == set(EXCLUDED)
        assert all(len(reason) > 20 for reason in EXCLUDED.values())

    def test_what_is_offered_exists(self) -> None:
        assert not set(OFFERED) & set(EXCLUDED)
        assert set(OFFERED) <= set(vars(SuiteRequirements))


class ServerSideCursorsTest(Theirs):  # type: ignore[misc]
    """Theirs tells server-side cursors by the names of the drivers it knows."""

    def _is_server_side(self, cursor: Any) -> bool:
        return bool(cursor.server_side)


del Theirs
