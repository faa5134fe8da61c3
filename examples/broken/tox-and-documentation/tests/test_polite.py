from politeness import polite


def test_says_please():
    assert "please" in polite("Give me the salt").lower()
