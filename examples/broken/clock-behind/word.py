from openai import OpenAI

answer = OpenAI().responses.create(model="gpt-6-luna", input="A rare word and what it means.")
print(answer.output_text)
