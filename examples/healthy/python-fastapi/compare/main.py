from fastapi import FastAPI

from compare.models import current
from compare.providers import ask_anthropic, ask_azure, ask_openai

app = FastAPI(title="Compare")


@app.get("/ask")
def ask(question: str, model: str = "gpt-6-luna") -> dict[str, str]:
    return {
        "openai": ask_openai(question, current(model)),
        "azure": ask_azure(question),
        "anthropic": ask_anthropic(question),
    }
