"""Addresses of databases, and the one way in which a session with a source or a target is opened."""
