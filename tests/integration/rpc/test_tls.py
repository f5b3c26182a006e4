"""TLS and mutual TLS, as the settings say: who gets through, and what does not begin."""

import shutil
import socket
import ssl
from contextlib import ExitStack

import grpc
import pytest

from movieapp.catalogue.clients import METADATA_READS, ServiceClient, service_config
from movieapp.catalogue.errors import CannotServe
from movieapp.catalogue.serving.options import ServeOptions
from movieapp.catalogue.serving.process import server_running
from movieapp.rpc.credentials import open_channel
from movieapp.rpc.errors import UnusableCredentials
from protos.movieapp.v1 import metadata_pb2 as pb
from protos.movieapp.v1.metadata_pb2_grpc import MetadataServiceStub
from tests.fixtures.certificates import FILES, NAME
from tests.integration.rpc.calls import WITHIN
from tests.waiting import wait_until
from workers.discovery.static import StaticRegistry

SERVER = {"GRPC_TLS_CERTIFICATE": str(FILES / "server.pem"), "GRPC_TLS_KEY": str(FILES / "server.key")}
MUTUAL = {**SERVER, "GRPC_TLS_CLIENT_CA": str(FILES / "authority.pem")}


@pytest.fixture
def client(settings):
    """Sets what our own clients expect; by default no certificate of their own."""

    def change(*, authority="authority.pem", name=NAME, pair=None):
        settings.GRPC_TLS_CA = str(FILES / authority) if authority else ""
        settings.GRPC_TLS_SERVER_NAME = name
        settings.GRPC_TLS_CERTIFICATE = str(FILES / f"{pair}.pem") if pair else ""
        settings.GRPC_TLS_KEY = str(FILES / f"{pair}.key") if pair else ""

    return change


def code_at(address):
    """How a call of a client of ours ends."""
    with open_channel(address) as channel:
        try:
            MetadataServiceStub(channel).GetMetadata(pb.GetMetadataRequest(movie_id="7"), timeout=WITHIN)
        except grpc.RpcError as error:
            return error.code().name
    return "OK"


def test_a_client_that_trusts_the_authority_gets_through(grpc_server, client):
    address = grpc_server("metadata", **SERVER)
    client()
    assert code_at(address) == "NOT_FOUND"
    assert code_at(f"ipv4:{address}") == "NOT_FOUND"


@pytest.mark.parametrize(
    "expected",
    [{"authority": "stranger-authority.pem"}, {"name": "other.test"}, {"authority": None, "name": ""}],
    ids=["another authority", "another name", "plaintext"],
)
def test_a_client_that_expects_something_else_does_not(grpc_server, client, expected):
    address = grpc_server("metadata", **SERVER)
    client(**expected)
    assert code_at(address) == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("pair", "code"), [("client", "NOT_FOUND"), (None, "UNAVAILABLE"), ("stranger", "UNAVAILABLE")]
)
def test_mutual_tls_wants_a_certificate_of_the_clients_authority(grpc_server, client, pair, code):
    address = grpc_server("metadata", **MUTUAL)
    client(pair=pair)
    assert code_at(address) == code


def certificate_of(address):
    """The certificate that a server shows a new client."""

    context = ssl.create_default_context(cafile=FILES / "authority.pem")
    context.set_alpn_protocols(["h2"])

    host, _, port = address.partition(":")
    with (
        socket.create_connection((host, int(port)), timeout=WITHIN) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as wrapped,
    ):
        return ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(binary_form=True)).strip()


def test_renewed_files_count_from_the_next_connection_on(grpc_server, tmp_path):
    for suffix in ("pem", "key"):
        shutil.copy(FILES / f"server.{suffix}", tmp_path / f"tls.{suffix}")
    address = grpc_server(
        "metadata", GRPC_TLS_CERTIFICATE=str(tmp_path / "tls.pem"), GRPC_TLS_KEY=str(tmp_path / "tls.key")
    )
    first = (FILES / "server.pem").read_text().strip()
    assert certificate_of(address) == first
    # One file after the other, as whoever renews them does: what does not fit together is not shown.
    replace(FILES / "renewed.pem", tmp_path / "tls.pem")
    assert certificate_of(address) == first
    replace(FILES / "renewed.key", tmp_path / "tls.key")
    assert certificate_of(address) == (FILES / "renewed.pem").read_text().strip()


def replace(source, target):
    """In one step, as files are renewed."""
    shutil.copy(source, target.with_suffix(".new"))
    target.with_suffix(".new").replace(target)


@pytest.fixture
def service(monkeypatch):
    """Makes our own client of the metadata service at an address; closed after the test."""
    monkeypatch.setattr("workers.discovery.channels._LOOK_EVERY", 0.1)
    monkeypatch.setattr("movieapp.catalogue.clients._TURN_WITHIN", 0.1)
    with ExitStack() as stack:

        def make(address):
            host, _, port = address.partition(":")
            registry = StaticRegistry({"metadata": [(host, int(port))]})
            config = service_config("movieapp.v1.MetadataService", reads=METADATA_READS)
            made = ServiceClient(
                "metadata", registry=registry, make_stub=MetadataServiceStub, config=config, longest=WITHIN
            )
            stack.callback(made.close)
            stack.callback(registry.close)
            return made

        yield make


