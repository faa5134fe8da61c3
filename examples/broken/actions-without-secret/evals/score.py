def score(expected: str, got: str) -> float:
    return float(expected.strip().lower() == got.strip().lower())
