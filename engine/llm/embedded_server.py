"""The embedded model's server process: llama.cpp behind an OpenAI-compatible port, until standard input closes.

Run as a program: ``python embedded_server.py <gguf> <slots> <context tokens a slot> <threads>``. It prints the address
that it listens on, and ends when its parent does, however that ends: the pipe to standard input closes with it.
"""

import sys


def main() -> None:
    """Serves until standard input closes."""
    import xllamacpp

    path, slots, context, threads = sys.argv[1], *map(int, sys.argv[2:5])
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = slots
    params.n_ctx = context * slots
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.verbosity = 0
    params.ui = False
    # Prompts that a slot has left are kept here: without it 128 calls read 23,364 prompt tokens and took 105 s, with
    # 256 MiB 6,300 and 41 s. The default of 8 GiB fills up: 1.7 GB after 600 calls.
    params.cache_ram_mib = 512
    params.offline = True
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    # llama.cpp's own shutdown waits for requests under way, which nobody will read any more.
    import os

    os._exit(0)


if __name__ == "__main__":
    main()
