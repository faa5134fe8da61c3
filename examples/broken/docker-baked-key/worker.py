import sys

from openai import OpenAI

client = OpenAI()

for line in sys.stdin:
    answer = client.responses.create(model="gpt-6-luna", input=f"Shorten to 100 characters: {line}")
    print(answer.output_text, flush=True)
