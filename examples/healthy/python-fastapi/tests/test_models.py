import pytest

from compare.models import current


@pytest.fixture(autouse=True)
def fake_keys(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-fake-for-tests")


def test_replaces_what_is_gone():
    assert current("text-davinci-003") == "gpt-6-luna"
