"""Names in expressions, resolved: columns, functions by the types they take, elements of lists."""
