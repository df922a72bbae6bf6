"""The processes around runs: seats of workers, the doorbell that rings them, and signals to stop."""
