import sys

import httpx
from openai import OpenAI, AuthenticationError

client = OpenAI()

try:
    feed = httpx.get(sys.argv[1], follow_redirects=True).text
    answer = client.responses.create(model="gpt-6-luna", input=f"Titles of this feed:\n{feed[:20_000]}")
    print(answer.output_text)
except AuthenticationError as refused:
    sys.exit(f"OpenAI refused the key: {refused.code}")
