"""`make run`: one clone's stack from nothing to serving, kept running until Ctrl-C, and then gone without a trace."""

import secrets

from rich.console import Console
from rich.markup import escape

from movieapp.devstack.children_environment import (
    DATABASE_VARIABLES,
    children_environment,
    database_of_caller,
    named_by_caller,
    stack_environment,
)
from movieapp.devstack.errors import DevstackError, StopRequested
from movieapp.devstack.following import FollowedLog, LogFollower
from movieapp.devstack.grpc_servers import GrpcServer, example_call, static_addresses
from movieapp.devstack.kafka import KafkaServer
from movieapp.devstack.layout import StateFolder
from movieapp.devstack.locks import held
from movieapp.devstack.panel import Login, show_panel
from movieapp.devstack.ports import Ports, chosen_ports, reserved_socket
from movieapp.devstack.postgres import WRITE_HEAVY, PostgresServer
from movieapp.devstack.running import announce, running_stack, withdraw
from movieapp.devstack.startup import Plan, Startup
from movieapp.devstack.steps import Steps
from movieapp.devstack.stopping import StopSignals
from movieapp.devstack.supervisor import Supervisor, stop_leftovers
from movieapp.devstack.web import Web

SHOWN_MOVIE = "1"
_SERVERS = frozenset({"kafka", "postgres"})
_LOOK_EVERY_S = 0.2


def run(*, state: StateFolder, console: Console, stop: StopSignals) -> int:
    """Serves until asked to stop. Returns 0 after Ctrl-C or SIGTERM, 1 when a step failed or the folder is in use."""
    state.make()
    with held(state.lock, wait=False, remove=True) as alone:
        if not alone:
            console.print(_already_running(state), style="yellow", highlight=False, soft_wrap=True)
            return 1
        stop_leftovers(state.children, lambda text: console.print(f"  {escape(text)}", highlight=False, soft_wrap=True))
        supervisor = Supervisor(state.children)
        stop.kill_everything = lambda: _kill(supervisor, state)
        try:
            with chosen_ports(state.ports) as ports:
                _serve(_plan(state, ports), console=console, supervisor=supervisor, stop=stop)
        except StopRequested:
            pass
        except DevstackError as error:
            console.print(f"[red]{escape(str(error))}[/]", highlight=False, soft_wrap=True)
            return 1
        finally:
            withdraw(state)
            supervisor.stop_all(servers=_SERVERS)
    return 0


def _serve(plan: Plan, *, console: Console, supervisor: Supervisor, stop: StopSignals) -> None:
    with plan.web.listener:
        Startup(plan, supervisor=supervisor, steps=Steps(console), stop=stop).run()
        announce(plan.state, environment=plan.stack_environment, web=plan.web.url)
        ours, servers = LogFollower(console), LogFollower(console)
        url, details = plan.web.details(SHOWN_MOVIE)
        show_panel(
            console,
            web=plan.web.url,
            details_url=url,
            details=details,
            login=plan.login,
            servers=_addresses(plan),
            example_call=example_call(plan.grpc, movie_id=SHOWN_MOVIE),
        )
        ours.start([_followed(plan, name) for name in ("web", "consumer", *(server.name for server in plan.grpc))])
        servers.start([_followed(plan, name) for name in _our_servers(plan)])
        try:
            while not stop.wait(_LOOK_EVERY_S):
                supervisor.mend(
                    lambda text: console.print(f"[bold red]●[/] {escape(text)}", highlight=False, soft_wrap=True)
                )
        finally:
            # What a server warns of while it stops is no news.
            servers.stop()
            supervisor.stop_all(servers=_SERVERS)
            ours.stop()
        console.print("[dim]stopped[/]")


def _plan(state: StateFolder, ports: Ports) -> Plan:
    database = database_of_caller()
    bootstrap_servers = named_by_caller("KAFKA_BOOTSTRAP_SERVERS")
    postgres = (
        None
        if database
        else PostgresServer(
            folder=state.postgres,
            log=state.logs / "postgres.log",
            port=ports.postgres,
            password=state.secret("postgres"),
            settings=WRITE_HEAVY,
        )
    )
    kafka = (
        None
        if bootstrap_servers
        else KafkaServer(
            folder=state.kafka,
            log=state.logs / "kafka.log",
            port=ports.kafka,
            controller_port=ports.kafka_controller,
        )
    )
    stack = stack_environment(
        state,
        database={"DATABASE_URL": postgres.url} if postgres else database,
        bootstrap_servers=kafka.bootstrap_servers if kafka else bootstrap_servers,
        static_addresses=static_addresses(ports.grpc),
    )
    environment = children_environment(stack, state)
    listener = reserved_socket(ports.web)
    if listener is None:
        raise DevstackError(
            f"Port {ports.web} was free a moment ago and is taken now. Run this again: it takes another."
        )
    return Plan(
        state=state,
        postgres=postgres,
        kafka=kafka,
        web=Web(listener=listener, state=state, environment=environment),
        grpc=[
            GrpcServer(service=service, port=port, state=state, environment=environment)
            for service, port in ports.grpc.items()
        ],
        # Somebody else's database may have an admin of its own, whose password is not ours to change.
        login=Login(username="admin" if postgres else "make-run-admin", password=secrets.token_urlsafe(9)),
        environment=environment,
        stack_environment=stack,
    )


def _followed(plan: Plan, name: str) -> FollowedLog:
    return FollowedLog(name=name, path=plan.state.logs / f"{name}.log", only_trouble=name in _SERVERS)


def _our_servers(plan: Plan) -> list[str]:
    return [name for name, server in (("kafka", plan.kafka), ("postgres", plan.postgres)) if server is not None]


def _addresses(plan: Plan) -> dict[str, str]:
    kafka = plan.stack_environment["KAFKA_BOOTSTRAP_SERVERS"]
    database = f"127.0.0.1:{plan.postgres.port}" if plan.postgres else f"the one in {_naming(plan)}"
    grpc = {f"gRPC {server.service}": server.address for server in plan.grpc}
    return {**grpc, "Kafka": kafka, "Postgres": database, "files": str(plan.state.root)}


def _naming(plan: Plan) -> str:
    """Which variables name somebody else's database; the URL alone counts where there is one."""
    named = [name for name in DATABASE_VARIABLES if name in plan.stack_environment]
    return named[0] if "DATABASE_URL" in named else ", ".join(named)


def _already_running(state: StateFolder) -> str:
    other = running_stack(state)
    if other is None:
        return (
            f"Another `make run` of this clone is starting or stopping ({state.lock} is held). "
            "Wait for it, or stop it with Ctrl-C."
        )
    return (
        f"`make run` of this clone is serving already: {other.web}/ (process {other.supervisor.pid}). "
        "Stop it with Ctrl-C there, or use it from here: `.venv/bin/python manage.py …` finds it."
    )


def _kill(supervisor: Supervisor, state: StateFolder) -> None:
    supervisor.kill_all()
    withdraw(state)
    state.lock.unlink(missing_ok=True)
