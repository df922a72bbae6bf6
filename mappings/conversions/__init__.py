"""The conversion kit: named conversions that expressions may call like functions, each written in allowed SQL.

A call is expanded while the expression is read, so that what runs, and what a plan shows, is plain SQL. A value that
cannot be converted is an error of its row, never NULL in silence; NULL and the empty text become NULL.
"""
