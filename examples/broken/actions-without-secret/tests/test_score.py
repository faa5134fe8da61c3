from evals.score import score


def test_ignores_case():
    assert score("Paris", "paris ") == 1.0
