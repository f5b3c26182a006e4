"""A server that answers nobody any more, and cannot mend that, ends itself for whoever started it to start it again."""

import signal
import subprocess
import sys

import grpc
import pytest

from movieapp.devstack.layout import PROJECT_ROOT
from protos.movieapp.v1 import rating_pb2
from protos.movieapp.v1.rating_pb2_grpc import RatingServiceStub
from tests.fixtures.log_lines import served_in

ASKED = rating_pb2.GetAggregatedRatingRequest(record_type="movie", record_id="7")

# The first call ends the one thread by which grpc serves, as only a fault would. How long it waits until it is sure
# comes from the command line: for an answer to its own questions, and for its end, besides the ten seconds of grace.
SERVER = """
import sys, threading, django
django.setup()
from django.core.management import execute_from_command_line
from movieapp.catalogue.serving import own_health, process
from movieapp.rpc.threads import CallThreads

def submit(*call, by=CallThreads.submit, **options):
    if threading.current_thread() is threading.main_thread():
        return by(*call, **options)
    sys.exit()

CallThreads.submit = submit
own_health._LOST_AFTER, process._STOPPED_WITHIN = map(float, sys.argv[1:])
own_health._LOST_TTLS, own_health._LOST_QUESTIONS = 0, 2
execute_from_command_line(["manage.py", "serve_grpc", "--service=ratings", "--port=0"])
"""


@pytest.fixture
def start_server(manage_environment):
    """Starts one, has it lose its thread, and returns it with what it has said so far."""
    started = []

    def start(*seconds):
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *map(str, seconds)],
            cwd=PROJECT_ROOT,
            env={**manage_environment, "DJANGO_SETTINGS_MODULE": "movieapp.settings", "DISCOVERY_TTL_SECONDS": "2"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        said = ""
        while not served_in(said):
            line = process.stdout.readline()
            assert line, said
            said += line
        with grpc.insecure_channel(served_in(said)[0]) as channel, pytest.raises(grpc.RpcError) as caught:
            RatingServiceStub(channel).GetAggregatedRating(ASKED, timeout=1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_it_ends_with_an_error_and_says_why(start_server):
    process = start_server(1.0, 5.0)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "The server answers nobody any more" in said


def test_its_end_does_not_wait_for_ever(start_server):
    process = start_server(3600.0, -9.0)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "server_does_not_stop" in said
