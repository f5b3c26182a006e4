"""Movies over HTTP."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.status import HTTP_200_OK, HTTP_201_CREATED, HTTP_204_NO_CONTENT
from rest_framework.views import APIView

from metadata.models import Movie
from metadata.selectors import movie_get
from metadata.serializers import MovieSerializer, draft_as_json, draft_from_json
from metadata.services import movie_delete, movie_put


class MovieView(APIView):
    """One movie."""

    queryset = Movie.objects.none()  # names the model whose permissions count

    def get(self, request: Request, movie_id: str) -> Response:
        """The movie, or 404."""
        return Response(MovieSerializer(movie_get(movie_id=movie_id)).data)

    def put(self, request: Request, movie_id: str) -> Response:
        """Makes the movie (201) or replaces it (200): fields that the body leaves out become empty."""
        draft = draft_from_json(movie_id, request.data)
        written = movie_put(draft)
        return Response(draft_as_json(draft), status=HTTP_201_CREATED if written.created else HTTP_200_OK)

    def delete(self, request: Request, movie_id: str) -> Response:
        """Removes the movie, or 404. Its ratings stay."""
        movie_delete(movie_id=movie_id)
        return Response(status=HTTP_204_NO_CONTENT)
