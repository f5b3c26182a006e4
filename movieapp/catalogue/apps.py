"""Django's handle on this app."""

from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    name = "movieapp.catalogue"

    def ready(self) -> None:
        """Registers the system check of what details over gRPC need."""
        from movieapp.catalogue import checks  # noqa: F401
