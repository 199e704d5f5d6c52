"""Models' replies, kept on disk and on an object store, so that none is paid for twice."""
