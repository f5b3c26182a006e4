"""A filter of the admin's list whose choices cost the same however many letters there are."""

from typing import Any

from django.contrib import admin
from django.db.models import Field
from django.http import HttpRequest

from ratings.paging import HIGHEST_COUNT
from workers.ingestion.models import DeadLetter


class AmongLatest(admin.AllValuesFieldListFilter):
    """Offers the values that the latest HIGHEST_COUNT letters have, and the one that is chosen.

    Django's own looks through all letters for each page. Any other value can be given in the address, as ?topic=old.
    """

    def __init__(
        self,
        field: "Field[Any, Any]",
        request: HttpRequest,
        params: dict[str, Any],
        model: type[DeadLetter],
        model_admin: "admin.ModelAdmin[DeadLetter]",
        field_path: str,
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        latest = DeadLetter.objects.order_by("-pk").values_list(field.name, flat=True)[:HIGHEST_COUNT]
        chosen: Any = self.lookup_val or ()
        self.lookup_choices = sorted({*latest, *chosen})  # type: ignore[assignment]  # any iterable will do
