"""Clients of the REST API, for the tests that import them."""

import pytest
from knox.models import AuthToken

from tests.integration.rest_client import ApiClient, user_with

WRITES = ("add_movie", "change_movie", "delete_movie", "add_rating", "change_rating", "delete_rating")


@pytest.fixture
def reader(db):
    """Somebody without credentials."""
    return ApiClient()


@pytest.fixture
def writer(db):
    """Somebody whose token may write everything."""
    _, token = AuthToken.objects.create(user_with(*WRITES))
    return ApiClient(token)
