"""What a caller is told of a movie while one of its two services does not answer, or neither: never a wrong zero."""

import threading
import time
from collections.abc import Iterator

import grpc
import pytest

from movieapp.catalogue import selectors
from movieapp.catalogue.clients import make_details_clients
from movieapp.catalogue.details import DetailsPart, ManyDetails, MovieDetails, MovieRating
from movieapp.catalogue.errors import PartUnavailable
from movieapp.catalogue.grpc_details import GrpcDetails
from movieapp.devstack.ports import free_port
from protos.movieapp.v1 import movie_pb2 as pb
from protos.movieapp.v1.movie_pb2_grpc import MovieServiceStub
from protos.tutorial import movie_pb2 as tutorial_pb2
from protos.tutorial import movie_pb2_grpc as tutorial_grpc
from tests.integration.rest_fixtures import reader
from tests.integration.rpc.calls import WITHIN, refusal
from tests.integration.rpc.stand_ins import Hang, Metadata, Ratings, StandIn, refuse, running
from workers.discovery.errors import NoInstance
from workers.discovery.static import StaticRegistry

__all__ = ["reader"]

LONGEST = 5.0
RATED = MovieRating(average=4.25, count=2, version=3)
AWAY = refuse(grpc.StatusCode.INTERNAL)


class Scene:
    """Both services, and the movie details that are made of them."""

    def __init__(self) -> None:
        self.metadata, self.ratings = Metadata(), Ratings()
        self._made: list[GrpcDetails] = []

    def details(self, *, partial: bool = True, longest: float = LONGEST, **ports: int) -> GrpcDetails:
        """`ports` in place of the services' own; None for nobody."""
        chosen = {"metadata": self.metadata.port, "ratings": self.ratings.port, **ports}
        registry = StaticRegistry({name: [("127.0.0.1", port)] for name, port in chosen.items() if port})
        clients = make_details_clients(registry=registry, longest=longest)
        self._made.append(GrpcDetails(clients, partial=partial, longest=longest))
        return self._made[-1]

    def one(self, *, partial: bool = True, within: float = LONGEST) -> MovieDetails:
        return self.details(partial=partial).one("7", within=within)

    def many(self, *, partial: bool = True) -> ManyDetails:
        return self.details(partial=partial).many(["7"], within=LONGEST)

    def close(self) -> None:
        for made in self._made:
            made.clients.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    with running(made.metadata, made.ratings):
        yield made
        made.close()


def title(details: MovieDetails) -> str | None:
    return details.metadata.title if details.metadata else None


