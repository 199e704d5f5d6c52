"""The steps of a run, one module each, with one thin Prefect task: it calls the engine, logs counts and returns."""
