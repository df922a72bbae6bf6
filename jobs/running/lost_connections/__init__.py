"""What is done about sessions that fall silent."""
