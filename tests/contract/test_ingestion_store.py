"""What every IngestionStore promises, asked of the one in memory and of the one on Postgres."""

from contextlib import closing

import pytest

from ratings.events import RatingEvent
from tests.ingestion_stores import TIME, MemoryDatabase, PostgresDatabase, letter, part, raters, take, write
from tests.rating_tables import own_connection
from workers.ingestion.consuming.batch import Batch
from workers.ingestion.delivery import Delivery
from workers.ingestion.errors import Fenced, StoreUnavailable
from workers.kafka.group import Commit


@pytest.fixture
def postgres(transactional_db):
    with closing(PostgresDatabase()) as database:
        yield database


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.django_db(transaction=True))])
def database(request):
    return MemoryDatabase() if request.param == "memory" else request.getfixturevalue("postgres")


@pytest.fixture
def store(database):
    return database.store()


def test_nothing_was_begun(store):
    assert store.positions() == {}


def test_epochs_are_told_of_what_the_group_has_begun(database, store):
    assert store.epochs() == {}
    claims = take(store, 0, 2)
    take(database.store(group="other"), 0, 1)
    assert store.epochs() == {0: 1, 2: 1}
    write(store, Batch([part(claims[0], "a")]))
    take(database.store(), 2)
    assert store.epochs() == {0: 1, 2: 2}


def test_a_first_take_over_begins_at_the_first_offset_and_stores_it(database, store):
    claims = take(store, 0, 2, first=40)
    assert {number: (claim.epoch, claim.next_offset) for number, claim in claims.items()} == {0: (1, 40), 2: (1, 40)}
    assert (claims[0].latest_time, claims[0].leader_epoch) == (0, None)
    assert store.positions() == {0: 40, 2: 40}


def test_the_first_offset_is_asked_for_once(database, store):
    take(store, 0, first=40)
    asked = []
    claims = store.take([0, 1], first_offset=lambda number: asked.append(number) or 99)
    assert asked == [1]
    assert {number: (claim.epoch, claim.next_offset) for number, claim in claims.items()} == {0: (2, 40), 1: (1, 99)}


def test_a_first_offset_that_cannot_be_had_leaves_nothing_begun(store):
    def refuse(_):
        raise ConnectionError("no broker")

    with pytest.raises(ConnectionError):
        store.take([0], first_offset=refuse)
    assert store.positions() == {}
    assert take(store, 0)[0].epoch == 1


def test_each_take_over_raises_the_epoch_and_tells_where_to_go_on(database, store):
    claim = take(store, 0)[0]
    write(store, Batch([part(claim, "ab")]))
    other = take(database.store(), 0, first=77)[0]
    assert (other.epoch, other.next_offset, other.latest_time, other.leader_epoch) == (2, 2, TIME, 7)


def test_ratings_letters_and_positions_are_applied(database, store):
    claims = take(store, 0, 1)
    write(store, Batch([part(claims[0], "ab"), part(claims[1], "c", partition=1, letters=[letter(1)], end=9)]))
    assert database.standing() == dict.fromkeys([("", "a"), ("", "b"), ("", "c")], (50, TIME))
    assert store.positions() == {0: 2, 1: 9}
    assert [found[:3] for found in database.letters()] == [("rating", 1, 1)]


def test_a_slice_without_a_message_moves_the_position(store):
    claim = take(store, 0)[0]
    write(store, Batch([part(claim, end=3, time=0)]))
    assert store.positions() == {0: 3}
    assert take(store, 0)[0].latest_time == 0


def test_applying_the_same_slices_again_changes_nothing(database, store):
    claims = take(store, 0, 1)
    batch = Batch([part(claims[0], "a", letters=[letter(1)]), part(claims[1], "b", partition=1)])
    for _ in range(3):
        write(store, batch)
    assert raters(database) == {"a", "b"}
    assert store.positions() == {0: 2, 1: 1}
    assert [found[-1] for found in database.letters()] == [1]


def test_what_was_applied_before_is_left_out_and_the_rest_is_applied(database, store):
    claims = take(store, 0, 1)
    first = part(claims[0], "a", letters=[letter(1)])
    write(store, Batch([first]))
    write(store, Batch([first, part(claims[1], "b", partition=1)]))
    assert raters(database) == {"a", "b"}
    assert store.positions() == {0: 2, 1: 1}
    assert [found[-1] for found in database.letters()] == [1]


def test_a_fenced_batch_writes_nothing_and_names_exactly_the_partitions_that_were_taken(database, store):
    claims = take(store, 0, 1, 2)
    take(database.store(), 1)
    batch = Batch(
        [
            part(claims[0], "a"),
            part(claims[1], "b", partition=1, letters=[letter(1)]),
            part(claims[2], "c", partition=2),
        ]
    )
    with pytest.raises(Fenced) as fenced:
        write(store, batch)
    assert fenced.value.partitions == {1}
    assert (database.standing(), database.letters(), store.positions()) == ({}, [], {0: 0, 1: 0, 2: 0})
    write(store, batch.without(fenced.value.partitions))
    assert raters(database) == {"a", "c"}


