import os
import sys

import click
from openai import OpenAI


@click.command()
@click.argument("term")
@click.option("--api-key", envvar="OPENAI_API_KEY", help="Defaults to OPENAI_API_KEY.")
def main(term: str, api_key: str | None) -> None:
    """Defines TERM."""
    if not api_key or api_key in {"changeme", "YOUR_OPENAI_API_KEY"}:
        sys.exit("Set OPENAI_API_KEY (not OPENAI_KEY); it begins with sk-proj- or sk-svcacct-.")
    client = OpenAI(api_key=api_key, base_url=os.environ.get("OPENAI_BASE_URL"))
    answer = client.responses.create(model="gpt-6-luna", input=f"Define: {term}")
    click.echo(answer.output_text)


if __name__ == "__main__":
    main()
