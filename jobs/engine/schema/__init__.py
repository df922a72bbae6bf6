"""Schema steps applied and undone in the databases, with short tries for their locks."""
