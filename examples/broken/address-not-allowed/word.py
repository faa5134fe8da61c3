from openai import OpenAI

answer = OpenAI().responses.create(model="gpt-5-mini", input="A rare word and what it means.")
print(answer.output_text)
