"""What was done, by whom, from where and to what: recorded by one door, chained by hash, listed, exported, checked."""
