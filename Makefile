# Both commands do their own set-up in .venv; PYTHON chooses the interpreter (3.9 to 3.12).
PYTHON ?= python3
# Which numpy, where it matters: NUMPY='<1.24' tests with an old one.
NUMPY ?= <2
# MXNet for the CPU, or for an NVIDIA GPU where a driver is.
MXNET ?= $(shell (ldconfig -p; ls /usr/lib*/*/libcuda.so.1) 2>/dev/null | grep -q libcuda.so.1 && echo cu112 || echo cpu)
# PyTorch for the tests of its engine, without CUDA's libraries where a mirror has that build; it
# needs Python 3.10 or newer. TORCH=no leaves it out.
TORCH ?= $(shell $(PYTHON) -c "import sys; print('yes' if sys.version_info >= (3, 10) else 'no')")
BIN := .venv/bin
# pip is asked again only when the list of dependencies has changed.
STAMP := .venv/installed-$(MXNET)$(subst <,-below-,$(NUMPY))

.PHONY: demo test docs coverage hooks bench clean torch-yes torch-no

demo: $(STAMP)
	$(BIN)/nas-incep search quick --trials 8 --run runs/demo
	$(BIN)/nas-incep export --force runs/demo runs/demo/best
	$(BIN)/nas-incep verify runs/demo/best

test: $(STAMP) docs torch-$(TORCH)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest --numprocesses auto --dist worksteal

# The site of docs/ in build/docs; a warning, such as a link that leads nowhere, is an error.
docs: $(STAMP)
	$(BIN)/sphinx-build --quiet -W --keep-going docs build/docs

torch-yes: $(STAMP)
	$(BIN)/python -c "import torch" 2>/dev/null || \
	    $(BIN)/python -m pip install --quiet --editable '.[$(MXNET),test]' 'numpy$(NUMPY)' torch==2.13.0

torch-no:

# Which lines no test reaches; processes that are killed cannot say what they did.
coverage: $(STAMP)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered

hooks: $(STAMP)
	$(BIN)/python -m pip install --quiet pre-commit
	$(BIN)/pre-commit install

# The short form of all benchmarks; PyTorch is a peer where it is installed in .venv.
bench: $(STAMP)
	$(BIN)/python benchmarks/run_all.py

$(STAMP): setup.cfg pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(not (3, 9) <= sys.version_info < (3, 13) and \
	    'Python 3.9 to 3.12 is needed; say which: make PYTHON=python3.11')"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip uninstall --quiet --yes mxnet mxnet-cu112  # they overwrite each other
	$(BIN)/python -m pip install --quiet --editable '.[$(MXNET),test]' 'numpy$(NUMPY)'
	rm -f .venv/installed-*
	touch $@

clean:
	rm -rf .venv build *.egg-info runs/demo
