"""Asks OpenAI with whatever key and address the environment has: nothing in here knows of Keyturn."""

from openai import OpenAI

client = OpenAI()
answer = client.chat.completions.create(
    model="gpt-4o-mini",
    messages=[{"role": "user", "content": "Say hello."}],
)
print("answered:", answer.choices[0].message.content)
