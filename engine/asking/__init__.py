"""Plan the cells of a run in pairs, write the prompt of each cell, and read exemplars from its reply."""
