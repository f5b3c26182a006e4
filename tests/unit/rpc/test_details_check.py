"""What `manage.py check` says before a request for movie details over gRPC fails."""

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError


@pytest.mark.parametrize("name", ["DISCOVERY_ETCD_CA", "GRPC_TLS_CA"])
def test_a_file_that_details_need_is_missed_by_the_check(settings, name):
    settings.DISCOVERY = "etcd"
    settings.GRPC_TLS_SERVER_NAME = "movieapp.test"
    setattr(settings, name, "/nowhere/ca.pem")
    call_command("check")  # the database is asked alone
    settings.MOVIE_DETAILS_SOURCE = "grpc"
    with pytest.raises(SystemCheckError, match=rf"\(catalogue\.E001\) {name}.*cannot be"):
        call_command("check")
    setattr(settings, name, "")
    call_command("check")
