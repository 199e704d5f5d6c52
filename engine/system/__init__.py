"""The operating system: files, child processes, groups of asyncio tasks, and the context of log lines."""
