"""What can go wrong between Postgres and the topic of aggregates, named for the fact."""


class PublishingError(Exception):
    """The root of everything that workers.publishing raises on purpose."""


class ShardLost(PublishingError):
    """The database does not answer, and with the connection the shard's lock is gone: send nothing more."""


class DatabaseNotReady(PublishingError):
    """The database lets us not in, or lacks the tables that this version needs."""


class PublishingOff(PublishingError):
    """Nobody marks what changes: the setting is off."""


class TopicNotMade(PublishingError):
    """The topic of aggregates is not there, and without the setting `create_topics` alone does not make it."""


class TakenOver(PublishingError):
    """Another publisher of the same shard has taken its place in Kafka."""


class TopicMadeAnew(PublishingError):
    """The topic is not the one that was filled: it was deleted and made again."""