def test_a_fence_after_a_lost_answer_names_only_what_was_not_applied(database, store):
    claims = take(store, 0, 1)
    first = part(claims[0], "a")
    write(store, Batch([first]))
    take(database.store(), 1)
    with pytest.raises(Fenced) as fenced:
        write(store, Batch([first, part(claims[1], "b", partition=1)]))
    assert fenced.value.partitions == {1}


def test_another_position_is_a_fence_too(database, store):
    claim = take(store, 0)[0]
    write(store, Batch([part(claim, "abc")]))
    claim.next_offset = 2
    with pytest.raises(Fenced):
        write(store, Batch([part(claim, "xy")]))
    assert raters(database) == {"a", "b", "c"}


def test_a_partition_that_was_never_taken_is_a_fence(database, store):
    claim = take(store, 0)[0]
    with pytest.raises(Fenced) as fenced:
        write(store, Batch([part(claim, "a", partition=2)]))
    assert fenced.value.partitions == {2}


def test_groups_have_positions_and_letters_of_their_own(database, store):
    other = database.store(group="other")
    write(store, Batch([part(take(store, 0)[0], "a", letters=[letter(1)])]))
    assert other.positions() == {}
    write(other, Batch([part(take(other, 0)[0], "a", letters=[letter(1)])]))
    assert other.positions() == store.positions() == {0: 2}
    assert [found[:3] for found in database.letters()] == [("other", 0, 1), ("rating", 0, 1)]


def test_letters_are_kept_byte_by_byte(database, store):
    claim = take(store, 0)[0]
    headers = (("a", b"\x00\xff"), ("a", None), ("é", b""))
    write(
        store,
        Batch(
            [
                part(
                    claim,
                    letters=[
                        letter(0, key=None, value=None),
                        letter(1, key=b"", value=b"\x00" * 3, headers=headers),
                        letter(2, key=b"\xff\x00", value=b"v" * 900_000),
                    ],
                )
            ]
        ),
    )
    assert [found[3:] for found in database.letters()] == [
        (None, None, (), TIME, 1),
        (b"", b"\x00" * 3, headers, TIME, 1),
        (b"\xff\x00", b"v" * 900_000, (), TIME, 1),
    ]


def test_the_last_of_several_writes_of_one_rating_stands(database, store):
    claim = take(store, 0)[0]
    slice_ = part(claim, "aaa")
    slice_.events[1:] = [RatingEvent("movie", "1", "", "a", 10), RatingEvent("movie", "1", "", "a", None)]
    slice_.times[:] = [TIME, TIME + 2, TIME + 1]
    write(store, Batch([slice_]))
    assert database.standing() == {("", "a"): (10, TIME + 2)}


def test_what_was_begun_is_told_with_its_delivery(database, store):
    assert store.begun() == {}
    take(store, 0)
    take(database.store(delivery=Delivery.AT_MOST_ONCE), 2)
    assert store.begun() == {0: Delivery.EXACTLY_ONCE, 2: Delivery.AT_MOST_ONCE}


EXACTLY, AT_LEAST, AT_MOST = Delivery

# What the former owner promised and what the next one does, what Kafka was told (offset, epoch), where the next one
# begins, and what it skips.
TAKE_OVERS = [
    (EXACTLY, AT_LEAST, (1, 1), 2, 0),
    (EXACTLY, AT_MOST, (5, 1), 2, 0),
    (AT_LEAST, AT_LEAST, None, 2, 0),
    (AT_LEAST, AT_LEAST, (1, 1), 1, 0),
    (AT_LEAST, AT_LEAST, (5, 1), 2, 0),
    (AT_LEAST, AT_LEAST, (1, 0), 2, 0),
    (AT_LEAST, EXACTLY, (1, 1), 2, 0),
    (AT_LEAST, EXACTLY, (5, 1), 2, 0),
    (AT_LEAST, AT_MOST, (1, 1), 2, 0),
    (AT_MOST, AT_MOST, None, 2, 0),
    (AT_MOST, AT_MOST, (1, 1), 2, 0),
    (AT_MOST, AT_MOST, (5, 1), 5, 3),
    (AT_MOST, AT_MOST, (5, 0), 2, 0),
    (AT_MOST, AT_MOST, (5, 2), 2, 0),
    (AT_MOST, EXACTLY, (5, 1), 5, 3),
    (AT_MOST, AT_LEAST, (5, 1), 5, 3),
    (AT_MOST, AT_LEAST, (1, 1), 2, 0),
]


