"""Signed evidence of a run: what it brought, with digests that anybody can compute again on the databases."""
