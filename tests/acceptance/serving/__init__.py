"""Servers that come, go, hang and are killed under load, found through real registries by a server that asks them."""
