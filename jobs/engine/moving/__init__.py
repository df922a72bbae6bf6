"""One chunk: copied, linked, compared, repaired, pruned or undone, each in one transaction of the target."""
