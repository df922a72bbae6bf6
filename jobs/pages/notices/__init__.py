"""The page on which people say what they want to be told, and see what was."""
