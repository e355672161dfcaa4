"""Submit a job and wait for its end: `python -m examples.client_submit "What is a job queue?"`, with `make up` running.

The same with curl, where JOB_ID is the `id` of the first answer:

    curl "$SLUICE_URL/v1/jobs" -H "Authorization: Bearer $SLUICE_KEY" -H 'Content-Type: application/json' \\
         -H "Idempotency-Key: $(uuidgen)" -d '{"agent": "assistant", "input": "What is a job queue?"}'
    curl "$SLUICE_URL/v1/jobs/JOB_ID?wait=25" -H "Authorization: Bearer $SLUICE_KEY"        # again until it has ended
"""

import os
import sys

from client.sluice_client import Sluice, SluiceError

URL = os.environ.get("SLUICE_URL", "http://127.0.0.1:8000")
KEY = os.environ.get("SLUICE_KEY")


def main(question: str) -> int:
    """Prints the answer; 0 if the job succeeded."""
    with Sluice(URL, KEY) as sluice:
        try:
            submitted = sluice.submit("assistant", question, metadata={"from": "an example"})
            job = sluice.wait(submitted["id"], timeout=300)
        except SluiceError as error:
            print(error, file=sys.stderr)
            return 1
    if job["status"] != "succeeded":
        print(f"{job['id']} is {job['status']}: {job['error'] or job['incomplete_details']}", file=sys.stderr)
        return 1
    print(job["output"])
    print(f"{job['usage']['turns']} turns, ${job['usage']['cost_usd']}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:]) or "What is a job queue?"))
