"""The admin pages of movies, which show what raters say of each."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Max, Min, QuerySet
from django.http import HttpRequest

from metadata.drafts import checked_movie_id
from metadata.errors import InvalidMovie
from metadata.models import Movie
from movieapp.catalogue.selectors import movie_ratings
from ratings.selectors import Aggregate

_INDENT = "\u2003"

admin.site.enable_nav_sidebar = False  # the lists need its room
admin.site.site_header = "movieapp"
admin.site.site_title = "movieapp"
admin.site.index_title = "Movies and their ratings"


class YearFilter(admin.SimpleListFilter):
    """By decade and, within the chosen decade, by year."""

    title = "year"
    parameter_name = "released"

    def lookups(self, request: HttpRequest, model_admin: "admin.ModelAdmin[Any]") -> list[tuple[str, str]]:
        """The decades that there are, and the years of the chosen one."""
        span = Movie.objects.aggregate(first=Min("year"), last=Max("year"))
        if span["first"] is None:
            return []
        chosen = _years(self.used_parameters.get(self.parameter_name) or request.GET.get(self.parameter_name))
        found: list[tuple[str, str]] = []
        for decade in range(span["last"] // 10 * 10, span["first"] // 10 * 10 - 1, -10):
            found.append((f"{decade}s", f"{decade}s"))
            if chosen is not None and chosen[0] // 10 * 10 == decade:
                found += [(str(year), f"{_INDENT}{year}") for year in range(decade, decade + 10)]
        return found

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The movies of the chosen decade or year."""
        years = _years(self.value())
        return queryset if years is None else queryset.filter(year__range=years)


class MovieChangeList(ChangeList):
    """A page of movies with their ratings: one query for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        """Looks the page up."""
        super().get_results(request)
        movies = list(self.result_list)
        ratings = movie_ratings(movie_ids=[movie.pk for movie in movies])
        for movie in movies:
            movie.rating = ratings.get(movie.pk)
        self.result_list = movies


# Django's generic classes are generic for the type checker only.
if TYPE_CHECKING:
    _MovieModelAdmin = admin.ModelAdmin[Movie]
    _MovieModelForm = forms.ModelForm[Movie]
else:
    _MovieModelAdmin = admin.ModelAdmin
    _MovieModelForm = forms.ModelForm


class MovieForm(_MovieModelForm):
    """A movie, whose id is one that REST and imports take too."""

    def clean_id(self) -> str:
        """Checks a new movie's id; one that exists is not among the form's fields."""
        try:
            return checked_movie_id(self.cleaned_data["id"])
        except InvalidMovie as error:
            raise forms.ValidationError(error.reason) from None


@admin.register(Movie)
class MovieAdmin(_MovieModelAdmin):
    """Movies. Deleting one leaves its ratings: they stand by themselves."""

    form = MovieForm
    list_display = ["title", "year", "director", "genre_list", "average", "rating_count", "id"]
    list_filter = [YearFilter]
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["title", "director", "=id"]
    search_help_text = "Words of the title or the director, or a whole id."
    fields = ["id", "title", "director", "year", "genres", "description", "average", "rating_count"]
    readonly_fields = ["average", "rating_count"]

    class Media:
        css = {"all": ["catalogue/admin.css"]}

    @admin.display(description="Genres")
    def genre_list(self, movie: Movie) -> str:
        """Separated by commas."""
        return ", ".join(movie.genres)

    @admin.display(description="Mean", empty_value="-")
    def average(self, movie: Movie) -> str | None:
        """From 0 to 10; a dash where nobody has rated it."""
        rating = _rating_of(movie)
        return f"{rating.average:.2f}" if rating else None

    @admin.display(description="Ratings")
    def rating_count(self, movie: Movie) -> str:
        """How many."""
        rating = _rating_of(movie)
        return f"{rating.count:,}" if rating else "0"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """With ratings."""
        return MovieChangeList

    def get_readonly_fields(self, request: HttpRequest, obj: Movie | None = None) -> list[str]:
        """A movie's id is what its ratings know it by: it cannot change."""
        return ["id", "average", "rating_count"] if obj else ["average", "rating_count"]


def _rating_of(movie: Movie) -> Aggregate | None:
    """The rating that the list looked up; on a page of its own the movie looks for itself, once."""
    if not hasattr(movie, "rating"):
        movie.rating = movie_ratings(movie_ids=[movie.pk]).get(movie.pk) if movie.pk else None  # type: ignore[attr-defined]
    rating: Aggregate | None = movie.rating  # type: ignore[attr-defined]
    return rating


def _years(value: str | None) -> tuple[int, int] | None:
    """The first and the last year of "1990s" or "1994"; None for anything else."""
    digits = (value or "").removesuffix("s")
    if len(digits) != 4 or not digits.isascii() or not digits.isdigit():
        return None
    year = int(digits)
    return (year, year + 9) if value != digits else (year, year)
