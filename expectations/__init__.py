"""The gate: suites as JSON, the project's own Expectation classes, and the verdict that fails closed."""
