"""Old clients still send names of models that are gone."""

REPLACED_BY = {
    "text-davinci-003": "gpt-6-luna",
    "gpt-3.5-turbo-0301": "gpt-6-luna",
    "gpt-4-vision-preview": "gpt-5.2",
}


def current(model: str) -> str:
    return REPLACED_BY.get(model, model)
