"""Statements for what a rollback is held against, what it leaves, and what a later run remembers of it."""
