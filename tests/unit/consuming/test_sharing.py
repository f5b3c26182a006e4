"""The command line with which `--processes` starts each of its own."""

import os
from dataclasses import fields, replace

import pytest

from workers.ingestion.consuming.batch import BatchLimits
from workers.ingestion.consuming.process import ConsumeOptions
from workers.ingestion.consuming.sharing import arguments_of_one
from workers.ingestion.delivery import Delivery
from workers.ingestion.management.commands import consume_ratings

WHOLE = ConsumeOptions(
    group="-a group",
    topic="a-topic",
    limits=BatchLimits(messages=1_234),
    until_caught_up=True,
    max_dead_letters=0.123,
    delivery=Delivery.AT_LEAST_ONCE,
    group_instance_id="pod-7",
    supervisor=1,
)
USUAL = ConsumeOptions(group="g", topic="t", limits=BatchLimits(), until_caught_up=False)


@pytest.fixture
def understood(monkeypatch):
    """What the command makes of a command line."""
    seen = []

    def take_note(options, *, processes):
        assert processes == 1
        seen.append(options)
        return 0

    monkeypatch.setattr(consume_ratings, "consume_in_processes", take_note)

    def run(arguments):
        assert arguments[0] == "consume_ratings"
        consume_ratings.Command().run_from_argv(["manage.py", *arguments])
        return seen.pop()

    return run


def test_this_test_speaks_of_every_option():
    """An option that is added and not passed on would be lost without a word."""
    for field in fields(ConsumeOptions):
        assert getattr(WHOLE, field.name) != getattr(USUAL, field.name), field.name


def test_each_process_is_told_all_that_was_asked_for(understood, settings):
    settings.KAFKA_CLIENT_CONFIG = {"group.instance.id": "of the environment"}
    for number in (1, 64):
        assert understood(arguments_of_one(WHOLE, number=number)) == replace(
            WHOLE, until_caught_up=False, group_instance_id=f"pod-7-{number}", supervisor=os.getpid()
        )


def test_a_static_name_of_the_environment_is_made_one_for_each(understood, settings):
    settings.KAFKA_CLIENT_CONFIG = {"group.instance.id": "pod"}
    assert understood(arguments_of_one(USUAL, number=3)).group_instance_id == "pod-3"


def test_without_a_static_name_nobody_gets_one(understood, settings):
    settings.KAFKA_CLIENT_CONFIG = {}
    assert understood(arguments_of_one(USUAL, number=1)) == replace(USUAL, supervisor=os.getpid())
