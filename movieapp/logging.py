"""How log lines look: one JSON object a line for machines, coloured text on a terminal, always on standard error.

Lines carry an event and fields: ids, counts and times, never a payload, a person's rating or a secret.
"""

import sys
from typing import Any

import structlog
from structlog.typing import Processor

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def logging_settings(*, level: str, on_terminal: bool | None = None) -> dict[str, Any]:
    """Django's LOGGING setting at `level`, and structlog set up to agree with it.

    `on_terminal` chooses text (True) or JSON (False); None looks at standard error.
    """
    if on_terminal is None:
        on_terminal = sys.stderr.isatty()
    shared = _shared_processors()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structlog": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": _last_processors(on_terminal=on_terminal),
                "foreign_pre_chain": shared,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structlog"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django's own handlers would write each line a second time.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": level, "propagate": True},
            # request_finished and request_failed say what these two would repeat.
            "django.request": {"handlers": [], "level": "CRITICAL", "propagate": True},
            # A scanner's wrong Host would be logged as an error with a traceback; the answer itself names the setting.
            "django.security.DisallowedHost": {"handlers": [], "level": "CRITICAL", "propagate": True},
            # It would log each header that is not UTF-8 as it came, with a traceback: tokens, and what a scanner sends.
            "grpc._cython": {"handlers": [], "level": "CRITICAL", "propagate": True},
            # At DEBUG it writes every statement with its parameters.
            "django.db.backends": {"handlers": [], "level": "WARNING", "propagate": True},
        },
    }


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _last_processors(*, on_terminal: bool) -> list[Processor]:
    without_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if on_terminal:
        # No locals in tracebacks: they would hold payloads.
        plain = structlog.dev.plain_traceback
        return [without_meta, structlog.dev.ConsoleRenderer(exception_formatter=plain)]
    return [
        without_meta,
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
