"""What can go wrong where movies and ratings come together, named for the fact."""


class CatalogueError(Exception):
    """The root of everything that movieapp.catalogue raises on purpose."""


class PartUnavailable(CatalogueError):
    """A part of a movie's details could not be had in time."""


class CannotServe(CatalogueError):
    """The gRPC server cannot begin: an address is taken or not ours."""
