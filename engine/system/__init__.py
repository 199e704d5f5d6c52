"""The operating system: files, processes beside this one, groups of tasks, the context of log lines."""
