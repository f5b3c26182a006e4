"""One Apache Kafka broker in KRaft mode on loopback: its folder, the command that starts it, and when it answers."""

import base64
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from movieapp.devstack import kafka_jars
from movieapp.devstack.child import Command
from movieapp.devstack.errors import ProcessFailed
from movieapp.devstack.java import find_java
from movieapp.devstack.ports import LOOPBACK, is_answering

STARTED = "Kafka Server started"
READY_WITHIN_S = 120.0  # some 3 s; a laptop busy with other things takes a while

# So that a killed consumer is noticed in a second or two, where the defaults take 6 to 45 s.
QUICK_SESSIONS: Mapping[str, str] = {
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "2000",
    "group.consumer.min.heartbeat.interval.ms": "200",
    "group.consumer.heartbeat.interval.ms": "500",
}

_LOGGING = """\
status = warn
shutdownHook = disable
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %-5p %m (%c{1})%n%throwable
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
logger.config.name = org.apache.kafka.common.config
logger.config.level = warn
logger.clients.name = org.apache.kafka.clients
logger.clients.level = warn
logger.controller.name = org.apache.kafka.controller
logger.controller.level = warn
"""


@dataclass(frozen=True, kw_only=True)
class KafkaServer:
    """One broker; `data` keeps the topics, `settings` go over the defaults of server.properties.

    `quick_start` leaves out the JVM's slow compiler: a third less CPU until it answers, and less throughput later.
    """

    folder: Path
    log: Path
    port: int
    controller_port: int
    settings: Mapping[str, str] = field(default_factory=dict)
    quick_start: bool = False

    @property
    def version(self) -> str:
        """Of Apache Kafka."""
        return kafka_jars.KAFKA_VERSION

    @property
    def bootstrap_servers(self) -> str:
        """As clients want it: host:port."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def data(self) -> Path:
        """The folder of the topics; there is none before the first start."""
        return self.folder / "data"

    @property
    def cluster_id(self) -> str:
        """Of the formatted folder; empty before that."""
        for line in _text(self.data / "meta.properties").splitlines():
            if line.startswith("cluster.id="):
                return line.removeprefix("cluster.id=")
        return ""

    def prepare(self, *, progress: kafka_jars.Progress = lambda done, total: None) -> Command:
        """Downloads (telling `progress`) and formats what is missing; returns what to start. Safe to repeat.

        Raises DevstackError when jars cannot be had or there is no Java, ProcessFailed when formatting fails.
        """
        java = str(find_java().executable)
        classpath = kafka_jars.kafka_classpath(progress=progress)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j2.properties").write_text(_LOGGING)
        # Native libraries are unpacked here, and would pile up in /tmp whenever the broker is killed.
        scratch = self.folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        command = _java_command(java, classpath, logging=self.folder / "log4j2.properties", scratch=scratch)
        if self.quick_start:
            command.insert(1, "-XX:TieredStopAtLevel=1")
        if not (self.data / "meta.properties").exists():
            self._format(command)
        properties = self._write_properties(self.data)
        return Command(
            name="kafka",
            argv=[*command, "kafka.Kafka", str(properties)],
            log=self.log,
            env=_environment(),
            stop_signal=signal.SIGTERM,
            patience_s=20,
        )

    def is_ready(self) -> bool:
        """Whether the broker that writes the current log has finished starting and answers."""
        return STARTED in _text(self.log) and is_answering(self.port)

    def _format(self, command: Sequence[str]) -> None:
        """Formats aside and renames, so that a folder is either wholly formatted or not there."""
        fresh = self.folder / "data.formatting"
        for leftover in (fresh, self.data):
            shutil.rmtree(leftover, ignore_errors=True)
        cluster = _new_cluster_id()
        log = self.log.with_name("kafka-format.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        properties = self._write_properties(fresh)
        with log.open("wb") as output:
            done = subprocess.run(
                [*command, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
                check=False,
            )
        if done.returncode != 0:
            raise ProcessFailed(f"Formatting Kafka's folder {fresh} failed.", log=log)
        fresh.rename(self.data)

    def _write_properties(self, data: Path) -> Path:
        path = self.folder / "server.properties"
        values = {**_defaults(self.port, self.controller_port), "log.dirs": str(data), **self.settings}
        path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        return path


def _defaults(port: int, controller_port: int) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        # Topics are made by one command, on purpose: a misspelt name must not make one.
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        # After a kill the controller takes the broker back only once its last session has run out: 9 s by default.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "1000",
    }


def _java_command(java: str, classpath: Sequence[Path], *, logging: Path, scratch: Path) -> list[str]:
    return [
        java,
        "-Xms128m",
        "-Xmx768m",
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={scratch}",
        f"-Dlog4j2.configurationFile={logging}",
        "-cp",
        os.pathsep.join(map(str, classpath)),
    ]


def _environment() -> dict[str, str]:
    """Ours without the variables through which a JVM or log4j set up for something else would change the broker."""
    strange = (
        "JAVA_TOOL_OPTIONS",
        "JDK_JAVA_OPTIONS",
        "_JAVA_OPTIONS",
        "CLASSPATH",
        "LOG4J_CONFIGURATION_FILE",
    )
    return {name: value for name, value in os.environ.items() if name not in strange}


def _new_cluster_id() -> str:
    """A random id in Kafka's form. One that begins with "-" Kafka's own tools would take for an option."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def _text(log: Path) -> str:
    try:
        return log.read_text(errors="replace")
    except FileNotFoundError:
        return ""
