"""`python -m movieapp.devstack`: what `make run` calls once the packages are installed."""

import sys

from movieapp.devstack.stopping import StopSignals


def main() -> int:
    """Takes the signals over before the imports that take long, so that an early Ctrl-C leaves no traceback."""
    stop = StopSignals()
    stop.install()
    from rich.console import Console

    from movieapp.devstack.layout import default_state_folder
    from movieapp.devstack.run import run

    return run(state=default_state_folder(), console=Console(), stop=stop)


if __name__ == "__main__":
    sys.exit(main())
