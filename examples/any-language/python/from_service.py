"""Asks the service over HTTP, with nothing but the standard library, and follows a key that turns: the SDK calls for each request."""

import json
import os
import urllib.request

from openai import OpenAI


def credential() -> dict:
    with open(os.environ["KEYTURN_TOKEN_FILE"], encoding="utf-8") as file:
        token = file.read().strip()
    request = urllib.request.Request(
        f"{os.environ['KEYTURN_URL']}/v1/credentials/openai",
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


first = credential()
client = OpenAI(
    api_key=lambda: credential()["apiKey"],
    organization=first["organization"],
    project=first["project"],
    base_url=first["baseUrl"],
)
answer = client.chat.completions.create(
    model="gpt-6-luna",
    messages=[{"role": "user", "content": "Say hello."}],
)
print("answered:", answer.choices[0].message.content)
