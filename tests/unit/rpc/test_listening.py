"""Where a server cannot listen, whoever starts it is told what to change."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from movieapp.catalogue.errors import CannotServe
from movieapp.catalogue.serving.listening import listen_beside, reserved
from movieapp.catalogue.serving.options import ServeOptions


@pytest.mark.parametrize("host", ["a..b", "a" * 64, "192.0.2.1"])
def test_at_an_address_that_is_none_or_not_ours(host):
    options = ServeOptions(services=("metadata",), host=host, port=0, threads=2, streams=2)
    with pytest.raises(CannotServe, match=f"Nothing can listen on {host}:0: .*--host"), reserved(options):
        pass


def test_at_a_socket_whose_path_is_too_long(tmp_path):
    folder = tmp_path / ("a" * 100)
    folder.mkdir()
    server = grpc.server(ThreadPoolExecutor(1))
    with pytest.raises(CannotServe, match=r"Nothing can listen on the socket .*/health.*: set TMPDIR"):
        listen_beside(server, f"{folder}/health")
    server.stop(0)
