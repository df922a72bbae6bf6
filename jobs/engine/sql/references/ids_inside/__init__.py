"""Ids inside a value: found in it, and replaced by those of the rows that their parents became."""
