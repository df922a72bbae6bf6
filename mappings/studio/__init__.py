"""The studio: a mapping's draft edited in the browser, with types, fits, real rows and proposals in view."""
