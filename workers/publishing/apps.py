"""Django's handle on this app."""

from django.apps import AppConfig


class PublishingConfig(AppConfig):
    name = "workers.publishing"
