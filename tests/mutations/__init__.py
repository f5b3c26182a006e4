"""Faults that are planted in a copy of the source, one at a time, and the tests that must find each of them."""
