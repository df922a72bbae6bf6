"""RQ's side: the task of a ring, the worker on its seat, and the sweeper that rings what stands still."""
