"""The steps of a run, most as one thin Prefect task that calls the engine, logs counts and returns, and what they
share.
"""
