"""Django's handle on this app."""

from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    name = "movieapp.catalogue"