@pytest.mark.parametrize(("before", "after", "told", "start", "skipped"), TAKE_OVERS)
def test_a_take_over_goes_by_what_both_owners_promise(database, before, after, told, start, skipped):
    former = database.store(delivery=before)
    write(former, Batch([part(take(former, 0)[0], "ab")]))
    committed = {0: Commit(*told, leader_epoch=9, latest_time=TIME - 1)} if told else {}
    claim = take(database.store(delivery=after), 0, committed=committed)[0]
    moved = start != 2
    assert (claim.epoch, claim.next_offset) == (2, start)
    assert (claim.latest_time, claim.leader_epoch) == ((TIME - 1, 9) if moved else (TIME, 7))
    assert database.skipped() == {("rating", 0): skipped}
    assert former.begun() == {0: after}


def test_at_most_once_counts_what_lies_before_a_batch(database):
    store = database.store(delivery=Delivery.AT_MOST_ONCE)
    claims = take(store, 0, 1)
    claims[0].next_offset = 4
    batch = Batch([part(claims[0], "ab"), part(claims[1], "c", partition=1)])
    assert write(store, batch).skipped == 4
    assert store.positions() == {0: 6, 1: 1}
    assert database.skipped() == {("rating", 0): 4, ("rating", 1): 0}
    assert raters(database) == {"a", "b", "c"}


def test_at_most_once_passes_over_what_it_did_not_write_once(database):
    store = database.store(delivery=Delivery.AT_MOST_ONCE)
    batch = Batch([part(take(store, 0)[0], "ab", letters=[letter(2)])])
    passed = batch.passing({0})
    assert [write(store, passed).skipped for _ in range(2)] == [3, 0]
    assert (store.positions(), database.skipped()) == ({0: 3}, {("rating", 0): 3})
    assert (database.standing(), database.letters()) == ({}, [])


def test_at_most_once_passes_over_nothing_that_it_has_written(database):
    store = database.store(delivery=Delivery.AT_MOST_ONCE)
    batch = Batch([part(take(store, 0)[0], "ab")])
    write(store, batch)
    assert write(store, batch.passing({0})).skipped == 0
    assert database.skipped() == {("rating", 0): 0}


def test_what_is_tried_out_leaves_no_trace_and_can_be_written(database):
    store = database.store(delivery=Delivery.AT_MOST_ONCE)
    batch = Batch([part(take(store, 0)[0], "ab", letters=[letter(2)])])
    for tried in (batch, batch.passing({0})):
        store.try_out(tried)
        assert (store.positions(), database.standing(), database.letters()) == ({0: 0}, {}, [])
    write(store, batch)
    assert (store.positions(), raters(database), len(database.letters())) == ({0: 3}, {"a", "b"}, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("table", "users", "letters"), [("ratings_rating", "a", []), ("ingestion_deadletter", "", [0])]
)
def test_what_cannot_be_written_cannot_be_tried_out_though_positions_move(postgres, table, users, letters):
    store = postgres.store(delivery=Delivery.AT_MOST_ONCE)
    batch = Batch([part(take(store, 0)[0], users, letters=[letter(offset) for offset in letters])])
    with own_connection() as owner:
        owner.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION USING errcode = 'disk_full'; END $$;"
            f"CREATE TRIGGER full_disk BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION full_disk()"
        )
        try:
            with pytest.raises(StoreUnavailable):
                store.try_out(batch)
            assert write(store, batch.passing({0})).skipped == 1
        finally:
            owner.execute("DROP FUNCTION full_disk CASCADE")


@pytest.mark.parametrize("trouble", ["taken", "behind", "unknown"])
def test_at_most_once_is_fenced_too(database, trouble):
    store = database.store(delivery=Delivery.AT_MOST_ONCE)
    claim = take(store, 0)[0]
    write(store, Batch([part(claim, "a")]))
    batch = Batch([part(claim, "x")])  # begins at 0 once more, where the position is 1
    if trouble == "taken":
        take(database.store(), 0)
        claim.next_offset = 1
        batch = Batch([part(claim, "x")])
    elif trouble == "unknown":
        batch = Batch([part(claim, "x", partition=2)])
    with pytest.raises(Fenced) as fenced:
        write(store, batch)
    assert fenced.value.partitions == ({2} if trouble == "unknown" else {0})
    assert raters(database) == {"a"}


def test_the_next_batch_is_prepared_while_one_is_waiting_to_be_applied(database, store):
    claim = take(store, 0)[0]
    first = store.prepare(Batch([part(claim, "ab")]))
    claim.next_offset = 2
    second = store.prepare(Batch([part(claim, "bc", time=TIME + 1)]))
    store.apply(first)
    store.apply(second)
    assert database.standing() == {("", "a"): (50, TIME), ("", "b"): (50, TIME + 1), ("", "c"): (50, TIME + 1)}
