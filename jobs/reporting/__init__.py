"""A run told to a terminal or to another program."""