class TestOnePart:
    def test_no_rating_in_time_is_unknown_or_an_error_by_the_setting(self, scene: Scene) -> None:
        scene.ratings.do = AWAY
        found = scene.one(partial=True)
        assert (title(found), found.rating, found.unavailable) == ("Alien", None, (DetailsPart.RATING,))
        with pytest.raises(PartUnavailable, match="rating cannot be had just now, as the answer was INTERNAL"):
            scene.one(partial=False)

    def test_no_metadata_in_time_is_unknown_or_an_error_by_the_setting(self, scene: Scene) -> None:
        scene.metadata.do = AWAY
        found = scene.one(partial=True)
        assert (found.metadata, found.rating, found.unavailable) == (None, RATED, (DetailsPart.METADATA,))
        with pytest.raises(PartUnavailable, match="metadata cannot be had"):
            scene.one(partial=False)

    def test_of_many_movies_the_rating_only(self, scene: Scene) -> None:
        scene.ratings.do = AWAY
        found = scene.many(partial=True)
        assert [one.rating for one in found.movies] == [None]
        assert found.unavailable == (DetailsPart.RATING,)
        with pytest.raises(PartUnavailable):
            scene.many(partial=False)
        scene.ratings.do, scene.metadata.do = (lambda context: None), AWAY
        with pytest.raises(PartUnavailable):
            scene.many(partial=True)

    def test_neither_is_an_error_whatever_the_setting(self, scene: Scene) -> None:
        scene.metadata.do = scene.ratings.do = AWAY
        with pytest.raises(PartUnavailable):
            scene.one(partial=True)

    @pytest.mark.parametrize("service", ["metadata", "ratings"])
    def test_an_answer_without_it_is_no_answer(self, scene: Scene, service: str) -> None:
        """An empty message would be read as a rating of zero, or a movie without a name."""
        asked: StandIn = getattr(scene, service)
        asked.says_nothing = True
        part = {"metadata": DetailsPart.METADATA, "ratings": DetailsPart.RATING}[service]
        found = scene.one(partial=True)
        assert found.unavailable == (part,)
        assert (found.rating, title(found)) == ((RATED, None) if service == "metadata" else (None, "Alien"))
        with pytest.raises(
            PartUnavailable, match=f"{part.value} cannot be had just now, as the answer lacked some of it"
        ):
            scene.one(partial=False)
        with pytest.raises(PartUnavailable, match="the answer lacked some of it"):
            scene.many(partial=False)

    def test_of_many_an_answer_without_one_of_them_is_no_answer(self, scene: Scene) -> None:
        """A movie whose rating is left out would look as if nobody had rated it."""
        whole = scene.details().many(["8", "7", "8"], within=LONGEST)
        assert ([one.rating for one in whole.movies], whole.missing, whole.unavailable) == ([RATED], ["8", "8"], ())
        scene.ratings.left_out = "7"
        found = scene.details(partial=True).many(["7", "8"], within=LONGEST)
        assert (len(found.movies), found.unavailable) == (1, (DetailsPart.RATING,))
        with pytest.raises(PartUnavailable, match="rating cannot be had"):
            scene.details(partial=False).many(["7", "8"], within=LONGEST)
        scene.ratings.left_out, scene.metadata.left_out = "", "8"
        with pytest.raises(PartUnavailable, match="metadata cannot be had"):
            scene.details(partial=True).many(["7", "8"], within=LONGEST)

    def test_nobody_is_told_of_our_hosts(self, scene: Scene) -> None:
        scene.ratings.do = AWAY
        with pytest.raises(PartUnavailable) as told:
            scene.one(partial=False)
        assert "10.0.0.5" not in str(told.value)


class TestTime:
    def test_both_are_asked_at_once(self, scene: Scene) -> None:
        both = threading.Barrier(2, timeout=WITHIN)
        scene.metadata.do = scene.ratings.do = lambda context: both.wait()
        assert scene.one().rating == RATED

    def test_each_has_the_callers_time_but_a_margin(self, scene: Scene) -> None:
        details = scene.details()
        details.one("7", within=2.0)
        for left in (*scene.metadata.times_left, *scene.ratings.times_left):
            assert 1.0 < left < 1.9
        details.one("7", within=60.0)
        assert LONGEST - 1.0 < scene.ratings.times_left[-1] < LONGEST + 0.5  # the wire rounds up

    @pytest.mark.parametrize("part", ["metadata", "ratings"])
    def test_one_that_hangs_is_given_up_before_the_callers_time_is_over(self, scene: Scene, part: str) -> None:
        hanging: StandIn = getattr(scene, part)
        hanging.do = Hang()
        details = scene.details()
        begun = time.monotonic()
        assert len(details.one("7", within=1.0).unavailable) == 1
        assert time.monotonic() - begun < 1.0


