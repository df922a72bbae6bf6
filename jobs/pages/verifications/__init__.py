"""The page of a mapping's verifications: their line, what drifted, and when the next one is."""
