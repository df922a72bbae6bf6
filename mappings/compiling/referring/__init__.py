"""Columns that are filled by more than the row and one parent: several parents, ids inside a value, what is taken."""
