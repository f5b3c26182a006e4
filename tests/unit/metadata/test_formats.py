"""The formats that movies come in."""

import pytest

from metadata.drafts import MovieDraft
from metadata.errors import InvalidMovie
from metadata.sources.formats import ALL_TITLE_TYPES, read_as, recognised_format
from movieapp.inputs.errors import FormatUnknown, StructureBroken
from movieapp.inputs.opening import open_input

IMDB_HEADER = "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n"
MOVIELENS_FIELDS = frozenset({"title", "year", "genres"})


@pytest.fixture
def drafts(tmp_path):
    """The drafts of a text; what was rejected stands there as its reason."""

    def read(text, *, format_name="auto", title_types=frozenset({"movie"})):
        path = tmp_path / "movies"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with open_input(str(path)) as opened:
            reading = read_as(opened, format_name=format_name, title_types=title_types)
            return [draft_or_reason(reading, row) for row in reading.rows]

    return read


def draft_or_reason(reading, row):
    try:
        return reading.draft_of(row.text)
    except InvalidMovie as error:
        return str(error)


@pytest.fixture
def movielens(drafts):
    return lambda *lines: drafts("movieId,title,genres\n" + "\n".join(lines))


@pytest.fixture
def imdb(drafts):
    return lambda *lines, **options: drafts(IMDB_HEADER + "\n".join(lines), **options)


@pytest.mark.parametrize(
    ("line", "title", "year", "genres"),
    [
        ("1,The Kid (1921),Comedy|Drama", "The Kid", 1921, ("Comedy", "Drama")),
        ('2,"Kid, The (1921)",Comedy', "Kid, The", 1921, ("Comedy",)),
        ('3,"Say ""yes"" (1950) ",Drama', 'Say "yes"', 1950, ("Drama",)),
        ("4,Untitled,(no genres listed)", "Untitled", None, ()),
        ("5,Serial (1975-1979),Drama", "Serial (1975-1979)", None, ("Drama",)),
        ("6,Serial (2006\u20132007),Drama", "Serial (2006\u20132007)", None, ("Drama",)),
        ("7,1984 (1956),Drama", "1984", 1956, ("Drama",)),
        ("8,(1963),Drama", "(1963)", None, ("Drama",)),
        ("9,Far Future (9999),Drama", "Far Future (9999)", None, ("Drama",)),
        ("10,Cœur (a.k.a. Heart) (1923),", "Cœur (a.k.a. Heart)", 1923, ()),
    ],
)
def test_movielens(movielens, line, title, year, genres):
    assert movielens(line) == [
        MovieDraft(id=line.split(",")[0], title=title, year=year, genres=genres, carried=MOVIELENS_FIELDS)
    ]


def test_a_bad_movielens_line_costs_only_itself(movielens):
    found = movielens('1,"open (1999),Drama', "2,Two (1999),Drama", "3,Three", "4,a,b,c", ",Five (1999),x")
    assert found[0].startswith("the line is not CSV")
    assert found[1].title == "Two"
    assert found[2:4] == ["it has 2 cells: 3 belong here", "it has 4 cells: 3 belong here"]
    assert found[4].startswith("id: it is empty")


def test_imdb_has_nulls_and_no_quoting(imdb):
    line = 'tt1\tmovie\tThe "Kid\tx\t0\t1921\t\\N\t68\tComedy,Drama'
    bare = "tt2\tmovie\tBare\tx\t0\t\\N\t\\N\t\\N\t\\N"
    assert imdb(line, bare) == [
        MovieDraft(id="tt1", title='The "Kid', year=1921, genres=("Comedy", "Drama"), carried=MOVIELENS_FIELDS),
        MovieDraft(id="tt2", title="Bare", carried=MOVIELENS_FIELDS),
    ]


def test_imdb_leaves_out_other_title_types(imdb):
    episode = "tt1\ttvEpisode\tOne\tx\t0\t\\N\t\\N\t\\N\t\\N"
    assert imdb(episode) == [None]
    assert imdb(episode, title_types=frozenset({"movie", "tvEpisode"}))[0].id == "tt1"
    assert imdb(episode, title_types=ALL_TITLE_TYPES)[0].id == "tt1"


def test_imdb_rejects_by_field(imdb):
    assert imdb(
        "tt1\tmovie\t\\N\tx\t0\t1921\t\\N\t68\t\\N",
        "tt2\tmovie\tTwo\tx\t0\tsoon\t\\N\t68\t\\N",
        "tt3\tmovie",
    ) == ["title: it is missing", "year: it is not a whole number", "it has 2 cells: 9 belong here"]


