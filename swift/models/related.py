"""The select over the rows at the end of a relation to many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swift.engines import statements as st
from swift.models.building import Builder, joined
from swift.models.relations import ManyToMany

if TYPE_CHECKING:
    from swift.models.lookups import Path
    from swift.models.relations import Link


class Related(Builder):
    """Builds a select over the rows at the end of a relation to many, nested in the select of `around`.

    Names are still those of the query: what leads through the relation is found here, all else in the select
    around.
    """

    def __init__(self, around: Builder, prefix: tuple[Link, ...]) -> None:
        first, *rest = prefix[-1].hops()
        super().__init__(first.options, around.shared, repeats=True)
        self.around = around
        self.prefix = prefix
        self.unscoped = around.unscoped
        # From the rows between two models to the model itself.
        link = prefix[-1]
        self.lead: tuple[Link, ...] = (link.far_key(),) if isinstance(link, ManyToMany) and rest else ()
        near = around.options if len(prefix) == 1 else prefix[-2].target()._meta
        left = st.ColumnRef(around.source(prefix[:-1]), near.columns[first.left])
        self.met: st.Condition = st.Compare(
            "exact", st.ColumnRef(0, first.options.columns[first.right]), (st.Outer(left),)
        )
        self.conditions: list[st.Condition] = []

    def resolve(self, name: str) -> Path:
        return self.around.resolve(name)

    def locate(self, path: Path) -> Path | None:
        found = self.around.locate(path)
        size = len(self.prefix)
        if found is None or found.joins[:size] != self.prefix:
            return None
        return found._replace(joins=(*self.lead, *found.joins[size:]))

    def located(self, path: Path) -> st.Expression:
        found = self.locate(path)
        if found is None:
            return st.Outer(self.around.located(path))
        assert found.field is not None
        return self.column(found.joins, found.field.name)

    def annotation(self, name: str) -> st.Expression:
        return st.Outer(self.around.annotation(name))

    def is_annotation(self, name: str) -> bool:
        return self.around.is_annotation(name)

    def outer(self, shape: Any) -> st.Expression:
        return st.Outer(self.around.outer(shape))

    def select(  # type: ignore[override]
        self, conditions: tuple[st.Condition, ...], outputs: tuple[st.Output, ...] | None = None
    ) -> st.Select:
        """The rows that are related and meet the conditions."""
        if self.lead and self.lead[0].target()._meta.scopes:
            # What stands between may lead to a row that is not visible.
            target = self.lead[0].target()._meta
            end = st.ColumnRef(self.source(self.lead), target.columns[target.pk.name])
            conditions = (*conditions, st.Not(st.Compare("isnull", end, ())))
        scope = self.scope(self.options, 0)
        where = [part for part in (self.met, scope, *conditions) if part is not None]
        return st.Select(
            table=self.options.table,
            outputs=outputs or (st.Output("one", st.Constant(1)),),
            joins=tuple(self.joins),
            where=joined(where),
        )

    def met_by_all(self) -> st.Select:
        """The rows that are related and meet the conditions collected here."""
        return self.select(tuple(self.conditions))
