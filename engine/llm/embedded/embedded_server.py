"""The embedded model's server process: llama.cpp behind an OpenAI-compatible port, until standard input closes.

Run as a program: ``python embedded_server.py <gguf> <slots> <context tokens a slot> <threads> <style>``. It prints the
address that it listens on. It ends when its parent ends, even if that is killed, since the pipe to standard input then
closes.
"""

import sys


def main() -> None:
    """Serve until standard input closes."""
    import xllamacpp

    path, slots, context, threads, style = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = slots
    params.n_ctx = context * slots
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    # Errors only: they are the only source of the reason why a file cannot be loaded.
    params.verbosity = 1
    params.ui = False
    if style == "plain":
        # Instead of the file's own template, which may be unreadable: plain style makes no chat calls.
        params.chat_template = "chatml"
    # A cache for prompts that no slot holds any more: without it 128 calls read 23,364 prompt tokens and took 105 s,
    # with 256 MiB 6,300 and 41 s. The default of 8 GiB fills up: 1.7 GB after 600 calls.
    params.cache_ram_mib = 512
    params.offline = True
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    # llama.cpp's own shutdown would wait for running requests, but their replies are no longer needed.
    import os

    os._exit(0)


if __name__ == "__main__":
    main()
