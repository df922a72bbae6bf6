"""A plan as SQL to be run by hand: numbered scripts, written for psql, for Flyway or for Django."""
