"""Shows who is registered, once, or again at each change until somebody stops it."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TextIO

from django.core.management.base import CommandError

from workers.discovery.backends import make_registry
from workers.discovery.errors import DiscoveryError, RegistryUnavailable
from workers.discovery.registry import Instance, Registry
from workers.tables import Column, table_text

_LOOK_EVERY = 1.0
_CLEAR_SCREEN = "\x1b[H\x1b[2J"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingOptions:
    """What `services` was asked for; `service` None means all of them."""

    service: str | None
    as_json: bool
    watch: bool


def show_services(options: ListingOptions, *, output: TextIO, sleep: Callable[[float], None] = time.sleep) -> None:
    """Writes who is registered; with `watch` once more whenever that has changed: JSON a line, tables over each other.

    Raises CommandError when the registry does not answer; while watching only the first time: later it says so once,
    and goes on.
    """
    try:
        registry = make_registry()
        listed = _listed(registry, options)
    except DiscoveryError as error:
        raise CommandError(str(error)) from None
    output.write(shown(listed, registry, options, output=output))
    away = False
    while options.watch:
        output.flush()
        sleep(_LOOK_EVERY)
        try:
            now = _listed(registry, options)
        except RegistryUnavailable as error:
            if not away:
                sys.stderr.write(f"{error}\n")
            away = True
            continue
        if now != listed or away:
            output.write(shown(now, registry, options, output=output))
        listed, away = now, False


def shown(listed: Sequence[Instance], registry: Registry, options: ListingOptions, *, output: TextIO) -> str:
    """One line of JSON, or a table; on a terminal that is watched in place of what is there."""
    if options.as_json:
        return json.dumps({"registry": registry.name, "instances": [asdict(one) for one in listed]}) + "\n"
    clear = _CLEAR_SCREEN if options.watch and output.isatty() else ""
    columns = [
        Column("service", [one.service for one in listed], is_text=True),
        Column("address", [one.address for one in listed], is_text=True),
        Column("instance", [one.id for one in listed], rank=1, is_text=True),
    ]
    title = f"Instances, {registry.name}"
    return clear + table_text(columns, title=title, notes=_notes(listed, registry, options), output=output)


def _notes(listed: Sequence[Instance], registry: Registry, options: ListingOptions) -> list[str]:
    if not listed:
        return [f"No instance of {options.service or 'any service'} is registered."]
    if registry.name == "static":
        return ["These are the addresses of DISCOVERY_STATIC, whether anybody answers there or not."]
    return []


def _listed(registry: Registry, options: ListingOptions) -> Sequence[Instance]:
    return [one for one in registry.services() if options.service in (None, one.service)]
