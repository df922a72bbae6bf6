"""A table compared in one pass over both sides, each read as it lies, where a walk in the order of its keys would fetch
a page for each row: whether it pays, the statements, and what they find.
"""
