from dotenv import load_dotenv

load_dotenv()

from fastapi import FastAPI  # noqa: E402
from openai import AsyncOpenAI  # noqa: E402

app = FastAPI(title="Glossary")
client = AsyncOpenAI()


@app.get("/terms/{term}")
async def explain(term: str) -> dict[str, str]:
    answer = await client.responses.create(model="gpt-6-luna", input=f"Define in one sentence: {term}")
    return {"term": term, "definition": answer.output_text}
