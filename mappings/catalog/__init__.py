"""What is in the databases: tables, columns, keys, views, triggers and dependents as frozen values, and their
fingerprints.
"""
