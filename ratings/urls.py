"""The addresses of ratings and aggregates. An id with a slash in it has none: events and the admin reach it."""

from django.urls import path

from ratings.views import AggregateView, RatingView

urlpatterns = [
    path("records/<str:record_type>/<str:record_id>/aggregate/", AggregateView.as_view(), name="aggregate"),
    path("records/<str:record_type>/<str:record_id>/ratings/<str:user_id>/", RatingView.as_view(), name="rating"),
]
