"""Django's handle on this app."""

from django.apps import AppConfig


class IngestionConfig(AppConfig):
    name = "workers.ingestion"
