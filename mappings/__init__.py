"""Mappings: what the operator wants, and the plan that comes of it."""
