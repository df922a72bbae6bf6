"""Rows that may be in the target already: staged, matched, inserted, updated or kept, and what one did to others'."""
