"""What a button or a command does, one function each: all of it, or Refused."""
