"""The operating system: files, processes, imports, groups of asyncio tasks, and the context of log lines."""
