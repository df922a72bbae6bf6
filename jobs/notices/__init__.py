"""Who is told that a run ended, failed or waits: notices are put into an outbox, and delivered beside the runs."""
