"""Tokens of the REST API's log-in, over gRPC: who may write what, and when a log-out counts."""

from datetime import timedelta

import grpc
import pytest
from django.contrib.auth.models import Permission, User
from knox.models import AuthToken

from movieapp.catalogue.serving.options import ServeOptions
from movieapp.rpc import tokens
from protos.movieapp.v1 import metadata_pb2 as pb
from protos.movieapp.v1 import rating_pb2
from protos.movieapp.v1.metadata_pb2_grpc import MetadataServiceStub
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from protos.tutorial import movie_pb2 as old
from protos.tutorial import movie_pb2_grpc as old_grpc
from tests.fixtures.grpc_server import WRITES, bearing, make_token
from tests.integration.rest_client import PASSWORD, ApiClient, basic, user_with
from tests.integration.rpc.calls import WITHIN, refusal
from tests.waiting import wait_until

PUT = pb.PutMetadataRequest(metadata=pb.Metadata(id="7", title="Alien"))
OLD_PUT = old.PutMetadataRequest(metadata=old.Metadata(id="7", title="Alien"))
RATE = rating_pb2.PutRatingRequest(user_id="ann", record_id="7", record_type="movie", value=4)
UNRATE = rating_pb2.DeleteRatingRequest(user_id="ann", record_id="7", record_type="movie")


@pytest.fixture
def channel(grpc_server):
    """A channel to a server that only this machine reaches; its calls bear no token."""
    with grpc.insecure_channel(grpc_server()) as channel:
        yield channel


@pytest.fixture
def no_memory(monkeypatch):
    """Each token is looked up each time."""
    monkeypatch.setattr(tokens, "KEEP", 0.0)


def code_of(channel, request=PUT, token=None):
    """How a write ends that bears this token."""
    borne = bearing(channel, token) if token else channel
    calls = {
        pb.PutMetadataRequest: MetadataServiceStub(borne).PutMetadata,
        old.PutMetadataRequest: old_grpc.MetadataServiceStub(borne).PutMetadata,
        rating_pb2.PutRatingRequest: RatingServiceStub(borne).PutRating,
        rating_pb2.DeleteRatingRequest: RatingServiceStub(borne).DeleteRating,
    }
    try:
        calls[type(request)](request, timeout=WITHIN)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def test_a_write_wants_a_token_and_a_read_none(channel):
    code, words = refusal(MetadataServiceStub(channel).PutMetadata, PUT)
    assert code == "UNAUTHENTICATED"
    assert words.startswith("a write wants a token: send the metadata `authorization: Bearer TOKEN`")
    assert code_of(channel, RATE) == code_of(channel, UNRATE) == "UNAUTHENTICATED"
    request = pb.GetMetadataRequest(movie_id="7")
    assert refusal(MetadataServiceStub(channel).GetMetadata, request)[0] == "NOT_FOUND"


def test_each_write_wants_its_permissions(channel, transactional_db):
    of_movies = make_token("add_movie", "change_movie", name="movies")
    of_ratings = make_token("add_rating", "change_rating", name="ratings")
    adds = make_token("add_movie", "add_rating", "delete_movie", name="adds")
    deletes = make_token("delete_rating", name="deletes")
    everything = make_token(*WRITES, name="everything")
    allowed = {
        of_movies: (PUT, OLD_PUT),
        of_ratings: (RATE,),
        adds: (),
        deletes: (UNRATE,),
        everything: (PUT, OLD_PUT, RATE, UNRATE),
    }
    for token, requests in allowed.items():
        for request in (PUT, OLD_PUT, RATE, UNRATE):
            expected = "OK" if request in requests else "PERMISSION_DENIED"
            assert code_of(channel, request, token) == expected


def test_a_superuser(channel, transactional_db):
    _, token = AuthToken.objects.create(User.objects.create_superuser("root"))
    assert code_of(channel, RATE, token) == "OK"


def test_what_is_no_valid_token(channel, transactional_db, no_memory):
    user = user_with(*WRITES)
    _, expired = AuthToken.objects.create(user, expiry=timedelta(seconds=-1))
    _, token = AuthToken.objects.create(user)
    _, of_another = AuthToken.objects.create(user_with(*WRITES, name="gone"))
    for bad in (expired, token[:-1], token + "0", token.swapcase(), "x", "\N{LATIN SMALL LETTER E WITH ACUTE}x"[1:]):
        assert code_of(channel, PUT, bad) == "UNAUTHENTICATED"
    assert code_of(channel, PUT, of_another) == "OK"
    User.objects.filter(username="gone").update(is_active=False)
    assert code_of(channel, PUT, of_another) == "UNAUTHENTICATED"
    assert code_of(channel, PUT, token) == "OK"


def test_from_a_log_in_to_its_log_out(channel, transactional_db, monkeypatch):
    monkeypatch.setattr(tokens, "KEEP", 0.3)
    user_with(*WRITES, password=PASSWORD)
    client = ApiClient()
    token = client.send("POST", "auth/login/", headers=basic("writer")).json()["token"]
    assert code_of(channel, PUT, token) == "OK"
    assert client.send("POST", "auth/logout/", headers={"Authorization": f"Token {token}"}).status_code == 204
    wait_until(lambda: code_of(channel, PUT, token) == "UNAUTHENTICATED", timeout=WITHIN)


def test_a_permission_that_is_taken_away(channel, transactional_db, no_memory):
    token = make_token(*WRITES)
    assert code_of(channel, PUT, token) == "OK"
    user = User.objects.get(username="writer")
    user.user_permissions.remove(Permission.objects.get(codename="change_movie"))
    assert code_of(channel, PUT, token) == "PERMISSION_DENIED"


def test_the_tutorials_clients_write_without_a_token_on_loopback(channel):
    assert code_of(channel, OLD_PUT) == "OK"
    assert code_of(channel, OLD_PUT, "nobodys") == "UNAUTHENTICATED"


def test_behind_a_proxy_loopback_proves_nothing(grpc_server):
    with grpc.insecure_channel(grpc_server(GRPC_PLAINTEXT_BEHIND_TLS_PROXY=True)) as channel:
        assert code_of(channel, OLD_PUT) == "UNAUTHENTICATED"


@pytest.mark.parametrize(("is_allowed", "code"), [(False, "UNAUTHENTICATED"), (True, "OK")])
def test_elsewhere_only_where_a_setting_says_so(grpc_server, monkeypatch, is_allowed, code):
    monkeypatch.setattr(ServeOptions, "is_loopback", False)
    address = grpc_server(GRPC_PLAINTEXT_BEHIND_TLS_PROXY=True, GRPC_UNPACKAGED_WRITES_WITHOUT_TOKEN=is_allowed)
    with grpc.insecure_channel(address) as channel:
        assert code_of(channel, OLD_PUT) == code
        assert code_of(channel, PUT) == "UNAUTHENTICATED"
