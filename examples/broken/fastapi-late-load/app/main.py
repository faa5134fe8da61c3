from dotenv import load_dotenv
from fastapi import FastAPI
from openai import OpenAI
from pydantic import BaseModel

client = OpenAI()
load_dotenv()
app = FastAPI(title="Reply drafts")


class Mail(BaseModel):
    text: str


@app.post("/drafts")
def draft(mail: Mail) -> dict[str, str]:
    answer = client.responses.create(
        model="gpt-6-luna",
        instructions="Draft a short, friendly reply.",
        input=mail.text,
    )
    return {"draft": answer.output_text}
