"""People's files read as streams of bounded memory: opening, decompression, lines, elements of a JSON text."""
