"""The movie, as metadata knows it."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

MAX_ID_LENGTH = 128
"""The longest movie id, in characters: what a rating's record id may have."""

MAX_NAME_LENGTH = 500
"""The longest title and the longest director, in characters."""

MAX_DESCRIPTION_LENGTH = 20_000
MAX_GENRES = 50
MAX_GENRE_LENGTH = 100

FIRST_YEAR = 1870
LAST_YEAR = 2200


class Movie(models.Model):
    """A movie. Its ratings stand by themselves: deleting the movie leaves them."""

    id = models.CharField(primary_key=True, max_length=MAX_ID_LENGTH, db_collation="C")
    title = models.CharField(max_length=MAX_NAME_LENGTH)
    description = models.TextField(blank=True, default="", max_length=MAX_DESCRIPTION_LENGTH)
    director = models.CharField(blank=True, default="", max_length=MAX_NAME_LENGTH)
    year = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(FIRST_YEAR), MaxValueValidator(LAST_YEAR)]
    )
    genres = ArrayField(
        models.CharField(max_length=MAX_GENRE_LENGTH),
        blank=True,
        default=list,
        size=MAX_GENRES,
        help_text="Separated by commas.",
    )

    class Meta:
        ordering = ["title", "id"]
        indexes = [
            models.Index(fields=["title", "id"], name="metadata_movie_by_title"),
            models.Index(fields=["year", "title", "id"], name="metadata_movie_by_year"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(id=""), name="metadata_movie_id_not_empty"),
            models.CheckConstraint(
                condition=Q(year__isnull=True) | Q(year__range=(FIRST_YEAR, LAST_YEAR)), name="metadata_movie_year"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.year})" if self.year else self.title
