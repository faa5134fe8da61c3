import json
import os

import openai

openai.api_key = os.environ["OPENAI_API_KEY"]


def handler(event, context):
    review = json.loads(event["body"])["review"]
    completion = openai.ChatCompletion.create(
        model="gpt-6-luna",
        messages=[{"role": "user", "content": f"One word for the tone of: {review}"}],
    )
    return {"statusCode": 200, "body": completion.choices[0].message.content}
