"""The topics that aggregates are published to."""

from django.db import models


class PublishedTopic(models.Model):
    """A topic that holds every aggregate, and in how many shards its publishers share the work.

    `topic_id` is the one that it was filled under: a topic made anew under the same name is empty, and is filled again.
    """

    cluster_id = models.CharField(max_length=64, db_collation="C")
    topic = models.CharField(max_length=255, db_collation="C")
    topic_id = models.CharField(max_length=64, db_collation="C")
    shards = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster_id", "topic"], name="publishing_topic_unique")]

    def __str__(self) -> str:
        return self.topic
