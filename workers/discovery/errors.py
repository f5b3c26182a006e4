"""What can go wrong between us, a registry and the instances of a service, named for the fact."""


class DiscoveryError(Exception):
    """The root of everything that workers.discovery raises on purpose."""


class RegistryUnavailable(DiscoveryError):
    """The registry does not answer, or answers with an error: what was asked of it may have happened or not."""

    def __init__(self, *, registry: str, where: str, reason: str, settings: str) -> None:
        """`registry` is its name for people, `settings` the variables that say where it is and how to enter.

        Logs carry `reason` and `settings`, as the registry is named there already.
        """
        super().__init__(
            f"{registry} at {where} did not do what was asked of it: {reason}. "
            f"Check that {registry} runs there and that {settings} is right."
        )
        self.reason = reason
        self.settings = settings


class NotRegistered(DiscoveryError):
    """The registry does not know this instance, or not any more: register it again."""

    def __init__(self, *, service: str, instance_id: str) -> None:
        super().__init__(f"The registry knows no instance {instance_id} of {service}.")


class NoInstance(DiscoveryError):
    """Nobody is known who could answer."""

    def __init__(self, *, service: str, known_from: str) -> None:
        """`known_from` names the registry and, where one can be named, the setting that a person would look at."""
        super().__init__(f"No instance of {service} is known ({known_from}).")
        self.service = service


class UnusableSetting(DiscoveryError):
    """A setting of the registry names what is not there."""
