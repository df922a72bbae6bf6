"""Values that depend on those that are taken, given before rows are copied."""
