"""Admin pages over tables of millions of rows: never a count or an offset that grows with the table."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.core.paginator import Paginator
from django.db.models import QuerySet

HIGHEST_COUNT = 10_000
"""How many rows can be paged through; what lies behind them is found by searching."""


# Django's generic classes are generic for the type checker only.
if TYPE_CHECKING:
    _AnyPaginator = Paginator[Any]
else:
    _AnyPaginator = Paginator


class BoundedPaginator(_AnyPaginator):
    """Counts and shows the first HIGHEST_COUNT rows, however many there are."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        """How many rows there are, HIGHEST_COUNT standing for that many or more."""
        return self.object_list.order_by()[:HIGHEST_COUNT].count()
