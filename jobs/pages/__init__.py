"""The pages: what each shows, its view, and what every view is put into."""
