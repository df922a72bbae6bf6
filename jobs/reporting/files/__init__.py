"""A report as a file to hand over: CSV, workbook and JSON, with every difference, written as it is read."""
