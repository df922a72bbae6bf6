"""The statements of a chunk, composed from a table plan; one purpose each, nothing is executed."""
