"""What rows a chunk is of: walks over pages, and the chunk as the engine knows it."""
