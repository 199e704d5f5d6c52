"""Write the report of a run for people: report.html, the dataset card, the run page and the costs."""
