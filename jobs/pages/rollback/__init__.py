"""The pages of a rollback: what it would undo, the button that does it, and the proof that it did."""