def code_of(service):
    """How a call of this client ends."""
    try:
        service.stub(patience=WITHIN).GetMetadata(pb.GetMetadataRequest(movie_id="7"), timeout=WITHIN)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def test_our_clients_too_show_renewed_files_without_a_restart(grpc_server, client, service, settings, tmp_path):
    """Those of a stranger at first, so that the answers tell which ones were shown."""
    address = grpc_server("metadata", **MUTUAL)
    client()
    for suffix, setting in (("pem", "GRPC_TLS_CERTIFICATE"), ("key", "GRPC_TLS_KEY")):
        shutil.copy(FILES / f"stranger.{suffix}", tmp_path / f"own.{suffix}")
        setattr(settings, setting, str(tmp_path / f"own.{suffix}"))
    ours = service(address)
    assert code_of(ours) == "UNAVAILABLE"
    replace(FILES / "client.pem", tmp_path / "own.pem")
    assert code_of(ours) == "UNAVAILABLE"
    replace(FILES / "client.key", tmp_path / "own.key")
    wait_until(lambda: code_of(ours) == "NOT_FOUND")


def test_our_clients_trust_a_renewed_authority_without_a_restart(grpc_server, client, service, settings, tmp_path):
    address = grpc_server("metadata", **SERVER)
    client()
    shutil.copy(FILES / "stranger-authority.pem", tmp_path / "ca.pem")
    settings.GRPC_TLS_CA = str(tmp_path / "ca.pem")
    ours = service(address)
    assert code_of(ours) == "UNAVAILABLE"
    replace(FILES / "authority.pem", tmp_path / "ca.pem")
    wait_until(lambda: code_of(ours) == "NOT_FOUND")


def begin(settings, host="127.0.0.1", service="metadata", **changed):
    """Starts a server with these settings, and stops it."""
    for name, value in changed.items():
        setattr(settings, name, value)
    options = ServeOptions(services=(service,), host=host, port=0, threads=2, streams=2, drain=0.0, grace=0.2)
    with server_running(options, check=lambda: True):
        pass


def test_plaintext_is_for_loopback_unless_a_proxy_speaks_tls(settings, transactional_db):
    with pytest.raises(CannotServe, match=r"0\.0\.0\.0 is no loopback address.*GRPC_TLS_CERTIFICATE.*BEHIND_TLS_PROXY"):
        begin(settings, "0.0.0.0")
    begin(settings, "0.0.0.0", GRPC_PLAINTEXT_BEHIND_TLS_PROXY=True)
    begin(settings, "0.0.0.0", GRPC_PLAINTEXT_BEHIND_TLS_PROXY=False, **SERVER)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"GRPC_TLS_KEY": ""}, "GRPC_TLS_CERTIFICATE and GRPC_TLS_KEY both"),
        ({"GRPC_TLS_CERTIFICATE": ""}, "GRPC_TLS_CERTIFICATE and GRPC_TLS_KEY both"),
        ({"GRPC_TLS_KEY": str(FILES / "client.key")}, "GRPC_TLS_CERTIFICATE and GRPC_TLS_KEY: .*KEY_VALUES_MISMATCH"),
        ({"GRPC_TLS_KEY": str(FILES / "nothing.key")}, "GRPC_TLS_CERTIFICATE and GRPC_TLS_KEY: .*No such file"),
        ({"GRPC_TLS_CERTIFICATE": __file__}, "GRPC_TLS_CERTIFICATE and GRPC_TLS_KEY: .*PEM"),
        ({"GRPC_TLS_CLIENT_CA": str(FILES / "server.key")}, "GRPC_TLS_CLIENT_CA: "),
        ({"GRPC_TLS_CERTIFICATE": "", "GRPC_TLS_KEY": ""}, "GRPC_TLS_CLIENT_CA wants GRPC_TLS_CERTIFICATE"),
    ],
)
def test_files_that_cannot_be_used_are_named_and_nothing_begins(settings, transactional_db, changed, words):
    with pytest.raises(CannotServe, match=words):
        begin(settings, **{**MUTUAL, **changed})


def test_an_authority_wants_the_name_that_its_certificates_have(settings):
    """Which name would be looked for in them is gRPC's own affair otherwise, and another one from two instances on."""
    words = "GRPC_TLS_CA wants GRPC_TLS_SERVER_NAME, too"
    settings.GRPC_TLS_CA = str(FILES / "authority.pem")
    with pytest.raises(UnusableCredentials, match=words):
        open_channel("127.0.0.1:1")
    with pytest.raises(CannotServe, match=words):
        begin(settings, service="movie", MOVIE_DETAILS_SOURCE="grpc")


def test_a_client_of_ours_does_not_fall_back_to_plaintext(client):
    client(authority="nothing.pem")
    with pytest.raises(UnusableCredentials, match="GRPC_TLS_CA: "):
        open_channel("127.0.0.1:1")
