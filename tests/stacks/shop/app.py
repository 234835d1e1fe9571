"""A small shop: it counts visits in PostgreSQL."""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg2


def connect():
    return psycopg2.connect(
        host=os.environ["DATABASE_HOST"],
        dbname=os.environ["DATABASE_NAME"],
        user=os.environ["DATABASE_USER"],
        password=Path("/run/secrets/db_password").read_text(),
    )


def visit(path):
    connection = connect()
    with connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO visits (path) VALUES (%s)", (path,))
        cursor.execute("SELECT count(*) FROM visits WHERE path = %s", (path,))
        [count] = cursor.fetchone()
    connection.close()
    return count


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        text = "well" if self.path == "/health" else f"visit {visit(self.path)} of {self.path}"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{text}\n".encode())

    def log_message(self, form, *words):
        print(form % words, flush=True)


if sys.argv[1:] == ["migrate"]:
    connection = connect()
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE INDEX IF NOT EXISTS visits_path ON visits (path)")
    print("migrated", flush=True)
else:
    print("listening", flush=True)
    ThreadingHTTPServer(("", 8000), Handler).serve_forever()
