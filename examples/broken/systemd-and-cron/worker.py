import sys
import time
from pathlib import Path

from openai import OpenAI

INBOX = Path("/var/spool/night-desk")
client = OpenAI()


def answer(path: Path) -> None:
    reply = client.responses.create(model="gpt-6-luna", input=path.read_text())
    path.with_suffix(".reply").write_text(reply.output_text)


while True:
    for waiting in INBOX.glob("*.txt"):
        try:
            answer(waiting)
        except OSError as problem:
            print(problem, file=sys.stderr)
    time.sleep(5)
