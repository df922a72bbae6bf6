"""Ways to walk through a source table other than by its keys: which rows a chunk takes then."""
