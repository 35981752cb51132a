"""Sends requests whose bodies the server does not read, each followed by another request on the same connection.

Usage: unread_bodies.py PORT ROUNDS. Prints the number of lost answers as JSON.
"""

import http.client
import json
import sys

PORT, ROUNDS = int(sys.argv[1]), int(sys.argv[2])

lost = {"answers": 0, "next": 0}
connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
for number in range(ROUNDS):
    # http.client sends the head and the body in packets of their own.
    body = b"x" * [12, 20_000, 60_000, 900_000][number % 4]
    headers = {"Authorization": "Bearer expired", "Content-Type": "application/json"}
    for key, method, path, body, headers, status in [
        ("answers", "POST", "/v1/projects", body, headers, 401),
        ("next", "GET", "/health/live", None, {}, 200),
    ]:
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            response.read()
            lost[key] += response.status != status
        except (OSError, http.client.HTTPException):
            lost[key] += 1
            connection.close()
print(json.dumps(lost), flush=True)
