"""The scripts of a plan as files: for psql, for Flyway, for Django's migrations."""
