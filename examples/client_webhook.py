"""Be told of a job's end, and believe only who knows the secret: `python -m examples.client_webhook`.

The stack must be allowed to send to this machine, by plain HTTP:

    SLUICE_WEBHOOKS__ALLOW_HTTP=true SLUICE_WEBHOOKS__ALLOW_PRIVATE_NETWORKS=true make up

Making the endpoint and naming it in a job, with curl; docs/webhooks.md has the check of a signature by openssl:

    curl "$SLUICE_URL/v1/webhook_endpoints" -H "Authorization: Bearer $SLUICE_KEY" \\
         -H 'Content-Type: application/json' -d '{"url": "http://127.0.0.1:9000/hooks"}'
    curl "$SLUICE_URL/v1/jobs" -H "Authorization: Bearer $SLUICE_KEY" -H 'Content-Type: application/json' \\
         -d '{"agent": "assistant", "input": "Hello", "webhook": {"endpoint_id": "whe_…"}}'
"""

import os
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from client.sluice_client import InvalidWebhook, Sluice, WebhookEvent, verify_webhook

URL = os.environ.get("SLUICE_URL", "http://127.0.0.1:8000")
KEY = os.environ.get("SLUICE_KEY")
SECONDS = 60


class Receiver(ThreadingHTTPServer):
    """Takes webhooks at any address of a free port."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.secrets: list[str] = []
        self.seen: set[str] = set()
        self.events: queue.Queue[WebhookEvent] = queue.Queue()


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))  # the bytes as they came
        try:
            event = verify_webhook(body, self.headers, self.server.secrets)
        except InvalidWebhook as error:
            self.send_error(400, str(error))
            return
        if event["id"] not in self.server.seen:  # the same can come again
            self.server.seen.add(event["id"])
            self.server.events.put(event)  # the work is done elsewhere: the answer must not wait for it
        self.send_response(204)
        self.end_headers()


def main() -> None:
    with (
        Receiver() as receiver,
        Sluice(URL, KEY) as sluice,
    ):
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{receiver.server_port}/hooks"
        endpoint = sluice.request("POST", "/v1/webhook_endpoints", body={"url": here})
        receiver.secrets.append(endpoint["secret"])  # is shown this once
        try:
            job = sluice.submit("assistant", "What is a webhook?", webhook={"endpoint_id": endpoint["id"]})
            event = receiver.events.get(timeout=SECONDS)
            print(f"{event['type']}: {job['id']} said {event['data'].get('output')!r}")
        finally:
            sluice.request("DELETE", f"/v1/webhook_endpoints/{endpoint['id']}")
            receiver.shutdown()


if __name__ == "__main__":
    main()
