"""The composition root: settings, URLs, error mapping, the movie service and the development stack."""
