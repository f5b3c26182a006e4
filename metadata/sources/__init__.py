"""Files of movies in the formats that others publish, read as streams: memory stays flat."""
