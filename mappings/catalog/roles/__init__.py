"""What the roles of sessions may do."""
