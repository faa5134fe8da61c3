"""Reads the key from a file that `keyturn file --format json` keeps, anew for each client."""

import json
import os

from openai import OpenAI


def client() -> OpenAI:
    with open(os.environ["OPENAI_KEY_FILE"], encoding="utf-8") as file:
        credential = json.load(file)
    return OpenAI(
        api_key=credential["apiKey"],
        organization=credential["organization"],
        project=credential["project"],
        base_url=credential["baseUrl"],
    )


answer = client().chat.completions.create(
    model="gpt-6-luna",
    messages=[{"role": "user", "content": "Say hello."}],
)
print("answered:", answer.choices[0].message.content)
