"""The job behind `manage.py ingest_file`: find the topic, send the files, wait where asked to, say what came of it."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TextIO

from movieapp.inputs.errors import InputError
from movieapp.inputs.source import check_path
from movieapp.progress import Meter, shown_progress
from workers.ingestion.errors import IngestionError
from workers.ingestion.sending.arrival import GroupWatch
from workers.ingestion.sending.files.reading import EventFile, event_file
from workers.ingestion.sending.publishing import DiscardingProducer, NoAnswer, Place, Publisher
from workers.ingestion.sending.request import ExitCode, IngestRequest
from workers.ingestion.sending.summary import Ending, arrival_lines, summary_lines
from workers.ingestion.sending.unsent import unsent_in_words
from workers.kafka.errors import BrokerUnavailable, KafkaError
from workers.kafka.producer import KafkaProducer
from workers.kafka.topics import Topic, describe_topic
from workers.shutdown import Shutdown, two_stage_shutdown

# After a failure or a signal: how long answers to what was sent already may still take, in seconds.
_GRACE = 10.0
# A broker that is there answers well within this; only when none does are the events counted, to tell how many.
_FIRST_TRY = 2.0
_FIRST_WORDS = "\nStopping: waiting for the answers to what was sent."


def ingest_files(request: IngestRequest, *, say: Callable[[str], None], progress_stream: TextIO) -> int:
    """Send the events of all files; the exit code, of ExitCode or 128 + signal. `say` gets the lines of the result.

    Every event read is counted as acknowledged, unacknowledged or rejected, however it ends. Takes SIGINT and
    SIGTERM over while it runs.
    """
    with two_stage_shutdown(first_words=_FIRST_WORDS) as shutdown:
        return _Ingestion(request, say, progress_stream, shutdown).run()


class _StopRequested(IngestionError):
    """A signal asked this process to stop."""


class _NoBroker(KafkaError):
    """No broker answered in the whole time; the message says how many events were not sent."""


class _Ingestion:
    def __init__(
        self, request: IngestRequest, say: Callable[[str], None], progress_stream: TextIO, shutdown: Shutdown
    ) -> None:
        self._request = request
        self._say = say
        self._progress_stream = progress_stream
        self._shutdown = shutdown

    def run(self) -> int:
        try:
            for path in self._request.paths:
                check_path(path)
            topic = None if self._request.dry_run else self._find_topic()
            producer = DiscardingProducer() if topic is None else KafkaProducer(topic.name)
        except _NoBroker as failure:
            self._say(str(failure))
            return ExitCode.FAILED
        except (InputError, KafkaError, _StopRequested) as failure:
            self._say(f"Nothing was sent: {failure}")
            return self._failure_code(failure)
        request = self._request
        publisher = Publisher(producer=producer, timeout=request.timeout, skip_invalid=request.skip_invalid)
        code = self._send(publisher)
        if topic and request.wait and code in (ExitCode.DONE, ExitCode.SOME_REJECTED):
            return self._wait(topic, publisher) or code
        return code

    def _find_topic(self) -> Topic:
        request, started = self._request, time.monotonic()
        try:
            return describe_topic(request.topic, timeout=min(_FIRST_TRY, request.timeout), on_wait=self._check)
        except BrokerUnavailable:
            left = request.timeout - (time.monotonic() - started)
        unsent = unsent_in_words(request, seconds=max(left / 2, 0.5), check=self._check)
        left = request.timeout - (time.monotonic() - started)
        try:
            return describe_topic(request.topic, timeout=max(left, 0.1), on_wait=self._check)
        except BrokerUnavailable as last:
            whole = BrokerUnavailable(servers=last.servers, timeout=request.timeout, reason=last.reason)
            raise _NoBroker(f"{whole}\n{unsent}") from None

    def _send(self, publisher: Publisher) -> int:
        started = time.monotonic()
        with self._progress("Checking" if self._request.dry_run else "Sending", "events") as meter:
            failure = self._publish(publisher, meter)
        ending = Ending(self._request, publisher, failure, seconds=time.monotonic() - started)
        for line in summary_lines(ending):
            self._say(line)
        if failure is not None:
            return self._failure_code(failure)
        return ExitCode.SOME_REJECTED if publisher.tally.rejected else ExitCode.DONE

    def _publish(self, publisher: Publisher, meter: Meter) -> Exception | None:
        """None when every event was acknowledged or rejected, else what ended it."""
        try:
            self._publish_files(publisher, meter)
            publisher.drain()
        except (InputError, IngestionError, KafkaError) as failure:
            grace = 0.0 if isinstance(failure, NoAnswer) else min(_GRACE, self._request.timeout)
            publisher.settle(timeout=grace)
            return failure
        return None

    def _publish_files(self, publisher: Publisher, meter: Meter) -> None:
        request = self._request
        for number, path in enumerate(request.paths):
            start_at = request.start_at if number == 0 else 1
            publisher.tally.next_place = Place(number, start_at)  # a file may fail before its first event
            publisher.on_tick = self._check
            with event_file(
                path,
                file_format=request.file_format,
                defaults=request.defaults,
                start_at=start_at,
                on_wait=publisher.tick,
            ) as file:
                meter.say(f"{path}: reading it as {file.format}")
                publisher.on_tick = self._ticker(publisher, meter, file)
                publisher.publish(file.events, path=path, file=number, start_at=start_at)

    def _ticker(self, publisher: Publisher, meter: Meter, file: EventFile) -> Callable[[], None]:
        source, title = file.source, file.source.path

        def on_tick() -> None:
            self._check()
            meter.update(count=publisher.tally.read, share=source.share, title=title)

        return on_tick

    def _wait(self, topic: Topic, publisher: Publisher) -> int:
        """0 when the group applied everything, else the exit code."""
        request = self._request
        try:
            with self._progress(f"Waiting for group {request.group}", "applied") as meter:
                watch = GroupWatch(
                    topic=topic,
                    group=request.group,
                    meter=meter,
                    on_wait=self._check,
                    timeout=request.wait_timeout,
                )
                arrival = watch.wait_for(publisher.deliveries)
        except _StopRequested:
            self._say("Stopped waiting. Every event is in Kafka already; the consumers go on without this command.")
            return self._shutdown.exit_code
        for line in arrival_lines(arrival, group=request.group):
            self._say(line)
        return ExitCode.NOT_ALL_APPLIED if arrival.outstanding or arrival.dead_lettered else ExitCode.DONE

    def _progress(self, title: str, unit: str) -> AbstractContextManager[Meter]:
        return shown_progress(title=title, unit=unit, stream=self._progress_stream)

    def _check(self) -> None:
        if self._shutdown.signal is not None:
            raise _StopRequested(f"stopped by {self._shutdown.signal.name}")

    def _failure_code(self, failure: Exception) -> int:
        return self._shutdown.exit_code if isinstance(failure, _StopRequested) else ExitCode.FAILED
