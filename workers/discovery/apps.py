"""Django's handle on this app."""

from django.apps import AppConfig


class DiscoveryConfig(AppConfig):
    name = "workers.discovery"
