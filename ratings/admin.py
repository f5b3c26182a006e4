"""The admin pages of ratings and aggregates; every change goes through the one write path."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from ratings.events import rating_event
from ratings.forms import RatingForm
from ratings.lookups import aggregates_of, ratings_of
from ratings.models import Rating, RecordAggregate
from ratings.paging import HIGHEST_COUNT, BoundedPaginator
from ratings.services import rating_put, ratings_write_now

_FIRST_ROWS = f"The list holds the first {HIGHEST_COUNT:,} at most."


# Django's generic classes are generic for the type checker only.
if TYPE_CHECKING:
    _RatingModelAdmin = admin.ModelAdmin[Rating]
    _AggregateModelAdmin = admin.ModelAdmin[RecordAggregate]
else:
    _RatingModelAdmin = _AggregateModelAdmin = admin.ModelAdmin


@admin.register(Rating)
class RatingAdmin(_RatingModelAdmin):
    """Ratings. Deleted ones leave a tombstone in the table, which is not shown."""

    form = RatingForm
    fields = ["record_type", "record_id", "provider_id", "user_id", "rating_value"]
    list_display = ["record_type", "record_id", "provider", "user", "rating_value", "written_at"]
    list_display_links = ["record_id", "user"]
    list_select_related = ["record", "rater"]
    ordering = ["-pk"]
    sortable_by = ()
    paginator = BoundedPaginator
    show_full_result_count = False
    search_fields = ["pk"]  # shows the box; get_search_results says what it looks for
    search_help_text = f"A record's id or a user's id, whole. {_FIRST_ROWS}"

    @admin.display(description="Record type")
    def record_type(self, rating: Rating) -> str:
        """`movie` is one."""
        return rating.record.type

    @admin.display(description="Record id")
    def record_id(self, rating: Rating) -> str:
        """The record's id within its type."""
        return rating.record.external_id

    @admin.display(description="Provider", empty_value="-")
    def provider(self, rating: Rating) -> str | None:
        """Who supplied the rating; none is a dash."""
        return rating.rater.provider_id or None

    @admin.display(description="User")
    def user(self, rating: Rating) -> str:
        """The user's id, as the provider knows it."""
        return rating.rater.user_id

    @admin.display(description="Value")
    def rating_value(self, rating: Rating) -> str:
        """From 0.0 to 10.0."""
        return "" if rating.value is None else f"{rating.value / 10:.1f}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rating]:
        """Without tombstones."""
        return super().get_queryset(request).filter(value__isnull=False).select_related("record", "rater")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Rating], search_term: str
    ) -> tuple[QuerySet[Rating], bool]:
        """By a whole id, on indexes: anything else would read the table."""
        term = search_term.strip()
        return (queryset.filter(ratings_of(term)) if term else queryset), False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Without the transaction that Django puts around it: the write path has its own and looks ids up before it."""
        response: HttpResponse = self._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[attr-defined]
        return response

    def save_model(self, request: HttpRequest, obj: Rating, form: Any, change: bool) -> None:
        """Puts the rating, and lets `obj` be what then stands in the table."""
        address = form.address()
        rating_put(**address, tenths=form.tenths())
        standing = Rating.objects.select_related("record", "rater").get(
            record__type=address["record_type"],
            record__external_id=address["record_id"],
            rater__provider_id=address["provider_id"],
            rater__user_id=address["user_id"],
        )
        obj.__dict__.update(standing.__dict__)

    def delete_model(self, request: HttpRequest, obj: Rating) -> None:
        """Writes a tombstone."""
        _delete([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Rating]) -> None:
        """Writes the tombstones in one transaction."""
        _delete(queryset.select_related("record", "rater"))

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Rating], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        """Acts on the ticked rows only: "all that match" could be millions, behind a list that ends earlier."""
        post = request.POST.copy()
        post["select_across"] = "0"
        request.POST = post  # type: ignore[assignment]
        return super().response_action(request, queryset, *args, **kwargs)

    # The log of changes outlives an erasure of the person: it names the rating by its key, never by a user's id.
    def log_addition(self, request: HttpRequest, obj: Rating, message: Any) -> LogEntry:
        """Notes who added it."""
        return _logged(request, [obj], ADDITION, message)[0]

    def log_change(self, request: HttpRequest, obj: Rating, message: Any) -> LogEntry:
        """Notes who changed it."""
        return _logged(request, [obj], CHANGE, message)[0]

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Rating]) -> list[LogEntry]:
        """Notes who deleted them."""
        return _logged(request, queryset, DELETION, "")


@admin.register(RecordAggregate)
class RecordAggregateAdmin(_AggregateModelAdmin):
    """What all raters together say of each record. Read-only: it follows the ratings."""

    fields = ["record", "count", "average", "version", "changed_at"]
    list_display = ["record", "count", "average", "version", "changed_at"]
    list_select_related = ["record"]
    ordering = ["pk"]
    sortable_by = ()
    paginator = BoundedPaginator
    show_full_result_count = False
    search_fields = ["pk"]
    search_help_text = f"A record's id, whole. {_FIRST_ROWS}"

    @admin.display(description="Mean", empty_value="-")
    def average(self, aggregate: RecordAggregate) -> str | None:
        """The mean, 0 to 10; a dash where nobody has rated."""
        return f"{aggregate.total / (10 * aggregate.count):.2f}" if aggregate.count else None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[RecordAggregate], search_term: str
    ) -> tuple[QuerySet[RecordAggregate], bool]:
        """By a whole id, on indexes."""
        term = search_term.strip()
        return (queryset.filter(aggregates_of(term)) if term else queryset), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody may."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: RecordAggregate | None = None) -> bool:
        """Nobody may."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: RecordAggregate | None = None) -> bool:
        """Nobody may."""
        return False


def _delete(ratings: Iterable[Rating]) -> None:
    ratings_write_now(
        [
            rating_event(
                record_type=rating.record.type,
                record_id=rating.record.external_id,
                provider_id=rating.rater.provider_id,
                user_id=rating.rater.user_id,
                tenths=None,
            )
            for rating in ratings
        ]
    )


def _logged(request: HttpRequest, ratings: Iterable[Rating], action: int, message: Any) -> list[LogEntry]:
    content_type = ContentType.objects.get_for_model(Rating)
    return [
        LogEntry.objects.create(
            user_id=cast(int, request.user.pk),  # the admin lets nobody in without one
            content_type=content_type,
            object_id=str(rating.pk),
            object_repr=f"rating {rating.pk}",
            action_flag=action,
            change_message=message if isinstance(message, str) else json.dumps(message),
        )
        for rating in ratings
    ]
