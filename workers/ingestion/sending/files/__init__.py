"""Providers' rating files, read as a stream of rating events with their places; memory does not grow with the file."""
