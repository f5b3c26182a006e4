"""Proof of each delivery guarantee: real consumers are killed, frozen and cut off under load, then tables are compared.

    python -m pytest tests/acceptance/kills                        what every run of the suite does
    python -m pytest tests/acceptance/kills --kills 500            so many kills for each guarantee
    python -m pytest tests/acceptance/kills --kills 500 --seed 7   the same with other events and other moments
    python -m pytest tests/acceptance/kills -m soak                what takes minutes, and all other modes

Three deliveries and three ways to share partitions out make nine modes (modes.py). A run of the suite tries each kind
of trouble in each delivery, and kills, freezes and storms in each protocol too; a soak run tries the rest of the nine.

The seed decides what is sent and when somebody is hit; what the machine does meanwhile is its own.
"""
