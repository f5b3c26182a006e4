"""A rating that could not be had is said to be unknown, or is an error: it is never a zero."""

import pytest

from metadata.models import Movie
from movieapp.catalogue import servicers
from movieapp.catalogue.details import DetailsPart, ManyDetails, MovieDetails
from movieapp.catalogue.errors import PartUnavailable
from movieapp.catalogue.servicers import MovieServicer, TutorialMovieServicer
from protos.movieapp.v1 import movie_pb2 as pb
from protos.tutorial import movie_pb2 as tutorial_pb2

UNKNOWN = MovieDetails(Movie(id="7", title="Alien"), None, (DetailsPart.RATING,))


class Context:
    def __init__(self):
        self.left = 1.5

    def time_remaining(self):
        return self.left


@pytest.fixture
def asked(monkeypatch):
    """What the domain was asked for."""
    asked = []
    many = ManyDetails([UNKNOWN], ["8"], (DetailsPart.RATING,))
    monkeypatch.setattr(servicers, "movie_details", lambda **wanted: asked.append(wanted) or UNKNOWN)
    monkeypatch.setattr(servicers, "movies_details", lambda **wanted: asked.append(wanted) or many)
    return asked


def test_it_is_named(asked):
    answer = MovieServicer().GetMovieDetails(pb.GetMovieDetailsRequest(movie_id="7"), Context())
    assert answer.unavailable == [pb.DETAILS_PART_RATING]
    assert not answer.HasField("rating")
    assert asked == [{"movie_id": "7", "within": 1.5}]


def test_it_is_named_once_for_many(asked):
    answer = MovieServicer().BatchGetMovieDetails(pb.BatchGetMovieDetailsRequest(movie_ids=["7", "8"]), Context())
    assert answer.unavailable == [pb.DETAILS_PART_RATING]
    assert (answer.movies[0].metadata.id, answer.missing_movie_ids) == ("7", ["8"])
    assert asked == [{"movie_ids": ["7", "8"], "within": 1.5}]


def test_the_old_wire_cannot_say_it(asked):
    with pytest.raises(PartUnavailable):
        TutorialMovieServicer().GetMovieDetails(tutorial_pb2.GetMovieDetailsRequest(movie_id="7"), Context())


def test_every_part_has_its_word_on_the_wire():
    assert set(servicers._PARTS) == set(DetailsPart)
    assert set(servicers._PARTS.values()) == set(pb.DetailsPart.values()) - {pb.DETAILS_PART_UNSPECIFIED}
