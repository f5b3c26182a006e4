"""Kafka and process plumbing: everything that runs beside the web server."""
