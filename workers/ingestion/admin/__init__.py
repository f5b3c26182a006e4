"""The admin pages of dead letters."""

from workers.ingestion.admin.dead_letters import DeadLetterAdmin

__all__ = ["DeadLetterAdmin"]
