"""The mapping file: its frozen values (spec), how it is read and checked, its one canonical spelling, and two of
them side by side.
"""
