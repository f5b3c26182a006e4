"""The pages on which one dead letter is mended and replayed, or discarded."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from ratings.errors import InvalidRating
from workers.ingestion.admin.selected import letter_words, outcome_words
from workers.ingestion.dead_letters.payloads import printable
from workers.ingestion.dead_letters.selectors import letter_get
from workers.ingestion.dead_letters.settling import (
    Outcome,
    Settled,
    letter_replay_mended,
    letters_discard,
    letters_replay,
)
from workers.ingestion.errors import IngestionError, UnknownDeadLetter
from workers.ingestion.models import DeadLetter

_LONGEST_MENDED = 100_000  # bytes

Admin = Any  # DeadLetterAdmin, which knows this module


class MendForm(forms.Form):
    """The value that is applied in place of the letter's own."""

    value = forms.CharField(
        label="Value", strip=False, widget=forms.Textarea(attrs={"rows": 12, "spellcheck": "false", "class": "mended"})
    )


def replay_view(model_admin: Admin, request: HttpRequest, letter_id: int) -> HttpResponse:
    """Shows the letter's value in a form; replays that, or the letter as it is. What was typed stays when it fails."""
    if not model_admin.has_replay_permission(request):
        raise PermissionDenied
    letter = _letter(letter_id)
    text = _editable(letter)
    form = MendForm(request.POST if "mend" in request.POST else None, initial={"value": text or ""})
    settled = _replayed(request, letter, form) if request.method == "POST" else None
    if settled is not None:
        return _told(model_admin, request, letter, settled)
    if request.method == "POST" and not form.is_bound:
        letter = _letter(letter_id)
    context = {"form": form, "is_editable": text is not None, "title": "Replay a dead letter"}
    return _page(model_admin, request, letter, "replay", context)


def discard_view(model_admin: Admin, request: HttpRequest, letter_id: int) -> HttpResponse:
    """Asks, then discards."""
    if not model_admin.has_discard_permission(request):
        raise PermissionDenied
    letter = _letter(letter_id)
    if request.method == "POST":
        try:
            (settled,) = letters_discard(letter_ids=[letter.pk])
        except IngestionError as error:
            messages.error(request, str(error))
        else:
            return _told(model_admin, request, letter, settled)
    return _page(model_admin, request, letter, "discard", {"title": "Discard a dead letter"})


def _replayed(request: HttpRequest, letter: DeadLetter, form: MendForm) -> Settled | None:
    """The outcome; None, and the reason told, when the letter is still there to be mended."""
    try:
        if not form.is_bound:
            (settled,) = letters_replay(letter_ids=[letter.pk])
        elif form.is_valid():
            settled = letter_replay_mended(letter_id=letter.pk, value=form.cleaned_data["value"].encode())
        else:
            return None
    except InvalidRating as invalid:
        form.add_error("value", str(invalid))
        return None
    except UnknownDeadLetter:
        return Settled(letter.pk, Outcome.GONE)
    except IngestionError as error:
        messages.error(request, f"{error}. The letter is as it was.")
        return None
    if settled.outcome is not Outcome.FAILED:
        return settled
    if form.is_bound:
        form.add_error("value", outcome_words(settled))
    else:
        messages.error(request, outcome_words(settled))
    return None


def _told(model_admin: Admin, request: HttpRequest, letter: DeadLetter, settled: Settled) -> HttpResponse:
    model_admin.log_change(request, letter, str(settled.outcome))
    level = messages.WARNING if settled.outcome is Outcome.GONE else messages.SUCCESS
    messages.add_message(request, level, letter_words(letter, settled))
    return HttpResponseRedirect(reverse("admin:ingestion_deadletter_changelist"))


def _page(
    model_admin: Admin, request: HttpRequest, letter: DeadLetter, name: str, context: dict[str, Any]
) -> HttpResponse:
    site: admin.AdminSite = model_admin.admin_site
    return TemplateResponse(
        request,
        f"admin/ingestion/deadletter/{name}.html",
        {
            **site.each_context(request),
            "opts": model_admin.opts,
            "media": model_admin.media,
            "letter": letter,
            "may_replay": model_admin.has_replay_permission(request),
            "may_discard": model_admin.has_discard_permission(request),
            **context,
        },
    )


def _letter(letter_id: int) -> DeadLetter:
    try:
        return letter_get(letter_id)
    except UnknownDeadLetter as unknown:
        raise Http404(str(unknown)) from None


def _editable(letter: DeadLetter) -> str | None:
    """The value as a text that a form gives back unchanged, but for the ends of lines; None when there is no such."""
    value = b"" if letter.value is None else bytes(letter.value)
    if len(value) > _LONGEST_MENDED:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return text if all(line == printable(line) for line in text.replace("\r\n", "\n").split("\n")) else None
