"""A movie's JSON: how it is shown, and what a PUT may say. The limits are the model's."""

from typing import Any

from rest_framework import serializers

from metadata.drafts import MovieDraft, movie_draft
from metadata.models import Movie


class MovieSerializer(serializers.ModelSerializer[Movie]):
    """A movie; in a PUT everything but the title may be missing, which empties it, and the id is the path's."""

    id = serializers.CharField(read_only=True)

    class Meta:
        model = Movie
        fields = ["id", "title", "description", "director", "year", "genres"]

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """The fields that may be written. Refuses unknown ones: a misspelt name would empty the field that it meant."""
        if isinstance(data, dict) and (unknown := set(data) - set(self.fields)):
            raise serializers.ValidationError(
                {str(field)[:40]: "there is no such field" for field in sorted(unknown)[:10]}
            )
        values: dict[str, Any] = super().to_internal_value(data)
        return values


def draft_as_json(draft: MovieDraft) -> dict[str, Any]:
    """The movie that a draft which carries every field makes of whatever stood there."""
    movie = Movie(
        id=draft.id,
        title=draft.title,
        description=draft.description,
        director=draft.director,
        year=draft.year,
        genres=list(draft.genres),
    )
    return dict(MovieSerializer(movie).data)


def draft_from_json(movie_id: str, data: object) -> MovieDraft:
    """The movie that a PUT's body stands for, every field carried. Raises ValidationError and InvalidMovie."""
    serializer = MovieSerializer(data=data)
    serializer.is_valid(raise_exception=True)
    if isinstance(data, dict) and str(data.get("id", movie_id)) != movie_id:
        raise serializers.ValidationError({"id": "it differs from the id in the path"})
    return movie_draft(movie_id=movie_id, **serializer.validated_data)
