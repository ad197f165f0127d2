"""BulkModelViewSet: many objects in one request, all of them or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import msgspec

from swift.engines import IntegrityError
from swift.engines.database import database
from swift.http import Conflict, ErrorDetail, Problem, UnprocessableContent

from .actions import Action, ActionOptions, Input, KeyedInput, Keys, Output, Placeholder, action
from .model import ModelViewSet

# Who may do it to one object may do it to several.
SINGLE = {"bulk_create": "create", "bulk_update": "partial_update", "bulk_destroy": "destroy"}


class BulkModelViewSet(ModelViewSet):
    """The six actions, and creating, updating and destroying up to `bulk_max_items` objects in one transaction.

    Each object passes the same checks, hooks and permissions as alone; a fault is told at its place
    (`/body/3/title`), and nothing of the request is kept.
    """

    bulk_max_items: ClassVar[int] = 100

    # The key of the object at work, of the request's body.
    key: Any = None

    @classmethod
    def permissions_of(cls, item: Action) -> Any:
        single = SINGLE.get(item.name)
        if (
            single is not None
            and item.permission_classes is None
            and item.name not in cls.permission_classes_by_action
        ):
            item = msgspec.structs.replace(item, name=single)
        return super().permissions_of(item)

    @classmethod
    def options_of(cls, item: Action) -> ActionOptions:
        options = super().options_of(item)
        if item.name not in SINGLE:
            return options
        responses: dict[int, Any] = {409: "One of the objects is in conflict with another; none was changed."}
        if item.name != "bulk_create":
            responses[404] = "One of the objects does not exist; none was changed."
        return {**options, "responses": {**responses, **(options.get("responses") or {})}}

    @classmethod
    def resolve(cls, placeholder: Placeholder, action: str) -> Any:
        key = cls.model._meta.fields[cls.lookup.name]
        if placeholder.name == "keys":
            return msgspec.defstruct("Keys", [("ids", list[key.type])], module=cls.__module__)  # type: ignore[name-defined]
        if placeholder.name == "keyed":
            partial = cls.shapes[action].partial
            return msgspec.defstruct(
                f"{partial.__name__}Item",
                [(key.name, key.type)],
                bases=(partial,),
                kw_only=True,
                module=cls.__module__,
            )
        return super().resolve(placeholder, action)

    @action(detail=False, methods=["POST"], status=201)
    async def bulk_create(self, items: list[Input]) -> list[Output]:
        """Create several objects."""
        self.check_number(items, "/body")
        made = []
        async with database().transaction():
            for number, data in enumerate(items):
                with self.item(f"/body/{number}"):
                    made.append(await self.create(data))
        return made

    @action(detail=False, methods=["PATCH"])
    async def bulk_update(self, items: list[KeyedInput]) -> list[Output]:
        """Change several objects, each named by its key; what is not sent stays."""
        self.check_number(items, "/body")
        changed = []
        async with database().transaction():
            for number, data in enumerate(items):
                with self.item(f"/body/{number}"):
                    self.key = getattr(data, self.lookup.name)
                    changed.append(await self.partial_update(data))
        return changed

    # A DELETE has no body that every server and proxy would pass on (RFC 9110 section 9.3.5).
    @action(detail=False, methods=["POST"], status=204)
    async def bulk_destroy(self, keys: Keys) -> None:
        """Delete several objects."""
        self.check_number(keys.ids, "/body/ids")
        async with database().transaction():
            for number, key in enumerate(keys.ids):
                with self.item(f"/body/ids/{number}"):
                    self.key = key
                    await self.destroy()

    def lookup_value(self) -> Any:
        return super().lookup_value() if self.action not in SINGLE else self.key

    def check_number(self, items: Sequence[Any], place: str) -> None:
        if not 1 <= len(items) <= self.bulk_max_items:
            code = "too_long" if items else "too_short"
            detail = f"Expected 1 to {self.bulk_max_items} items"
            raise UnprocessableContent("The request is invalid.", errors=[ErrorDetail(place, code, detail)])

    @contextmanager
    def item(self, place: str) -> Iterator[None]:
        """Tell what is wrong with one of several objects at its own place."""
        self.instance = self._serializer = None
        try:
            yield
        except IntegrityError as error:
            if error.kind == "unique":
                fault = ErrorDetail(place, "unique", "Another object has a value that must be unique")
                raise Conflict("Such an object exists.", errors=[fault]) from error
            raise
        except Problem as problem:
            moved = [
                ErrorDetail(place + error.pointer.removeprefix("/body"), error.code, error.detail)
                for error in problem.errors
            ]
            code = "not_found" if problem.status == 404 else "refused"
            problem.errors = tuple(moved or [ErrorDetail(place, code, problem.detail or problem.title)])
            raise
