"""A table mapping against its live tables: names resolved, columns and keys typed, and the SQL that projects a
source row.
"""
