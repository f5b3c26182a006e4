"""Fills the database of the environment with movies and ratings, and tells, on its last line, a token for writes."""

from random import Random

from tests.bench.grpc.load import RATINGS_EACH, RECORD_TYPE, RECORDS

_BATCH = 5_000
_SEED = 11


def main() -> None:
    """Through the product's own write path, so that aggregates are what they would be."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.db import connection
    from knox.models import AuthToken

    from metadata.models import Movie
    from ratings.events import RatingEvent
    from ratings.services import ratings_write_now

    random = Random(_SEED)
    Movie.objects.bulk_create(
        Movie(id=str(number), title=f"Movie {number}", description="d" * 200, director=f"Director {number % 700}")
        for number in range(RECORDS)
    )
    events = [
        RatingEvent(RECORD_TYPE, str(record), "", f"before-{rater}", random.randrange(101))
        for record in range(RECORDS)
        for rater in range(RATINGS_EACH)
    ]
    for first in range(0, len(events), _BATCH):
        ratings_write_now(events[first : first + _BATCH])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")
    writer = User.objects.create_superuser("bench")
    print(AuthToken.objects.create(writer)[1])


if __name__ == "__main__":
    main()
