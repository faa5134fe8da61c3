from django.conf import settings
from openai import OpenAI

client = OpenAI(api_key=settings.OPENAI_API_KEY)


def urgency(text: str) -> str:
    completion = client.completions.create(
        model="text-davinci-003",
        prompt=f"Ticket: {text}\nUrgency (low, normal, high):",
        max_tokens=3,
    )
    return completion.choices[0].text.strip()
