"""The tables and pictures that the report and the run page share."""
