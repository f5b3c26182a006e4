"""Callers go elsewhere when a server is killed, frozen or stopped, find new ones, and need no registry meanwhile."""

import time
from collections.abc import Iterator

import pytest

from metadata.drafts import movie_draft
from metadata.services import movie_put
from ratings.services import rating_put
from tests.acceptance.serving.load import load_on
from tests.acceptance.serving.scene import LONG_TTL, REGISTRIES, TTL, Scene, database_environment, scene_of
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db

RATING = 4.5
SLACK = 1.0
"""Seconds more than a TTL: a registry looks for who has expired once in a while, and this machine is busy."""

ELSEWHERE_WITHIN = 3.0
"""Seconds within which a call that waits for a frozen instance is answered by another one: a busy machine's, twice 1.5.
"""


@pytest.fixture(scope="module")
def rated_movie(django_db_setup: None, django_db_blocker: object) -> Iterator[str]:
    """A movie with a rating, committed for as long as the module's tests run; the database's name."""
    from django.core.management import call_command
    from django.db import connection

    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        movie_put(movie_draft(movie_id="7", title="Alien"))
        rating_put(record_type="movie", record_id="7", provider_id="", user_id="ann", tenths=int(RATING * 10))
        yield str(connection.settings_dict["NAME"])
        call_command("flush", interactive=False, verbosity=0)


@pytest.fixture(scope="module", params=list(REGISTRIES))
def scene(request: pytest.FixtureRequest, rated_movie: str) -> Iterator[Scene]:
    """Shared by the module's tests, each of which asks for the rating servers that it wants."""
    with scene_of(request.param, database_environment(rated_movie)) as made:
        yield made


def test_one_is_killed_and_another_joins(scene: Scene) -> None:
    scene.with_ratings(2)
    killed = scene.ratings[0]
    with load_on(scene.movie.address) as load:
        load.wait_for(20)
        wait_until(lambda: all(server.ratings_read > 0 for server in scene.ratings), message="one is not called")
        begun = time.time()
        scene.kill(killed)
        assert scene.known_without(killed, since=begun) < TTL + SLACK
        scene.wait_until_known()
        load.wait_for(20)
        third = scene.join()
        wait_until(lambda: third.said("serving") and third.ratings_read > 0, message=scene.story)
    assert not load.failed, f"{load.failed[:3]}\n{scene.story()}"


def test_one_freezes_and_goes_on_later(scene: Scene) -> None:
    """It accepts connections and calls, and answers none; the registry believes in it for longer than the test lasts.

    So its callers alone find out: all of them go elsewhere within their deadline, and go back once it answers.
    """
    scene.with_ratings(2, ttl=LONG_TTL)
    frozen = scene.ratings[0]
    with load_on(scene.movie.address) as load:
        load.wait_for(20)
        frozen.freeze()
        load.wait_for(30)
        frozen.thaw()
        read = frozen.ratings_read
        wait_until(lambda: frozen.ratings_read > read, message=scene.story)
    frozen.freeze()  # while nobody asks it anything
    with load_on(scene.movie.address) as later:
        later.wait_for(30)
        assert frozen.address in scene.known("ratings")
    frozen.thaw()
    for calls in (load, later):
        assert not calls.failed, f"{calls.failed[:3]}\n{scene.story()}"
        assert max(one.seconds for one in calls.outcomes) < ELSEWHERE_WITHIN


def test_one_that_is_frozen_for_a_ttl_is_off_the_list_until_it_goes_on(scene: Scene) -> None:
    scene.with_ratings(2)
    frozen = scene.ratings[0]
    begun = time.time()
    frozen.freeze()
    assert scene.known_without(frozen, since=begun) < TTL + SLACK
    with load_on(scene.movie.address) as load:
        load.wait_for(50)
    frozen.thaw()
    scene.wait_until_known()
    assert not load.failed, f"{load.failed[:3]}\n{scene.story()}"
    assert max(one.seconds for one in load.outcomes) < 1.0


def test_the_registry_is_stopped_and_comes_back_empty(scene: Scene) -> None:
    scene.with_ratings(2)
    everybody = {server.address for server in (*scene.ratings, scene.metadata, scene.movie)}
    wait_until(lambda: scene.listed() == everybody, message=scene.story)
    with load_on(scene.movie.address) as load:
        load.wait_for(20)
        outages = len(scene.movie.said("registry_away"))
        scene.registry.stop()
        wait_until(lambda: len(scene.movie.said("registry_away")) > outages, message=scene.story)
        time.sleep(TTL)  # what was known is known for longer than any entry would have stood
        scene.registry.start()
        wait_until(lambda: scene.listed() == everybody, message=scene.story)
        load.wait_for(20)
        assert scene.known("ratings") == {server.address for server in scene.ratings}
    assert not load.failed, f"{load.failed[:3]}\n{scene.story()}"


def test_all_are_stopped_under_load_and_one_comes(scene: Scene) -> None:
    scene.with_ratings(2)
    with load_on(scene.movie.address) as load:
        load.wait_for(20)
        scene.dismiss(scene.ratings[0])
        load.wait_for(20)
        assert not load.failed, f"{load.failed[:3]}\n{scene.story()}"
        last = scene.ratings[0]
        scene.dismiss(last)
        scene.wait_until_known()
        nobody = time.monotonic()
        load.wait_for(20)
        found = time.monotonic()
        scene.join()
        scene.wait_until_known()
        load.wait_for(20)
        back = time.monotonic()
        load.wait_for(20)
    alone = [one for one in load.since(nobody) if one.at < found]
    assert {one.code for one in alone} == {"UNAVAILABLE"}
    assert {one.words for one in alone} <= {scene.nobody_words}
    assert sorted(one.seconds for one in alone)[len(alone) // 2] < 0.5
    assert not [one for one in load.since(back) if one.code != "OK"]
    assert {one.rating for one in load.outcomes if one.code == "OK"} == {RATING}
