"""The development stack: starts Postgres, Kafka and our own processes on one machine, for `make run` and for the tests.

Nothing here imports Django or the apps (but for one management command): it starts processes and watches them.
"""
