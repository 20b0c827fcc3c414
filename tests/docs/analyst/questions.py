"""Asks each question of a file by pandas, and says which columns and how many rows come of it: a line of JSON each."""

import json
import sys

import pandas
import sqlalchemy

url, file = sys.argv[1:]
with open(file) as text:
    questions = [part for part in text.read().split(";\n") if "select" in part]
engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg2://", 1))
with engine.connect() as database:
    for question in questions:
        frame = pandas.read_sql(sqlalchemy.text(question.replace(":", "\\:")), database)
        print(json.dumps([list(frame.columns), len(frame)]))
