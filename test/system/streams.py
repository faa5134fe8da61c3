"""Streams completions with the official package until its standard input ends; then says in JSON what came of them."""

import json
import sys
import threading

import openai

# Address and token are read from OPENAI_BASE_URL and OPENAI_API_KEY, as in any program; no retries, so that nothing is hidden.
client = openai.OpenAI(max_retries=0)
stopped = threading.Event()
lock = threading.Lock()
counts = {"answered": 0}
failures = []


def work():
    while not stopped.is_set():
        try:
            stream = client.chat.completions.create(
                model="gpt-6-luna",
                messages=[{"role": "user", "content": "Say something."}],
                stream=True,
            )
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
            with lock:
                counts["answered"] += 1
                if text == "":
                    failures.append("an empty answer")
        except Exception as error:
            with lock:
                failures.append(f"{type(error).__name__}: {error}"[:300])


threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
sys.stdin.read()
stopped.set()
for thread in threads:
    thread.join()
print(json.dumps({**counts, "failures": failures}))
