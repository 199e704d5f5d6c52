"""Serve the HTTP API's operations to agents as tools of the Model Context Protocol (MCP)."""
