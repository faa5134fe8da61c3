import sys
from pathlib import Path

from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="gpt-6-luna")
handbook = Path("handbook.md").read_text()
print(model.invoke(f"{handbook}\n\nQuestion: {sys.argv[1]}").content)
