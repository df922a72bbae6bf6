"""The mapping as forms of the admin: the same thing as the file, offered and checked against live tables."""
