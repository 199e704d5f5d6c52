"""The steps of a run. Most are one thin Prefect task that calls the engine, logs counts and returns."""
