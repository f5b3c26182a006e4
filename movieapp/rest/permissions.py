"""Who may do what over REST: reading is for everybody, writing takes Django's permissions on the view's model."""

from typing import TYPE_CHECKING

from rest_framework.permissions import DjangoModelPermissionsOrAnonReadOnly
from rest_framework.request import Request

if TYPE_CHECKING:  # the views import their default permissions: a circle
    from rest_framework.views import APIView


class ModelPermissions(DjangoModelPermissionsOrAnonReadOnly):
    """A view names its model by `queryset`. A PUT may make something or change it, so it asks for both permissions."""

    perms_map = {  # noqa: RUF012 (as the base class has it)
        **DjangoModelPermissionsOrAnonReadOnly.perms_map,
        "PUT": ["%(app_label)s.add_%(model_name)s", "%(app_label)s.change_%(model_name)s"],
    }

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Whether this user may; a method that the view does not have is let through to its 405."""
        is_known = hasattr(view, (request.method or "").lower())
        return not is_known or super().has_permission(request, view)
