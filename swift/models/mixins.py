"""Abstract models to inherit from: timestamps, soft deletion, rows that belong to tenants."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Self

from swift.models import fields
from swift.models.model import Model

if TYPE_CHECKING:
    from swift.engines.database import Database


class Timestamps(Model):
    """`created_at` and `updated_at`, which set themselves."""

    created_at: dt.datetime = fields.DateTimeField(auto_now_add=True)
    updated_at: dt.datetime = fields.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class SoftDelete(Model):
    """Objects whose deletion sets `deleted_at`. No query returns them any more, nor finds anything through
    them, unless it says `with_deleted()` or `only_deleted()`. What refers to them stays as it is.
    """

    deleted_at: dt.datetime | None = fields.DateTimeField(null=True, read_only=True, index=True)

    class Meta:
        abstract = True
        soft_delete = "deleted_at"

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None

    async def restore(self, *, using: Database | None = None) -> Self:
        """Undo the deletion."""
        query = type(self).objects.using(using).with_deleted().filter(pk=self.pk)
        if not await query.restore():
            raise self.DoesNotExist(f"The {self._meta.verbose_name} to restore is not there any more.")
        self.deleted_at = None
        return self

    async def hard_delete(self, *, using: Database | None = None) -> bool:
        """Delete the row itself; whether there was one."""
        return await type(self).objects.using(using).with_deleted().filter(pk=self.pk).hard_delete() > 0


class TenantScoped(Model):
    """Objects of the current tenant (`with tenant(key):`). Others' are neither found, changed nor deleted,
    nor found through relations; a new object belongs to the current one. An heir declares `tenant_id`: a
    ForeignKey, or any field.
    """

    class Meta:
        abstract = True
        tenant_field = "tenant_id"
