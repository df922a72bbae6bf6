"""A revision and live catalogs in, a Plan out: with blockers, drift, and who an environment really is."""
