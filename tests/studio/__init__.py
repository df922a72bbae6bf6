"""The studio: a mapping edited on its page, held against real databases."""
