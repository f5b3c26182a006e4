"""Logging in to the REST API: a name and a password buy a token that expires."""

from knox.views import LoginView as KnoxLoginView
from knox.views import LogoutView as KnoxLogoutView

from movieapp.rest.authentication import BasicAuthentication, TokenAuthentication


class LoginView(KnoxLoginView):  # type: ignore[misc]  # knox has no types
    """POST with Basic credentials: `{"token": …, "expiry": …}`. The database keeps the token's hash only."""

    authentication_classes = (BasicAuthentication,)


class LogoutView(KnoxLogoutView):  # type: ignore[misc]
    """POST with a token: the token is worth nothing from then on."""

    authentication_classes = (TokenAuthentication,)
