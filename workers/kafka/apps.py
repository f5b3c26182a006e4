"""Django's handle on this app."""

from django.apps import AppConfig


class KafkaConfig(AppConfig):
    name = "workers.kafka"
