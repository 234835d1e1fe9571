"""Takes jobs from a list in Redis, and puts their results into another one."""

import os
import signal
import socket
import sys

import redis

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
queue = redis.Redis.from_url(os.environ["REDIS_URL"])
print("ready", flush=True)
while True:
    found = queue.brpop("jobs", timeout=1)
    if found:
        text = found[1].decode()
        queue.lpush("results", f"{text.upper()} by {socket.gethostname()}")
        print(f"did {text}", flush=True)
