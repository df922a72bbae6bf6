"""The page of what was done, by whom and to what, and its export."""
