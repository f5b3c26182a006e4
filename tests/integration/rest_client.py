"""A client of the REST API as other programs are: JSON in and out, a token where it writes."""

import json
from base64 import b64encode

from django.contrib.auth.models import Permission, User
from django.test import Client

PROBLEM = "application/problem+json"
PASSWORD = "correct horse battery staple"


class ApiClient:
    """Sends JSON to /api/v1/ and checks that every error is a problem."""

    def __init__(self, token=None):
        self._client = Client(raise_request_exception=False)
        self._headers = {"Authorization": f"Token {token}"} if token else {}

    def get(self, path):
        return self.send("GET", path)

    def put(self, path, body):
        return self.send("PUT", path, json.dumps(body))

    def delete(self, path):
        return self.send("DELETE", path)

    def send(self, method, path, content="", content_type="application/json", headers=None):
        response = self._client.generic(
            method,
            f"/api/v1/{path}",
            content,
            content_type=content_type,
            headers={**self._headers, **(headers or {})},
        )
        if response.status_code >= 400:
            assert response["Content-Type"] == PROBLEM
            problem = response.json()
            assert problem["status"] == response.status_code
            assert {"type", "title", "detail", "instance"} <= problem.keys()
        return response


def user_with(*codenames, name="writer", password=None):
    """A user with these permissions; a password, which is slow to hash on purpose, for those who log in."""
    user = User.objects.create_user(name, password=password)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    assert user.user_permissions.count() == len(codenames)
    return user


def basic(name, password=PASSWORD):
    return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


def errors_of(response):
    return {error["field"]: error["reason"] for error in response.json()["errors"]}
