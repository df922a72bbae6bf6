"""The benchmark: the product against plain SQL on the same servers, interleaved; `make bench`."""
