"""Two databases of generated data and a mapping between them: something to migrate for who has nothing."""
