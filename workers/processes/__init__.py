"""Several `manage.py` processes that work as one, for any command that can use more than one core."""
