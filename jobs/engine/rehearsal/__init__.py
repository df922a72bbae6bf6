"""The whole plan inside transactions that are rolled back, and what that found."""
