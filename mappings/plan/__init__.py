"""The Plan as frozen values: tables, references and schema steps; to and from JSON, and as text and SQL."""
