"""The samples have the tutorial's shape, and a mean that one can check by hand."""

import json

from movieapp.devstack.samples_loaded import MOVIES, RATINGS, are_loaded, remember


def test_every_rated_record_is_a_sample_movie() -> None:
    movies = {movie["id"] for movie in json.loads(MOVIES.read_text())}
    events = json.loads(RATINGS.read_text())
    assert {event["recordId"] for event in events} == {"1", "2", "3", "4", "5"} <= movies
    assert {event["recordType"] for event in events} == {"movie"}


def test_the_movies_are_those_that_bear_these_ids_in_movielens() -> None:
    # Else an import of MovieLens, which knows no directors, would leave a movie with another one's director.
    titles = {movie["id"]: (movie["title"], movie["year"]) for movie in json.loads(MOVIES.read_text())}
    assert titles == {
        "1": ("Toy Story", 1995),
        "2": ("Jumanji", 1995),
        "3": ("Grumpier Old Men", 1995),
        "4": ("Waiting to Exhale", 1995),
        "5": ("Father of the Bride Part II", 1995),
        "6": ("Heat", 1995),
    }


def test_the_first_movies_ratings_are_5_4_and_3() -> None:
    # 103's second rating replaces the first, 104 takes the rating back: (5 + 4 + 3) / 3 = 4.
    standing: dict[str, float] = {}
    for event in json.loads(RATINGS.read_text()):
        if event["recordId"] == "1" and event["eventType"] == "put":
            standing[event["userId"]] = event.get("value", event.get("ratingValue"))
        elif event["recordId"] == "1":
            del standing[event["userId"]]
    assert standing == {"101": 5, "102": 4, "103": 3}


def test_both_dialects_and_both_kinds_of_event_occur() -> None:
    events = json.loads(RATINGS.read_text())
    assert {event["eventType"] for event in events} == {"put", "delete"}
    assert any("value" in event for event in events)
    assert any("ratingValue" in event for event in events)


def test_samples_count_as_loaded_for_one_cluster_only(tmp_path) -> None:
    mark = tmp_path / "samples.sha256"
    assert not are_loaded(mark, cluster_id="a")
    remember(mark, cluster_id="a")
    assert are_loaded(mark, cluster_id="a")
    assert not are_loaded(mark, cluster_id="b")
