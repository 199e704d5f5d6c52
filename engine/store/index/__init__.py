"""The samples of earlier sets, and the hashes by which new texts are compared with them."""
