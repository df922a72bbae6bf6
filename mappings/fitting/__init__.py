"""Measured on the data: which values fit, how wide a column must be, what a unique index or an enum would refuse."""
