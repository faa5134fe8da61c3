"""LangChain on whatever key and address the environment has: nothing in here knows of Keyturn."""

from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="gpt-6-luna")
print("answered:", model.invoke("Say hello.").content)
