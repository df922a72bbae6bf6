"""What the studio sees of the databases: their tables, how a draft's columns fit, and real rows."""
