from openai import OpenAI

client = OpenAI()


def polite(text: str) -> str:
    answer = client.responses.create(model="gpt-6-luna", instructions="Say it politely.", input=text)
    return answer.output_text
