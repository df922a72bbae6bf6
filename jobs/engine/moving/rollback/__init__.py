"""What a rollback leaves, and what it remembers for a later run."""
