"""The sample store: sample sets on a local disk or an object store, committed atomically, verified, and pruned."""
