from flask import Flask, request
from openai import OpenAI

app = Flask(__name__)
client = OpenAI()


@app.post("/alt-text")
def alt_text():
    answer = client.responses.create(
        model="gpt-6-luna",
        input=[{
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Describe this picture in one sentence."},
                {"type": "input_image", "image_url": request.json["url"], "detail": "low"},
            ],
        }],
    )
    return {"alt": answer.output_text}
