"""Write the JSON schemas of caloforge's files into the package: python docs/make_schemas.py"""

import json
from pathlib import Path

import caloforge
from caloforge.evaluation.results import evaluation_schema
from caloforge.runtime import card_schema

FOLDER = Path(caloforge.__file__).parent / "schemas"
SCHEMAS = {"card-2": card_schema, "evaluation-1": evaluation_schema}

if __name__ == "__main__":
    for name, schema in SCHEMAS.items():
        text = json.dumps(schema(), indent=1) + "\n"
        (FOLDER / f"{name}.schema.json").write_text(text, "utf-8")
