"""Asks OpenAI with whatever key and address the environment has: nothing in here knows of Keyturn."""

from openai import OpenAI

client = OpenAI()
answer = client.chat.completions.create(
    model="gpt-6-luna",
    messages=[{"role": "user", "content": "Say hello."}],
)
print("answered:", answer.choices[0].message.content)
