"""Movies in bulk, into a real database."""

import gzip
import json
from dataclasses import asdict, dataclass, field
from itertools import pairwise

import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metadata import importing
from metadata.drafts import ALL_FIELDS, movie_draft
from metadata.importing import SHOWN_REJECTIONS, ImportRequest, Outcome, movies_import
from metadata.models import Movie
from metadata.services import MoviesWritten, movie_put, movies_put

pytestmark = pytest.mark.django_db

MOVIELENS = """movieId,title,genres
1,The Kid (1921),Comedy|Drama
2,"General, The (1926)",Action|Comedy
3,Untitled,(no genres listed)
"""


@dataclass
class Seen:
    """A Meter that keeps what it is told."""

    counts: list = field(default_factory=list)
    shares: list = field(default_factory=list)
    titles: list = field(default_factory=list)

    def update(self, *, count, share=None, title=None):
        self.counts.append(count)
        self.shares.append(share)
        self.titles.append(title)

    def say(self, text):
        raise AssertionError(text)


def run(*paths, batch_size=2, stop_on_error=True, seen=None):
    request = ImportRequest(
        paths=tuple(str(path) for path in paths),
        format_name="auto",
        title_types=frozenset({"movie"}),
        stop_on_error=stop_on_error,
        batch_size=batch_size,
    )
    return movies_import(request, meter=seen or Seen())


