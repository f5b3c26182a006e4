"""What is a valid movie, and what several drafts of one movie come to."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata.drafts import ALL_FIELDS, MovieDraft, checked_movie_id, movie_draft
from metadata.errors import InvalidMovie

MOVIE = {
    "movie_id": "7",
    "title": "Sherlock Jr.",
    "description": "A projectionist dreams.",
    "director": "Buster Keaton",
    "year": 1924,
    "genres": ["Comedy"],
}


def test_keeps_every_field():
    draft = movie_draft(**MOVIE)
    assert draft == MovieDraft(
        id="7",
        title="Sherlock Jr.",
        description="A projectionist dreams.",
        director="Buster Keaton",
        year=1924,
        genres=("Comedy",),
    )


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("movie_id", "", "id"),
        ("movie_id", None, "id"),
        ("movie_id", True, "id"),
        ("movie_id", "x" * 129, "id"),
        ("movie_id", "a\x00b", "id"),
        ("movie_id", "\ud800", "id"),
        ("movie_id", " ", "id"),
        ("movie_id", "\u3000\u200b", "id"),
        ("movie_id", ".", "id"),
        ("movie_id", "..", "id"),
        ("movie_id", "a\nb", "id"),
        ("movie_id", "7\r", "id"),
        ("movie_id", "\x7f7", "id"),
        ("movie_id", "7\u2028", "id"),
        ("title", "", "title"),
        ("title", "  \n", "title"),
        ("title", None, "title"),
        ("title", 7, "title"),
        ("title", "x" * 501, "title"),
        ("title", "a\x00", "title"),
        ("description", "x" * 20_001, "description"),
        ("description", "\udcff", "description"),
        ("director", ["Keaton"], "director"),
        ("year", 1869, "year"),
        ("year", 2201, "year"),
        ("year", "1924", "year"),
        ("year", 1924.0, "year"),
        ("year", True, "year"),
        ("genres", "Comedy", "genres"),
        ("genres", 5, "genres"),
        ("genres", [""], "genres"),
        ("genres", ["x" * 101], "genres"),
        ("genres", ["x"] * 51, "genres"),
        ("genres", [None], "genres"),
    ],
)
def test_refuses_and_names_the_field(field, value, named):
    with pytest.raises(InvalidMovie) as caught:
        movie_draft(**{**MOVIE, field: value})
    assert caught.value.field == named
    assert str(caught.value).startswith(f"{named}: ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("movie_id", "x" * 128),
        ("movie_id", " / %2F é"),
        ("movie_id", "..."),
        ("movie_id", "\U0001f3ac"),
        ("movie_id", "क्\u200dष"),
        ("title", "x" * 500),
        ("year", 1870),
        ("year", 2200),
        ("year", None),
        ("genres", ["x"] * 50),
        ("description", ""),
    ],
)
def test_accepts_what_lies_on_the_limit(field, value):
    assert movie_draft(**{**MOVIE, field: value})


def test_takes_a_whole_number_as_an_ids_text():
    assert checked_movie_id(42) == "42"


def test_keeps_the_spaces_of_an_id_and_strips_those_of_a_title():
    draft = movie_draft(movie_id=" 7 ", title="  M ")
    assert (draft.id, draft.title) == (" 7 ", "M")


carried = st.sets(st.sampled_from(sorted(ALL_FIELDS - {"title"}))).map(lambda fields: frozenset(fields | {"title"}))


def emptied(draft):
    """Fields that are not carried are empty."""
    empty = MovieDraft(id=draft.id, title=draft.title)
    return replace(draft, **{field: getattr(empty, field) for field in ALL_FIELDS - draft.carried})


drafts = st.builds(
    MovieDraft,
    id=st.just("7"),
    title=st.sampled_from("AB"),
    description=st.sampled_from(["", "x"]),
    director=st.sampled_from(["", "y"]),
    year=st.sampled_from([None, 1924]),
    genres=st.sampled_from([(), ("z",)]),
    carried=carried,
).map(emptied)


def written(standing, draft):
    """What the table holds after a draft: all of it if new, else its carried fields over what stood there."""
    fields = ALL_FIELDS if standing is None else draft.carried
    return {**(standing or {}), **{field: getattr(draft, field) for field in fields}}


@given(first=drafts, second=drafts, standing=st.one_of(st.none(), drafts))
def test_one_draft_does_what_two_in_a_row_would(first, second, standing):
    before = written(None, standing) if standing else None
    assert written(before, first.followed_by(second)) == written(written(before, first), second)
