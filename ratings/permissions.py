"""Who may write ratings: a PUT may make one or change one, so it asks for both permissions."""

from rest_framework.permissions import DjangoModelPermissionsOrAnonReadOnly


class RatingPermissions(DjangoModelPermissionsOrAnonReadOnly):
    """Reading is for everybody."""

    perms_map = {
        **DjangoModelPermissionsOrAnonReadOnly.perms_map,
        "PUT": ["%(app_label)s.add_%(model_name)s", "%(app_label)s.change_%(model_name)s"],
    }
