"""Requests as a fuzzer sends them: good ones of every method, with something changed."""

import random
from collections.abc import Sequence

from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from protos.movieapp.v1 import metadata_pb2, movie_pb2, rating_pb2
from protos.tutorial import movie_pb2 as old

V1 = "/movieapp.v1."
_RECORD = rating_pb2.Record(type="movie", id="7")
_OLD_RATING = old.PutRatingRequest(user_id="ann", record_id="7", record_type="movie", record_value=4)
_MOVIE = metadata_pb2.Metadata(id="7", title="Alien", description="In space", director="Scott", year=1979, genres=["a"])
GOOD = {
    f"{V1}MetadataService/GetMetadata": metadata_pb2.GetMetadataRequest(movie_id="7"),
    f"{V1}MetadataService/BatchGetMetadata": metadata_pb2.BatchGetMetadataRequest(movie_ids=["7", "8", "é"]),
    f"{V1}MetadataService/PutMetadata": metadata_pb2.PutMetadataRequest(metadata=_MOVIE),
    f"{V1}RatingService/GetAggregatedRating": rating_pb2.GetAggregatedRatingRequest(record_type="movie", record_id="7"),
    f"{V1}RatingService/BatchGetAggregatedRatings": rating_pb2.BatchGetAggregatedRatingsRequest(records=[_RECORD] * 2),
    f"{V1}RatingService/PutRating": rating_pb2.PutRatingRequest(
        record_type="movie", record_id="7", provider_id="p", user_id="ann", value=4.5
    ),
    f"{V1}RatingService/DeleteRating": rating_pb2.DeleteRatingRequest(
        record_type="movie", record_id="7", provider_id="p", user_id="ann"
    ),
    f"{V1}RatingService/PutRatings": rating_pb2.PutRatingsRequest(
        events=[
            rating_pb2.RatingEvent(record=_RECORD, user_id="ann", put=4.5),
            rating_pb2.RatingEvent(record=_RECORD, user_id="ben", delete=rating_pb2.RatingEvent.Delete()),
        ]
    ),
    f"{V1}RatingService/WatchAggregate": rating_pb2.WatchAggregateRequest(records=[_RECORD]),
    f"{V1}MovieService/GetMovieDetails": movie_pb2.GetMovieDetailsRequest(movie_id="7"),
    f"{V1}MovieService/BatchGetMovieDetails": movie_pb2.BatchGetMovieDetailsRequest(movie_ids=["7", "8"]),
    "/MetadataService/GetMetadata": old.GetMetadataRequest(movie_id="7"),
    "/MetadataService/PutMetadata": old.PutMetadataRequest(metadata=old.Metadata(id="7", title="Alien")),
    "/RatingService/GetAggregatedRating": old.GetAggregatedRatingRequest(record_id="7", record_type="movie"),
    "/RatingService/PutRating": _OLD_RATING,
    "/MovieService/GetMovieDetails": old.GetMovieDetailsRequest(movie_id="7"),
    "/grpc.health.v1.Health/Check": health_pb2.HealthCheckRequest(service="MetadataService"),
    "/grpc.health.v1.Health/Watch": health_pb2.HealthCheckRequest(service="RatingService"),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": reflection_pb2.ServerReflectionRequest(
        file_containing_symbol="movieapp.v1.MetadataService"
    ),
}
"""A good request of each method."""

_ODD = (
    b"\x00",
    b"\xff",
    b"\x80" * 12,
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"'",
    b"%",
    b"\x00\x00",
    b"x" * 200,
    b"\xf0\x9f\xa6\x91",
)


def mutated(message: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """The message with one to four changes; `others` lend their parts."""
    changed = bytearray(message)
    for _ in range(chance.randint(1, 4)):
        place = chance.randint(0, len(changed))
        match chance.randrange(6):
            case 0 if changed:  # a bit
                changed[place % len(changed)] ^= 1 << chance.randrange(8)
            case 1:  # an end that is missing
                del changed[place:]
            case 2:  # something odd
                changed[place:place] = chance.choice(_ODD)
            case 3:  # a part of another message
                other = chance.choice(others)
                begin = chance.randint(0, len(other))
                changed[place:place] = other[begin : chance.randint(begin, len(other))]
            case 4:  # a part twice
                changed[place:place] = changed[: chance.randint(0, len(changed))]
            case _:  # a byte: a tag, a length or a value
                changed[place : place + 1] = bytes([chance.randrange(256)])
    return bytes(changed)
