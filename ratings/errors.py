"""What can be wrong with a rating, named for the fact; the docstring is the message's first half."""


class RatingsError(Exception):
    """The root of everything that the ratings app raises on purpose."""


class InvalidRating(RatingsError):
    """A rating or one of its ids is not acceptable.

    `field` is the name in the JSON contract (recordId, ratingValue, …) or "" where it is the whole event;
    `reason` says what is wrong with it and what would be right.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class RatingNotFound(RatingsError):
    """Nobody has rated this."""


class RecordNotFound(RatingsError):
    """There is no record of this type and id: nobody has ever rated it."""


class StaleIds(RatingsError):
    """A rater was erased since these ids were looked up: nothing was written; look them up again and repeat."""


class TooManyWatches(RatingsError):
    """As many records are watched as one server takes."""


class WatchBlind(RatingsError):
    """The aggregates cannot be read, so that a watch would miss changes without a word."""


class StreamIdle(RatingsError):
    """Nothing has come on a stream for so long that it is not kept any more."""


class AggregateMissing(RatingsError):
    """A record is without its aggregate, which only a change behind the write path's back can do."""
