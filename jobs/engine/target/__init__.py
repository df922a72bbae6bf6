"""What the target knows: its ledger, scripts run by hand, who holds locks, how loaded it is, what stands against
a rollback.
"""
