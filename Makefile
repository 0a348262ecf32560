.PHONY: setup demo test lint types fast clean

setup:
	@sh scripts/setup

demo: setup
	.venv/bin/resect demo --out runs/demo --overwrite

test: setup lint types
	.venv/bin/python -m pytest -n 2

fast: setup
	.venv/bin/python -m pytest -n 2 -x

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: setup
	.venv/bin/mypy

clean:
	rm -rf .venv runs
