"""The same ratings are put and deleted from several partitions and over REST at once: no deadlock, no drift."""

import json
import random
import threading

from confluent_kafka import Producer
from django.db import connection
from knox.models import AuthToken

from tests.acceptance.kills.crew import Crew
from tests.acceptance.kills.feeding import feeding
from tests.acceptance.kills.watch import WRITING, Watch
from tests.integration.rest_client import ApiClient, user_with
from tests.rating_tables import assert_consistent, rows
from tests.waiting import wait_until

_RECORDS, _USERS = 10, 30
_COLLISIONS, _REQUESTS = 12, 100
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
_NOTE = """
CREATE TABLE kills.write (id bigint GENERATED ALWAYS AS IDENTITY, rating_id bigint, value int, written_at timestamptz);
CREATE FUNCTION kills.note_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO kills.write (rating_id, value, written_at) VALUES (new.id, new.value, new.written_at);
    RETURN NULL;
END $$;
CREATE TRIGGER kills_write AFTER INSERT OR UPDATE ON ratings_rating FOR EACH ROW EXECUTE FUNCTION kills.note_write();
"""
_WENT_BACK = """
SELECT rating_id FROM (
    SELECT rating_id, written_at, lag(written_at) OVER (PARTITION BY rating_id ORDER BY id) AS before FROM kills.write
) AS write WHERE written_at < before
"""
_NOT_THE_LAST = """
SELECT rating.id FROM ratings_rating AS rating FULL JOIN (
    SELECT DISTINCT ON (rating_id) rating_id, value, written_at FROM kills.write ORDER BY rating_id, id DESC
) AS last ON last.rating_id = rating.id
WHERE (rating.value, rating.written_at) IS DISTINCT FROM (last.value, last.written_at)
"""


class Quarrel:
    """Sends puts and deletes of a few ratings, each to any partition."""

    def __init__(self, servers, topic, partitions, seed):
        self.sent = 0
        self._topic, self._partitions = topic, partitions
        self._random = random.Random(seed)
        self._producer = Producer({"bootstrap.servers": servers, "log_level": 2, "enable.idempotence": True})

    def send(self, count):
        for _ in range(count):
            event = {"recordId": str(self._random.randrange(_RECORDS)), "recordType": "movie"}
            event |= {"userId": str(self._random.randrange(_USERS)), "eventType": "delete"}
            if self._random.random() < 0.6:
                event |= {"eventType": "put", "ratingValue": self._random.randrange(11)}
            self._producer.produce(self._topic, json.dumps(event), partition=self._random.randrange(self._partitions))
        assert self._producer.flush(60) == 0
        self.sent += count


def quarrel_over_rest(token, seed, requests, statuses):
    chance = random.Random(seed)
    client = ApiClient(token)
    try:
        for _ in range(requests):
            path = f"records/movie/{chance.randrange(_RECORDS)}/ratings/{chance.randrange(_USERS)}/"
            if chance.random() < 0.6:
                response = client.put(path, {"ratingValue": chance.randrange(11)})
            else:
                response = client.delete(path)
            statuses.append(response.status_code)
    finally:
        connection.close()


def collide(watch, crew):
    """Two members that have begun their transactions write their ratings at the same moment."""
    with watch.held_up(WRITING):
        wait_until(lambda: len(set(watch.waiting_at(WRITING))) == 2, 60, message=crew.story)


def test_kafka_and_rest_quarrel_over_the_same_ratings(
    start_manage, manage_environment, kafka_bootstrap_servers, make_topic, seed
):
    topic = make_topic(partitions=4)
    url = manage_environment["DATABASE_URL"]
    watch, quarrel = Watch(url, topic), Quarrel(kafka_bootstrap_servers, topic, 4, seed)
    crew = Crew(start_manage, ("--topic", topic, "--batch-size", "200"), url=url)
    _, token = AuthToken.objects.create(user_with("add_rating", "change_rating", "delete_rating"))
    before = rows(_DEADLOCKS)
    statuses = []
    threads = [
        threading.Thread(target=quarrel_over_rest, args=(token, seed + n, _REQUESTS, statuses)) for n in range(3)
    ]
    with watch.recording():
        watch.connection.execute(_NOTE)
        with feeding(quarrel.send, sent=lambda: quarrel.sent, watch=watch.again()):
            for _ in range(2):
                crew.join()
            watch.wait_for_position(1, 60, crew.story)
            for thread in threads:
                thread.start()
            for _ in range(_COLLISIONS):
                collide(watch, crew)
            for thread in threads:
                thread.join()
        watch.wait_for_position(quarrel.sent, 60, crew.story)
        crew.dismiss_all()  # the sessions' last figures are in the statistics once they have ended
        assert len(statuses) == 3 * _REQUESTS
        assert set(statuses) <= {200, 204}
        assert rows(_WENT_BACK) == rows(_NOT_THE_LAST) == []
    watch.close()
    assert_consistent()
    assert rows(_DEADLOCKS) == before
    assert not crew.said("deadlock")
