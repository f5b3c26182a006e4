"""Every address that this service answers, but for the probes (`movieapp.probes`)."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView

from movieapp.catalogue.views import start_page
from movieapp.rest.error_views import api_not_found
from movieapp.rest.login import LoginView, LogoutView

urlpatterns: list[URLPattern | URLResolver] = [
    path("", start_page, name="start"),
    # Browsers ask for it on pages that name no icon.
    path("favicon.ico", RedirectView.as_view(url=static("catalogue/icon.svg"))),
    path("admin/", admin.site.urls),
    path("api/v1/", include("movieapp.catalogue.urls")),
    path("api/v1/", include("metadata.urls")),
    path("api/v1/", include("ratings.urls")),
    path("api/v1/auth/login/", LoginView.as_view(), name="login"),
    path("api/v1/auth/logout/", LogoutView.as_view(), name="logout"),
    # Before Django could redirect to the address with a slash: a redirected PUT loses its body.
    re_path(r"^api(?:/.*)?$", api_not_found),
]

handler400 = "movieapp.rest.error_views.bad_request"
handler403 = "movieapp.rest.error_views.forbidden"
handler404 = "movieapp.rest.error_views.not_found"
handler500 = "movieapp.rest.error_views.server_error"
