from dotenv import load_dotenv
from fastapi import FastAPI, UploadFile
from openai import OpenAI

load_dotenv()
app = FastAPI()
client = OpenAI()


@app.post("/risks")
async def risks(contract: UploadFile) -> dict[str, str]:
    text = (await contract.read()).decode()
    answer = client.responses.create(model="gpt-5.2", input=f"List the risks:\n{text}")
    return {"risks": answer.output_text}
