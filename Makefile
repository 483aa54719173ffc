# make demo   sets up .venv and runs the main job on samples/
# make test   sets up .venv and runs lint, type check and all tests
# make lint   only lint, spelling and types; make types   only types; make environment   only .venv
# make fuzz   damages data sets at random, for MINUTES=60
# make mutation   changes the code in small ways and counts what the tests notice (docs/testing.md)
# make picture   takes the README's picture of a report, of the demo's (needs Chromium)
# PYTHON=python3.12 make test   picks the interpreter

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo_output

.PHONY: demo picture test fuzz lint types mutation environment requirements clean

demo: $(VENV)/.ready
	$(BIN)/fgbg generate --backgrounds samples/backgrounds --foregrounds samples/foregrounds \
	  --output $(DEMO)
	$(BIN)/fgbg verify $(DEMO)
	@echo "Open $(DEMO)/index.html"

picture: demo
	$(BIN)/fgbg report $(DEMO)
	$(BIN)/python tests/helpers/headless.py $(DEMO)/index.html docs/images/report.png

test: lint
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --durations=15

lint: $(VENV)/.ready types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

mutation: build/mutation/.ready
	build/mutation/venv/bin/python -m tools.mutation $(ARGS)

# Cosmic Ray stands in an environment of its own, which sees the project's.
SITE := -c "import sysconfig; print(sysconfig.get_path('purelib'))"
build/mutation/.ready: $(VENV)/.ready
	$(PYTHON) -m venv build/mutation/venv
	build/mutation/venv/bin/python -m pip install --quiet --disable-pip-version-check \
	  cosmic-ray==8.7.0
	$(BIN)/python $(SITE) > "$$(build/mutation/venv/bin/python $(SITE))/project.pth"
	touch $@

# mypy has to be shown the packages under their installed names: build/types/fgbg/pipeline -> pipeline.
types: $(VENV)/.ready
	mkdir -p build/types/fgbg
	ln -sfn $(addprefix $(CURDIR)/,$(wildcard fgbg/*.*) files models transforms pipeline) \
	  build/types/fgbg/
	ln -sfn $(CURDIR)/tools build/types/
	$(BIN)/mypy

# The pinned requirements first, then this project by reference: done again only when they change.
environment: $(VENV)/.ready

$(VENV)/.ready: requirements-dev.txt setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --editable .
	touch $@

# Damages data sets at random and looks how commands take it: tests/fuzz/state_files.py.
MINUTES ?= 60
fuzz: $(VENV)/.ready
	$(BIN)/python -m tests.fuzz.state_files --minutes $(MINUTES)

# Everything that fgbg runs with; the same with what its development needs; what the Dataflow image has
# (with TensorFlow's CUDA libraries, for its Python). Needs uv. Adds what setup.py newly requires and
# leaves the other versions as they are: UPGRADE=--upgrade moves them.
COMPILE = uv pip compile --quiet --no-annotate --custom-compile-command "make requirements" \
  $(UPGRADE) setup.py --python-version 3.11
requirements:
	$(COMPILE) --universal --output-file requirements.txt
	$(COMPILE) --universal --extra dev --constraint requirements.txt \
	  --output-file requirements-dev.txt
	$(COMPILE) --python-platform x86_64-manylinux_2_28 --extra gpu --constraint requirements.txt \
	  --output-file templates/requirements.txt

clean:
	rm -rf $(VENV) $(DEMO) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