class TestTriedAgain:
    """Only what says that it was not begun, and only reads: writes are not among our clients' methods that may."""

    def test_one_that_refuses_at_first(self, scene: Scene) -> None:
        def do(context: grpc.ServicerContext) -> None:
            if scene.ratings.calls == 1:
                context.abort(grpc.StatusCode.UNAVAILABLE, "the server stops")

        scene.ratings.do = do
        assert scene.one().rating == RATED
        assert scene.ratings.calls == 2

    @pytest.mark.parametrize("code", ["NOT_FOUND", "INTERNAL", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"])
    def test_an_answer_is_an_answer(self, scene: Scene, code: str) -> None:
        scene.ratings.do = refuse(grpc.StatusCode[code])
        assert scene.one().rating is None
        assert scene.ratings.calls == 1


class TestNobody:
    def test_it_is_said_at_once_whom_nobody_knows(self, scene: Scene) -> None:
        details = scene.details(ratings=0, partial=False)
        begun = time.monotonic()
        with pytest.raises(NoInstance, match=r"^No instance of ratings is known \(static: DISCOVERY_STATIC\)\.$"):
            details.one("7", within=LONGEST)
        assert time.monotonic() - begun < 2.0
        assert scene.details(ratings=0, partial=True).one("7", within=LONGEST).unavailable == (DetailsPart.RATING,)
        with pytest.raises(NoInstance):
            scene.details(ratings=0, metadata=0).one("7", within=LONGEST)

    def test_addresses_where_nobody_answers_are_told_at_once_too(self, scene: Scene) -> None:
        details = scene.details(ratings=free_port(), partial=False)
        begun = time.monotonic()
        with pytest.raises(PartUnavailable, match="rating cannot be had just now, as nobody answers"):
            details.one("7", within=30.0)
        assert time.monotonic() - begun < LONGEST


class TestCallers:
    """The two wires and REST, while ratings cannot be had."""

    @pytest.fixture
    def partial(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Scene:
        scene.ratings.do = AWAY
        details = scene.details(partial=True)
        monkeypatch.setattr(selectors, "details_source", lambda: details)
        return scene

    def test_the_new_wire_names_the_part(self, partial: Scene, grpc_channel: grpc.Channel) -> None:
        answer = MovieServiceStub(grpc_channel).GetMovieDetails(pb.GetMovieDetailsRequest(movie_id="7"), timeout=WITHIN)
        assert (answer.metadata.title, list(answer.unavailable)) == ("Alien", [pb.DETAILS_PART_RATING])
        assert not answer.HasField("rating")

    @pytest.mark.parametrize("part", ["rating", "metadata"])
    def test_the_old_wire_has_no_word_for_it(self, partial: Scene, grpc_channel: grpc.Channel, part: str) -> None:
        if part == "metadata":
            partial.metadata.do, partial.ratings.do = AWAY, (lambda context: None)
        stub = tutorial_grpc.MovieServiceStub(grpc_channel)
        code, words = refusal(stub.GetMovieDetails, tutorial_pb2.GetMovieDetailsRequest(movie_id="7"))
        assert (code, words) == ("UNAVAILABLE", f"{part} cannot be had just now: try again in a few seconds")

    def test_metadata_may_be_the_part(self, partial: Scene, grpc_channel: grpc.Channel) -> None:
        partial.metadata.do, partial.ratings.do = AWAY, (lambda context: None)
        answer = MovieServiceStub(grpc_channel).GetMovieDetails(pb.GetMovieDetailsRequest(movie_id="7"), timeout=WITHIN)
        assert not answer.HasField("metadata")
        assert (answer.rating.average, list(answer.unavailable)) == (4.25, [pb.DETAILS_PART_METADATA])

    def test_rest_names_the_part(self, partial: Scene, reader) -> None:
        found = reader.get("movies/7/details/").json()
        assert (found["metadata"]["title"], found["rating"], found["unavailable"]) == ("Alien", None, ["rating"])
        partial.ratings.do = lambda context: None
        whole = reader.get("movies/7/details/").json()
        assert whole.keys() == {"metadata", "rating"}
        assert whole["rating"] == {"average": 4.25, "count": 2}

    def test_rest_while_nobody_is_known(self, scene: Scene, reader, monkeypatch: pytest.MonkeyPatch) -> None:
        details = scene.details(metadata=0, ratings=0)
        monkeypatch.setattr(selectors, "details_source", lambda: details)
        response = reader.get("movies/7/details/")
        assert (response.status_code, response["Retry-After"]) == (503, "5")
        assert response.json()["detail"] == "No instance of metadata is known (static: DISCOVERY_STATIC)."


def test_the_settings_choose_and_the_first_call_waits_for_the_registry(scene: Scene, settings) -> None:
    """One source for the whole process: its clients have threads and connections."""
    settings.MOVIE_DETAILS_SOURCE = "grpc"
    settings.DISCOVERY_STATIC = {
        "metadata": [("127.0.0.1", scene.metadata.port)],
        "ratings": [("127.0.0.1", scene.ratings.port)],
    }
    source = selectors.details_source()
    try:
        assert selectors.details_source() is source
        assert selectors.movie_details(movie_id="7").rating == RATED
        assert [one.rating for one in selectors.movies_details(movie_ids=["7"]).movies] == [RATED]
    finally:
        assert isinstance(source, GrpcDetails)
        source.clients.close()
        selectors._grpc_details.cache_clear()
