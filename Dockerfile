# One image for all of it: a worker (by default), the HTTP API, the deploy step, and the runs of Docker and Kubernetes pools.
#   docker build -t exemplars .
#   docker run --init -e PREFECT_API_URL=… exemplars
#   docker run --init -e PREFECT_API_URL=… -e EXEMPLARS_API_HOST=0.0.0.0 -p 8000:8000 exemplars python -m flows.api serve
FROM python:3.13-slim

# The embedded model's library needs it; nothing is compiled.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 exemplars \
    && install --directory --owner=exemplars --group=exemplars /opt/exemplars

USER exemplars
WORKDIR /opt/exemplars
ENV PATH=/opt/exemplars/.venv/bin:$PATH \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1

# The packages first: they change seldom, and are nearly all of the image.
COPY --chown=exemplars:exemplars pyproject.toml README.md LICENSE requirements.lock ./
COPY --chown=exemplars:exemplars scripts scripts
RUN scripts/set-up .venv requirements.lock

COPY --chown=exemplars:exemplars prefect.yaml ./
COPY --chown=exemplars:exemplars data data
COPY --chown=exemplars:exemplars exemplars exemplars
COPY --chown=exemplars:exemplars engine engine
COPY --chown=exemplars:exemplars expectations expectations
COPY --chown=exemplars:exemplars tasks tasks
COPY --chown=exemplars:exemplars flows flows

# No entrypoint: Docker and Kubernetes workers give the whole command (`prefect flow-run execute`) as arguments.
CMD ["prefect", "worker", "start", "--pool", "exemplars"]
