"""`python -m movieapp.devstack`: what `make run` calls once the packages are installed."""

import sys

from rich.console import Console

from movieapp.devstack.layout import default_state_folder
from movieapp.devstack.run import run

if __name__ == "__main__":
    sys.exit(run(state=default_state_folder(), console=Console()))
