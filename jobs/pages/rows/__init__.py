"""Pages of single rows: what differs, row by row; which rows a repair would mend; one row's passport."""
