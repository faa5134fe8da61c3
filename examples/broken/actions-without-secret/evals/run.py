import json
from pathlib import Path

from openai import OpenAI

from evals.score import score

client = OpenAI(max_retries=4)


def main() -> None:
    cases = json.loads(Path("evals/cases.json").read_text())
    total = 0.0
    for case in cases:
        answer = client.responses.create(model="gpt-6-luna", input=case["input"])
        total += score(case["expected"], answer.output_text)
    print(f"{total / len(cases):.2%}")


if __name__ == "__main__":
    main()
