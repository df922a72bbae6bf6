# From nothing but Python >= 3.11 with pip, and make. `make up` is the way in; see README.md.
PYTHON ?= python3
PY := .venv/bin/python
ARGS ?=
EXAMPLES ?=
# Tracing takes a quarter more CPU, so coverage is measured on a few files of each folder: those that reach most of the
# code in least time.
COVERED_BY = tests/unit tests/planning tests/suggesting tests/export/test_psql.py tests/language/test_ids_inside.py \
    $(addprefix tests/studio/test_,forms.py studio.py) \
    $(addprefix tests/engine/test_,copying.py undoing.py schema.py comparing.py ranges.py pruning.py many_bad_rows.py) \
    $(addprefix tests/test_,run_command.py views.py history.py verifications.py mapping_commands.py reviews.py) \
    tests/journeys/test_acceptance.py

.PHONY: help up demo test long check coverage bench faults examples \
    check-types check-units check-deployment check-migrations check-imports check-style
.DEFAULT_GOAL := help

help:
	@sed -n 's/^## //p' Makefile

# Neither ensurepip nor uv is needed: the pip of the system installs into .venv.
.venv/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	test -x $(PY) || $(PYTHON) -m venv --without-pip .venv
	$(PYTHON) -m pip --python $(PY) install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

# What tests and checks need besides: production installs none of it.
.venv/.developed: requirements-dev.txt .venv/.installed
	$(PYTHON) -m pip --python $(PY) install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

## make up        servers, web pages, workers; in the foreground until Ctrl-C
up: .venv/.installed
	@exec $(PY) manage.py up --end-with-parent

## make demo      the main job without a browser: run the demo mapping, verify, report
demo: .venv/.installed
	@exec $(PY) manage.py up --end-with-parent --then demo run

## make test      the test suite, on embedded servers of its own, three tests side by side
test: .venv/.developed
	$(PY) -m pytest -m "not bench and not faults and not long" -n 3 --dist worksteal $(ARGS)

## make long        the rest of it: browsers, whole installations, every address, the other layout of two
long: .venv/.developed
	$(PY) -m pytest -m "long and not bench and not faults" -n 3 --dist worksteal $(ARGS)

## make check     linters, types, room rules, deployment check, tests without servers; two side by side
check: .venv/.developed
	@$(MAKE) --no-print-directory -j2 --keep-going --output-sync=target $(addprefix check-,types units deployment migrations imports style)

check-types:
	.venv/bin/mypy

check-units:
	$(PY) -m pytest -q -m "unit and not thorough" tests/unit

check-deployment:
	HTTPS=1 ALLOWED_HOSTS=localhost $(PY) manage.py check --deploy --fail-level WARNING

check-migrations:
	$(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

check-imports:
	.venv/bin/lint-imports --no-logo

check-style:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

## make coverage  how much of the code a part of the tests reaches, worker processes included; fails below a floor
coverage: .venv/.developed
	$(PY) -m pytest -q -n 2 --dist worksteal -m "not thorough and not long and not bench and not faults" --cov --cov-report= $(COVERED_BY)
	.venv/bin/coverage report --skip-covered

## make bench     ratios to the limits; ROWS=2000000 ROUNDS=3; PEERS=1; ARGS='--profile --only one --json'
bench: .venv/.developed
	@exec $(PY) -m tests.bench $(ARGS)

## make faults    break processes and servers while it runs; slow
faults: .venv/.developed
	$(PY) -m pytest -m faults -n 2 --dist worksteal $(ARGS)

## make examples EXAMPLES=DIR [ARGS=…]   every example in DIR against `make up`
examples: .venv/.installed
	@test -n "$(EXAMPLES)" || { echo "make examples EXAMPLES=DIR: which folder?" >&2; exit 2; }
	@exec $(PY) $(EXAMPLES)/run.py --project . $(ARGS)
