"""Schema steps: what each changes, its way back, its lock and its cost; the safe way to widen; the register of
what was applied.
"""
