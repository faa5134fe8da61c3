import os

from anthropic import Anthropic
from openai import AzureOpenAI, OpenAI

openai = OpenAI()
anthropic = Anthropic()
azure = AzureOpenAI(
    api_key=os.environ["AZURE_OPENAI_API_KEY"],
    azure_endpoint=os.environ["AZURE_OPENAI_ENDPOINT"],
    api_version="2026-06-01",
)


def ask_openai(question: str, model: str) -> str:
    return openai.responses.create(model=model, input=question).output_text


def ask_azure(question: str) -> str:
    messages = [{"role": "user", "content": question}]
    return azure.chat.completions.create(model="compare-deployment", messages=messages).choices[0].message.content


def ask_anthropic(question: str) -> str:
    messages = [{"role": "user", "content": question}]
    return anthropic.messages.create(model="claude-sonnet-5", max_tokens=500, messages=messages).content[0].text