def file_of(tmp_path, content, name="movies.dat"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def table():
    return {
        movie.pk: (movie.title, movie.description, movie.director, movie.year, movie.genres)
        for movie in Movie.objects.all()
    }


def draft(movie_id, carried=ALL_FIELDS, **values):
    return movie_draft(movie_id=movie_id, carried=carried, **{"title": "A", **values})


def test_a_file_goes_in_and_a_second_run_changes_nothing(tmp_path):
    path = file_of(tmp_path, MOVIELENS)
    first = run(path)
    assert (first.outcome, first.read, first.written) == (Outcome.COMPLETE, 3, MoviesWritten(created=3))
    assert table() == {
        "1": ("The Kid", "", "", 1921, ["Comedy", "Drama"]),
        "2": ("General, The", "", "", 1926, ["Action", "Comedy"]),
        "3": ("Untitled", "", "", None, []),
    }
    assert run(path).written == MoviesWritten(unchanged=3)


def test_a_second_run_writes_no_row_anew(tmp_path):
    path = file_of(tmp_path, MOVIELENS)
    run(path)

    def versions():
        return list(Movie.objects.extra(select={"version": "xmin::text || ctid::text"}).values_list("pk", "version"))

    before = versions()
    run(path)
    assert versions() == before


def test_only_what_the_source_carries_is_written(tmp_path):
    movie_put(draft("1", title="Old", description="Kept.", director="Charlie Chaplin", year=1900))
    run(file_of(tmp_path, MOVIELENS))
    assert table()["1"] == ("The Kid", "Kept.", "Charlie Chaplin", 1921, ["Comedy", "Drama"])


def test_one_id_twice_in_a_batch_and_across_batches(tmp_path):
    rows = [
        {"id": "1", "title": "A", "director": "d"},
        {"id": "1", "title": "B"},
        {"id": "2", "title": "C"},
        {"id": "1", "year": 1999, "title": "D"},
    ]
    path = file_of(tmp_path, json.dumps(rows))
    assert run(path, batch_size=2).written == MoviesWritten(created=2, changed=1, repeated=1)
    assert table()["1"] == ("D", "", "d", 1999, [])
    assert run(path, batch_size=10).written == MoviesWritten(unchanged=2, repeated=2)


def test_several_sources_gzip_among_them(tmp_path):
    other = json.dumps([{"id": "9", "title": "M"}]).encode()
    seen = Seen()
    report = run(file_of(tmp_path, gzip.compress(MOVIELENS.encode())), file_of(tmp_path, other, "more.json"), seen=seen)
    assert report.written.created == 4
    assert seen.counts == [2, 3, 4]
    assert seen.shares[-1] == 1.0
    assert [title.rpartition("/")[2] for title in seen.titles] == [*["movies.dat (movielens)"] * 2, "more.json (json)"]


def test_stops_at_the_first_bad_row_and_keeps_what_came_before(tmp_path):
    path = file_of(tmp_path, MOVIELENS + "4,\n5,Five (1999),\n")
    report = run(path)
    assert report.outcome is Outcome.STOPPED
    assert "movies.dat, line 5: it has 2 cells" in report.reason
    assert table().keys() == {"1", "2", "3"}


def test_skips_bad_rows_and_names_the_first_of_them(tmp_path):
    bad = "".join(f",No id {number} (1999),\n" for number in range(30))
    report = run(file_of(tmp_path, MOVIELENS + bad + "5,Five (1999),\n"), stop_on_error=False)
    assert (report.outcome, report.read, report.rejected) == (Outcome.COMPLETE, 34, 30)
    assert len(report.rejections) == SHOWN_REJECTIONS
    assert str(report.rejections[0]).endswith("movies.dat, line 5: id: it is empty")
    assert table().keys() == {"1", "2", "3", "5"}


@pytest.mark.parametrize("stop_on_error", [True, False])
def test_a_file_that_breaks_off_keeps_what_came_before(tmp_path, stop_on_error):
    path = file_of(tmp_path, '[{"id": "1", "title": "A"}, {"id": "2", "ti')
    report = run(path, stop_on_error=stop_on_error, batch_size=50)
    assert report.outcome is Outcome.STOPPED
    assert "this is not JSON" in report.reason
    assert table().keys() == {"1"}


def test_an_outage_stops_it_with_what_was_committed(tmp_path, monkeypatch):
    def fail_later(batch):
        if len(table()) >= 2:
            raise OperationalError("the server closed the connection")
        return movies_put(batch)

    monkeypatch.setattr(importing, "movies_put", fail_later)
    report = run(file_of(tmp_path, MOVIELENS))
    assert report.outcome is Outcome.STOPPED
    assert report.reason == "the database failed: the server closed the connection"
    assert report.written == MoviesWritten(created=2)


def test_ctrl_c_reports_what_was_written(tmp_path, monkeypatch):
    def interrupt_later(batch):
        if len(table()) >= 2:
            raise KeyboardInterrupt
        return movies_put(batch)

    monkeypatch.setattr(importing, "movies_put", interrupt_later)
    report = run(file_of(tmp_path, MOVIELENS))
    assert report.outcome is Outcome.INTERRUPTED
    assert report.written == MoviesWritten(created=2)


def test_hostile_text_stays_text(tmp_path):
    title = "'); DROP TABLE metadata_movie; -- {} \\N \\\\ \" % é 🎬"
    run(file_of(tmp_path, json.dumps([{"id": "%s", "title": title, "genres": [title[:100], "{a,b}", "NULL"]}])))
    assert table()["%s"] == (title, "", "", None, [title[:100], "{a,b}", "NULL"])


values = {
    "title": st.sampled_from(["A", "B"]),
    "description": st.sampled_from(["", "x", "é\\"]),
    "director": st.sampled_from(["", "y"]),
    "year": st.sampled_from([None, 1924]),
    "genres": st.sampled_from([(), ("z",), ("a,b", '"')]),
}
named = st.fixed_dictionaries({"title": values["title"]}, optional={k: v for k, v in values.items() if k != "title"})
writes = st.lists(st.tuples(st.sampled_from("123"), named), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=writes, cuts=st.sets(st.integers(1, 11)))
def test_batches_end_as_single_writes_would(writes, cuts):
    Movie.objects.all().delete()
    expected = {}
    for movie_id, fields in writes:
        empty = {"description": "", "director": "", "year": None, "genres": ()}
        expected[movie_id] = {**expected.get(movie_id, empty), **fields}

    drafts = [movie_draft(movie_id=movie_id, carried=frozenset(fields), **fields) for movie_id, fields in writes]
    edges = [0, *sorted(cut for cut in cuts if cut < len(drafts)), len(drafts)]
    written = MoviesWritten()
    for start, end in pairwise(edges):
        written += movies_put(drafts[start:end])

    assert table() == {
        movie_id: (one["title"], one["description"], one["director"], one["year"], list(one["genres"]))
        for movie_id, one in expected.items()
    }
    assert sum(asdict(written).values()) == len(drafts)
