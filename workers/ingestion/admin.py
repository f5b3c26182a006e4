"""The admin pages of dead letters: what could not be applied, where it came from and why. Read-only."""

import base64
import binascii
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ratings.paging import BoundedPaginator
from workers.ingestion.models import DeadLetter

_LONGEST_SHOWN = 20_000  # bytes


# Django's generic classes are generic for the type checker only.
if TYPE_CHECKING:
    _DeadLetterModelAdmin = admin.ModelAdmin[DeadLetter]
else:
    _DeadLetterModelAdmin = admin.ModelAdmin


@admin.register(DeadLetter)
class DeadLetterAdmin(_DeadLetterModelAdmin):
    """Dead letters."""

    list_display = ["place", "field", "reason", "timestamp", "created_at", "attempts"]
    list_display_links = ["place"]
    list_filter = ["topic", "group", "field"]
    show_facets = admin.ShowFacets.NEVER
    ordering = ["-pk"]
    sortable_by = ()
    paginator = BoundedPaginator
    show_full_result_count = False
    search_fields = ["reason"]
    search_help_text = "Words of the reason."
    fieldsets = [
        ("Why", {"fields": ["reason", "field", "attempts", "created_at"]}),
        ("Where", {"fields": ["topic", "partition", "offset", "timestamp", "group", "topic_id", "cluster_id"]}),
        ("What", {"fields": ["key_as_text", "value_as_text", "headers_as_text"]}),
    ]

    class Media:
        css = {"all": ["ingestion/admin.css"]}

    @admin.display(description="Message", ordering="pk")
    def place(self, letter: DeadLetter) -> str:
        """Topic, partition and offset."""
        return str(letter)

    @admin.display(description="Key")
    def key_as_text(self, letter: DeadLetter) -> SafeString:
        """As text; never as HTML."""
        return _preformatted(_as_text(letter.key))

    @admin.display(description="Value")
    def value_as_text(self, letter: DeadLetter) -> SafeString:
        """As text; never as HTML."""
        return _preformatted(_as_text(letter.value))

    @admin.display(description="Headers")
    def headers_as_text(self, letter: DeadLetter) -> SafeString:
        """One a line; never as HTML."""
        lines = [f"{name}: {_as_text(_from_base64(value))}" for name, value in letter.headers]
        return _preformatted("\n".join(lines) or "none")

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        """The list leaves the messages themselves in the database."""
        letters = super().get_queryset(request)
        is_list = request.resolver_match is not None and str(request.resolver_match.url_name).endswith("_changelist")
        return letters.defer("key", "value", "headers") if is_list else letters

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody may."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: DeadLetter | None = None) -> bool:
        """Nobody may."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: DeadLetter | None = None) -> bool:
        """Nobody may."""
        return False


def _as_text(payload: Any) -> str:
    """Bytes as text where they are text, with control characters spelt out; else in hexadecimal."""
    if payload is None:
        return "null"
    whole = bytes(payload)
    shown = whole[:_LONGEST_SHOWN]
    try:
        # A cut may fall within a character: that one is left out.
        text = shown.decode("utf-8", "ignore" if len(whole) > len(shown) else "strict")
        text = "".join(one if one.isprintable() or one == "\n" else repr(one)[1:-1] for one in text)
    except UnicodeDecodeError:
        text = f"(not UTF-8) {shown.hex(' ')}"
    return f"{text}\n… and {len(whole) - len(shown)} bytes more" if len(whole) > len(shown) else text


def _from_base64(value: Any) -> bytes | None:
    try:
        return None if value is None else base64.b64decode(value)
    except (binascii.Error, ValueError, TypeError):
        return str(value).encode()


def _preformatted(text: str) -> SafeString:
    return format_html("<pre>{}</pre>", text)
