"""gunicorn as the product starts it: its worker, and what its command line cannot say."""
