"""Writes what people see of a run: report.html, the dataset card, the run page, costs."""
