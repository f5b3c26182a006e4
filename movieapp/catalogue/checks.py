"""What `manage.py check` says of movie details over gRPC: files that the settings name have to be usable."""

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from movieapp.rpc.errors import UnusableCredentials
from workers.discovery.errors import UnusableSetting


@register()
def services_can_be_asked(**_: object) -> list[CheckMessage]:
    """An error where each request for details would fail, as those who answer them start without asking anybody."""
    if settings.MOVIE_DETAILS_SOURCE != "grpc":
        return []
    # Only who asks services needs gRPC and a registry.
    from movieapp.catalogue.clients import check_files

    try:
        check_files()
    except (UnusableCredentials, UnusableSetting) as error:
        return [Error(str(error), id="catalogue.E001")]
    return []
