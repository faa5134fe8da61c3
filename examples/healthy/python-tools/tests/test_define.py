from click.testing import CliRunner

from glossary.define import main


def test_tells_what_is_missing():
    result = CliRunner().invoke(main, ["ablaut", "--api-key", "YOUR_OPENAI_API_KEY"])
    assert "OPENAI_KEY" in result.output or result.exit_code == 1
