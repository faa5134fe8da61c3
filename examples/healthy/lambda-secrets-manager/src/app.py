import json

from openai import OpenAI

client = OpenAI()


def handler(event, context):
    labels = []
    for record in event["Records"]:
        ticket = json.loads(record["body"])["text"]
        answer = client.responses.create(model="gpt-6-luna", input=f"One label for: {ticket}")
        labels.append(answer.output_text)
    return {"labels": labels}
