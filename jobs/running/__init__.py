"""One run, slice by slice: prepare, claim and perform chunks, verify, roll back; stop signals and takeovers."""
