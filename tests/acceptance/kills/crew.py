"""The members of one consumer group as real processes, each known to the database by a name of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.fixtures.processes import ManagedProcess, StartManage
from tests.rating_load import owned


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A running `consume_ratings`; `name` is the application_name of its database sessions."""

    name: str
    process: ManagedProcess

    @property
    def owned(self) -> set[int]:
        """Its partitions, by what it has logged."""
        return owned(self.process)


class Crew:
    """Whoever is in the group now; `url` is the database of all of them."""

    def __init__(
        self, start_manage: StartManage, arguments: Sequence[str], *, url: str, env: Mapping[str, str] | None = None
    ) -> None:
        self.members: list[Member] = []
        self._past: list[Member] = []
        self._start_manage = start_manage
        self._arguments = ("consume_ratings", *arguments)
        self._url = url
        self._env = dict(env or {})

    def join(self) -> Member:
        """Starts one more."""
        name = f"member-{len(self.members) + len(self._past)}"
        url = f"{self._url}?application_name={name}"
        member = Member(name, self._start_manage(*self._arguments, env={**self._env, "DATABASE_URL": url}))
        self.members.append(member)
        return member

    def named(self, name: str) -> Member | None:
        """The living member of this name."""
        return next((member for member in self.members if member.name == name), None)

    def kill(self, member: Member) -> None:
        """SIGKILL."""
        member.process.kill()
        self._leave(member)

    def dismiss(self, member: Member) -> None:
        """SIGTERM, once it has partitions; it finishes what it has in hand in its own time."""
        member.process.wait_for("partitions_assigned")
        member.process.terminate()
        self._leave(member)

    def dismiss_all(self) -> None:
        """SIGTERM to all; those that were not killed must end with 0."""
        for member in list(self.members):
            self.dismiss(member)
        for member in self._past:
            code = member.process.wait()
            assert code in (0, -9), f"{member.name} ended with {code}:\n{member.process.output()}"

    def kill_all(self) -> None:
        """SIGKILL to everybody who is left."""
        for member in list(self.members):
            self.kill(member)
            member.process.wait()

    def assert_nobody_died(self) -> None:
        """All members run that were neither killed nor dismissed."""
        for member in self.members:
            assert member.process.popen.poll() is None, f"{member.name} has ended:\n{member.process.output()}"

    def said(self, text: str) -> bool:
        """Whether any member, past ones too, has logged this."""
        return any(text in member.process.output() for member in [*self._past, *self.members])

    def story(self) -> str:
        """The last words of everybody, for a failed test."""
        return "\n".join(
            f"---- {member.name}\n" + "\n".join(member.process.output().splitlines()[-12:])
            for member in [*self._past[-3:], *self.members]
        )

    def _leave(self, member: Member) -> None:
        self.members.remove(member)
        self._past.append(member)
