"""Proposes how a source's tables and columns go into a target's: two catalogs and samples in, proposals out.

`sides.read` reads a side, `samples.read` a few hundred rows of a table, `suggest.table_pairs` which tables belong
together, `suggest.columns` how one pair's target columns are filled, `draft.text` writes a mapping file of it.
"""
