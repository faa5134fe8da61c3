from pathlib import Path

from openai import OpenAI

text = "\n".join(p.read_text() for p in Path("/var/spool/night-desk").glob("*.reply"))
digest = OpenAI().responses.create(model="gpt-6-luna", instructions="Summarize.", input=text)
print(digest.output_text)
