"""Serves the door's operations to agents as tools of the Model Context Protocol (MCP)."""
