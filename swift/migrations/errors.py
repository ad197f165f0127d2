"""What goes wrong with migrations.

MigrationError
├── HistoryError       the files: unreadable, several heads, an edited one, one that is missing
├── AnswerNeeded       a change that can be meant in two ways; `questions` says how to answer
├── DestructiveError   a step that loses data, without the word that it may
└── MigrationFailed    a step that failed; the database is as it was before it
"""

from __future__ import annotations

from collections.abc import Sequence


class MigrationError(Exception):
    """A migration cannot be made, read or run."""


class HistoryError(MigrationError):
    """The migration files do not make one history."""


class AnswerNeeded(MigrationError):
    """The models changed in a way that can be meant in two ways; each question is one sentence."""

    def __init__(self, questions: Sequence[str]) -> None:
        self.questions = tuple(questions)
        super().__init__("\n".join(self.questions))


class DestructiveError(MigrationError):
    """Steps that lose data were refused; `losses` has one sentence for each."""

    def __init__(self, losses: Sequence[str]) -> None:
        self.losses = tuple(losses)
        listed = "\n".join(f"  {loss}" for loss in self.losses)
        super().__init__(
            f"This loses data:\n{listed}\nNothing was changed. Allow it with --allow-destructive."
        )


class MigrationFailed(MigrationError):
    """A migration failed and was rolled back; those before it stand. The cause is `__cause__`."""
