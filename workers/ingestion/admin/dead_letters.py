"""The list of dead letters, a page about each, and what may be done with them; none can be edited."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ratings.paging import BoundedPaginator
from workers.ingestion.admin.filters import AmongLatest
from workers.ingestion.admin.selected import settle_selected
from workers.ingestion.admin.single import discard_view, replay_view
from workers.ingestion.dead_letters.payloads import header_values, payload_text, printable
from workers.ingestion.dead_letters.settling import letters_discard, letters_replay
from workers.ingestion.models import DeadLetter

# Django's generic classes are generic for the type checker only.
if TYPE_CHECKING:
    _DeadLetterModelAdmin = admin.ModelAdmin[DeadLetter]
else:
    _DeadLetterModelAdmin = admin.ModelAdmin


@admin.register(DeadLetter)
class DeadLetterAdmin(_DeadLetterModelAdmin):
    """Dead letters. To replay wants the permission to change them, to discard that to delete them."""

    list_display = ["id", "place", "group", "time", "field", "reason", "set_aside", "attempts"]
    list_display_links = ["id", "place"]
    list_filter = [("topic", AmongLatest), ("group", AmongLatest), ("field", AmongLatest)]
    show_facets = admin.ShowFacets.NEVER
    ordering = ["-pk"]
    sortable_by = ()
    actions = ["replay", "discard"]
    paginator = BoundedPaginator
    show_full_result_count = False
    search_fields = ["=id", "reason"]
    search_help_text = "An id, or words of the reason."
    fieldsets = [
        ("Why", {"fields": ["id", "reason", "field", "attempts", "set_aside"]}),
        ("Where", {"fields": ["topic", "partition", "offset", "time", "group", "topic_id", "cluster_id"]}),
        ("What", {"fields": ["key_as_text", "value_as_text", "headers_as_text"]}),
        ("Mirror topic", {"fields": ["mirrored_at", "mirror_refusal"]}),
    ]

    class Media:
        css = {"all": ["ingestion/admin.css"]}

    @admin.display(description="Message", ordering="pk")
    def place(self, letter: DeadLetter) -> str:
        """Topic, partition and offset."""
        return str(letter)

    @admin.display(description="Time (UTC)")
    def time(self, letter: DeadLetter) -> str | None:
        """The one that it has among the writes of its rating, in full: it decides what a replay overwrites."""
        return None if letter.timestamp is None else _spoken(letter.timestamp, "microseconds").removesuffix("000")

    @admin.display(description="Set aside (UTC)")
    def set_aside(self, letter: DeadLetter) -> str:
        """When it became a dead letter."""
        return _spoken(letter.created_at, "seconds")

    @admin.display(description="Key")
    def key_as_text(self, letter: DeadLetter) -> SafeString:
        """As text; never as HTML."""
        return _preformatted(payload_text(letter.key))

    @admin.display(description="Value")
    def value_as_text(self, letter: DeadLetter) -> SafeString:
        """As text; never as HTML."""
        return _preformatted(payload_text(letter.value))

    @admin.display(description="Headers")
    def headers_as_text(self, letter: DeadLetter) -> SafeString:
        """One a line; never as HTML."""
        lines = [f"{printable(name)}: {payload_text(value)}" for name, value in header_values(letter.headers)]
        return _preformatted("\n".join(lines) or "none")

    @admin.action(description="Replay the selected dead letters", permissions=["replay"])
    def replay(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> HttpResponse | None:
        """Applies them after all, once that is confirmed."""
        return settle_selected(self, request, letters, verb="replay", settle=lambda ids: letters_replay(letter_ids=ids))

    @admin.action(description="Discard the selected dead letters", permissions=["discard"])
    def discard(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> HttpResponse | None:
        """Deletes them, once that is confirmed."""
        return settle_selected(
            self, request, letters, verb="discard", settle=lambda ids: letters_discard(letter_ids=ids)
        )

    def get_urls(self) -> list[URLPattern]:
        """The pages of one letter besides Django's own."""
        guarded = self.admin_site.admin_view
        return [
            path(
                "<int:letter_id>/replay/",
                guarded(lambda request, letter_id: replay_view(self, request, letter_id)),
                name="ingestion_deadletter_replay",
            ),
            path(
                "<int:letter_id>/discard/",
                guarded(lambda request, letter_id: discard_view(self, request, letter_id)),
                name="ingestion_deadletter_discard",
            ),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page about a letter, with what this user may do with it."""
        may = {"may_replay": self.has_replay_permission(request), "may_discard": self.has_discard_permission(request)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **may})

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        """The list leaves the messages themselves in the database."""
        letters = super().get_queryset(request)
        is_list = request.resolver_match is not None and str(request.resolver_match.url_name).endswith("_changelist")
        return letters.defer("key", "value", "headers") if is_list else letters

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Whether this user may replay."""
        return self._may(request, "change")

    def has_discard_permission(self, request: HttpRequest) -> bool:
        """Whether this user may discard."""
        return self._may(request, "delete")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody may."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: DeadLetter | None = None) -> bool:
        """Nobody may: a letter is what came."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: DeadLetter | None = None) -> bool:
        """Nobody may by Django's own pages: see `discard`."""
        return False

    def _may(self, request: HttpRequest, what: str) -> bool:
        return request.user.has_perm(f"ingestion.{what}_deadletter")


def _spoken(moment: datetime, precision: str) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", precision)


def _preformatted(text: str) -> SafeString:
    return format_html("<pre>{}</pre>", text)
