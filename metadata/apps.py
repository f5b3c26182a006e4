"""Django's handle on this app."""

from django.apps import AppConfig


class MetadataConfig(AppConfig):
    name = "metadata"
