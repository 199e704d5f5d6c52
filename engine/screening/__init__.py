"""Each exemplar is kept standing or rejected with a reason: by the rules, and by both judges."""
