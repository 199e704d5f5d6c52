"""The gate: suites as JSON, the project's Expectation classes, and a verdict that fails if anything goes wrong."""
