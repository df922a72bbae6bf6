"""What a row refers to: its parents, ids inside its values, values that were kept for it."""