def test_json_carries_only_what_it_names(drafts):
    [bare, full, emptied] = drafts(
        '[{"id": 1, "title": "A"},'
        ' {"id": "2", "title": "B", "description": "d", "director": "e", "year": 1999, "genres": ["f"]},'
        ' {"id": "3", "title": "C", "director": null, "year": null, "genres": null}]'
    )
    assert bare == MovieDraft(id="1", title="A", carried=frozenset({"title"}))
    assert full == MovieDraft(id="2", title="B", description="d", director="e", year=1999, genres=("f",))
    assert emptied == MovieDraft(id="3", title="C", carried=frozenset({"title", "director", "year", "genres"}))


def test_ndjson_rejects_line_by_line(drafts):
    found = drafts(
        '{"id": "1", "title": "A"}\n{"id": "2"\n[1]\n{"id": "4", "title": "D", "titel": "d"}\n{"title": "E"}'
    )
    assert found[0].id == "1"
    assert found[1].startswith("the line is not JSON")
    assert found[2:] == ["it is not a JSON object", "titel: there is no such field of a movie", "id: it is missing"]


def test_hostile_json_numbers_and_nesting_are_rejections(drafts):
    huge = '{"id": "1", "title": "A", "year": ' + "9" * 5000 + "}"
    deep = '{"id": "1", "title": ' + "[" * 100_000 + "]" * 100_000 + "}"
    found = drafts(f'{{"id": "0", "title": "ok"}}\n{huge}\n{deep}')
    assert found[0].id == "0"
    assert all(isinstance(reason, str) for reason in found[1:])
    assert len(found) == 3


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (b'{"id": "1" "title": "A"}', "the element is not JSON (character 11)"),
        (b'{"id": "1", "title": NaN}', "the element is not JSON that can be read (too deep, "),
        (b'["]"]', "it is not a JSON object"),
        (b"1", "it is not a JSON object"),
        (b"nonsense", "the element is not JSON (character 0)"),
        (b'{"id": "1", "title": "\xff"}', "title: it is not valid Unicode (UTF-8)"),
    ],
)
def test_an_element_that_is_no_movie_costs_only_itself(drafts, element, reason):
    before, found, after = drafts(b'[{"id": "0", "title": "A"},\n' + element + b',\n{"id": "2", "title": "B"}]')
    assert (before.id, after.id) == ("0", "2")
    assert found.startswith(reason)


def test_a_json_text_that_cannot_be_followed_ends_the_reading(drafts):
    with pytest.raises(StructureBroken, match="movies: line 2, after element 2: this is not JSON"):
        drafts('[{"id": "0", "title": "A"},\n{"id": "1", "title"')


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("", "json"),
        ("  \n[", "json"),
        ('{"id": "1", "title": "A"}\n', "ndjson"),
        ('{\n "id": "1"', "json"),
        ("movieId,title,genres\r\n1,A,B", "movielens"),
        (IMDB_HEADER, "imdb"),
    ],
)
def test_recognises_the_format_by_the_first_bytes(start, expected):
    assert recognised_format(start.encode(), name="movies") == expected


@pytest.mark.parametrize(
    "text", ['[{"id": "1", "title": "A"}]', '{"id": "1", "title": "A"}', "movieId,title,genres\n1,A,"]
)
def test_a_byte_order_mark_is_no_part_of_it(drafts, text):
    [draft] = drafts("\ufeff" + text)
    assert (draft.id, draft.title) == ("1", "A")


@pytest.mark.parametrize("start", ["userId,movieId,rating,timestamp\n", "tconst\taverageRating\tnumVotes\n"])
def test_sends_ratings_to_the_right_command(start):
    with pytest.raises(FormatUnknown, match=r"movies: .*manage\.py ingest_file"):
        recognised_format(start.encode(), name="movies")


@pytest.mark.parametrize("start", [b"\x00\x01\x02", b"PK\x03\x04", b'"open, quote\n', b"id;title\n"])
def test_refuses_what_it_does_not_know(start):
    with pytest.raises(FormatUnknown, match="none of the formats json, ndjson, movielens, imdb"):
        recognised_format(start, name="movies")


@pytest.mark.parametrize("format_name", ["movielens", "imdb"])
def test_names_the_header_that_should_be_there(drafts, format_name):
    with pytest.raises(FormatUnknown, match="movies: line 1: the header of "):
        drafts("1,The Kid (1921),Comedy\n", format_name=format_name)
    with pytest.raises(FormatUnknown, match="movies: line 1: the header of "):
        drafts('"movieId,title,genres\n', format_name=format_name)
    assert drafts("", format_name=format_name) == []
