"""Errors become problems by one table."""

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404
from django.test import RequestFactory
from rest_framework import exceptions

from metadata.errors import InvalidMovie, MovieNotFound
from movieapp.rest.problems import FieldError, exception_handler, field_errors, problem_of
from ratings.errors import InvalidRating, RatingNotFound


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidMovie("year", "it is not"), 400),
        (MovieNotFound("7"), 404),
        (InvalidRating("ratingValue", "it is not"), 400),
        (RatingNotFound("ratings not found for the record"), 404),
        (OperationalError("connection to 10.0.0.5 refused, user=secret"), 503),
        (InterfaceError("connection already closed"), 503),
        (Http404(), 404),
        (PermissionDenied(), 403),
        (exceptions.NotAuthenticated(), 401),
        (exceptions.MethodNotAllowed("POST"), 405),
        (exceptions.UnsupportedMediaType("text/xml"), 415),
        (exceptions.Throttled(wait=7), 429),
    ],
)
def test_anticipated_errors_have_their_status(error, status):
    response = exception_handler(error, {"request": RequestFactory().get("/api/v1/movies/7/")})
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    assert response.data["status"] == status
    assert response.data["instance"] == "/api/v1/movies/7/"
    assert response.data["type"] == "about:blank"
    assert response.data["title"]
    assert "secret" not in str(response.data)


@pytest.mark.parametrize("error", [ValueError("a bug"), IntegrityError("a bug"), KeyError("a bug")])
def test_a_bug_is_not_an_answer(error):
    assert problem_of(error) is None
    assert exception_handler(error, {"request": RequestFactory().get("/api/")}) is None


def test_an_outage_says_when_to_come_back():
    response = exception_handler(OperationalError(), {"request": RequestFactory().get("/api/")})
    assert int(response["Retry-After"]) > 0


def test_domain_errors_name_their_field():
    problem = problem_of(InvalidRating("ratingValue", "11 is too much"))
    assert problem.errors == [FieldError("ratingValue", "11 is too much")]
    assert problem.detail == "ratingValue: 11 is too much"


def test_nested_errors_are_flattened():
    detail = {"title": ["missing"], "genres": {0: ["blank"], 2: ["long", "odd"]}, "non_field_errors": ["not an object"]}
    assert field_errors(detail) == [
        FieldError("title", "missing"),
        FieldError("genres.0", "blank"),
        FieldError("genres.2", "long"),
        FieldError("genres.2", "odd"),
        FieldError("", "not an object"),
    ]
