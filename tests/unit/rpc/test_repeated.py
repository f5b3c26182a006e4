"""What happens a thousand times a second is in the log a few times, with how often it was."""

from structlog.testing import capture_logs

from movieapp.rpc.repeated import EVERY, Repeated


def test_the_first_at_once_and_then_how_many_there_were():
    now = [100.0]
    repeated = Repeated("database_unavailable", clock=lambda: now[0])
    with capture_logs() as logged:
        for _ in range(500):
            repeated.tell(method="GetMetadata")
        repeated.tell(method="PutMetadata")
        now[0] += EVERY
        repeated.tell(method="GetMetadata")
        repeated.tell(method="GetMetadata")
    entry = {"event": "database_unavailable", "log_level": "error"}
    assert logged == [
        {**entry, "method": "GetMetadata", "more": 0},
        {**entry, "method": "PutMetadata", "more": 0},
        {**entry, "method": "GetMetadata", "more": 499},
    ]
