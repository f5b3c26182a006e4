"""Django's handle on this app."""

from django.apps import AppConfig


class RatingsConfig(AppConfig):
    name = "ratings"

    def ready(self) -> None:
        """Registers the system check of the numbers that are left."""
        from ratings.checking import id_space  # noqa: F401
