"""The schema steps of a run: each as it is taken, those that come after the copy, and indexes for a rollback."""
