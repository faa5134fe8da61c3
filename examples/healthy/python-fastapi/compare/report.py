from compare.providers import ask_openai

print(ask_openai("One sentence that wishes a good morning.", "gpt-6-luna"))
