"""What the contract suites of a group's member share."""

import pytest

from tests.contract.group_cluster import CLUSTERS, MemoryCluster, RealCluster


@pytest.fixture(params=CLUSTERS)
def cluster(request):
    if request.param == "memory":
        made = MemoryCluster(2)
    else:
        servers = request.getfixturevalue("kafka_bootstrap_servers")
        made = RealCluster(servers, request.getfixturevalue("make_topic")(2), CLUSTERS[request.param])
    yield made
    made.close()
